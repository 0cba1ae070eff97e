/* SPDX-License-Identifier: BSD-2-Clause */
/* line_render.c - see line_render.h. */
#include "line_render.h"

#include <stdlib.h>
#include <string.h>

#include "record_text.h"

#define MATCH_BEGIN "\33[1;31m" /* as grep(1) */
#define MATCH_END "\33[m"

/* text_line_site() of a format. */
struct site_text {
	char *text; /* NULL: not made yet */
	size_t len;
};

struct context {
	struct line_render *render;
	struct filter_state state;
	struct site_text *sites; /* by id of the format */
	uint32_t site_cnt;
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

	uint32_t i;

	(void)arg;
	for (i = 0; i < c->site_cnt; i++)
		free(c->sites[i].text);
	free(c->sites);
	filter_state_fini(&c->state);
	free(c);
}

static enum reader_want format_want(void *context, const struct record_format *format, bool leaves)
{
	struct context *c = context;

	return filter_format(c->render->filter, &c->state, format, leaves);
}

static bool thread_want(void *context, const struct record_thread *thread)
{
	struct context *c = context;

	return filter_thread(c->render->filter, thread);
}

static bool values_want(void *context, const struct record_format *format,
			const struct record_value *values)
{
	struct context *c = context;

	return filter_values(c->render->filter, &c->state, format, values);
}

static enum reader_peek formats_peek(void *context, const struct in_format *formats, uint32_t cnt)
{
	struct context *c = context;

	return filter_formats(c->render->filter, &c->state, formats, cnt);
}

static bool string_peek(void *context, const struct record_value *string)
{
	struct context *c = context;

	return filter_string(c->render->filter, &c->state, string);
}

static struct site_text *site_get(struct context *c, const struct record *record)
{
	const uint32_t id = record->format->id;
	struct site_text *sites;
	struct buffer out = { 0 };
	uint32_t cnt;

	if (id >= c->site_cnt) {
		cnt = id * 2 + 64;
		sites = id < UINT32_MAX / 4 ? reallocarray(c->sites, cnt, sizeof(*sites)) : NULL;
		if (!sites)
			return NULL;
		memset(sites + c->site_cnt, 0, (cnt - c->site_cnt) * sizeof(*sites));
		c->sites = sites;
		c->site_cnt = cnt;
	}
	if (!c->sites[id].text) {
		text_line_site(&out, record);
		if (out.failed)
			return NULL;
		c->sites[id] = (struct site_text){ out.data, out.len };
	}
	return &c->sites[id];
}

/* Marks where the pattern matches in what was appended since `start`. */
static void color(struct context *c, struct buffer *out, size_t start)
{
	const struct filter *f = c->render->filter;
	size_t from = 0, begin, end, len;
	char *message;

	buffer_char(out, '\0');
	message = out->failed ? NULL : strdup(out->data + start);
	if (!message)
		return;
	out->len = start;
	len = strlen(message);
	while (from <= len && filter_grep_find(f, &c->state, message, from, &begin, &end)) {
		buffer_bytes(out, message + from, begin - from);
		if (end > begin) {
			buffer_str(out, MATCH_BEGIN);
			buffer_bytes(out, message + begin, end - begin);
			buffer_str(out, MATCH_END);
		} else if (end < len) {
			buffer_char(out, message[end++]);
		} else {
			break;
		}
		from = end;
	}
	if (from < len)
		buffer_bytes(out, message + from, len - from);
	free(message);
}

/* text_line(), by what is known of the format. */
static void line_text(struct context *c, struct buffer *out, const struct record *record)
{
	const struct record_format *f = record->format;
	const struct message_shape *shape = NULL;
	const struct site_text *site = NULL;

	size_t message;

	text_line_time(out, record, c->render->hosts);
	if (f && *f->tag)
		site = site_get(c, record);
	if (site)
		buffer_bytes(out, site->text, site->len);
	else
		text_line_site(out, record);
	message = out->len;
	if (record->kind == RECORD_LOG || record->kind == RECORD_SPAN_ENTER)
		shape = filter_shape(&c->state, f);
	if (shape && !shape->opaque && !message_values_long(record->values, record->value_cnt))
		message_shape_put(out, shape, record->values);
	else
		record_message(out, record);
	if (c->render->color)
		color(c, out, message);
	buffer_char(out, '\n');
}

static void record_line(void *context, struct buffer *out, const struct record *record)
{
	struct context *c = context;

	if (!filter_rest(c->render->filter, &c->state, record)) {
		if (c->state.lost_hidden) {
			c->render->lost_hidden += c->state.lost_hidden;
			c->state.lost_hidden = 0;
		}
		return;
	}
	if (c->render->count)
		buffer_char(out, '\n');
	else if (c->render->json)
		json_line_host(out, record, c->render->hosts);
	else
		line_text(c, out, record);
}

void line_render_init(struct reader_render *out, struct line_render *l)
{
	out->arg = l;
	out->open = context_open;
	out->format = format_want;
	out->thread = thread_want;
	out->values = values_want;
	out->formats = formats_peek;
	out->string = string_peek;
	out->record = record_line;
	out->close = context_close;
}
