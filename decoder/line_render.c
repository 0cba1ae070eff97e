/* SPDX-License-Identifier: BSD-2-Clause */
/* line_render.c - see line_render.h. */
#include "line_render.h"

#include <stdlib.h>

#include "text.h"

struct context {
	struct line_render *render;
	struct filter_state state;
};

static void *context_open(void *arg)
{
	struct line_render *l = arg;
	struct context *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->render = l;
	if (filter_state_init(&c->state, l->filter)) {
		free(c);
		return NULL;
	}
	return c;
}

static void context_close(void *arg, void *context)
{
	struct context *c = context;

	(void)arg;
	filter_state_fini(&c->state);
	free(c);
}

static void record_line(void *context, struct buffer *out, const struct record *record)
{
	struct context *c = context;

	if (!filter_match(c->render->filter, &c->state, record)) {
		if (c->state.lost_hidden) {
			c->render->lost_hidden += c->state.lost_hidden;
			c->state.lost_hidden = 0;
		}
		return;
	}
	if (c->render->json)
		json_line(out, record);
	else
		text_line(out, record);
}

void line_render_init(struct reader_render *out, struct line_render *l)
{
	out->arg = l;
	out->open = context_open;
	out->record = record_line;
	out->close = context_close;
}
