/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * safe_layout.h - the file on tmpfs that backs the arenas of a process in in-process mode, so that
 * what they hold survives the process: what is where. Written by safe_memory.c, read by
 * recover_memory.c and recover_take.c (which trust nothing of it).
 *
 *     +--------+---------+---------+----------------+----------------+-- --
 *     | header | strings | modules | arena 0        | arena 1        |
 *     | page   |         |         | header | ring  | header | ring  |
 *     +--------+---------+---------+----------------+----------------+-- --
 *     0        SAFE_*_OFF          SAFE_ARENAS_OFF, each QSLOG_ARENA_HEADER_BYTES + ring_bytes
 *
 * The journal: which records are in the output already? Before the collector writes, it notes in
 * each arena concerned how far the records go that the write has (pending_*), and in the header
 * where they will be: block `sequence` or frame `frame` of its tail. After the write it moves
 * `collected` on. Whoever finds the file after a death in between looks whether that block or frame
 * is there. Fields are stored in an order in which every intermediate state can be told; a
 * process that is killed has made all stores up to some point, and none after it.
 */
#ifndef QSLOG_SAFE_LAYOUT_H
#define QSLOG_SAFE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "qslog_abi.h"

#define SAFE_MAGIC "\x93QSM\r\n\x1a\xf6"
#define SAFE_MAGIC_BYTES 8
#define SAFE_VERSION 1u
#define SAFE_NO_FRAME UINT32_MAX

#define SAFE_PATH_OFF 4096u /* NUL-terminated strings, each in its region */
#define SAFE_PATH_BYTES 4096u
#define SAFE_EXE_OFF 8192u
#define SAFE_EXE_BYTES 4096u
#define SAFE_NAME_OFF 12288u
#define SAFE_NAME_BYTES 4096u
#define SAFE_COMMAND_OFF 16384u
#define SAFE_COMMAND_BYTES 24576u
#define SAFE_MODULES_OFF 40960u /* struct safe_module, each followed by its path */
#define SAFE_MODULES_BYTES 221184u
#define SAFE_ARENAS_OFF 262144u

/* Two of each, so that one is whole: the one that was written last is [counter % 2]. */
struct safe_write {
	uint64_t sequence;
	uint32_t frame; /* SAFE_NO_FRAME: the block */
	uint32_t thread_cnt, format_cnt; /* numbers that the file uses */
	uint32_t reserved;
};
struct safe_clock {
	int64_t ticks, realtime_ns;
	uint32_t window_ns;
	uint32_t reserved;
};


/* Pairs of the past, the denser the newer they are, for records that may be old: the first of all,
 * and of those that were noted later, the newest with a number of so many zero bits at its end. */
#define SAFE_PAST 24u
struct safe_past {
	uint64_t cnt; /* noted */
	struct safe_clock clocks[SAFE_PAST]; /* realtime_ns 0: none, or about to be written */
};

struct safe_header {
	uint8_t magic[SAFE_MAGIC_BYTES]; /* written last */
	uint32_t version;
	uint32_t pid; /* as getpid() says in the process */
	uint64_t start_time_ns; /* of the process; CLOCK_REALTIME */
	uint8_t file_id[16];	/* of the output */
	uint32_t counter_kind;	/* enum file_counter_kind */
	uint32_t arena_cnt;	/* places of arenas in this file; some may be unused */
	uint64_t ring_bytes;	/* of each */
	uint64_t counter0, mult, hz; /* struct clock_scale */
	uint64_t write_cnt;	/* begun: writes[write_cnt % 2] is the newest, once this is > 0 */
	struct safe_write writes[2];
	uint64_t clock_cnt;
	struct safe_clock clocks[2];
	uint64_t unsafe_cnt;	/* arenas that found no room here */
	uint32_t module_bytes;	/* used of the region */
	uint32_t module_lost;	/* that found no room in it */
	/* Snapshot mode: there is no output yet, only its path, where %n may stand for the number of a
	 * dump; and no journal. What arenas hold is told by their marks (snapshot_ring.h). */
	uint32_t snapshot;	/* 1: it is */
	uint32_t dumped;	/* 1: for a fatal signal a dump was written (safe_arena.pending_pos) */
	struct safe_past past;
	/* Rotation: the output may be another file by now than that of file_id, which was the first. It is
	 * files[file_cnt % 2] once file_cnt > 0; and if file_pending == file_cnt + 1 it was about to
	 * become files[file_pending % 2], with all that the one before was to have in it. */
	uint64_t file_cnt, file_pending;
	uint8_t files[2][16];
};

/* An executable mapping of a file. A later one counts for more than an earlier one. */
struct safe_module {
	uint64_t start, end; /* addresses in the process */
	uint64_t offset;     /* in the file */
	uint64_t dev, inode; /* as /proc/PID/maps has them */
	uint64_t file_bytes; /* 0: the file at `path` was not this one */
	int64_t mtime_ns;
	uint32_t path_bytes; /* that follow, padded to 8 */
	uint32_t reserved;
};

/*
 * A place of an arena may hold copies of the memory of registered sites instead: struct qslog_arena
 * is empty then but for its magic, QSLOG_SITE_SLAB_MAGIC, and in the ring there are these.
 */
struct safe_slab {
	uint64_t address; /* of struct qslog_site_slab in the process; 0: none */
	uint64_t used;
	uint8_t bytes[QSLOG_SITE_SLAB_BYTES];
};

/* At SAFE_ARENA_OFF of every arena, safe or not: the collector's own. */
#define SAFE_ARENA_OFF 1024u
struct safe_arena {
	uint64_t taken;		/* handed to the writer; `collected` follows once it is in the file */
	uint64_t dropped;	/* reported as lost, in the file */
	uint64_t pending_write;	/* write_cnt of the write that takes them along; 0: none */
	uint64_t pending_pos;
	uint64_t pending_dropped;
	uint64_t key;		/* of the thread that the rest is about */
	uint32_t thread;	/* its number in the file, + 1; 0: it has none */
	uint32_t listed;	/* it is in the collector's list of arenas with news */
	uint64_t next;		/* in that list: an address */
	char name[32];
	/* Snapshot mode: `taken` is where the mode began, pending_pos how far the last dump goes. And of the
	 * thread that had the arena before: */
	uint64_t last_key;
	char last_name[32];
};

_Static_assert(sizeof(struct safe_write) == 24, "safe_write");
_Static_assert(sizeof(struct safe_clock) == 24, "safe_clock");
_Static_assert(sizeof(struct safe_header) == 848, "safe_header");
_Static_assert(sizeof(struct safe_header) <= SAFE_PATH_OFF, "room");
_Static_assert(offsetof(struct safe_header, counter0) == 56, "safe_header.counter0");
_Static_assert(sizeof(struct safe_module) == 64, "safe_module");
_Static_assert(sizeof(struct safe_arena) == 136, "safe_arena");
_Static_assert(sizeof(struct qslog_arena) <= SAFE_ARENA_OFF, "struct qslog_arena has grown");
_Static_assert(SAFE_ARENA_OFF + sizeof(struct safe_arena) <= QSLOG_ARENA_HEADER_BYTES, "room");

#endif
