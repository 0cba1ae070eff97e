/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * match_plan.h - what there is to do to find out whether messages of one format have a needle in
 * them: nothing, where the constant texts have it or no value could bring it about; else
 * only those values are formatted that can have a part in it, with the texts around them. It never
 * says otherwise than a search through the whole message.
 */
#ifndef QSLOG_MATCH_PLAN_H
#define QSLOG_MATCH_PLAN_H

#include "message_shape.h"
#include "needle.h"

enum match_outcome {
	MATCH_NONE, /* no message has it */
	MATCH_SOME,
	MATCH_ALL
};

/* What a string (STR) must be like to have a part. */
struct match_strings {
	bool inside;	 /* has the whole needle */
	bool any;	 /* whatever it is like: it is short, or other things decide */
	uint64_t suffix; /* bit n: ends with the first n bytes */
	uint64_t prefix; /* bit n: begins with what follows the first n bytes */
};

struct match_plan {
	struct message_shape shape;
	enum match_outcome outcome;
	uint64_t region_end; /* bit n: a region ends with item n */
	uint64_t part;	     /* bit n: item n is in a region */
	bool others;	     /* a needle may come about without any string */
	struct match_strings strings; /* else one of the strings is like this */
};

/* For logs and the entering of spans, or for leaving them (and then opaque). 0 or -ENOMEM;
 * match_plan_fini() follows in any case. Without a needle only the shape is made. */
int match_plan_init(struct match_plan *p, const struct record_format *f, const struct needle *n,
		    bool leaves);
void match_plan_fini(struct match_plan *p);

void match_strings_join(struct match_strings *sum, const struct match_strings *more);
/* Is this text of a string like that? */
bool match_strings_fit(const struct match_strings *s, const struct needle *n, const char *text,
		       size_t len);

/* Does the message have the needle? Not of an opaque shape. `scratch` is for its use. */
bool match_plan_values(const struct match_plan *p, const struct needle *n, struct buffer *scratch,
		       const struct record_value *values);

#endif
