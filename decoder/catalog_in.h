/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * catalog_in.h - the processes, threads and formats of a file that is being read. Blocks repeat
 * them; what says the same is kept once, what says something new about a number replaces it for
 * the entries that follow. Nothing that was handed out is ever freed or moved before the end.
 */
#ifndef QSLOG_CATALOG_IN_H
#define QSLOG_CATALOG_IN_H

#include "hash_index.h"
#include "record.h"
#include "span_stack.h"

struct in_thread {
	struct record_thread thread;
	int64_t last_key; /* of its rows, for their order; see rows_decode.h */
	bool has_key;
	struct span_stack spans; /* open where the scan is */
	const uint8_t *raw;
	uint32_t raw_bytes;
};

struct in_process {
	struct record_process process;
	const uint8_t *raw;
	uint32_t raw_bytes;
};

struct in_format {
	struct record_format format;
	const uint8_t *raw;
	uint32_t raw_bytes;
};

struct catalog_chunk;

/* A slot is an index into one of the arrays; numbers are those of the file. */
struct catalog_in {
	struct in_process **processes;
	struct in_thread **threads;
	struct in_format **formats;
	uint32_t process_cnt, thread_cnt, format_cnt;
	uint32_t process_cap, thread_cap, format_cap;
	struct hash_index process_by_number, thread_by_number, format_by_number;
	struct catalog_chunk *chunks;
	size_t bytes;
};

/*
 * Take the data of an entry (docs/format.md): what follows the subtype, or for a format what
 * follows its length. 0; -EBADMSG: it is no such entry; -E2BIG: more than a reader is willing to
 * keep; -ENOMEM.
 */
int catalog_in_process(struct catalog_in *c, const uint8_t *data, uint32_t bytes);
int catalog_in_thread(struct catalog_in *c, const uint8_t *data, uint32_t bytes);
int catalog_in_format(struct catalog_in *c, uint64_t number, uint8_t level, const uint8_t *data,
		      uint32_t bytes);

/* Room for one more on the thread's stack; 0, -E2BIG, -ENOMEM. */
int catalog_in_spans_room(struct catalog_in *c, struct in_thread *t);

/* HASH_INDEX_NONE where the number is not known. */
static inline uint32_t catalog_slot(const struct hash_index *by_number, uint64_t number)
{
	struct hash_index_walk walk;

	return hash_index_first(by_number, number, &walk);
}

void catalog_in_fini(struct catalog_in *c);

#endif
