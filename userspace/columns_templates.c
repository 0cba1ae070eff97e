/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns_templates.c - the dictionary of the strings of a block as streams.
 *
 * Many strings differ in numbers only ("part-00017", "10.251.73.220", a UUID): such strings become
 * a template, which is stored once, and numbers, which are columns of their own. A string whose
 * template nobody shares stays as it is.
 */
#define XXH_INLINE_ALL
#include "columns_out.h"

#include <errno.h>
#include <xxhash.h>

#define SLOTS_FIRST 1024u
#define TEMPLATE_SHARED 6u /* strings, for numbers to be worth columns */
#define TEMPLATE_BYTES_MAX 256u /* of a string that is looked at */
#define DECIMAL_DIGITS_MAX 19u
#define HEX_DIGITS_MAX 16u
#define HEX_DIGITS_MIN 6u

struct template {
	uint32_t off, len; /* of its text in `texts` */
	uint32_t hash;
	uint32_t strings; /* that have it */
	uint32_t number; /* in the file, + 1; 0: none yet */
	uint32_t field_cnt;
	struct words *fields;
};

struct parsed {
	uint8_t text[2 * TEMPLATE_BYTES_MAX];
	uint32_t len, field_cnt;
	uint64_t fields[COLUMNS_FIELDS_MAX];
};

struct templates {
	struct template *list;
	uint32_t cnt, cap;
	uint32_t *slots;
	uint32_t mask;
	struct bytes texts;	   /* of templates, as they are looked up */
	struct words template_of;  /* per string: template + 1, or 0 */
	struct words numbers, lengths, codes;
	struct bytes literal;
	bool failed;
	struct parsed parsed;
};

struct templates *templates_open(void)
{
	struct templates *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->mask = SLOTS_FIRST - 1;
	w->slots = calloc(SLOTS_FIRST, sizeof(*w->slots));
	if (w->slots)
		return w;
	free(w);
	return NULL;
}

static void templates_clear(struct templates *w)
{
	uint32_t i, k;

	if (w->cnt)
		memset(w->slots, 0, (w->mask + 1u) * sizeof(*w->slots));
	for (i = 0; i < w->cnt; i++) {
		for (k = 0; k < w->list[i].field_cnt && w->list[i].fields; k++)
			free(w->list[i].fields[k].v);
		free(w->list[i].fields);
	}
	w->cnt = 0;
	w->texts.len = w->literal.len = 0;
	w->template_of.cnt = w->numbers.cnt = w->lengths.cnt = w->codes.cnt = 0;
	w->failed = false;
}

