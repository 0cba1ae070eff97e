/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter_match.c - does a record match? A loss counts as what its line shows: a warning of tag
 * qslog. The needle of --grep (needle.h) is part of what is asked for: a message without it is
 * not even given to the regular expression.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_in.h"
#include "escape.h"
#include "filter.h"
#include "record_text.h"

int filter_state_init(struct filter_state *s, const struct filter *f)
{
	const int flags = REG_EXTENDED | REG_NOSUB | (f->grep_fold ? REG_ICASE : 0);

	memset(s, 0, sizeof(*s));
	if (f->grep && regcomp(&s->grep, f->grep, flags))
		return -ENOMEM; /* it has been compiled before */
	s->has_grep = f->grep;
	return 0;
}

void filter_state_fini(struct filter_state *s)
{
	uint32_t i;

	if (s->has_grep)
		regfree(&s->grep);
	if (s->has_grep_place)
		regfree(&s->grep_place);
	for (i = 0; i < s->plan_cnt; i++)
		match_plan_fini(&s->plans[i].plan);
	free(s->plans);
	buffer_fini(&s->message);
	memset(s, 0, sizeof(*s));
}

bool filter_grep_find(const struct filter *f, struct filter_state *s, const char *message,
		      size_t from, size_t *begin, size_t *end)
{
	const int flags = REG_EXTENDED | (f->grep_fold ? REG_ICASE : 0);
	regmatch_t place;

	if (!s->has_grep_place && (!s->has_grep || regcomp(&s->grep_place, f->grep, flags)))
		return false;
	s->has_grep_place = true;
	if (regexec(&s->grep_place, message + from, 1, &place, from ? REG_NOTBOL : 0))
		return false;
	*begin = from + (size_t)place.rm_so;
	*end = from + (size_t)place.rm_eo;
	return true;
}

bool filter_thread(const struct filter *f, const struct record_thread *thread)
{
	uint32_t tid = thread ? thread->tid : 0;

	for (unsigned i = 0; i < f->tid_cnt; i++) {
		if (f->tids[i] == tid)
			return true;
	}
	return !f->tid_cnt;
}

static bool match_tag(const struct filter *f, const char *tag)
{
	for (unsigned i = 0; i < f->tag_cnt; i++) {
		if (!fnmatch(f->tags[i], tag, 0))
			return true;
	}
	return !f->tag_cnt;
}

/* FILE is the whole path or its last parts. */
static bool match_site(const struct filter *f, const struct record_format *format)
{
	size_t len;

	if (!f->site_cnt)
		return true;
	if (!format || !format->file)
		return false;
	len = strlen(format->file);
	for (unsigned i = 0; i < f->site_cnt; i++) {
		const struct filter_site *s = &f->sites[i];

		if ((!s->line || s->line == format->line) && s->file_len <= len &&
		    !memcmp(format->file + len - s->file_len, s->file, s->file_len) &&
		    (s->file_len == len || format->file[len - s->file_len - 1] == '/'))
			return true;
	}
	return false;
}

static bool match_grep(const struct filter *f, struct filter_state *s, const struct record *record)
{
	bool match = true;

	if (!s->has_grep)
		return true;
	s->message.len = 0;
	record_message(&s->message, record);
	if (f->needle.len)
		match = needle_search(&f->needle, s->message.data, s->message.len);
	if (match && !f->needle.whole) {
		buffer_char(&s->message, '\0');
		match = s->message.failed || !regexec(&s->grep, s->message.data, 0, NULL, 0);
	}
	/* out of memory: let the record through, and the output will fail and say so */
	return s->message.failed || match != f->grep_invert;
}

static bool match_time(const struct filter *f, const struct record *record)
{
	return !(f->has_since && record->time_ns < f->since_ns) &&
	       !(f->has_until && record->time_ns > f->until_ns);
}

bool filter_match(const struct filter *f, struct filter_state *s, const struct record *record)
{
	if (!match_time(f, record) || !filter_thread(f, record->thread))
		return false;
	if (record_level(record) >= f->level_min && match_tag(f, record_tag(record)) &&
	    match_site(f, record->format) && match_grep(f, s, record))
		return true;
	if (record->kind == RECORD_LOSS)
		s->lost_hidden += record->lost;
	return false;
}

/* ---- in two steps ---- */

