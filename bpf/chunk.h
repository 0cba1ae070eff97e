/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * chunk.h - what the BPF programs and the tracer say to each other: chunks in the ring buffer,
 * the state of each arena, the traced processes, and what could not be done.
 */
#ifndef QSLOG_CHUNK_H
#define QSLOG_CHUNK_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#include <stdint.h>
#endif

#include "process.h"
#include "qslog_abi.h"

#define CHUNK_DATA_MAX QSLOG_BATCH_BYTES /* bytes of records in one chunk */
#define ARENAS_MAX 65536	/* of all processes whose state is kept */
#define PROC_ARENAS_MAX 16384	/* of one: none can take the room of all */

enum chunk_entry {
	CHUNK_PUSH = 0,	   /* qslog:batch */
	CHUNK_PULL = 1,	   /* task iterator */
	CHUNK_HARVEST = 2, /* the process ends, or executes another program */
	CHUNK_PROCESS = 3  /* no records: struct process_event */
};

enum chunk_flag {
	/* What lay between the last chunk of this arena and `from` was overwritten before it could
	 * be copied; from_records says how many records came before `from`. */
	CHUNK_RESYNC = 1,
	/* The arena was there before the tracer: the first base_records are no loss of it. */
	CHUNK_BASELINE = 2,
	/* The records' counters are CLOCK_MONOTONIC (enum qslog_clock). */
	CHUNK_MONOTONIC = 4
};

/*
 * A run of bytes of one arena; records may straddle chunks. Chunks of an arena come in the order
 * of their positions, but may overlap what came before (trim it). Positions and counts go on over
 * the threads that have used the arena; a chunk holds the records of one thread only.
 */
struct chunk {
	__u32 data_bytes;   /* <= CHUNK_DATA_MAX, at `data` */
	__u16 entry;	    /* enum chunk_entry */
	__u16 flags;	    /* enum chunk_flag */
	__u32 tgid;	    /* in the kernel's view */
	__u32 process;	    /* number of the process: see process.h */
	__u32 registry;	    /* number of the file whose runtime it is */
	__u32 instance;	    /* of that: it may be unloaded and loaded again */
	__u32 arena;	    /* index in the registry's table */
	__u32 tid;	    /* in the process's view */
	__u64 key;	    /* of the thread's use of the arena */
	__u64 from;	    /* position of data[0] */
	__u64 from_records; /* valid with CHUNK_RESYNC */
	__u64 base_records; /* valid with CHUNK_BASELINE */
	__u64 dropped;	    /* records that the owner dropped so far, over all lives */
	__u8 data[];
};

struct arena_id {
	__u32 process;
	__u32 registry;
	__u32 instance;
	__u32 arena;
};

/* What the kernel side knows of an arena. Several may be at it: `sent` is moved by compare and
 * exchange, which is what makes a chunk valid; the others only grow. */
struct arena_state {
	__u64 sent;	    /* position up to which chunks were submitted */
	__u64 head;	    /* newest seen: at the end of the process, where the records end */
	__u64 records;	    /* newest seen */
	__u64 dropped;
	__u64 base;	    /* with CHUNK_BASELINE in flags: where the tracer came */
	__u64 base_records; /* before `base` */
	__u32 flags;
	__u32 busy;	    /* somebody copies */
	__u32 tid;
	__u32 failed;	    /* 1 + enum trouble: why the last attempt left something; 0: it did not */
	__u64 key;
};

/* A traced process, by tgid. */
struct proc_entry {
	__u32 process;	/* its number */
	__u32 flags;	/* enum process_flag */
	__u32 attached; /* the thread through which the probes are attached, by tid */
	__u32 harvested; /* 1: the program has ended, everything readable was copied */
	__u32 executes;	 /* 1: another program is about to take its place */
	__u32 unreadable; /* arenas that the last walk could not read, nobody knows with how many records */
	__u64 pulled;	 /* number of the last pull that has been here */
	__u64 no_arena;	 /* records of threads that could get no arena, and how many before the tracer came */
	__u64 no_arena_base;
	__u64 untracked; /* records in arenas that found no place in the map of states */
	__u32 arenas;	 /* that have one */
	__u32 pad;
};

/* Why something could not be done; a per-CPU counter each. */
enum trouble {
	TROUBLE_RING_FULL = 0,	 /* a chunk found no room; tried again later */
	TROUBLE_READ_FAILED = 1, /* user memory was not readable */
	TROUBLE_BAD_ARENA = 2,	 /* what should be an arena is none */
	TROUBLE_STATE_FULL = 3,	 /* the map of arena states is full */
	TROUBLE_OVERWRITTEN = 4, /* lost the race against the owner: copied again */
	TROUBLE_BUSY = 5,	 /* another entry was copying the same arena: left to it */
	TROUBLE_PROCESS_FULL = 6, /* a process to be traced found no room in the maps */
	TROUBLE_EVENT_LOST = 7,	  /* what happened to a process could not be said: see process.h */
	TROUBLE_COUNT = 8
};

#define SELFTEST_KEY 0x51534c4f47000001ull
#define SELFTEST_COOKIE 3

/* A site that asks for a dump when it records: its file is this one, or its path ends with it. */
#define CHOSEN_MAX 8
#define CHOSEN_FILE_BYTES 128

struct chosen_site {
	__u32 line; /* 0: none */
	__u32 file_bytes;
	char file[CHOSEN_FILE_BYTES]; /* NUL-terminated */
};

enum chosen_state {
	CHOSEN_ARMED = 0,
	CHOSEN_TAKING = 1, /* one has recorded, and what there was then is being taken */
	CHOSEN_TAKEN = 2,  /* it has been: until the tracer has written the dump */
	CHOSEN_HELD = 3	   /* the tracer is writing a dump for something else */
};

/* Of a site that has recorded. */
struct chosen_hit {
	__u32 state; /* enum chosen_state */
	__u32 site;  /* index of struct chosen_site */
	__u32 tgid;
	__u32 process; /* its number */
	__u32 seen;    /* by bit: sites that have recorded, ever */
	__u32 pad;
	__u64 missed;  /* hits that came when it was not CHOSEN_ARMED, since the beginning */
};

/* Set before load. */
struct trace_config {
	__u32 selftest_tgid; /* hits of qslog:batch with SELFTEST_KEY by it are counted, no more */
	__u32 snapshot; /* 1: what arenas hold is taken, and nothing before it is a loss */
	__u32 pad;
	__u32 harvest_by_signal; /* 1: sched_process_exit comes too late on this kernel */
	__u32 exes;	     /* 1: some files are FILE_EXE */
	__u32 follow;	     /* 1: some processes are PROCESS_FOLLOW */
	__u64 room_bytes;    /* of the ring buffer that push and pull may fill */
	__u64 wakeup_bytes;  /* wake the tracer when the ring buffer holds this much */
	struct chosen_site chosen[CHOSEN_MAX];
};

#endif
