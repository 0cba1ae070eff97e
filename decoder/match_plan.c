/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * match_plan.c - the needle as an automaton over a message whose values are not known, but which
 * characters they can have. A set of states is a word: bit n says that the first n bytes of the
 * needle are behind us. Forward, from any place of the message, and backward, from the end of the
 * needle, these sets say at which items a needle can be under way, and so which values have a part.
 */
#include "match_plan.h"

#include <errno.h>
#include <string.h>

#include "message.h"

#define ITEMS_MAX 64u

struct automaton {
	const struct needle *needle;
	const struct message_shape *shape;
	uint64_t forward[ITEMS_MAX + 1];  /* before each item */
	uint64_t backward[ITEMS_MAX + 1]; /* from where the needle's end can be reached */
	uint64_t chars[ITEMS_MAX];	  /* of a value: bit n, byte n of the needle can be in it */
};

static uint64_t bytes_mask(const struct needle *n, const char *set)
{
	uint64_t mask = 0;
	size_t i;

	for (i = 0; i < n->len; i++) {
		const char c = n->text[i];

		if (strchr(set, c) || (n->fold && c >= 'a' && c <= 'z' && strchr(set, c & ~0x20)))
			mask |= 1ull << i;
	}
	return mask;
}

/* Which bytes of the needle can be in the text of the value, but for padding. */
static uint64_t value_chars(const struct message_item *item, const struct needle *n)
{
	switch ((enum qslog_arg_type)item->type) {
	case QSLOG_ARG_BOOL:
		return bytes_mask(n, item->plain ? "truefals" : "truefals0123456789abcdefABCDEFxX+- ");
	case QSLOG_ARG_UINT8:
	case QSLOG_ARG_UINT64:
	case QSLOG_ARG_INT64:
		return bytes_mask(n, item->plain ? "0123456789-" : "0123456789abcdefABCDEFxX+- ");
	case QSLOG_ARG_FLOAT:
	case QSLOG_ARG_DOUBLE:
		return bytes_mask(n, "0123456789.+- abcdefxpinABCDEFXPIN");
	case QSLOG_ARG_POINTER:
		return bytes_mask(n, "0123456789abcdefx");
	case QSLOG_ARG_CHAR:
	case QSLOG_ARG_STR:
	case QSLOG_ARG_BYTES:
	case QSLOG_ARG_TYPE_COUNT:
		break;
	}
	return ~0ull;
}

/* Which bytes of the needle can be in the text of the value. */
static uint64_t value_mask(const struct message_item *item, const struct needle *n)
{
	const char fill[] = { item->spec.fill_len == 1 ? item->spec.fill[0] : ' ', '\0' };

	if (!item->plain && item->spec.width) {
		if (item->spec.fill_len > 1)
			return ~0ull;
		return bytes_mask(n, fill) | bytes_mask(n, "0 ") | value_chars(item, n);
	}
	return value_chars(item, n);
}

/* Any number of steps within a value. */
static uint64_t closure(uint64_t set, uint64_t chars)
{
	uint64_t before;

	do {
		before = set;
		set |= (set & chars) << 1;
	} while (set != before);
	return set;
}

static uint64_t closure_back(uint64_t set, uint64_t chars)
{
	uint64_t before;

	do {
		before = set;
		set |= set >> 1 & chars;
	} while (set != before);
	return set;
}

static uint64_t char_mask(const struct needle *n, char c)
{
	uint64_t mask = 0;
	size_t i;

	if (n->fold)
		c = needle_fold(c);
	for (i = 0; i < n->len; i++)
		mask |= (uint64_t)(n->text[i] == c) << i;
	return mask;
}

static const char *item_text(const struct automaton *a, unsigned i)
{
	return a->shape->text.data + a->shape->items[i].off;
}

static void run(struct automaton *a)
{
	const struct message_shape *s = a->shape;
	const uint64_t end = 1ull << a->needle->len;
	uint64_t set = 1;
	unsigned i;

	for (i = 0; i < s->cnt; i++) {
		const struct message_item *item = &s->items[i];
		uint32_t k;

		a->forward[i] = set;
		if (item->is_value)
			a->chars[i] = value_mask(item, a->needle);
		if (item->is_value)
			set = closure(set, a->chars[i]);
		for (k = 0; !item->is_value && k < item->len; k++)
			set = (set & char_mask(a->needle, item_text(a, i)[k])) << 1 | 1;
		set = (set | 1) & ~end;
	}
	a->forward[i] = set;
	a->backward[i] = end;
	for (set = end; i-- > 0; a->backward[i] = set) {
		const struct message_item *item = &s->items[i];
		uint32_t k;

		if (item->is_value)
			set = closure_back(set, a->chars[i]);
		for (k = item->is_value ? 0 : item->len; k-- > 0;)
			set = (set >> 1 & char_mask(a->needle, item_text(a, i)[k])) | end;
	}
}

/* Bits n: a needle can be under way by n bytes before the item (it has begun) and come to its end. */
static uint64_t crossing(const struct automaton *a, unsigned i)
{
	return a->forward[i] & a->backward[i] & ~1ull & ~(1ull << a->needle->len);
}

/* Can the value have a byte of a needle, or be empty within one? */
static bool takes_part(const struct automaton *a, unsigned i)
{
	const uint64_t in = closure(a->forward[i] | 1, a->chars[i]);
	const uint64_t out = closure_back(a->backward[i + 1], a->chars[i]);

	return (in & a->chars[i] & out >> 1) || (crossing(a, i) & crossing(a, i + 1));
}

