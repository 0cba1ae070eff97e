/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_grep.c - qslog grep: qslog cat --grep, with the options and exit status of grep(1).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_input.h"
#include "line_render.h"
#include "merge.h"
#include "output.h"

enum grep_exit { GREP_FOUND = 0, GREP_NONE = 1, GREP_TROUBLE = 2 };

struct grep {
	struct cmd_input input;
	struct buffer pattern; /* of all -e, or the first argument */
	bool has_pattern, fixed, count, list, quiet;
	bool color;
	uint64_t max; /* lines; UINT64_MAX: all */
	uint64_t found;
	uint64_t *counts; /* per file, for -c */
	bool trouble;
};

static void help(void)
{
	printf("usage: qslog grep [OPTION]... PATTERN FILE...\n"
	       "Prints the records of .qslog files whose message matches the POSIX extended regular\n"
	       "expression, merged by time. What cannot have a match is not even decoded.\n\n"
	       "  -e, --regexp RE     a pattern; repeatable: one of them has to match\n"
	       "  -F, --fixed-strings patterns are strings\n"
	       "  -i, --ignore-case   letters of either case are the same\n"
	       "  -v, --invert-match  records that do not match\n"
	       "  -c, --count         only how many; per file where there are several\n"
	       "  -m, --max-count N   stop after N\n"
	       "  -l, --files-with-matches  only the names of the files\n"
	       "  -q, --quiet         only the exit status\n"
	       "      --color WHEN    always, never, or auto: on a terminal\n"
	       "      --json          one JSON object per line\n"
	       "%s%s"
	       "  -h, --help          this text\n\n"
	       "exit status: 0 there is a match, 1 there is none, 2 usage, failure or damaged file\n",
	       cmd_input_help, filter_help);
}

/* Characters of a string as an expression. */
static void pattern_add(struct grep *g, const char *text)
{
	struct buffer *b = &g->pattern;

	buffer_str(b, g->has_pattern ? "|(" : "(");
	for (; *text; text++) {
		if (g->fixed && strchr(".[]{}()*+?|^$\\", *text))
			buffer_char(b, '\\');
		buffer_char(b, *text);
	}
	buffer_char(b, ')');
	g->has_pattern = true;
}

/* Ends the pattern; parentheses around the only one are taken away, for the sake of its needle. */
static int pattern_end(struct grep *g, unsigned cnt)
{
	struct buffer *b = &g->pattern;

	if (cnt == 1 && !b->failed) {
		b->len -= 2;
		memmove(b->data, b->data + 1, b->len);
	}
	buffer_char(b, '\0');
	if (b->failed)
		return -ENOMEM;
	return filter_option(&g->input.filter, FILTER_GREP, b->data);
}

static int max_parse(struct grep *g, const char *text)
{
	char *end;

	errno = 0;
	g->max = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno) {
		cmd_error("--max-count %s: a number expected", text);
		return -EINVAL;
	}
	return 0;
}

static int color_parse(struct grep *g, const char *when)
{
	if (!strcmp(when, "always"))
		g->color = true;
	else if (!strcmp(when, "never"))
		g->color = false;
	else if (strcmp(when, "auto")) {
		cmd_error("--color %s: always, never or auto expected", when);
		return -EINVAL;
	}
	return 0;
}

enum { OPTION_COLOR = 0x180 };

