/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message_parse.h - the placeholders of a format.
 *
 * A placeholder is "{" [id] [":" specification] "}". An id of digits picks a value by index.
 * No id, or a name, takes the next value: names are there for readers and for keys, the values
 * come in the order of the call. A specification may hold placeholders itself ("{:>{width}}");
 * they take their values after the outer one, as in fmt.
 */
#ifndef QSLOG_MESSAGE_PARSE_H
#define QSLOG_MESSAGE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

struct message_values {
	const struct record_value *value;
	unsigned cnt;
	unsigned next; /* that a placeholder without index takes */
	uint32_t used; /* bit per value */
};

struct message_placeholder {
	const char *id, *spec; /* spec is NULL without a colon */
	size_t id_len, spec_len;
	const char *end; /* after the closing brace */
};

/* `s` is after the opening brace. False: it is never closed. */
bool message_placeholder(struct message_placeholder *ph, const char *s, const char *end);
bool message_is_name(const char *id, size_t len);
/* Which value an id means; -ENOENT: there is none, -EINVAL: not an id. */
int message_value(struct message_values *v, const char *id, size_t len);

#endif
