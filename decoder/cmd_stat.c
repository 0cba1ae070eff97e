/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_stat.c - qslog stat: counts and rates per site, latencies of spans, losses. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_input.h"
#include "merge.h"
#include "output.h"
#include "stat_print.h"
#include "stat_table.h"

static void help(void)
{
	printf("usage: qslog stat [OPTION]... FILE...\n"
	       "Counts the records of .qslog files: per place in the source how many, how fast and\n"
	       "how large (bytes as the program wrote them); durations of spans (percentiles to\n"
	       "within 1 %%, OPEN were entered and not left); lost records per cause and thread.\n\n"
	       "      --json          one JSON object\n"
	       "%s%s"
	       "  -h, --help          this text\n\n"
	       "exit status: 0 ok, 1 failure, 2 usage, 3 a file is damaged or incomplete\n",
	       cmd_input_help, filter_help);
}

static int count(const struct filter *filter, struct filter_state *state, struct merge *merge,
		 struct stat_table *table)
{
	const struct record *record;
	unsigned file;
	int err = 0;

	while (!err && merge_next(merge, &record, &file) > 0) {
		if (record->kind == RECORD_OFF_LOST || record->kind == RECORD_OFF)
			err = stat_table_off(table, record);
		else if (filter_match(filter, state, record))
			err = stat_table_add(table, record, file);
	}
	return err;
}

int cmd_stat(int argc, char **argv)
{
	struct cmd_input o = { 0 };
	struct stat_table table = { 0 };
	struct output out = { .fd = STDOUT_FILENO };
	struct merge *merge = NULL;
	struct merge_options options = { 0 };
	struct filter_state state = { 0 };
	int err, status, output_status;

	err = cmd_input_parse(&o, argc, argv, help);
	if (err) {
		status = err > 0 ? CMD_OK : cmd_usage_error("stat");
		goto cleanup;
	}
	options.jobs = o.jobs;
	options.classic = o.classic;
	filter_hint(&o.filter, &options.hint);
	options.hint.times = true;
	err = filter_state_init(&state, &o.filter);
	if (!err)
		err = merge_open(&merge, o.paths, o.path_cnt, &options);
	if (!err)
		err = count(&o.filter, &state, merge, &table);
	if (err) {
		cmd_error("%s", strerror(-err));
		status = CMD_FAILURE;
		goto cleanup;
	}
	status = merge_finish(merge);
	stat_table_sort(&table);
	if (o.json)
		stat_print_json(&out.buffer, &table, merge);
	else
		stat_print_text(&out.buffer, &table, merge);
	output_status = output_finish(&out, 0);
	if (output_status)
		status = output_status;
	if (state.lost_hidden)
		cmd_error("%llu lost records are not counted because of the filters",
			  (unsigned long long)state.lost_hidden);
	cmd_input_stats(&o, merge);
cleanup:
	buffer_fini(&out.buffer);
	stat_table_fini(&table);
	merge_close(merge);
	filter_state_fini(&state);
	cmd_input_fini(&o);
	return status;
}
