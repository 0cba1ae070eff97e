/* SPDX-License-Identifier: BSD-2-Clause */
/* kvd_proto.c - requests: where they end, and what they say. See kvd_proto.h. */
#include "kvd_proto.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define SKIP_MAX (1ul << 30) /* a client that announces more than this is not sending a value */

static const struct {
	const char *word;
	enum proto_op op;
	unsigned words; /* in the line */
} proto_ops[] = {
	{ "GET", PROTO_GET, 2 },     { "SET", PROTO_SET, 3 },   { "DEL", PROTO_DEL, 2 },
	{ "STATS", PROTO_STATS, 1 }, { "QUIT", PROTO_QUIT, 1 },
};

static bool slice_is(struct proto_slice s, const char *word)
{
	return s.len == strlen(word) && memcmp(s.data, word, s.len) == 0;
}

static void line_split(const char *line, size_t len, struct proto_frame *f)
{
	struct proto_slice *words[] = { &f->op, &f->key, &f->size };
	size_t pos = 0;

	while (pos < len) {
		size_t start;

		while (pos < len && line[pos] == ' ')
			pos++;
		start = pos;
		while (pos < len && line[pos] != ' ')
			pos++;
		if (pos == start)
			break;
		if (f->words < 3)
			*words[f->words] = (struct proto_slice){ line + start, pos - start };
		f->words++;
	}
}

static int size_parse(struct proto_slice s, size_t *out)
{
	size_t i, value = 0;

	if (s.len == 0 || s.len > 10)
		return -EBADMSG;
	for (i = 0; i < s.len; i++) {
		if (s.data[i] < '0' || s.data[i] > '9')
			return -EBADMSG;
		value = value * 10 + (size_t)(s.data[i] - '0');
	}
	if (value > SKIP_MAX)
		return -EBADMSG;
	*out = value;
	return 0;
}

int proto_frame(const char *data, size_t len, size_t value_max, struct proto_frame *f)
{
	const char *newline = memchr(data, '\n', len < PROTO_LINE_MAX ? len : PROTO_LINE_MAX);
	size_t line_len, size;
	int err;

	if (!newline)
		return len < PROTO_LINE_MAX ? 0 : -EMSGSIZE;
	line_len = (size_t)(newline - data);
	*f = (struct proto_frame){ .op = { "-", 1 }, .key = { "-", 1 }, .size = { "-", 1 } };
	f->bytes = line_len + 1;
	if (line_len > 0 && data[line_len - 1] == '\r')
		line_len--;
	line_split(data, line_len, f);
	if (!slice_is(f->op, "SET"))
		return 1;

	err = size_parse(f->size, &size);
	if (err)
		return err;
	if (size > value_max) {
		f->skip = size + 2;
		return 1;
	}
	if (len - f->bytes < size + 2)
		return 0;
	f->value = (struct proto_slice){ data + f->bytes, size + 2 };
	f->bytes += size + 2;
	return 1;
}

static bool key_valid(struct proto_slice key)
{
	size_t i;

	if (key.len == 0 || key.len > PROTO_KEY_MAX)
		return false;
	for (i = 0; i < key.len; i++)
		if ((unsigned char)key.data[i] <= ' ' || key.data[i] == 0x7f)
			return false;
	return true;
}

int proto_parse(const struct proto_frame *f, struct proto_request *request, const char **why)
{
	size_t i, ops = sizeof(proto_ops) / sizeof(proto_ops[0]);

	for (i = 0; i < ops && !slice_is(f->op, proto_ops[i].word); i++)
		;
	if (i == ops) {
		*why = "unknown command";
		return -EINVAL;
	}
	request->op = proto_ops[i].op;
	/* The value's own line end first: without it the stream of requests is out of step. */
	if (request->op == PROTO_SET && !f->skip) {
		request->value = (struct proto_slice){ f->value.data, f->value.len - 2 };
		if (memcmp(f->value.data + request->value.len, "\r\n", 2) != 0) {
			*why = "the value does not end where its length says";
			return -EBADMSG;
		}
	}
	if (f->words != proto_ops[i].words) {
		*why = "wrong number of arguments";
		return -EINVAL;
	}
	if (f->words > 1 && !key_valid(f->key)) {
		*why = "bad key";
		return -EINVAL;
	}
	if (f->skip) {
		*why = "the value is too large";
		return -EINVAL;
	}
	request->key = f->key;
	return 0;
}
