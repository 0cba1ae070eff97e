/* SPDX-License-Identifier: BSD-2-Clause */
/* message.h - what outputs with keys (JSON, SQL, OTLP) need to know about a format's placeholders. */
#ifndef QSLOG_MESSAGE_H
#define QSLOG_MESSAGE_H

#include <stddef.h>

#include "text.h"

/* Longest message; what would not fit is replaced by "{cut: message too long}". Values shown
 * once each, which is all that a real format does, stay far below it. */
#define MESSAGE_BYTES_MAX (4u << 20)
#define MESSAGE_CUT_MARK "{cut: message too long}"

struct message_key {
	const char *name; /* inside the format string, not NUL-terminated; NULL: key is the index */
	size_t len;
};

/* The key of each value: the name of the placeholder that shows it. A name that an earlier value
 * has already is not used twice: that value's key is its index. */
void message_keys(const char *format, unsigned value_cnt,
		  struct message_key keys[QSLOG_ARGS_MAX]);

#endif
