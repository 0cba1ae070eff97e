/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter.h - which records a command takes: -l -t --tid --since --until --grep --site. Options of
 * one kind are alternatives (-t net -t disk), different kinds must all match.
 */
#ifndef QSLOG_FILTER_H
#define QSLOG_FILTER_H

#include <getopt.h>
#include <regex.h>

#include "match_plan.h"
#include "reader.h"
#include "text.h"

struct filter {
	uint8_t level_min;
	const char **tags; /* globs, inside argv */
	unsigned tag_cnt;
	uint32_t *tids;
	unsigned tid_cnt;
	struct filter_site {
		const char *file; /* inside argv, not NUL-terminated */
		size_t file_len;
		uint32_t line; /* 0: any */
	} *sites;
	unsigned site_cnt;
	bool has_since, has_until;
	int64_t since_ns, until_ns;
	const char *grep; /* inside argv; NULL: none */
	bool grep_fold;   /* letters of either case are the same */
	bool grep_invert; /* what does not match */
	struct needle needle;
};

struct filter_plan {
	bool made;
	bool wanted; /* by level, tag and site */
	struct match_plan plan;
};

/* What matching needs beside the filter; each thread that matches has its own. */
struct filter_state {
	regex_t grep; /* one would make threads wait for one another */
	regex_t grep_place; /* for filter_grep_find() */
	bool has_grep, has_grep_place;
	struct buffer message; /* for grep */
	struct filter_plan *plans; /* by id of the format, two each: see filter_format() */
	uint32_t plan_cnt;
	struct match_strings strings; /* of the block that filter_formats() was asked about */
	/* Records that losses of the chosen threads and times stand for, where the other options
	 * do not let the loss itself through: a loss must not go unnoticed for that. */
	uint64_t lost_hidden;
};

enum filter_option {
	FILTER_TID = 0x200,
	FILTER_SINCE,
	FILTER_UNTIL,
	FILTER_GREP,
	FILTER_IGNORE_CASE,
	FILTER_SITE
};

#define FILTER_SHORT_OPTIONS "l:t:"
#define FILTER_LONG_OPTIONS                                       \
	{ "level", required_argument, NULL, 'l' },                \
	{ "tag", required_argument, NULL, 't' },                  \
	{ "tid", required_argument, NULL, FILTER_TID },           \
	{ "since", required_argument, NULL, FILTER_SINCE },       \
	{ "until", required_argument, NULL, FILTER_UNTIL },       \
	{ "grep", required_argument, NULL, FILTER_GREP },         \
	{ "ignore-case", no_argument, NULL, FILTER_IGNORE_CASE }, \
	{ "site", required_argument, NULL, FILTER_SITE }

/* The lines of --help about them. */
extern const char filter_help[];

/* Takes an option that getopt_long() found. 0; -ENOENT: none of the filter's; -EINVAL: its
 * argument is wrong, which has been reported; -ENOMEM. */
int filter_option(struct filter *f, int option, const char *argument);

/* After the last option. 0; -EINVAL: reported. */
int filter_ready(struct filter *f);

void filter_hint(const struct filter *f, struct reader_hint *hint);
int filter_state_init(struct filter_state *s, const struct filter *f); /* 0 or -ENOMEM */
bool filter_match(const struct filter *f, struct filter_state *s, const struct record *record);
/*
 * The same in two steps, for records by the million. First: what can be said of all records of a
 * format (those that leave a span apart), and then of their values, before there is a record. A
 * record that got through both, or is a loss, has to get through filter_rest(), too.
 */
enum reader_want filter_format(const struct filter *f, struct filter_state *s,
			       const struct record_format *format, bool leaves);
bool filter_thread(const struct filter *f, const struct record_thread *thread);
bool filter_values(const struct filter *f, struct filter_state *s,
		   const struct record_format *format, const struct record_value *values);
/* The same of a block, by all formats that it has, and then by its strings. */
enum reader_peek filter_formats(const struct filter *f, struct filter_state *s,
				const struct in_format *formats, uint32_t cnt);
bool filter_string(const struct filter *f, struct filter_state *s, const struct record_value *string);
bool filter_rest(const struct filter *f, struct filter_state *s, const struct record *record);
/* NULL: not known. */
const struct message_shape *filter_shape(const struct filter_state *s,
					 const struct record_format *format);
/* Where the pattern matches in a message: as regexec(3), from message[from] on. */
bool filter_grep_find(const struct filter *f, struct filter_state *s, const char *message,
		      size_t from, size_t *begin, size_t *end);
void filter_state_fini(struct filter_state *s);
void filter_fini(struct filter *f);

#endif
