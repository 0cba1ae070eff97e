/* SPDX-License-Identifier: BSD-2-Clause */
/* chunk_batch.h - from what lies in the ring buffer to what ingest takes. */
#ifndef QSLOG_CHUNK_BATCH_H
#define QSLOG_CHUNK_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "chunk.h"
#include "ingest.h"

/* Are the `bytes` bytes at `data` a chunk with all of its data? (The BPF side makes no others.) */
static inline bool chunk_whole(const void *data, size_t bytes)
{
	const struct chunk *chunk = data;

	return bytes >= sizeof(*chunk) && chunk->data_bytes <= bytes - sizeof(*chunk);
}

/* Which registry it is of the process, the caller says. */
static inline struct ingest_batch chunk_batch(const struct chunk *chunk)
{
	return (struct ingest_batch){
		.arena = chunk->arena,
		.tid = chunk->tid,
		.key = chunk->key,
		.from = chunk->from,
		.data = chunk->data,
		.bytes = chunk->data_bytes,
		.resync = chunk->flags & CHUNK_RESYNC,
		.baseline = chunk->flags & CHUNK_BASELINE,
		.from_records = chunk->from_records,
		.base_records = chunk->base_records,
		.dropped = chunk->dropped,
	};
}

#endif