static struct filter_plan *plan_get(const struct filter *f, struct filter_state *s,
				    const struct record_format *format, bool leaves)
{
	const uint32_t at = format->id * 2 + leaves;
	struct filter_plan *plan;
	uint32_t cnt;

	if (format->id >= UINT32_MAX / 4)
		return NULL;
	if (at >= s->plan_cnt) {
		cnt = at * 2 + 64;
		plan = reallocarray(s->plans, cnt, sizeof(*plan));
		if (!plan)
			return NULL;
		memset(plan + s->plan_cnt, 0, (cnt - s->plan_cnt) * sizeof(*plan));
		s->plans = plan;
		s->plan_cnt = cnt;
	}
	plan = &s->plans[at];
	if (plan->made)
		return plan;
	if (match_plan_init(&plan->plan, format, &f->needle, leaves)) {
		match_plan_fini(&plan->plan);
		return NULL;
	}
	/* without a tag it is that of the process, which is not known here */
	plan->wanted = format->level >= f->level_min && match_site(f, format) &&
		       (!*format->tag || match_tag(f, format->tag));
	plan->made = true;
	return plan;
}

/* Is the question of the needle the whole question, and answered by the plan? */
static bool plan_decides(const struct filter *f, const struct filter_plan *plan)
{
	return f->needle.whole && !plan->plan.shape.opaque;
}

enum reader_want filter_format(const struct filter *f, struct filter_state *s,
			       const struct record_format *format, bool leaves)
{
	const struct filter_plan *plan = plan_get(f, s, format, leaves);
	enum match_outcome outcome;

	if (!plan)
		return READER_WANT_ALL; /* filter_rest() has the last word */
	if (!plan->wanted)
		return READER_WANT_NONE;
	if (!s->has_grep || !f->needle.len)
		return READER_WANT_ALL;
	outcome = plan->plan.outcome;
	if (outcome == MATCH_NONE)
		return f->grep_invert ? READER_WANT_ALL : READER_WANT_NONE;
	if (outcome == MATCH_ALL)
		return f->grep_invert && f->needle.whole ? READER_WANT_NONE : READER_WANT_ALL;
	return plan->plan.shape.opaque || (f->grep_invert && !f->needle.whole) ? READER_WANT_ALL :
										  READER_WANT_SOME;
}

bool filter_values(const struct filter *f, struct filter_state *s,
		   const struct record_format *format, const struct record_value *values)
{
	const struct filter_plan *plan = plan_get(f, s, format, false);

	if (!plan || message_values_long(values, format->arg_cnt))
		return true;
	return match_plan_values(&plan->plan, &f->needle, &s->message, values) != f->grep_invert;
}

enum reader_peek filter_formats(const struct filter *f, struct filter_state *s,
				const struct in_format *formats, uint32_t cnt)
{
	enum reader_peek peek = READER_PEEK_NONE;
	uint32_t i;

	memset(&s->strings, 0, sizeof(s->strings));
	for (i = 0; i < cnt; i++) {
		const struct record_format *format = formats[i].format;
		const enum reader_want want = filter_format(f, s, format, false);
		const struct filter_plan *plan;

		if (want == READER_WANT_NONE && format->kind == QSLOG_SITE_LOG)
			continue;
		if (want == READER_WANT_NONE && filter_format(f, s, format, true) == READER_WANT_NONE)
			continue;
		plan = plan_get(f, s, format, false);
		if (want != READER_WANT_SOME || format->kind != QSLOG_SITE_LOG || !plan ||
		    plan->plan.others || f->grep_invert)
			return READER_PEEK_SOME;
		match_strings_join(&s->strings, &plan->plan.strings);
		peek = READER_PEEK_STRINGS;
	}
	return s->strings.any ? READER_PEEK_SOME : peek;
}

bool filter_string(const struct filter *f, struct filter_state *s, const struct record_value *string)
{
	const char *text = string->bytes;
	size_t len = string->len;

	if (!text || string->real_len != len || escape_plain_len(text, len, '\\', '\\') != len) {
		s->message.len = 0;
		format_value_plain(&s->message, string);
		if (s->message.failed)
			return true;
		text = s->message.data;
		len = s->message.len;
	}
	return match_strings_fit(&s->strings, &f->needle, text, len);
}

bool filter_rest(const struct filter *f, struct filter_state *s, const struct record *record)
{
	const struct filter_plan *plan;

	if (!record->format || !*record->format->tag)
		return filter_match(f, s, record);
	if (!match_time(f, record))
		return false;
	if (!s->has_grep)
		return true;
	if (record->kind == RECORD_LOG || record->kind == RECORD_SPAN_ENTER) {
		plan = plan_get(f, s, record->format, false);
		if (plan && plan_decides(f, plan) &&
		    !message_values_long(record->values, record->value_cnt))
			return true;
	}
	return match_grep(f, s, record);
}

const struct message_shape *filter_shape(const struct filter_state *s,
					 const struct record_format *format)
{
	const uint32_t at = format->id * 2;

	if (format->id >= UINT32_MAX / 4 || at >= s->plan_cnt || !s->plans[at].made)
		return NULL;
	return &s->plans[at].plan.shape;
}