/* How it can have a part, where it is a string. */
static void strings_add(struct match_plan *p, const struct automaton *a, unsigned i)
{
	const struct message_item *item = &a->shape->items[i];
	struct match_strings *strings = &p->strings;
	uint64_t begins = crossing(a, i), ends = crossing(a, i + 1);

	if (item->type != QSLOG_ARG_STR || !item->plain) {
		p->others = true;
		return;
	}
	strings->inside = true;
	strings->prefix |= begins & a->backward[i]; /* came from before, may go to its end */
	strings->suffix |= ends;
	/* from before to behind: some part of the needle, perhaps nothing of it */
	if (begins && ends)
		strings->any = true;
}

static bool constant_has(const struct automaton *a)
{
	const struct message_shape *s = a->shape;
	unsigned i;

	for (i = 0; i < s->cnt; i++) {
		if (!s->items[i].is_value &&
		    needle_search(a->needle, item_text(a, i), s->items[i].len))
			return true;
	}
	return false;
}

/* Values with a part, the texts beside them, and what is between two that are in one region. */
static void regions_make(struct match_plan *p, const struct automaton *a)
{
	const struct message_shape *s = a->shape;
	unsigned i;

	for (i = 0; i < s->cnt; i++) {
		if (!s->items[i].is_value || !takes_part(a, i))
			continue;
		strings_add(p, a, i);
		p->part |= 1ull << i;
		if (i && !s->items[i - 1].is_value)
			p->part |= 1ull << (i - 1);
		if (i + 1 < s->cnt && !s->items[i + 1].is_value)
			p->part |= 1ull << (i + 1);
	}
	for (i = 0; i < s->cnt; i++) {
		if (p->part >> i & 1 && (i + 1 == s->cnt || !(p->part >> (i + 1) & 1)))
			p->region_end |= 1ull << i;
	}
}

/* Messages that get too long end with a mark. */
static bool may_be_cut(const struct record_format *f)
{
	return memchr(f->types, QSLOG_ARG_STR, f->arg_cnt) ||
	       memchr(f->types, QSLOG_ARG_BYTES, f->arg_cnt);
}

static bool is_of_mark(const struct needle *n)
{
	return strchr(n->text, '{') || strcasestr(MESSAGE_CUT_MARK, n->text);
}

int match_plan_init(struct match_plan *p, const struct record_format *f, const struct needle *n,
		    bool leaves)
{
	struct automaton a = { .needle = n, .shape = &p->shape };
	int err;

	memset(p, 0, sizeof(*p));
	p->outcome = MATCH_SOME;
	err = message_shape_init(&p->shape, f, leaves);
	if (err)
		return err;
	if (p->shape.cnt > ITEMS_MAX || (n->len && may_be_cut(f) && is_of_mark(n)))
		p->shape.opaque = true;
	if (p->shape.opaque || !n->len) {
		p->others = true;
		return 0;
	}
	if (constant_has(&a)) {
		p->outcome = MATCH_ALL;
		return 0;
	}
	run(&a);
	regions_make(p, &a);
	if (!p->part)
		p->outcome = MATCH_NONE;
	p->shape.opaque = leaves; /* a duration is no value */
	return 0;
}

void match_plan_fini(struct match_plan *p)
{
	message_shape_fini(&p->shape);
}

void match_strings_join(struct match_strings *sum, const struct match_strings *more)
{
	sum->inside |= more->inside;
	sum->any |= more->any;
	sum->suffix |= more->suffix;
	sum->prefix |= more->prefix;
}

static bool same(const struct needle *n, const char *needle, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if ((n->fold ? needle_fold(text[i]) : text[i]) != needle[i])
			return false;
	}
	return true;
}

bool match_strings_fit(const struct match_strings *s, const struct needle *n, const char *text,
		       size_t len)
{
	size_t i;

	if (s->any || (s->inside && needle_search(n, text, len)))
		return true;
	for (i = 1; (s->suffix | s->prefix) >> 1 && i < n->len; i++) {
		if (s->suffix >> i & 1 && len >= i && same(n, n->text, text + len - i, i))
			return true;
		if (s->prefix >> i & 1 && len >= n->len - i &&
		    same(n, n->text + i, text, n->len - i))
			return true;
	}
	return false;
}

bool match_plan_values(const struct match_plan *p, const struct needle *n, struct buffer *scratch,
		       const struct record_value *values)
{
	const struct message_shape *s = &p->shape;
	unsigned i;

	scratch->len = 0;
	for (i = 0; i < s->cnt; i++) {
		const struct message_item *item = &s->items[i];

		if (!(p->part >> i & 1))
			continue;
		if (item->is_value) {
			message_item_value(scratch, item, values);
		} else {
			/* a text at the edge of a region matters as far as a needle reaches */
			const char *text = s->text.data + item->off;
			uint32_t len = item->len, most = (uint32_t)n->len - 1;

			if ((!i || !(p->part >> (i - 1) & 1)) && len > most) {
				text += len - most;
				len = most;
			} else if (p->region_end >> i & 1 && len > most) {
				len = most;
			}
			buffer_bytes(scratch, text, len);
		}
		if (!(p->region_end >> i & 1))
			continue;
		if (scratch->failed || needle_search(n, scratch->data, scratch->len))
			return true;
		scratch->len = 0;
	}
	return false;
}
