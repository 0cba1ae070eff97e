/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_cat.c - qslog cat: records as lines of text or JSON, several files merged by time. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_follow.h"
#include "cmd_input.h"
#include "line_render.h"
#include "merge.h"
#include "output.h"

static void help(void)
{
	printf("usage: qslog cat [OPTION]... FILE...\n"
	       "Prints the records of .qslog files as text, merged by time. A FILE that is rotated stands for\n"
	       "all files of its set.\n\n"
	       "      --json          one JSON object per line\n"
	       "  -F, --follow        go on as FILE is written, over rotations, until its writer closes it;\n"
	       "                      a FILE that is not there yet is waited for. One FILE only\n"
	       "%s%s"
	       "  -h, --help          this text\n\n"
	       "exit status: 0 ok, 1 failure, 2 usage, 3 a file is damaged or incomplete (everything\n"
	       "undamaged has been printed, the damage is on standard error)\n",
	       cmd_input_help, filter_help);
}

static int print_lines(struct merge *merge, struct output *out)
{
	struct reader_run run;
	unsigned file;
	int err = 0;

	while (!err && merge_next_run(merge, &run, &file) > 0)
		err = output_write(out, run.text + run.start,
				   run.lines[run.cnt - 1].end - run.start);
	return err;
}

int cmd_cat(int argc, char **argv)
{
	struct cmd_input o = { .may_follow = true };
	struct output out = { .fd = STDOUT_FILENO };
	struct line_render lines = { .filter = &o.filter };
	struct reader_render render;
	struct merge_options options = { 0 };
	struct merge *merge = NULL;
	int err, status, output_status;

	err = cmd_input_parse(&o, argc, argv, help);
	if (err) {
		status = err > 0 ? CMD_OK : cmd_usage_error("cat");
		goto cleanup;
	}
	lines.json = o.json;
	if (o.follow) {
		line_render_init(&render, &lines);
		status = cmd_follow(&o, &render, &out);
		goto cleanup;
	}
	options.jobs = o.jobs;
	options.classic = o.classic;
	filter_hint(&o.filter, &options.hint);
	err = merge_open(&merge, o.paths, o.path_cnt, &options);
	if (err) {
		cmd_error("%s", strerror(-err));
		status = CMD_FAILURE;
		goto cleanup;
	}
	lines.hosts = merge_hosts(merge);
	line_render_init(&render, &lines);
	merge_render(merge, &render);
	err = print_lines(merge, &out);
	if (!err)
		err = output_flush(&out);
	output_status = output_finish(&out, err);
	if (err) { /* what nobody reads is not worth a diagnosis */
		status = output_status;
		goto cleanup;
	}
	status = merge_finish(merge);
	cmd_input_incomplete(merge, lines.lost_hidden);
	cmd_input_stats(&o, merge);
cleanup:
	buffer_fini(&out.buffer);
	merge_close(merge);
	cmd_input_fini(&o);
	return status;
}
