/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_input.h - the command line of subcommands that read the records of files: filters, --json,
 * the files. */
#ifndef QSLOG_CMD_INPUT_H
#define QSLOG_CMD_INPUT_H

#include <stdbool.h>

#include "filter.h"

struct cmd_input {
	struct filter filter; /* filter_fini() */
	bool json;
	bool stats;
	bool times, sched; /* --times, --sched (which implies it) */
	bool classic; /* files of the original format, whatever they begin with */
	bool may_follow; /* set by the caller: there is -F; */
	bool follow;	 /* and it was given */
	unsigned jobs; /* 0: as many as there are processors */
	char *const *paths;
	char **own_paths;   /* where they are not those of argv */
	unsigned path_cnt;  /* > 0 */
};

struct merge;

/* Where --stats was given: how much of the files was read, on standard error. */
void cmd_input_stats(const struct cmd_input *input, const struct merge *merge);

/* Says which files are incomplete, and that records are lost that the filters do not show. */
void cmd_input_incomplete(const struct merge *merge, uint64_t lost_hidden);

/* The lines of --help about --classic, --jobs and --stats. */
extern const char cmd_input_help[];

enum cmd_input_option { CMD_INPUT_JSON = 0x100, CMD_INPUT_STATS, CMD_INPUT_CLASSIC,
			CMD_INPUT_TIMES, CMD_INPUT_SCHED };

#define CMD_INPUT_LONG_OPTIONS                               \
	{ "json", no_argument, NULL, CMD_INPUT_JSON },       \
	{ "jobs", required_argument, NULL, 'j' },            \
	{ "stats", no_argument, NULL, CMD_INPUT_STATS },     \
	{ "classic", no_argument, NULL, CMD_INPUT_CLASSIC }, \
	{ "follow", no_argument, NULL, 'F' }

/* For commands with further options: one that getopt_long() found, and what follows the options,
 * with `optind` at the first file. 0 or negative: reported. */
int cmd_input_option(struct cmd_input *input, int option, const char *argument);
int cmd_input_files(struct cmd_input *input, int argc, char **argv);

/* 0; 1: `help` was called; negative: reported. `input` is zeroed but for may_follow, and to be freed in
 * any case by cmd_input_fini(). The paths of sets are those of all their files then, but with -F. */
int cmd_input_parse(struct cmd_input *input, int argc, char **argv, void (*help)(void));
void cmd_input_fini(struct cmd_input *input);

#endif
