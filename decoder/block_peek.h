/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block_peek.h - a look into a columns block: could it have a record that is wanted? Its formats
 * are looked at, and where it hangs on the strings, its strings; the records are not decoded.
 */
#ifndef QSLOG_BLOCK_PEEK_H
#define QSLOG_BLOCK_PEEK_H

#include "catalog_in.h"
#include "clock_map.h"
#include "columns_in.h"
#include "rows_decode.h"

/* *wanted is false if there is none for sure; the clock pairs of the block are in `clock` then.
 * Formats go into the pool of the (empty) catalog. 0 or -ENOMEM; what is damaged is wanted. */
int block_peek(struct columns_in *c, struct catalog_in *catalog, struct clock_map *clock,
	       const struct rows_select *select, bool *wanted);

#endif
