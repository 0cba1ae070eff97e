/* SPDX-License-Identifier: BSD-2-Clause */
/* line_render.h - reader_render (reader.h) of records that a filter lets through, as text or JSON. */
#ifndef QSLOG_LINE_RENDER_H
#define QSLOG_LINE_RENDER_H

#include "filter.h"

struct line_render {
	const struct filter *filter;
	bool json;
	bool hosts; /* several: lines say which */
	bool count; /* an empty line each */
	bool color; /* where the pattern matches, in text */
	_Atomic uint64_t lost_hidden; /* as in filter_state */
};

/* `l` stays the caller's, longer than what uses *out. */
void line_render_init(struct reader_render *out, struct line_render *l);

#endif
