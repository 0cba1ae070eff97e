/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reader.h - a .qslog file (and its tail) becomes records, in time order over all threads (within
 * 256 MiB of decoded blocks) and in the order of writing within a thread. Damaged blocks are
 * reported and passed over; everything undamaged is delivered. Nothing in a file can make the
 * reader crash, hang or allocate without bound (limits in docs/format.md).
 */
#ifndef QSLOG_READER_H
#define QSLOG_READER_H

#include "record.h"

struct buffer;
struct parallel;
struct reader;

struct reader_totals {
	uint64_t records; /* delivered, losses not counted */
	uint64_t lost;	  /* sum of the RECORD_LOSS records of the file */
	uint64_t blocks; /* read */
	uint64_t blocks_decoded; /* of these: the others have nothing that is wanted */
	uint64_t blocks_hasty;	 /* of those decoded: not packed, since the writer had no time */
	uint64_t blocks_damaged;
	uint64_t offs, offs_lost; /* intervals off the CPU: delivered, and missing */
	uint64_t blocks_all; /* with records; those that the hint excludes included */
	uint64_t file_bytes;
	uint64_t read_bytes; /* of these; index and headers included, the tail not */
	uint64_t counter_kind; /* what the times were taken from, enum file_counter_kind; 0: not said */
	uint64_t counter_hz;   /* its nominal frequency */
	bool has_sched; /* scheduler events were recorded */
	bool is_classic; /* of the original format (docs/classic.md) */
	bool has_index; /* closed cleanly */
	bool has_tail;	/* records came from FILE.tail */
};

/* One line of text about damage at a byte offset of `path`; called while reading. */
typedef void reader_damage_fn(void *arg, const char *path, uint64_t offset, const char *what);

/* Blocks that cannot hold a matching record are not read. Records are not filtered by it. */
struct reader_hint {
	uint32_t level_mask; /* bit 1 << enum qslog_level; 0: all */
	int64_t since_ns, until_ns; /* CLOCK_REALTIME, inclusive; 0: open */
	/* OFF and OFF_LOST are delivered too, and spans have `times`. (What it takes for those of the
	 * spans in the hint's range is read as well.) Not for lines: see reader_render. */
	bool times;
	/* The spans have none yet: the caller adds them up, over several files, with
	 * reader_times_add(). */
	bool times_apart;
};

/* 0; -errno of open(2)/read(2); -EBADMSG: not a .qslog file at all (no valid block header), nor one
 * of the original format; -EPROTONOSUPPORT: written by a later version with features that must be
 * understood. */
int reader_open(struct reader **out, const char *path, reader_damage_fn *damage, void *damage_arg);
/* As a file of the original format, whatever it begins with. */
int reader_open_classic(struct reader **out, const char *path, reader_damage_fn *damage,
			void *damage_arg);
void reader_hint(struct reader *r, const struct reader_hint *hint); /* before the first next */
struct span_times;
/* Of the record that reader_next() has just given: see span_times_add(). */
int reader_times_add(struct reader *r, struct span_times *times);
/* 1: *record is valid until the next call; 0: end; -errno. */
int reader_next(struct reader *r, const struct record **record);

/*
 * Lines instead of records: what `record` appends for each, in the same order. The records of
 * blocks that follow are made into lines meanwhile, by the threads of the pool. A context is used
 * by one thread at a time, and is given back by reader_close().
 */
enum reader_want {
	READER_WANT_UNKNOWN,
	READER_WANT_NONE,
	READER_WANT_SOME, /* by their values */
	READER_WANT_ALL
};

/* Could a block with these formats have a record that is wanted? */
enum reader_peek {
	READER_PEEK_NONE,
	READER_PEEK_STRINGS, /* if one of its strings is right */
	READER_PEEK_SOME
};

struct in_format;

struct reader_render {
	void *arg;
	void *(*open)(void *arg); /* NULL: no memory */
	/* Which records are made at all; losses are, of threads that are wanted. All five, or NULL.
	 * `leaves`: those that leave a span or close a line. `values` of logs and entered spans. */
	enum reader_want (*format)(void *context, const struct record_format *format, bool leaves);
	bool (*thread)(void *context, const struct record_thread *thread);
	bool (*values)(void *context, const struct record_format *format,
		       const struct record_value *values);
	/* The same of a whole block; `string` is called after `formats` has said so. */
	enum reader_peek (*formats)(void *context, const struct in_format *formats, uint32_t cnt);
	bool (*string)(void *context, const struct record_value *string);
	void (*record)(void *context, struct buffer *out, const struct record *record);
	void (*close)(void *arg, void *context);
};

struct reader_line {
	int64_t key;
	int64_t time_ns;
	uint32_t end; /* offset of the byte behind it */
};

/* Lines that follow one another, of `text` from `start` on. */
struct reader_run {
	const char *text;
	const struct reader_line *lines;
	uint32_t start, cnt;
};

/* Both before the first next. `window` blocks are worked on at a time. The pool stays open until
 * the reader is closed. */
void reader_parallel(struct reader *r, struct parallel *pool, uint32_t window);
void reader_render(struct reader *r, const struct reader_render *render);
/* 1: *run has lines, valid until the next call; 0: end; -errno. */
int reader_next_run(struct reader *r, struct reader_run *run);

/* Wall time that no record is before; INT64_MAX: there are none. Before the first next. 0 or -ENOMEM. */
int reader_begin_ns(struct reader *r, int64_t *begin);
/* What the file says of itself; "" if it does not. Valid until reader_close(). */
const char *reader_host(const struct reader *r);

void reader_totals_get(const struct reader *r, struct reader_totals *out);
/* At the end: gives back what only reading needed. */
void reader_rest(struct reader *r);
void reader_close(struct reader *r); /* NULL is accepted */

/*
 * Incremental decoding of row frames as writer_tap() hands them out, for a live view: records
 * come in the order of the rows. `record` is called once per record.
 */
struct rows_decoder;
int rows_decoder_open(struct rows_decoder **out);
int rows_decoder_feed(struct rows_decoder *d, const void *data, uint32_t bytes,
		      void (*record)(void *arg, const struct record *), void *arg);
void rows_decoder_close(struct rows_decoder *d);

#endif
