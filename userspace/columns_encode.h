/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_encode.h - what a block has becomes the payload of a columns block, which decodes to the
 * very same rows (docs/format.md, "Columns block"). Knows nothing of files, and keeps nothing from
 * one block to the next but memory.
 */
#ifndef QSLOG_COLUMNS_ENCODE_H
#define QSLOG_COLUMNS_ENCODE_H

#include <stdint.h>

struct columns_block;
struct columns_encoder; /* its memory is kept from block to block */

/* `zstd_level` is for the sections. NULL: no memory. */
struct columns_encoder *columns_encoder_open(int zstd_level);
/*
 * `rows_bytes`: of the rows that it stands for. 0; *payload is valid until the next call. -ENOTSUP:
 * there is more of something than columns may have, so they stay rows. -ENOMEM.
 */
int columns_encode(struct columns_encoder *e, const struct columns_block *b, uint32_t rows_bytes,
		   const uint8_t **payload, uint32_t *payload_bytes);
void columns_encoder_close(struct columns_encoder *e); /* NULL is accepted */

#endif
