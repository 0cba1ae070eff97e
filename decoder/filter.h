/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter.h - which records a command takes: -l -t --tid --since --until --grep --site. Options of
 * one kind are alternatives (-t net -t disk), different kinds must all match.
 */
#ifndef QSLOG_FILTER_H
#define QSLOG_FILTER_H

#include <getopt.h>
#include <regex.h>

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
};

/* What matching needs beside the filter; each thread that matches has its own. */
struct filter_state {
	regex_t grep; /* one would make threads wait for one another */
	bool has_grep;
	struct buffer message; /* for grep */
	/* Records that losses of the chosen threads and times stand for, where the other options
	 * do not let the loss itself through: a loss must not go unnoticed for that. */
	uint64_t lost_hidden;
};

enum filter_option {
	FILTER_TID = 0x200,
	FILTER_SINCE,
	FILTER_UNTIL,
	FILTER_GREP,
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
	{ "site", required_argument, NULL, FILTER_SITE }

/* The lines of --help about them. */
extern const char filter_help[];

/* Takes an option that getopt_long() found. 0; -ENOENT: none of the filter's; -EINVAL: its
 * argument is wrong, which has been reported; -ENOMEM. */
int filter_option(struct filter *f, int option, const char *argument);

void filter_hint(const struct filter *f, struct reader_hint *hint);
int filter_state_init(struct filter_state *s, const struct filter *f); /* 0 or -ENOMEM */
bool filter_match(const struct filter *f, struct filter_state *s, const struct record *record);
void filter_state_fini(struct filter_state *s);
void filter_fini(struct filter *f);

#endif
