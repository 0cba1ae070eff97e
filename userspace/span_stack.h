/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * span_stack.h - the open span lines of a thread and the spans with ids in them. Writer and reader
 * keep one per thread and change it by the same rules (docs/format.md, "Context"): that is why the
 * file does not have to say which id a span has as long as ids count up and spans nest.
 *
 * Bounded: beyond SPAN_STACK_MAX spans are not kept, and what follows a line that could not be kept
 * has no context until that line closes. Memory is the caller's: span_stack_full() says when an
 * array of twice the size is needed before the next change (which may push two entries).
 */
#ifndef QSLOG_SPAN_STACK_H
#define QSLOG_SPAN_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPAN_STACK_MAX 1024u
#define SPAN_STACK_FIRST 8u /* room in the first array */
#define SPAN_FORMAT_NONE UINT32_MAX /* of a span whose entering is missing */

struct span_line {
	uint64_t trace_high, trace_low;
	uint64_t parent; /* of the outermost spans; 0: none */
	uint32_t depth;	 /* lines open on the thread, this one included; > 0 */
	uint8_t flags;
};

/* A line or a span. */
struct span_entry {
	uint64_t trace_high, trace_low; /* of a line */
	uint64_t id;	 /* of the span; of a line its parent: what is next above has it as parent */
	uint32_t format; /* of a span; of a line the index of the line below it */
	uint32_t depth;	 /* of a line; 0: a span */
	uint8_t flags;	 /* of a line */
};

struct span_stack {
	struct span_entry *entries;
	uint32_t cnt, cap;
	uint32_t line;	 /* index of the innermost line; valid where cnt is not 0 */
	uint32_t unkept; /* depth of the outermost line that there was no room for; 0: none */
	uint64_t last;	 /* the newest id; 0: none yet */
};

static inline bool span_stack_in_line(const struct span_stack *s)
{
	return s->cnt && !s->unkept; /* the first entry is always a line */
}

static inline bool span_stack_full(const struct span_stack *s)
{
	return s->cnt + 2 > s->cap && s->cap < SPAN_STACK_MAX;
}

static inline void span_stack_reset(struct span_stack *s)
{
	s->cnt = 0;
	s->line = 0;
	s->unkept = 0;
	s->last = 0;
}

/* Closes lines of this depth and deeper. */
static inline void span_stack_line_end(struct span_stack *s, uint32_t depth)
{
	while (s->cnt && s->entries[s->line].depth >= depth) {
		s->cnt = s->line;
		s->line = s->entries[s->line].format;
	}
	if (s->unkept >= depth)
		s->unkept = 0;
}

/* Its index, or `cnt`: it is not there. Only spans of the innermost line are looked at. */
static inline uint32_t span_stack_find(const struct span_stack *s, uint64_t id)
{
	uint32_t i;

	if (!span_stack_in_line(s) || !id)
		return s->cnt;
	for (i = s->cnt - 1; i > s->line; i--) {
		if (s->entries[i].id == id)
			return i;
	}
	return s->cnt;
}

/* The innermost line is open, and `id` its innermost span (or its parent, if there is none). */
static inline void span_stack_resume(struct span_stack *s, uint64_t id)
{
	uint32_t at = span_stack_find(s, id);

	if (!span_stack_in_line(s))
		return;
	if (s->entries[s->line].id == id)
		s->cnt = s->line + 1;
	else if (at < s->cnt)
		s->cnt = at + 1;
	else if (s->cnt < SPAN_STACK_MAX)
		s->entries[s->cnt++] = (struct span_entry){ .id = id, .format = SPAN_FORMAT_NONE };
}

static inline void span_stack_line_begin(struct span_stack *s, const struct span_line *line)
{
	span_stack_line_end(s, line->depth);
	if (s->unkept)
		return;
	if (s->cnt == SPAN_STACK_MAX) {
		s->unkept = line->depth;
		return;
	}
	s->entries[s->cnt] = (struct span_entry){ .trace_high = line->trace_high,
						  .trace_low = line->trace_low,
						  .id = line->parent,
						  .format = s->line,
						  .depth = line->depth,
						  .flags = line->flags };
	s->line = s->cnt++;
}

/* The line is open already, and `innermost` is the span in it (or its parent, if there is none). */
static inline void span_stack_line_again(struct span_stack *s, const struct span_line *line,
					 uint64_t innermost)
{
	const struct span_entry *e;

	span_stack_line_end(s, line->depth + 1);
	e = s->cnt ? &s->entries[s->line] : NULL;
	if (!e || e->depth != line->depth || e->trace_high != line->trace_high ||
	    e->trace_low != line->trace_low || e->id != line->parent)
		span_stack_line_begin(s, line);
	span_stack_resume(s, innermost);
}

/* The id that a span has which is entered now, where nothing says another; 0: none. */
static inline uint64_t span_stack_next(const struct span_stack *s)
{
	return span_stack_in_line(s) && s->last ? s->last + 1 : 0;
}

/* In a line all spans have ids: where one has none, the record that closed the line is missing. */
static inline void span_stack_enter(struct span_stack *s, uint32_t format, uint64_t id)
{
	if (!id) {
		if (s->cnt || s->unkept)
			span_stack_reset(s);
		return;
	}
	s->last = id;
	if (!span_stack_in_line(s) || s->cnt == SPAN_STACK_MAX)
		return;
	s->entries[s->cnt++] = (struct span_entry){ .id = id, .format = format };
}

/* The id of the span of this format that is left now, where nothing says another; 0: none. */
static inline uint64_t span_stack_innermost(const struct span_stack *s, uint32_t format)
{
	const struct span_entry *top;

	if (!span_stack_in_line(s))
		return 0;
	top = &s->entries[s->cnt - 1];
	return !top->depth && top->format == format ? top->id : 0;
}

/* Spans nest: what was entered after it has been left too. */
static inline void span_stack_exit(struct span_stack *s, uint64_t id)
{
	uint32_t at = span_stack_find(s, id);

	if (at < s->cnt)
		s->cnt = at; /* spans only: the innermost line stays */
}

#endif
