/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_cat.c - qslog cat: records as lines of text or JSON, several files merged by time. */
#include <errno.h>
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
	       "      --times         behind the duration of a span, where its time went: on the CPU,\n"
	       "                      waiting and for what, ready to run; of files that were recorded\n"
	       "                      with qslog-trace --sched\n"
	       "      --sched         --times, and a line for each time that a thread was off the CPU\n"
	       "%s%s"
	       "  -h, --help          this text\n\n"
	       "exit status: 0 ok, 1 failure, 2 usage, 3 a file is damaged or incomplete (everything\n"
	       "undamaged has been printed, the damage is on standard error)\n",
	       cmd_input_help, filter_help);
}

/* Where spans have times, which hang on what comes before: one record after the other. */
static int print_records(const struct cmd_input *o, struct merge *merge,
			 const struct reader_render *render, struct output *out)
{
	void *context = render->open(render->arg);
	const struct record *record;
	unsigned file;
	int err = context ? 0 : -ENOMEM;

	while (!err && merge_next(merge, &record, &file) > 0) {
		if (record->kind == RECORD_OFF && !o->sched)
			continue;
		render->record(context, &out->buffer, record);
		err = output_more(out);
	}
	if (context)
		render->close(render->arg, context);
	return err;
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

/* Were there no times to show? */
static void report_times(const struct merge *merge)
{
	for (unsigned i = 0; i < merge_file_cnt(merge); i++) {
		const struct merge_file *file = merge_file(merge, i);

		if (!file->error && !file->totals.has_sched)
			cmd_error("%s: no scheduler events in it, so the times of spans are not known: "
				  "record it with qslog-trace --sched", file->path);
	}
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
	options.hint.times = o.times;
	err = merge_open(&merge, o.paths, o.path_cnt, &options);
	if (err) {
		cmd_error("%s", strerror(-err));
		status = CMD_FAILURE;
		goto cleanup;
	}
	lines.hosts = merge_hosts(merge);
	line_render_init(&render, &lines);
	if (o.times) {
		err = print_records(&o, merge, &render, &out);
	} else {
		merge_render(merge, &render);
		err = print_lines(merge, &out);
	}
	if (!err)
		err = output_flush(&out);
	output_status = output_finish(&out, err);
	if (err) { /* what nobody reads is not worth a diagnosis */
		status = output_status;
		goto cleanup;
	}
	status = merge_finish(merge);
	cmd_input_incomplete(merge, lines.lost_hidden);
	if (o.times)
		report_times(merge);
	cmd_input_stats(&o, merge);
cleanup:
	buffer_fini(&out.buffer);
	merge_close(merge);
	cmd_input_fini(&o);
	return status;
}
