/* SPDX-License-Identifier: BSD-2-Clause */
/* columns_strings_in.c - the strings of a columns block: templates and their numbers become text. */
#include <errno.h>

#include "columns_in.h"
#include "file_format.h"

struct template {
	const uint8_t *text;
	uint32_t len;
	uint32_t strings; /* that have it */
	uint32_t field_cnt;
	uint64_t **fields;
	uint32_t next; /* string of it */
};

static bool is_field(uint8_t c)
{
	return c >= COLUMNS_MARK_DECIMAL && c <= COLUMNS_MARK_HEX_UPPER;
}

/* Numbers in the text; -1: it is malformed. */
static int fields_count(const uint8_t *p, uint32_t len)
{
	const uint8_t *end = p + len;
	unsigned most;
	int cnt = 0;

	while (p < end) {
		const uint8_t c = *p++;

		if (c == COLUMNS_MARK_ESCAPE || (is_field(c) && c != COLUMNS_MARK_DECIMAL)) {
			if (p == end)
				return -1;
			most = c == COLUMNS_MARK_PADDED ? 19 : 16;
			if (c != COLUMNS_MARK_ESCAPE && (!*p || *p > most))
				return -1;
			p++;
		}
		cnt += is_field(c);
	}
	return cnt > (int)COLUMNS_FIELDS_MAX ? -1 : cnt;
}

static uint8_t *decimal_write(uint8_t *to, uint64_t v, unsigned width)
{
	uint8_t digits[20];
	unsigned n = 0;

	do {
		digits[n++] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n < width)
		digits[n++] = '0';
	while (n)
		*to++ = digits[--n];
	return to;
}

static uint8_t *hex_write(uint8_t *to, uint64_t v, unsigned width, const char *letters)
{
	while (width)
		*to++ = (uint8_t)letters[v >> 4 * --width & 15];
	return to;
}

/* Twenty bytes a field at most. */
static uint8_t *template_write(uint8_t *to, struct template *t)
{
	const uint8_t *p = t->text, *end = p + t->len;
	uint32_t field = 0;

	while (p < end) {
		const uint8_t c = *p++;

		switch (c) {
		case COLUMNS_MARK_ESCAPE:
			*to++ = *p++;
			break;
		case COLUMNS_MARK_DECIMAL:
			to = decimal_write(to, t->fields[field++][t->next], 1);
			break;
		case COLUMNS_MARK_PADDED:
			to = decimal_write(to, t->fields[field++][t->next], *p++);
			break;
		case COLUMNS_MARK_HEX:
			to = hex_write(to, t->fields[field++][t->next], *p++, "0123456789abcdef");
			break;
		case COLUMNS_MARK_HEX_UPPER:
			to = hex_write(to, t->fields[field++][t->next], *p++, "0123456789ABCDEF");
			break;
		default:
			*to++ = c;
			break;
		}
	}
	t->next++;
	return to;
}

/* Texts of the templates, and how often each is used. */
static int templates_take(struct columns_in *c, struct template *list, uint64_t template_cnt,
			  const uint8_t *text, uint64_t text_bytes, const uint64_t *lengths,
			  uint64_t *numbers, uint64_t *total)
{
	uint64_t i, next = 0, off = 0;

	for (i = 0; i < template_cnt; i++) {
		int fields;

		if (lengths[i] > text_bytes - off)
			return columns_refuse(c, "a string of a block runs past the end");
		fields = fields_count(text + off, (uint32_t)lengths[i]);
		if (fields < 0)
			return columns_refuse(c, "a malformed template in a block");
		list[i].text = text + off;
		list[i].len = (uint32_t)lengths[i];
		list[i].field_cnt = (uint32_t)fields;
		off += lengths[i];
	}
	*total = 0;
	for (i = 0; i < c->string_cnt; i++) {
		if (!numbers[i])
			numbers[i] = ++next;
		if (numbers[i] > next || next > template_cnt)
			return columns_refuse(c, "a reference to nothing");
		list[numbers[i] - 1].strings++;
		*total += list[numbers[i] - 1].len + 20ull * list[numbers[i] - 1].field_cnt;
	}
	return 0;
}

static int fields_take(struct columns_in *c, struct columns_cursor *at, struct template *list,
		       uint64_t template_cnt)
{
	uint64_t i;
	uint32_t k;
	int err = 0;

	for (i = 0; i < template_cnt && !err; i++) {
		if (!list[i].field_cnt)
			continue;
		list[i].fields = columns_alloc(c, list[i].field_cnt, sizeof(*list[i].fields), &err);
		for (k = 0; k < list[i].field_cnt && !err; k++)
			err = columns_ints(c, at, list[i].strings, &list[i].fields[k]);
	}
	return err;
}

static int strings_take(struct columns_in *c, struct columns_cursor *at)
{
	uint64_t cnt, template_cnt, text_bytes, total = 0, i;
	uint64_t *codes, *numbers, *lengths;
	struct template *list = NULL;
	const uint8_t *text;
	uint8_t *to = NULL;
	int err;

	err = columns_number(c, at, &cnt);
	err = err ? err : columns_number(c, at, &template_cnt);
	err = err ? err : columns_number(c, at, &text_bytes);
	if (err)
		return err;
	if (cnt > c->rows_bytes || template_cnt > cnt ||
	    text_bytes > (uint64_t)(at->data_end - at->data))
		return columns_refuse(c, "a dictionary of a block is longer than it can be");
	c->string_cnt = (uint32_t)cnt;
	text = at->data;
	at->data += text_bytes;
	err = columns_ints(c, at, (uint32_t)cnt, &codes);
	err = err ? err : columns_ints(c, at, (uint32_t)cnt, &numbers);
	err = err ? err : columns_ints(c, at, (uint32_t)template_cnt, &lengths);
	if (!err)
		c->strings = columns_alloc(c, cnt, sizeof(*c->strings), &err);
	if (!err)
		list = columns_alloc(c, template_cnt, sizeof(*list), &err);
	if (!err)
		err = templates_take(c, list, template_cnt, text, text_bytes, lengths, numbers,
				     &total);
	err = err ? err : fields_take(c, at, list, template_cnt);
	if (!err)
		to = columns_alloc(c, total, 1, &err);
	for (i = 0; i < cnt && !err; i++) {
		struct columns_string *s = &c->strings[i];

		s->bytes = to;
		to = template_write(to, &list[numbers[i] - 1]);
		s->len = (uint32_t)(to - s->bytes);
		if (codes[i] > UINT32_MAX || s->len > FILE_STRING_BYTES_MAX)
			return columns_refuse(c, "a malformed string in a block");
		s->code = (uint32_t)codes[i];
	}
	return err;
}

int columns_in_strings(struct columns_in *c)
{
	struct columns_cursor at;
	int err;

	if (c->strings_known)
		return 0;
	err = columns_load(c, COLUMNS_STRING_PLAN, &c->string_plan);
	err = err ? err : columns_load(c, COLUMNS_STRING_DATA, &c->string_data);
	if (!err && c->string_plan.bytes) {
		at.plan = c->string_plan.p;
		at.plan_end = at.plan + c->string_plan.bytes;
		at.data = c->string_data.p;
		at.data_end = at.data + c->string_data.bytes;
		err = strings_take(c, &at);
	}
	c->strings_known = !err;
	return err;
}
