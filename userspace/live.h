/* SPDX-License-Identifier: BSD-2-Clause */
/* live.h - prints the records as text while they are written (--live). */
#ifndef QSLOG_LIVE_H
#define QSLOG_LIVE_H

#include "writer.h"

struct live;

/* Prints on standard output everything that `writer` makes readable from now on. `tick_ns`: as it was
 * opened with. */
int live_open(struct live **out, struct writer *writer, uint32_t tick_ns);
/* First error of writing to standard output (negative errno), or 0. */
int live_error(const struct live *live);
void live_close(struct live *live); /* before the writer; NULL is accepted */

#endif
