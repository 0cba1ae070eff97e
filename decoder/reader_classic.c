/* SPDX-License-Identifier: BSD-2-Clause */
/* reader_classic.c - the reader's part that is about files of the original format: records as they
 * come, and lines of them in runs. They have no blocks that threads could share. */
#include <errno.h>
#include <stdlib.h>

#include "classic_in.h"
#include "reader_priv.h"

#define RUN_LINES 256u
#define RUN_BYTES (1u << 20)

struct reader_classic {
	struct classic_in *in;
	void *context; /* of reader_render */
	struct buffer text;
	struct reader_line lines[RUN_LINES];
};

int reader_classic_open(struct reader *r, const char *path, reader_damage_fn *damage, void *arg)
{
	r->classic = calloc(1, sizeof(*r->classic));
	return r->classic ? classic_in_open(&r->classic->in, path, damage, arg) : -ENOMEM;
}

int reader_classic_next(struct reader *r, const struct record **record)
{
	return classic_in_next(r->classic->in, record);
}

int reader_classic_run(struct reader *r, struct reader_run *run)
{
	struct reader_classic *c = r->classic;
	const struct record *record;
	uint32_t cnt = 0;
	int ret = 1;

	if (!c->context)
		c->context = r->render.open(r->render.arg);
	if (!c->context)
		return -ENOMEM;
	c->text.len = 0;
	while (cnt < RUN_LINES && c->text.len < RUN_BYTES) {
		size_t before = c->text.len;

		ret = classic_in_next(c->in, &record);
		if (ret <= 0)
			break;
		r->render.record(c->context, &c->text, record);
		if (c->text.failed)
			return -ENOMEM;
		if (c->text.len == before)
			continue; /* nothing is shown of it */
		c->lines[cnt++] = (struct reader_line){ .key = record->time_ns,
							.time_ns = record->time_ns,
							.end = (uint32_t)c->text.len };
	}
	if (ret < 0 || !cnt)
		return ret < 0 ? ret : 0;
	*run = (struct reader_run){ .text = c->text.data, .lines = c->lines, .cnt = cnt };
	return 1;
}

void reader_classic_totals(const struct reader *r, struct reader_totals *out)
{
	classic_in_totals(r->classic->in, out);
}

void reader_classic_close(struct reader *r)
{
	struct reader_classic *c = r->classic;

	if (!c)
		return;
	if (c->context)
		r->render.close(r->render.arg, c->context);
	classic_in_close(c->in);
	buffer_fini(&c->text);
	free(c);
}
