/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_encode.h - the rows of a block become the payload of a columns block, which decodes to
 * the very same bytes (docs/format.md, "Columns block"). Knows nothing of files.
 */
#ifndef QSLOG_COLUMNS_ENCODE_H
#define QSLOG_COLUMNS_ENCODE_H

#include <stdint.h>

struct columns_encoder; /* its memory is kept from block to block */

/* `zstd_level` is for the sections. NULL: no memory. */
struct columns_encoder *columns_encoder_open(int zstd_level);
/*
 * 0; *payload is valid until the next call. -ENOTSUP: rows that cannot be put into columns (another
 * writer's, in an order or with encodings that this one does not use): they stay rows. -ENOMEM.
 */
int columns_encode(struct columns_encoder *e, const uint8_t *rows, uint32_t bytes,
		   const uint8_t **payload, uint32_t *payload_bytes);
void columns_encoder_close(struct columns_encoder *e); /* NULL is accepted */

#endif
