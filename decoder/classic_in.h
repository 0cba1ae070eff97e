/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classic_in.h - a file of the original format (docs/classic.md) becomes records, in the order of the
 * file. There is nothing to find the next entry by: reading ends at the first that is damaged.
 */
#ifndef QSLOG_CLASSIC_IN_H
#define QSLOG_CLASSIC_IN_H

#include "reader.h"

struct classic_in;

/* Does the file look like one? It begins with a pid, and what follows up to the first log is as a
 * writer must have written it. 1, 0 or -errno. */
int classic_in_probe(const char *path);

/* 0; -ENOMEM; -errno of opening. */
int classic_in_open(struct classic_in **out, const char *path, reader_damage_fn *damage, void *arg);
/* As those of reader.h. */
int classic_in_next(struct classic_in *in, const struct record **record);
void classic_in_totals(const struct classic_in *in, struct reader_totals *out);
void classic_in_close(struct classic_in *in); /* NULL is accepted */

#endif
