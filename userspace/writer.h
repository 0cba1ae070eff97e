/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.h - records of threads become a .qslog file (docs/format.md). The tracer and the
 * in-process collector use the same object code. One writer belongs to one thread.
 *
 * Everything returns 0 (or a non-negative index where said) or a negative errno. After a write
 * error (ENOSPC, EIO, ...) the writer keeps going: it holds what comes in memory, up to 8 MiB of rows,
 * and tries again at each flush; writer_flush() returns the error as long as that lasts. What could
 * not be kept is counted in writer_totals.records_unwritten and as lost in the next file or block;
 * that error is kept in writer_totals.error and returned by every later writer_flush() and
 * writer_close().
 */
#ifndef QSLOG_WRITER_H
#define QSLOG_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "qslog_abi.h"

struct writer;
struct clock_pair;
struct clock_scale;

/* When what has been written goes to the device (docs/format.md, "Power loss"). */
enum writer_sync {
	WRITER_SYNC_NONE = 0,	  /* when the kernel likes */
	WRITER_SYNC_INTERVAL = 1, /* file and tail, by writer_flush(), once a second */
	WRITER_SYNC_BLOCK = 2	  /* each block before its rows in the tail are given up */
};

/*
 * When the file is completed and another one begun, under the same name (file_set.h). All 0: only
 * by writer_rotate(), and what is at `path` at the beginning is overwritten; else that is kept,
 * with the next number in its name, and the new file belongs to its set.
 */
#define WRITER_ROTATE_BYTES_MIN (64u << 10)
struct writer_rotation {
	uint64_t bytes;	  /* no file is longer, but by what is in one block; at least 64 KiB */
	uint64_t seconds; /* from its beginning; a file without records goes on */
	uint64_t records; /* no file has more, but by those of one block */
	uint32_t max_files; /* of the set, the one that is written included: older ones are removed */
};

/* What happens to the output while it is written. */
enum writer_event {
	WRITER_FAILING,	      /* writes fail: `err`. What comes is kept as far as there is room */
	WRITER_WORKING,	      /* again; `records` could not be kept */
	WRITER_ROTATED,	      /* `name`: what the file before is called now */
	WRITER_ROTATE_FAILED, /* `err`; the file goes on, and it will be tried again */
	WRITER_DELETED,	      /* somebody has deleted the file, and `records` with it; a new one is begun */
	WRITER_TRUNCATED      /* likewise */
};

/* What is given for small files: docs/size.md has what each costs. */
enum writer_compress {
	WRITER_COMPRESS_DEFAULT = 0, /* blocks of 4 MiB of rows */
	WRITER_COMPRESS_FAST = 1,    /* 1 MiB */
	WRITER_COMPRESS_MAX = 2	     /* 8 MiB, zstd level 19 */
};

struct writer_options {
	const char *path;	/* created or truncated; copied */
	enum writer_compress compress;
	uint32_t block_bytes;	/* rows per sealed block; 0: as `compress` says; 4 KiB..16 MiB */
	int zstd_level;		/* 0: likewise */
	uint32_t tick_ns;	/* times of the file are in such ticks; 0: 1; up to a second */
	uint32_t counter_kind;	/* enum file_counter_kind of the records; 0: the CPU's own */
	bool tail;		/* keep unsealed rows readable in PATH.tail at every writer_flush() */
	bool seal_thread;	/* pack blocks in a thread of its own, where there is a processor for it;
				 * it begins with the first block */
	bool sched;		/* writer_off() will be called: the file says so from the start */
	bool own_by_user;	/* give the files to owner_uid:owner_gid (sudo) */
	uid_t owner_uid;
	gid_t owner_gid;
	enum writer_sync sync;
	struct writer_rotation rotation;
	/* Called from within functions of the writer; NULL: nobody wants to know. */
	void (*event)(void *arg, enum writer_event event, int err, uint64_t records, const char *name);
	void *event_arg;
	/* How full is it where records wait for the writer, in percent? Asked before a block is sealed;
	 * NULL: nothing waits. Where there is little room left, blocks are not packed but written as they
	 * are (haste.h), which is two to four times as fast: larger files rather than lost records. */
	unsigned int (*backlog)(void *arg);
	void *backlog_arg;
	/* For records from before writer_open(): the scale, if it was measured before, and pairs that
	 * were taken with it, oldest first. Copied. */
	const struct clock_scale *scale;
	const struct clock_pair *pairs;
	uint32_t pair_cnt;
	bool pairs_only; /* the records are not of now: there are no other pairs */
	const char *host; /* where they are from; NULL: here, "": several hosts, see writer_process */
};

