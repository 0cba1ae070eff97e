/* SPDX-License-Identifier: BSD-2-Clause */
/* classic_entry.c - see classic_entry.h. */
#include "classic_entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "classic_in.h"
#include "varint.h"

#define PROBE_BYTES 65536u
#define PID_MAX 4194304u /* of Linux */
#define YEAR_MS INT64_C(31556952000)

static uint16_t u16_at(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* An argument; *next is behind it, NULL where the bytes end before. Returns what is wrong, or NULL. */
static const char *value_take(const uint8_t *p, const uint8_t *end, struct record_value *v,
			      const uint8_t **next)
{
	unsigned type = *p >> CLASSIC_ARG_SHIFT, rest = *p & 15u;
	const uint8_t *q = p + 1;
	uint64_t number = 0;

	*next = NULL;
	v->len = v->real_len = 0;
	v->u = 0;
	switch (type) {
	case CLASSIC_BOOL:
		v->type = QSLOG_ARG_BOOL;
		v->u = rest != 0;
		*next = q;
		return NULL;
	case CLASSIC_CHAR:
	case CLASSIC_UINT8:
		if (q == end)
			return NULL;
		v->type = type == CLASSIC_CHAR ? QSLOG_ARG_CHAR : QSLOG_ARG_UINT8;
		number = *q++;
		break;
	case CLASSIC_UINT64:
		v->type = QSLOG_ARG_UINT64;
		q = varint_get(q, end, &number);
		if (!q)
			return end - p > VARINT_BYTES_MAX ? "an integer of more than 64 bits" : NULL;
		break;
	case CLASSIC_FLOAT:
	case CLASSIC_DOUBLE:
		v->type = type == CLASSIC_FLOAT ? QSLOG_ARG_FLOAT : QSLOG_ARG_DOUBLE;
		if (end - q < (type == CLASSIC_FLOAT ? 4 : 8))
			return NULL;
		memcpy(&v->u, q, type == CLASSIC_FLOAT ? 4 : 8); /* the union's other members */
		*next = q + (type == CLASSIC_FLOAT ? 4 : 8);
		return NULL;
	case CLASSIC_STR:
		v->type = QSLOG_ARG_STR;
		if (end - q < 2 || end - q - 2 < u16_at(q))
			return NULL;
		v->len = v->real_len = u16_at(q);
		v->bytes = (const char *)q + 2;
		*next = q + 2 + v->len;
		return NULL;
	default:
		return "an argument of an unknown type";
	}
	v->u = number;
	if (rest & CLASSIC_NEGATIVE && type != CLASSIC_CHAR) {
		if (number > INT64_MAX)
			return "a negative number of more than 64 bits";
		v->type = QSLOG_ARG_INT64;
		v->i = (int64_t)~number;
	}
	*next = q;
	return NULL;
}

static const char *log_take(struct classic_entry *e, const uint8_t *p, size_t bytes,
			    struct record_value *values)
{
	const uint8_t *end = p + bytes, *at = p + CLASSIC_LOG_BYTES;
	const char *what;
	unsigned i;

	if (bytes < CLASSIC_LOG_BYTES)
		return NULL;
	e->diff = u16_at(p + 1);
	e->id = u16_at(p + 3);
	e->tid = classic_u32(p + 5);
	for (i = 0; i < e->low; i++) {
		if (at == end)
			return NULL;
		what = value_take(at, end, &values[i], &at);
		if (what || !at)
			return what;
	}
	e->bytes = (size_t)(at - p);
	return NULL;
}

static const char *info_take(struct classic_entry *e, const uint8_t *p, size_t bytes)
{
	unsigned type = e->low >> CLASSIC_INFO_SHIFT;

	e->body_bytes = e->low & CLASSIC_LENGTH_MASK;
	e->body = p + 1;
	if ((type == CLASSIC_PID && e->body_bytes != 4) || (type == CLASSIC_TS && e->body_bytes != 8))
		return "a pid or timestamp of a wrong length";
	if (e->body_bytes <= bytes - 1)
		e->bytes = 1 + e->body_bytes;
	return NULL;
}

const char *classic_entry_take(struct classic_entry *e, const uint8_t *p, size_t bytes,
			       struct record_value *values)
{
	memset(e, 0, sizeof(*e));
	e->type = *p >> CLASSIC_TYPE_SHIFT;
	e->low = *p & CLASSIC_LOW_MASK;
	switch (e->type) {
	case CLASSIC_LOG:
		return log_take(e, p, bytes, values);
	case CLASSIC_FORMAT:
		if (bytes < CLASSIC_FORMAT_BYTES)
			return NULL;
		e->id = u16_at(p + 1);
		e->body_bytes = u16_at(p + 3);
		e->body = p + CLASSIC_FORMAT_BYTES;
		if (e->body_bytes <= bytes - CLASSIC_FORMAT_BYTES)
			e->bytes = CLASSIC_FORMAT_BYTES + e->body_bytes;
		return NULL;
	case CLASSIC_INFO:
		return info_take(e, p, bytes);
	default:
		return "an entry of an unknown type";
	}
}

/* ---- is it one? ---- */

/* Is it as what a writer begins a file with? */
static bool plausible(const struct classic_entry *e, bool first)
{
	unsigned info = e->low >> CLASSIC_INFO_SHIFT;

	if (first)
		return e->type == CLASSIC_INFO && info == CLASSIC_PID && classic_u32(e->body) &&
		       classic_u32(e->body) <= PID_MAX;
	if (e->type == CLASSIC_INFO && info == CLASSIC_TS) /* 1990 to 2200 */
		return classic_ts(e) > 20 * YEAR_MS && classic_ts(e) < 230 * YEAR_MS;
	if (e->type == CLASSIC_FORMAT)
		return e->low < QSLOG_LEVEL_COUNT && !memchr(e->body, 0, e->body_bytes);
	return true;
}

static int looks_like_one(const uint8_t *data, size_t bytes, struct record_value *values)
{
	uint8_t introduced[CLASSIC_IDS / 8] = { 0 };
	struct classic_entry e;
	bool has_ts = false;
	size_t at;

	for (at = 0; at < bytes; at += e.bytes) {
		if (classic_entry_take(&e, data + at, bytes - at, values))
			return 0;
		if (!e.bytes)
			return at > 0;
		if (!plausible(&e, !at))
			return 0;
		if (e.type == CLASSIC_LOG)
			return has_ts && introduced[e.id / 8] >> e.id % 8 & 1;
		if (e.type == CLASSIC_FORMAT)
			introduced[e.id / 8] |= (uint8_t)(1u << e.id % 8);
		has_ts |= e.type == CLASSIC_INFO && e.low >> CLASSIC_INFO_SHIFT == CLASSIC_TS;
	}
	return at > 0;
}

int classic_in_probe(const char *path)
{
	struct record_value *values = malloc(CLASSIC_ARGC_MAX * sizeof(*values));
	uint8_t *data = malloc(PROBE_BYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t bytes;
	int ret = 0;

	if (fd < 0) {
		ret = -errno;
	} else if (!data || !values) {
		ret = -ENOMEM;
	} else {
		bytes = pread(fd, data, PROBE_BYTES, 0); /* a pipe, a folder: the reader says it */
		ret = bytes > 0 ? looks_like_one(data, (size_t)bytes, values) : 0;
	}
	if (fd >= 0)
		close(fd);
	free(data);
	free(values);
	return ret;
}
