/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_direct.h - rows of a block that will not be packed (rows.direct): what comes is put as rows at once,
 * behind those that are there, and no columns are made. That takes about half the time. All is about a
 * record that has been checked, and whose thread and format are in the block; 0 or -ENOMEM.
 */
#ifndef QSLOG_ROWS_DIRECT_H
#define QSLOG_ROWS_DIRECT_H

#include "rows_encode.h"

int rows_direct_verbatim(struct rows *r, const void *entry, uint32_t bytes);
/* What follows is the thread's. */
int rows_direct_thread(struct rows *r, uint32_t number);
/* Room for so many bytes, which then cannot fail. */
int rows_direct_room(struct rows *r, size_t bytes);
/* A record of kind COLUMNS_SHAPE_LOG or _ENTER. *text grows by about what the arguments take in a line
 * of text. */
int rows_direct_arguments(struct rows *r, const struct out_format *f, unsigned kind, const uint64_t *slot,
			  uint64_t time, size_t string_bytes, uint32_t *text);
int rows_direct_leave(struct rows *r, const struct out_format *f, uint64_t duration, uint64_t time);

#endif
