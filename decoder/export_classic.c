/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * export_classic.c - records become a file of the original format (docs/classic.md). What it has no place
 * for is written as something that it has, so that the lines of text are the same, and counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "classic.h"
#include "escape.h"
#include "export.h"
#include "format_spec.h"
#include "hash_index.h"
#include "record_text.h"
#include "varint.h"

/* How the arguments of a format are written. */
enum shape {
	SHAPE_VALUES,	/* as they are */
	SHAPE_MESSAGE,	/* the message as one string: a placeholder's type is none of the original's */
	SHAPE_DURATION, /* microseconds, and the nanoseconds behind them */
	SHAPE_LOSS	/* how many */
};

/* A format as the output knows it. */
struct slot {
	const struct record_format *format; /* of the input; NULL: a loss */
	const struct record_process *process; /* where its name is the tag */
	uint32_t variant;
	uint32_t number; /* of the slot */
	uint32_t id;
	enum shape shape;
	uint8_t level;
	struct buffer text;
};

struct classic_out {
	struct slot **slots;
	uint32_t slot_cnt, slot_cap;
	struct hash_index slot_by_key;
	uint32_t by_id[CLASSIC_IDS]; /* slot + 1 */
	uint32_t next_id;	     /* goes round */
	uint64_t last_ts;
	bool has_pid;
	uint32_t pid;
	struct buffer scratch;
	/* for notes() */
	uint64_t records, spans, lines, losses, lost, cut, null, texts, renamed, reused, back, pids;
	bool finer;
};

/* ---- bytes ---- */

static void put_u16(struct buffer *out, unsigned v)
{
	uint16_t n = (uint16_t)v;

	buffer_bytes(out, &n, 2);
}

static void put_u32(struct buffer *out, uint32_t v)
{
	buffer_bytes(out, &v, 4);
}

static void put_arg(struct buffer *out, enum classic_arg_type type, unsigned rest)
{
	buffer_char(out, (char)((unsigned)type << CLASSIC_ARG_SHIFT | rest));
}

static void put_u64(struct buffer *out, uint64_t v, bool negative)
{
	uint8_t bytes[VARINT_BYTES_MAX];

	put_arg(out, CLASSIC_UINT64, negative ? CLASSIC_NEGATIVE : 0);
	buffer_bytes(out, bytes, (size_t)(varint_put(bytes, v) - bytes));
}

/* Longer than there is room for: cut, and marked as the outputs do. */
static void put_str(struct classic_out *c, struct buffer *out, const char *s, size_t len)
{
	struct buffer mark = { 0 };
	size_t kept = len;

	if (len > CLASSIC_STR_MAX) {
		kept = CLASSIC_STR_MAX - 32;
		kept -= utf8_cut_tail(s, kept);
		buffer_printf(&mark, "\xe2\x80\xa6[+%zu bytes]", len - kept);
		c->cut++;
	}
	put_arg(out, CLASSIC_STR, 0);
	put_u16(out, (unsigned)(kept + mark.len));
	buffer_bytes(out, s, kept);
	buffer_bytes(out, mark.data, mark.len);
	out->failed |= mark.failed;
	buffer_fini(&mark);
}

/* ---- formats ---- */

/* Does a placeholder say how its value is to be shown? */
static bool has_spec(const char *s)
{
	for (; *s; s++) {
		if ((*s == '{' || *s == '}') && s[1] == *s) {
			s++;
		} else if (*s == '{') {
			size_t n = strcspn(s, "}:");

			if (s[n] == ':')
				return true;
			s += n;
			if (!*s)
				break;
		}
	}
	return false;
}

static enum shape shape_of(const struct record *r)
{
	const struct record_format *f = r->format;
	bool text = false;

	switch (r->kind) {
	case RECORD_LOSS:
		return SHAPE_LOSS;
	case RECORD_SPAN_EXIT:
		return SHAPE_DURATION;
	case RECORD_LINE_BEGIN:
	case RECORD_LINE_END:
		return SHAPE_MESSAGE;
	default:
		for (unsigned i = 0; i < f->arg_cnt; i++)
			text |= f->types[i] == QSLOG_ARG_POINTER || f->types[i] == QSLOG_ARG_BYTES;
		return text && has_spec(f->format) ? SHAPE_MESSAGE : SHAPE_VALUES;
	}
}