/*
 * For a caller that must know which of its records are in the file. Before what has been appended so far is
 * written, begin() is told where it will be: in block `sequence`, or in frame `frame` of its tail.
 * end() follows: `settled` if it is there, or is given up and counted; else it will be tried again.
 */
#define WRITER_NO_FRAME UINT32_MAX
struct writer_journal {
	void *arg;
	void (*begin)(void *arg, uint64_t sequence, uint32_t frame);
	void (*end)(void *arg, bool settled);
	/* All is settled, and what comes will be in another file, with this id: about to be so (`done`
	 * false), and then so. */
	void (*file)(void *arg, const uint8_t file_id[16], bool done);
};

struct writer_process {
	uint32_t pid;
	uint64_t start_time_ns; /* CLOCK_REALTIME, 0 if unknown */
	const char *name;	/* short name: the default tag of its sites */
	const char *exe;	/* path, "" if unknown */
	const char *command;	/* command line, "" if unknown */
	const char *host;	/* in a file of records from several; else NULL */
};

/* Static metadata of a site, already copied out of the process and checked. Strings are
 * NUL-terminated; tag NULL means the process's name; name is NULL in a log site. */
struct writer_format {
	uint8_t kind;  /* enum qslog_site_kind */
	uint8_t level; /* enum qslog_level */
	uint8_t arg_cnt;
	uint8_t types[QSLOG_ARGS_MAX]; /* enum qslog_arg_type */
	uint32_t line;
	const char *tag, *file, *function, *format, *name;
};

/* Why records are missing; values are part of the file format, append only. */
enum loss_cause {
	LOSS_ARENA_FULL = 0,   /* the application produced faster than the collector took */
	LOSS_RING_FULL = 1,    /* overwritten in the arena before the kernel could copy them out */
	LOSS_UNREADABLE = 2,   /* the process's memory could not be read any more */
	LOSS_DAMAGED = 3,      /* the process handed over bytes that are not records */
	LOSS_NO_ARENA = 4,     /* a thread could not get an arena */
	LOSS_UNKNOWN_SITE = 5, /* records whose site could not be resolved */
	LOSS_UNWRITTEN = 6,    /* the output could not be written (disk full, ...) */
	LOSS_CAUSE_COUNT = 7
};

struct writer_totals {
	uint64_t records;	    /* in sealed blocks or the tail, losses not counted */
	uint64_t lost;		    /* all causes, records_unwritten included */
	uint64_t lost_by[LOSS_CAUSE_COUNT];
	uint64_t records_unwritten; /* taken over, but their block could not be written */
	uint64_t off_cnt, off_lost; /* intervals off the CPU: taken over, and missing */
	uint64_t file_bytes;	    /* length of the file, or of all of its set since writer_open() */
	uint32_t files;		    /* how many that is, 1 or more */
	uint64_t blocks, blocks_hasty; /* sealed, and how many of them not packed because of the backlog */
	uint64_t text_bytes;	    /* estimated length of the same records as text lines */
	int error;		    /* the first for which something could not be kept, negative errno, or 0 */
	int failing;		    /* of the newest write, as long as none has succeeded since */
};

int writer_open(struct writer **out, const struct writer_options *options);

/* Records turn out to have another counter than writer_open() was told. 0; -EBUSY: there are
 * records already, and all of a file have the same; or the errors of writing anew what the file
 * begins with. */