void templates_close(struct templates *w)
{
	if (!w)
		return;
	templates_clear(w);
	free(w->list);
	free(w->slots);
	free(w->texts.p);
	free(w->literal.p);
	free(w->template_of.v);
	free(w->numbers.v);
	free(w->lengths.v);
	free(w->codes.v);
	free(w);
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* What a run of letters and digits is made of. */
struct run {
	uint32_t len;
	bool digits, hex_lower, hex_upper; /* nothing but */
	uint32_t digit_cnt;
};

static struct run run_look(const uint8_t *p, const uint8_t *end)
{
	struct run r = { 0, true, true, true, 0 };

	for (; p + r.len < end; r.len++) {
		uint8_t c = p[r.len];

		if (is_digit(c)) {
			r.digit_cnt++;
		} else if (is_letter(c)) {
			r.digits = false;
			r.hex_lower &= c >= 'a' && c <= 'f';
			r.hex_upper &= c >= 'A' && c <= 'F';
		} else {
			break;
		}
	}
	return r;
}

static void mark_put(struct parsed *out, uint8_t mark, uint32_t digits, uint64_t value)
{
	out->text[out->len++] = mark;
	if (mark != COLUMNS_MARK_DECIMAL)
		out->text[out->len++] = (uint8_t)digits;
	out->fields[out->field_cnt++] = value;
}

static void digits_put(struct parsed *out, const uint8_t *p, uint32_t len)
{
	uint64_t v = 0;
	uint32_t i;

	if (len > DECIMAL_DIGITS_MAX || out->field_cnt == COLUMNS_FIELDS_MAX) {
		memcpy(out->text + out->len, p, len);
		out->len += len;
		return;
	}
	for (i = 0; i < len; i++)
		v = v * 10 + (p[i] - '0');
	mark_put(out, p[0] == '0' && len > 1 ? COLUMNS_MARK_PADDED : COLUMNS_MARK_DECIMAL, len, v);
}

static void hex_put(struct parsed *out, const uint8_t *p, uint32_t len, uint8_t mark)
{
	while (len) {
		uint32_t part = len < HEX_DIGITS_MAX ? len : HEX_DIGITS_MAX, i;
		uint64_t v = 0;

		if (out->field_cnt == COLUMNS_FIELDS_MAX) {
			memcpy(out->text + out->len, p, len);
			out->len += len;
			return;
		}
		for (i = 0; i < part; i++)
			v = v << 4 | (uint64_t)(is_digit(p[i]) ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
		mark_put(out, mark, part, v);
		p += part;
		len -= part;
	}
}

/* Letters and digits: a number, hexadecimal digits, or a name with numbers in it. */
static void run_put(struct parsed *out, const uint8_t *p, const struct run *r)
{
	uint32_t i, n;

	if (r->digits) {
		digits_put(out, p, r->len);
		return;
	}
	if (r->len >= HEX_DIGITS_MIN && r->digit_cnt && (r->hex_lower || r->hex_upper)) {
		hex_put(out, p, r->len, r->hex_lower ? COLUMNS_MARK_HEX : COLUMNS_MARK_HEX_UPPER);
		return;
	}
	for (i = 0; i < r->len; i += n) {
		for (n = 0; i + n < r->len && is_digit(p[i + n]);)
			n++;
		if (n) {
			digits_put(out, p + i, n);
		} else {
			out->text[out->len++] = p[i];
			n = 1;
		}
	}
}

static bool is_mark(uint8_t c)
{
	return c >= COLUMNS_MARK_ESCAPE && c <= COLUMNS_MARK_HEX_UPPER;
}

static void string_parse(const uint8_t *p, uint32_t len, struct parsed *out)
{
	const uint8_t *end = p + len;

	out->len = out->field_cnt = 0;
	if (len > TEMPLATE_BYTES_MAX)
		return;
	while (p < end) {
		const struct run r = run_look(p, end);

		if (r.len) {
			if (r.digit_cnt) {
				run_put(out, p, &r);
			} else {
				memcpy(out->text + out->len, p, r.len);
				out->len += r.len;
			}
			p += r.len;
			continue;
		}
		if (is_mark(*p))
			out->text[out->len++] = COLUMNS_MARK_ESCAPE;
		out->text[out->len++] = *p++;
	}
}

static bool templates_room(struct templates *w)
{
	uint32_t cap = w->cap ? w->cap * 2 : 256, i, at;
	struct template *list;
	uint32_t *slots;

	if (w->cnt == w->cap) {
		list = realloc(w->list, cap * sizeof(*list));
		if (!list)
			return false;
		w->list = list;
		w->cap = cap;
	}
	if (w->cnt + 1 < w->mask - w->mask / 4)
		return true;
	slots = calloc((w->mask + 1u) * 2, sizeof(*slots));
	if (!slots)
		return false;
	free(w->slots);
	w->slots = slots;
	w->mask = w->mask * 2 + 1;
	for (i = 0; i < w->cnt; i++) {
		for (at = w->list[i].hash & w->mask; slots[at]; at = (at + 1) & w->mask)
			;
		slots[at] = i + 1;
	}
	return true;
}

/* Index + 1; 0: no memory. */
static uint32_t template_find(struct templates *w, const uint8_t *text, uint32_t len,
			      uint32_t field_cnt)
{
	const uint32_t hash = (uint32_t)XXH3_64bits(text, len);
	struct template *t;
	uint32_t at;

	for (at = hash & w->mask; w->slots[at]; at = (at + 1) & w->mask) {
		t = &w->list[w->slots[at] - 1];
		if (t->hash == hash && t->len == len &&
		    memcmp(w->texts.p + t->off, text, len) == 0)
			return w->slots[at];
	}
	if (!templates_room(w))
		return 0;
	for (at = hash & w->mask; w->slots[at];)
		at = (at + 1) & w->mask;
	t = &w->list[w->cnt];
	*t = (struct template){ (uint32_t)w->texts.len, len, hash, 0, 0, field_cnt, NULL };
	bytes_put(&w->texts, text, len);
	w->slots[at] = ++w->cnt;
	return w->cnt;
}

static void literal_put(struct bytes *out, const uint8_t *text, uint32_t len)
{
	uint8_t *p = bytes_room(out, 2 * (size_t)len);
	uint32_t i;

	if (!p)
		return;
	for (i = 0; i < len; i++) {
		if (is_mark(text[i]))
			*p++ = COLUMNS_MARK_ESCAPE;
		*p++ = text[i];
	}
	out->len = (size_t)(p - out->p);
}

/* Which template each string has. */
static bool templates_count(struct templates *w, const struct strings *s)
{
	uint32_t i, t;

	for (i = 0; i < s->cnt; i++) {
		string_parse(s->texts.p + s->list[i].off, s->list[i].len, &w->parsed);
		t = 0;
		if (w->parsed.field_cnt) {
			t = template_find(w, w->parsed.text, w->parsed.len, w->parsed.field_cnt);
			if (!t)
				return false;
			w->list[t - 1].strings++;
		}
		words_add(&w->template_of, t);
	}
	return true;
}

/* Texts, lengths and numbers of templates; the columns of the numbers. */
static bool templates_fill(struct templates *w, const struct strings *s)
{
	uint32_t i, k, numbered = 0;

	for (i = 0; i < s->cnt; i++) {
		const uint64_t which = w->template_of.v[i];
		struct template *t = which ? &w->list[which - 1] : NULL;
		const size_t before = w->literal.len;

		words_add(&w->codes, s->list[i].code);
		if (!t || t->strings < TEMPLATE_SHARED) {
			literal_put(&w->literal, s->texts.p + s->list[i].off, s->list[i].len);
			words_add(&w->lengths, w->literal.len - before);
			words_add(&w->numbers, 0);
			numbered++;
			continue;
		}
		words_add(&w->numbers, t->number);
		if (!t->number) {
			bytes_put(&w->literal, w->texts.p + t->off, t->len);
			words_add(&w->lengths, t->len);
			t->number = ++numbered;
			t->fields = calloc(t->field_cnt, sizeof(*t->fields));
			if (!t->fields)
				return false;
		}
		string_parse(s->texts.p + s->list[i].off, s->list[i].len, &w->parsed);
		for (k = 0; k < t->field_cnt; k++)
			words_add(&t->fields[k], w->parsed.fields[k]);
	}
	return true;
}

static void fields_put(struct templates *w, const struct strings *s, struct streams *out)
{
	uint32_t i, k;

	/* in the order of their numbers */
	for (i = 0; i < s->cnt; i++) {
		const uint64_t which = w->template_of.v[i];
		struct template *t = which ? &w->list[which - 1] : NULL;

		if (!t || t->strings < TEMPLATE_SHARED || w->numbers.v[i])
			continue;
		for (k = 0; k < t->field_cnt; k++) {
			w->failed |= t->fields[k].failed;
			ints_put(out, t->fields[k].v, t->fields[k].cnt, NUMBERS_UNSIGNED);
		}
	}
}

int templates_put(struct templates *w, const struct strings *s, struct streams *out)
{
	templates_clear(w);
	if (!s->cnt)
		return 0;
	if (!templates_count(w, s) || w->template_of.failed || !templates_fill(w, s) ||
	    w->numbers.failed || w->lengths.failed || w->codes.failed || w->literal.failed ||
	    w->texts.failed)
		return -ENOMEM;
	bytes_varint(&out->plan, s->cnt);
	bytes_varint(&out->plan, w->lengths.cnt);
	bytes_varint(&out->plan, w->literal.len);
	bytes_put(&out->data, w->literal.p, w->literal.len);
	segment_end(out, SEGMENT_REPEATS);
	ints_put(out, w->codes.v, w->codes.cnt, NUMBERS_UNSIGNED);
	ints_put(out, w->numbers.v, w->numbers.cnt, NUMBERS_UNSIGNED);
	ints_put(out, w->lengths.v, w->lengths.cnt, NUMBERS_UNSIGNED);
	fields_put(w, s, out);
	return w->failed ? -ENOMEM : 0;
}