static int option_take(struct grep *g, int c, const char ***patterns, unsigned *pattern_cnt)
{
	const char **bigger;

	switch (c) {
	case 'e':
		bigger = reallocarray(*patterns, *pattern_cnt + 1u, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		*patterns = bigger;
		bigger[(*pattern_cnt)++] = optarg;
		return 0;
	case 'F':
		g->fixed = true;
		return 0;
	case 'i':
		g->input.filter.grep_fold = true;
		return 0;
	case 'v':
		g->input.filter.grep_invert = true;
		return 0;
	case 'c':
		g->count = true;
		return 0;
	case 'l':
		g->list = true;
		return 0;
	case 'q':
		g->quiet = true;
		return 0;
	case 'm':
		return max_parse(g, optarg);
	case OPTION_COLOR:
		return color_parse(g, optarg);
	default:
		return cmd_input_option(&g->input, c, optarg);
	}
}

/* 0; 1: help was printed; negative: reported */
static int parse(struct grep *g, int argc, char **argv)
{
	static const struct option options[] = {
		FILTER_LONG_OPTIONS,
		CMD_INPUT_LONG_OPTIONS,
		{ "regexp", required_argument, NULL, 'e' },
		{ "fixed-strings", no_argument, NULL, 'F' },
		{ "invert-match", no_argument, NULL, 'v' },
		{ "count", no_argument, NULL, 'c' },
		{ "max-count", required_argument, NULL, 'm' },
		{ "files-with-matches", no_argument, NULL, 'l' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "color", required_argument, NULL, OPTION_COLOR },
		{ "colour", required_argument, NULL, OPTION_COLOR },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	const char **patterns = NULL;
	unsigned cnt = 0, i;
	int c, err = 0;

	g->color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	/* -l is grep's here; levels are chosen by --level */
	while (!err && (c = getopt_long(argc, argv, "he:Fivcm:lqt:j:", options, NULL)) != -1) {
		if (c == 'h') {
			help();
			free(patterns);
			return 1;
		}
		if (c == 'l' && optarg)
			err = filter_option(&g->input.filter, 'l', optarg);
		else
			err = option_take(g, c, &patterns, &cnt);
	}
	if (!err && !cnt && optind < argc) {
		pattern_add(g, argv[optind++]);
		err = pattern_end(g, 1);
	} else if (!err) {
		for (i = 0; i < cnt; i++)
			pattern_add(g, patterns[i]);
		err = cnt ? pattern_end(g, cnt) : 0;
		if (!cnt) {
			cmd_error("no pattern given");
			err = -EINVAL;
		}
	}
	free(patterns);
	return err ? err : cmd_input_files(&g->input, argc, argv);
}

/* Takes what the files have; `paths` are those of one or of all. */
static int search(struct grep *g, struct output *out, char *const *paths, unsigned path_cnt)
{
	struct line_render lines = { .filter = &g->input.filter, .json = g->input.json,
				     .count = g->count || g->list || g->quiet,
				     .color = g->color && !g->input.json };
	const uint64_t max = g->list || g->quiet ? 1 : g->max;
	struct merge_options options = { .jobs = g->input.jobs };
	struct reader_render render;
	struct merge *merge = NULL;
	struct reader_run run;
	uint64_t taken = 0;
	unsigned file;
	int err;

	filter_hint(&g->input.filter, &options.hint);
	err = merge_open(&merge, paths, path_cnt, &options);
	if (err)
		return err;
	lines.hosts = merge_hosts(merge);
	line_render_init(&render, &lines);
	merge_render(merge, &render);
	while (!err && taken < max && merge_next_run(merge, &run, &file) > 0) {
		if (run.cnt > max - taken)
			run.cnt = (uint32_t)(max - taken);
		taken += run.cnt;
		if (g->counts)
			g->counts[file] += run.cnt;
		if (!lines.count)
			err = output_write(out, run.text + run.start,
					   run.lines[run.cnt - 1].end - run.start);
	}
	g->found += taken;
	if (merge_finish(merge) && merge_trouble(merge))
		g->trouble = true;
	cmd_input_stats(&g->input, merge);
	if (lines.lost_hidden && !g->quiet)
		cmd_error("%llu lost records are not shown because of the filters; see qslog stat",
			  (unsigned long long)lines.lost_hidden);
	merge_close(merge);
	return err;
}

static void counts_print(const struct grep *g, struct buffer *out)
{
	unsigned i;

	for (i = 0; i < g->input.path_cnt; i++) {
		if (g->input.path_cnt > 1)
			buffer_printf(out, "%s:", g->input.paths[i]);
		buffer_printf(out, "%llu\n", (unsigned long long)g->counts[i]);
	}
}

static int run(struct grep *g, struct output *out)
{
	uint64_t before;
	unsigned i;
	int err = 0;

	if (!g->list) {
		if (g->count)
			g->counts = calloc(g->input.path_cnt, sizeof(*g->counts));
		if (g->count && !g->counts)
			return -ENOMEM;
		err = search(g, out, g->input.paths, g->input.path_cnt);
		if (!err && g->count && !g->quiet)
			counts_print(g, &out->buffer);
		return err;
	}
	for (i = 0; i < g->input.path_cnt && !err; i++) {
		before = g->found;
		err = search(g, out, &g->input.paths[i], 1);
		if (g->found > before && !g->quiet)
			buffer_printf(&out->buffer, "%s\n", g->input.paths[i]);
	}
	return err;
}

int cmd_grep(int argc, char **argv)
{
	struct grep g = { .max = UINT64_MAX };
	struct output out = { .fd = STDOUT_FILENO };
	int err, status = GREP_TROUBLE;

	err = parse(&g, argc, argv);
	if (err) {
		status = err > 0 ? CMD_OK : cmd_usage_error("grep");
		goto cleanup;
	}
	err = run(&g, &out);
	if (output_finish(&out, err) == CMD_OK && (!g.trouble || (g.quiet && g.found)))
		status = g.found ? GREP_FOUND : GREP_NONE;
cleanup:
	free(g.counts);
	cmd_input_fini(&g.input);
	buffer_fini(&g.pattern);
	return status;
}