int writer_counter_set(struct writer *w, uint32_t counter_kind);

/* NULL ends it. */
void writer_journal(struct writer *w, const struct writer_journal *journal);

/* Index of the process / thread / format in this file. The same thread (process, tid, key) and a
 * format of the same content get the same index again. */
int writer_process_add(struct writer *w, const struct writer_process *process);
int writer_thread_add(struct writer *w, uint32_t process, uint32_t tid, uint64_t key, const char *name);
int writer_format_add(struct writer *w, uint32_t process, const struct writer_format *format);

/*
 * Append one record as the application left it (usdt/qslog.h: header, slots). The caller has
 * checked that `bytes` is the record's own size, is a multiple of 8 and lies in memory; this
 * function checks the slots against the format's types (string lengths included) and returns
 * -EBADMSG, appending nothing, where they do not fit. -EINVAL: no such thread or format. -ENOMEM.
 * 0: appended; that a full block could not be written is said by writer_flush(), see above.
 */
int writer_record(struct writer *w, uint32_t thread, uint32_t format, const uint64_t *record,
		  uint32_t bytes);

/* `count` records of the thread are missing at this place of its stream. */
int writer_loss(struct writer *w, uint32_t thread, enum loss_cause cause, uint64_t count);

/* Losses of the thread are from this moment on at `counter`; without, at its last record. */
int writer_loss_time(struct writer *w, uint32_t thread, uint64_t counter);

/* A thread was off the CPU. The times are of the counter that records have their times from. */
struct writer_off {
	uint32_t process;	/* index */
	uint32_t tid;
	uint64_t off, on;	/* when it left and came back, or the recording ended */
	uint64_t ready;		/* when it was woken; not used where it was preempted */
	int32_t syscall;	/* number of that it was in; negative: none */
	const char *syscall_name;
	uint16_t cpu;		/* that it came back to */
	uint8_t why;		/* enum file_off_why */
	uint8_t who;		/* enum file_off_who; of a thread: */
	uint8_t flags;		/* enum file_off_flag */
	uint32_t who_pid, who_tid;
	const char *who_name;
};

/* In any order, but each not much later than what was recorded at the same time: a reader waits for
 * it. 0; -EINVAL: no such process; -ENOMEM: those that were not taken over are counted as missing. */
int writer_off(struct writer *w, const struct writer_off *offs, uint32_t cnt);
/* `count` are missing, which ended between two moments of the counter. 0 or -ENOMEM. */
int writer_off_lost(struct writer *w, uint64_t from, uint64_t to, unsigned cause, uint64_t count);
/* enum file_counter_kind of the file's times, so far. */
uint32_t writer_counter_kind(const struct writer *w);

/* Take a (counter, CLOCK_REALTIME) pair now. Done by open, flush, seal and close as well. */
int writer_clock(struct writer *w);

/* What has been appended is readable from now on: in PATH.tail or, without a tail, in a block that
 * is sealed for it, however small. Where nothing has been, a clock pair is taken for what comes
 * next; so this is to be called at intervals in any case. */
int writer_flush(struct writer *w);

/* A block is being packed (seal_thread): a flush would wait for it. */
bool writer_sealing(const struct writer *w);

/* Completes the file and begins another. 0; -ESPIPE: it is no regular file; -errno: it goes on. */
int writer_rotate(struct writer *w);

void writer_totals_get(const struct writer *w, struct writer_totals *out);

/* Called with the uncompressed rows of every frame that writer_flush() or a seal makes readable
 * (the very bytes of a tail frame), for --live; NULL ends it. Where it is set in the middle of a
 * block, the first call has the block from its start: the rest could not be decoded without. */
void writer_tap(struct writer *w, void (*rows)(void *arg, const void *data, uint32_t bytes), void *arg);

/* Seals, writes index and trailer, removes the tail, closes and frees; `totals` may be NULL.
 * Returns the first write error, if any. NULL is accepted. */
int writer_close(struct writer *w, struct writer_totals *totals);

#endif
