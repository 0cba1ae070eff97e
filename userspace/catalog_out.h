/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * catalog_out.h - the processes, threads and formats of a file that is being written. Each has a
 * number for the whole file and its entry, encoded once here, because every block repeats the
 * entries that it uses.
 */
#ifndef QSLOG_CATALOG_OUT_H
#define QSLOG_CATALOG_OUT_H

#include "hash_index.h"
#include "span_stack.h"
#include "writer.h"

#define CATALOG_STRING_BYTES_MAX 65536u /* of each string of a process or thread entry */

struct out_entry {
	uint8_t *data;
	uint32_t bytes;
	uint32_t reserved;
	uint64_t seen; /* generation of the block that has it */
};

struct out_process {
	struct out_entry entry;
	uint32_t pid;
	char *name;
};

struct out_thread {
	struct out_entry entry;
	uint32_t process, tid;
	uint64_t key;
	int64_t last_ticks;  /* of its newest record, in ns */
	bool has_ticks;
	uint32_t block_records; /* in the block of generation entry.seen */
	uint32_t text_bytes; /* of pid and tid in a text line */
	struct span_stack spans; /* open at its newest record */
};

struct out_format {
	struct out_entry entry;
	uint64_t hash;
	uint32_t id;
	uint32_t text_bytes; /* of the constant parts of a line */
	uint8_t kind, level, arg_cnt;
	uint8_t string_cnt; /* of the arguments */
	bool plain; /* a log of numbers only: BOOL, which are made 0 or 1, not among them */
	uint8_t types[QSLOG_ARGS_MAX];
};

struct catalog_out {
	struct out_process **processes;
	struct out_thread **threads;
	struct out_format **formats;
	uint32_t process_cnt, thread_cnt, format_cnt;
	uint32_t process_cap, thread_cap, format_cap; /* elements may be NULL: see reserve */
	struct hash_index process_by_entry, thread_by_key, format_by_hash;
};

/* An index, or a negative errno: -EINVAL for arguments out of range, -E2BIG for a format that is
 * longer than the file format allows, -ENOMEM. */
int catalog_out_process(struct catalog_out *c, const struct writer_process *process);
int catalog_out_thread(struct catalog_out *c, uint32_t process, uint32_t tid, uint64_t key,
		       const char *name);
int catalog_out_format(struct catalog_out *c, uint32_t process, const struct writer_format *format);
void catalog_out_fini(struct catalog_out *c);

/* In an empty catalog: threads and formats get numbers from these on, those before are taken by
 * what is in the file already. catalog_out_thread_at() says what a thread among them is. */
int catalog_out_reserve(struct catalog_out *c, uint32_t thread_cnt, uint32_t format_cnt);
int catalog_out_thread_at(struct catalog_out *c, uint32_t number, uint32_t process, uint32_t tid,
			  uint64_t key, const char *name);

/* Puts the head of an extended info entry: 0xB0 | length, the length if need be, the subtype
 * (below 128). `bytes` counts what follows the subtype. At most 12 bytes. */
uint8_t *info_extended_put(uint8_t *p, unsigned subtype, uint32_t bytes);

#endif