/* A word of "tag file:line function": it ends at a blank. */
static void put_word(struct classic_out *c, struct buffer *out, const char *word)
{
	bool changed = false;

	if (!word || !*word)
		word = "-";
	for (; *word; word++) {
		buffer_char(out, *word == ' ' ? '_' : *word);
		changed |= *word == ' ';
	}
	c->renamed += changed;
}

static void put_braces(struct buffer *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '{' || *s == '}')
			buffer_char(out, *s);
		buffer_char(out, *s);
	}
}

static void slot_text(struct classic_out *c, struct slot *s, const struct record *r)
{
	const struct record_format *f = r->format;
	const char *name = f && f->name ? f->name : "-";
	struct buffer *out = &s->text;

	put_word(c, out, record_tag(r));
	buffer_char(out, ' ');
	put_word(c, out, f ? f->file : NULL);
	buffer_printf(out, ":%u ", f ? f->line : 0);
	put_word(c, out, f ? f->function : NULL);
	buffer_char(out, ' ');
	if (s->shape == SHAPE_MESSAGE) {
		buffer_str(out, "{}");
	} else if (s->shape == SHAPE_LOSS) {
		buffer_printf(out, "{} record%s lost: %s", r->lost == 1 ? "" : "s",
			      loss_cause_name(r->lost_cause));
	} else if (s->shape == SHAPE_DURATION) {
		buffer_str(out, "<- ");
		put_braces(out, name);
		buffer_str(out, " {}.{:03}us");
	} else {
		if (r->kind == RECORD_SPAN_ENTER) {
			buffer_str(out, "-> ");
			put_braces(out, name);
			if (*f->format || r->value_cnt)
				buffer_char(out, ' ');
		}
		buffer_str(out, f->format);
	}
	if (out->len > CLASSIC_STR_MAX) {
		out->len = CLASSIC_STR_MAX;
		c->cut++;
	}
}

/* What tells formats of the output apart that have the same in the input. */
static uint32_t variant_of(const struct record *r)
{
	return (uint32_t)r->kind | (r->kind == RECORD_LOSS ? (uint32_t)r->lost_cause << 8 : 0) |
	       (r->kind == RECORD_LOSS && r->lost == 1 ? 1u << 16 : 0);
}

static struct slot *slot_find(struct classic_out *c, const struct record *r)
{
	const struct record_format *f = r->format;
	bool by_name = f && !(f->tag && *f->tag);
	const struct record_process *process = by_name ? r->thread->process : NULL;
	uint32_t variant = variant_of(r), i;
	uint64_t key = (uint64_t)(uintptr_t)f * 31 + (uint64_t)(uintptr_t)process * 17 + variant;
	struct hash_index_walk walk;
	struct slot *s;

