/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message_shape.h - a format taken apart once, for records that come by the million: constant texts,
 * already escaped, and values between them. What the message of record_message() looks like is
 * said by the shape and the values alone.
 */
#ifndef QSLOG_MESSAGE_SHAPE_H
#define QSLOG_MESSAGE_SHAPE_H

#include "buffer.h"
#include "format_spec.h"
#include "record.h"

struct message_item {
	bool is_value;
	bool plain;	/* a value by "{}" */
	uint8_t value;	/* index of the value */
	uint8_t type;	/* enum qslog_arg_type */
	uint32_t off, len; /* of a constant text in message_shape.text */
	struct format_spec spec; /* of a value that is not plain */
};

struct message_shape {
	bool opaque; /* it is not as simple as that: use record_message() */
	struct buffer text;
	struct message_item *items; /* no two constant texts are neighbours */
	unsigned cnt;
};

/* The shape of a log's message, or of that of entering a span; or of leaving it, with a value of
 * type DOUBLE in place of the duration. 0 or -ENOMEM; message_shape_fini() follows in any case. */
int message_shape_init(struct message_shape *s, const struct record_format *f, bool leaves);
void message_shape_fini(struct message_shape *s);

/* One value as the item says. */
void message_item_value(struct buffer *out, const struct message_item *item,
			const struct record_value *values);
/* The message; not of an opaque shape, nor of values whose text would be too long for a message. */
void message_shape_put(struct buffer *out, const struct message_shape *s,
		       const struct record_value *values);
/* Are these values so long that a message might be cut? */
bool message_values_long(const struct record_value *values, unsigned cnt);

#endif
