/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_merge.c - qslog merge: records of several files, by time, in one. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_input.h"
#include "merge.h"
#include "merge_out.h"

static void help(void)
{
	printf("usage: qslog merge [OPTION]... FILE... -o OUT\n"
	       "Writes the records of several .qslog files into one, by time. Formats, processes and\n"
	       "threads that are the same in several are one; where the files are from several hosts,\n"
	       "each process has its host. Times are as the clock pairs of each file say.\n\n"
	       "  -o, --output OUT    the file to write; must not exist\n"
	       "%s%s"
	       "  -h, --help          this text\n\n"
	       "exit status: 0 ok, 1 failure, 2 usage, 3 a file is damaged or incomplete (everything\n"
	       "undamaged has been merged, the damage is on standard error)\n",
	       cmd_input_help, filter_help);
}

static int parse(struct cmd_input *input, const char **output, int argc, char **argv)
{
	static const struct option options[] = { FILTER_LONG_OPTIONS,
						 { "jobs", required_argument, NULL, 'j' },
						 { "stats", no_argument, NULL, CMD_INPUT_STATS },
						 { "output", required_argument, NULL, 'o' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	int c, err;

	while ((c = getopt_long(argc, argv, "hj:o:" FILTER_SHORT_OPTIONS, options, NULL)) != -1) {
		if (c == 'h') {
			help();
			return 1;
		}
		if (c == 'o')
			*output = optarg;
		err = c == 'o' ? 0 : cmd_input_option(input, c, optarg);
		if (err)
			return err;
	}
	err = cmd_input_files(input, argc, argv);
	if (!err && !*output) {
		cmd_error("no output given: -o OUT");
		err = -EINVAL;
	}
	return err;
}

/* Opens the output when there is something for it, or at the end. */
static int output_open(struct merge_out **out, const char *path, const struct merge *merge,
		       int64_t first_ns)
{
	bool any, all = merge_sched(merge, &any);

	if (any && !all)
		cmd_error("not all files have scheduler events (qslog-trace --sched): spans have no times in "
			  "%s", path);
	return merge_out_open(out, path, merge_file_cnt(merge), merge_hosts(merge),
			      merge_file_cnt(merge) ? merge_host(merge, 0) : "", all, first_ns);
}

static int records_merge(const struct cmd_input *o, struct filter_state *state, struct merge *merge,
			 const char *path)
{
	const struct record *record;
	struct merge_out *out = NULL;
	uint64_t records = 0, lost = 0;
	unsigned file;
	int err = 0, close_err;

	while (!err && merge_next(merge, &record, &file) > 0) {
		if (record->kind != RECORD_OFF && record->kind != RECORD_OFF_LOST &&
		    !filter_match(&o->filter, state, record))
			continue;
		if (!out)
			err = output_open(&out, path, merge, record->time_ns);
		if (!err)
			err = merge_out_record(out, file, record);
	}
	if (!err && !out)
		err = output_open(&out, path, merge, 0);
	close_err = merge_out_close(out, &records, &lost);
	err = err ? err : close_err;
	if (err)
		cmd_error("%s: %s", path, strerror(-err));
	else
		fprintf(stderr, "records=%llu lost=%llu file=%s\n", (unsigned long long)records,
			(unsigned long long)lost, path);
	return err;
}

int cmd_merge(int argc, char **argv)
{
	struct cmd_input o = { 0 };
	struct merge_options options = { 0 };
	struct filter_state state = { 0 };
	struct merge *merge = NULL;
	const char *path = NULL;
	struct stat st;
	int err, status = CMD_FAILURE;

	err = parse(&o, &path, argc, argv);
	if (err) {
		status = err > 0 ? CMD_OK : cmd_usage_error("merge");
		goto cleanup;
	}
	if (stat(path, &st) == 0) { /* it might be one of those to be merged */
		cmd_error("%s: exists already", path);
		goto cleanup;
	}
	options.jobs = o.jobs;
	filter_hint(&o.filter, &options.hint);
	options.hint.times = true; /* so that scheduler events come along */
	err = filter_state_init(&state, &o.filter);
	if (!err)
		err = merge_open(&merge, o.paths, o.path_cnt, &options);
	if (err) {
		cmd_error("%s", strerror(-err));
		goto cleanup;
	}
	err = records_merge(&o, &state, merge, path);
	status = merge_finish(merge);
	if (err)
		status = CMD_FAILURE;
	cmd_input_stats(&o, merge);
	if (state.lost_hidden)
		cmd_error("%llu lost records are left out because of the filters",
			  (unsigned long long)state.lost_hidden);
cleanup:
	merge_close(merge);
	filter_state_fini(&state);
	cmd_input_fini(&o);
	return status;
}