	for (i = hash_index_first(&c->slot_by_key, key, &walk); i != HASH_INDEX_NONE;
	     i = hash_index_next(&c->slot_by_key, &walk)) {
		s = c->slots[i];
		if (s->format == f && s->process == process && s->variant == variant)
			return s;
	}
	if (c->slot_cnt == c->slot_cap) {
		uint32_t cap = c->slot_cap ? c->slot_cap * 2 : 64;
		struct slot **bigger = reallocarray(c->slots, cap, sizeof(*bigger));

		if (!bigger)
			return NULL;
		c->slots = bigger;
		c->slot_cap = cap;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->format = f;
	s->process = process;
	s->variant = variant;
	s->id = UINT32_MAX;
	s->level = record_level(r);
	s->shape = shape_of(r);
	slot_text(c, s, r);
	if (s->text.failed || hash_index_add(&c->slot_by_key, key, c->slot_cnt)) {
		buffer_fini(&s->text);
		free(s);
		return NULL;
	}
	s->number = c->slot_cnt;
	c->slots[c->slot_cnt++] = s;
	return s;
}

/* Before the first use, and again where its id had to be given to another. */
static void slot_introduce(struct classic_out *c, struct buffer *out, struct slot *s)
{
	uint32_t before = c->by_id[c->next_id];

	if (before) {
		c->slots[before - 1]->id = UINT32_MAX;
		c->reused++;
	}
	s->id = c->next_id;
	c->next_id = (c->next_id + 1) % CLASSIC_IDS;
	c->by_id[s->id] = s->number + 1;
	buffer_char(out, (char)(CLASSIC_FORMAT << CLASSIC_TYPE_SHIFT | s->level));
	put_u16(out, s->id);
	put_u16(out, (unsigned)s->text.len);
	buffer_bytes(out, s->text.data, s->text.len);
}

/* ---- arguments ---- */

/* A type that the original has not, NULL, or what was cut: as the text that it is shown by. */
static void put_shown(struct classic_out *c, struct buffer *out, const struct record_value *v)
{
	c->scratch.len = 0;
	format_value_plain(&c->scratch, v);
	put_str(c, out, c->scratch.data, c->scratch.len);
}

static void put_value(struct classic_out *c, struct buffer *out, const struct record_value *v)
{
	switch ((enum qslog_arg_type)v->type) {
	case QSLOG_ARG_BOOL:
		put_arg(out, CLASSIC_BOOL, v->u != 0);
		break;
	case QSLOG_ARG_CHAR:
	case QSLOG_ARG_UINT8:
		put_arg(out, v->type == QSLOG_ARG_CHAR ? CLASSIC_CHAR : CLASSIC_UINT8, 0);
		buffer_char(out, (char)v->u);
		break;
	case QSLOG_ARG_UINT64:
		put_u64(out, v->u, false);
		break;
	case QSLOG_ARG_INT64:
		put_u64(out, v->i < 0 ? ~v->u : v->u, v->i < 0);
		break;
	case QSLOG_ARG_FLOAT:
		put_arg(out, CLASSIC_FLOAT, 0);
		buffer_bytes(out, &v->f, 4);
		break;
	case QSLOG_ARG_DOUBLE:
		put_arg(out, CLASSIC_DOUBLE, 0);
		buffer_bytes(out, &v->d, 8);
		break;
	case QSLOG_ARG_STR:
		c->null += !v->bytes;
		c->cut += v->bytes && v->real_len > v->len;
		if (v->bytes && v->real_len == v->len)
			put_str(c, out, v->bytes, v->len);
		else
			put_shown(c, out, v);
		break;
	default: /* POINTER, BYTES */
		c->texts++;
		put_shown(c, out, v);
		break;
	}
}

static unsigned arguments_put(struct classic_out *c, struct buffer *out, const struct slot *s,
			      const struct record *r)
{
	switch (s->shape) {
	case SHAPE_MESSAGE:
		c->texts++;
		c->scratch.len = 0;
		record_message(&c->scratch, r);
		put_str(c, out, c->scratch.data, c->scratch.len);
		return 1;
	case SHAPE_DURATION:
		put_u64(out, r->duration_ns / 1000, false);
		put_u64(out, r->duration_ns % 1000, false);
		return 2;
	case SHAPE_LOSS:
		put_u64(out, r->lost, false);
		return 1;
	case SHAPE_VALUES:
		break;
	}
	for (unsigned i = 0; i < r->value_cnt; i++)
		put_value(c, out, &r->values[i]);
	return r->value_cnt;
}

/* ---- the exporter ---- */

static int begin(struct export *e)
{
	e->state = calloc(1, sizeof(struct classic_out));
	return e->state ? 0 : -ENOMEM;
}

static void count(struct classic_out *c, const struct record *r)
{
	c->records++;
	c->spans += r->kind == RECORD_SPAN_ENTER || r->kind == RECORD_SPAN_EXIT;
	c->lines += r->kind == RECORD_LINE_BEGIN || r->kind == RECORD_LINE_END;
	if (r->kind == RECORD_LOSS) {
		c->losses++;
		c->lost += r->lost;
	}
}

static int record(struct export *e, const struct record *r, unsigned file)
{
	struct classic_out *c = e->state;
	struct buffer *out = &e->out.buffer;
	int64_t rest = r->time_ns % 1000000;
	uint64_t ms = (uint64_t)(r->time_ns / 1000000 - (rest < 0));
	struct slot *s = slot_find(c, r);
	uint64_t diff = ms - c->last_ts;
	size_t head;

	(void)file;
	if (!s)
		return -ENOMEM;
	count(c, r);
	c->finer |= rest != 0;
	if (!c->has_pid || c->pid != r->thread->process->pid) {
		c->has_pid = true;
		c->pid = r->thread->process->pid;
		c->pids++;
		buffer_char(out, (char)(CLASSIC_INFO << CLASSIC_TYPE_SHIFT |
					CLASSIC_PID << CLASSIC_INFO_SHIFT | 4));
		put_u32(out, c->pid);
	}
	if (diff > CLASSIC_DIFF_MAX) {
		c->back += c->last_ts > ms;
		c->last_ts = ms;
		diff = 0;
		buffer_char(out, (char)(CLASSIC_INFO << CLASSIC_TYPE_SHIFT |
					CLASSIC_TS << CLASSIC_INFO_SHIFT | 8));
		buffer_bytes(out, &ms, 8);
	}
	if (s->id == UINT32_MAX)
		slot_introduce(c, out, s);
	head = out->len;
	buffer_char(out, CLASSIC_LOG << CLASSIC_TYPE_SHIFT);
	put_u16(out, (unsigned)diff);
	put_u16(out, s->id);
	put_u32(out, r->thread->tid);
	if (!out->failed)
		out->data[head] |= (char)arguments_put(c, out, s, r);
	return c->scratch.failed ? -ENOMEM : output_more(&e->out);
}

static int end(struct export *e)
{
	(void)e;
	return 0;
}

static void note(struct buffer *out, uint64_t cnt, const char *what)
{
	if (cnt)
		buffer_printf(out, "%llu %s\n", (unsigned long long)cnt, what);
}

static void notes(const struct export *e, struct buffer *out)
{
	const struct classic_out *c = e->state;

	if (c->finer)
		buffer_str(out, "times are cut to milliseconds\n");
	note(out, c->spans, "beginnings and ends of spans are log lines (\"-> name\", \"<- name\")");
	note(out, c->lines, "beginnings and ends of span lines are log lines, without their ids elsewhere");
	if (c->losses)
		buffer_printf(out, "%llu losses, of %llu records, are log lines\n",
			      (unsigned long long)c->losses, (unsigned long long)c->lost);
	note(out, c->texts, "pointers, byte arguments and messages with such are strings");
	note(out, c->null, "NULL strings are the text \"(null)\"");
	note(out, c->cut, "strings are cut, and say so in their text");
	note(out, c->renamed, "tags, files and functions with blanks have '_' there");
	note(out, c->reused, "format ids were given to another format, as there are only 65,536");
	note(out, c->back, "times lie before the last timestamp, and have one of their own");
	if (c->pids > 1)
		note(out, c->pids, "changes of the process are pid entries, of which the original has one");
	if (!c->records)
		buffer_str(out, "no record: the file is empty\n");
}

static void close_state(struct export *e)
{
	struct classic_out *c = e->state;

	if (!c)
		return;
	for (uint32_t i = 0; i < c->slot_cnt; i++) {
		buffer_fini(&c->slots[i]->text);
		free(c->slots[i]);
	}
	free(c->slots);
	hash_index_fini(&c->slot_by_key);
	buffer_fini(&c->scratch);
	free(c);
}

const struct exporter export_classic = {
	.name = "classic",
	.help = "the original format: millisecond times, no spans (see docs/classic.md)",
	.binary = true,
	.begin = begin,
	.record = record,
	.end = end,
	.notes = notes,
	.close = close_state,
};
