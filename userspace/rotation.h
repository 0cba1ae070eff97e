/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rotation.h - the names of a set (file_set.h) change hands. In every moment the set is whole: a file
 * with a number in its name is complete, and the name that was asked for is never without a file
 * (but on file systems without hard links, for an instant).
 */
#ifndef QSLOG_ROTATION_H
#define QSLOG_ROTATION_H

#include "block_out.h"
#include "file_set.h"

/*
 * Before a file is created at `path`: what is there gets a number in its name. *number is for the new
 * one, set_id that of the set that is there, or a new one. 0; -EBUSY: somebody writes it; -errno.
 */
int rotation_begin(const char *path, uint8_t set_id[FILE_SET_ID_BYTES], uint64_t *number);

/* Which number `current`, which was to have `number`, is going to get. 0 or -errno. */
int rotation_number(const struct block_out *current, uint64_t number, uint64_t *done);

/* A file that will succeed `current`, under a name for the time being; empty. 0 or -errno. */
int rotation_prepare(struct block_out **next, const struct block_out *current);

/* Completes `current`, which gets the name of number `done`, and gives its name to `next`. After an
 * error (-errno) `current` goes on and `next` is as before. `sync`: in an order that a loss of power
 * does not turn round. */
int rotation_switch(struct block_out *current, struct block_out *next, uint64_t done, bool sync);

#endif
