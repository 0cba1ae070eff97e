/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_cat.c - qslog cat: records as lines of text or JSON, several files merged by time. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_input.h"
#include "merge.h"
#include "output.h"
#include "text.h"

static void help(void)
{
	printf("usage: qslog cat [OPTION]... FILE...\n"
	       "Prints the records of .qslog files as text, merged by time.\n\n"
	       "      --json          one JSON object per line\n"
	       "%s"
	       "  -h, --help          this text\n\n"
	       "exit status: 0 ok, 1 failure, 2 usage, 3 a file is damaged or incomplete (everything\n"
	       "undamaged has been printed, the damage is on standard error)\n",
	       filter_help);
}

static int print_records(struct cmd_input *o, struct merge *merge, struct output *out)
{
	const struct record *record;
	unsigned file;
	int err = 0;

	while (!err && merge_next(merge, &record, &file) > 0) {
		if (!filter_match(&o->filter, record))
			continue;
		if (o->json)
			json_line(&out->buffer, record);
		else
			text_line(&out->buffer, record);
		err = output_more(out);
	}
	return err;
}

static void report(const struct cmd_input *o, const struct merge *merge)
{
	for (unsigned i = 0; i < merge_file_cnt(merge); i++) {
		const struct merge_file *file = merge_file(merge, i);

		if (!file->error && !file->totals.has_index)
			cmd_error("%s: incomplete: not closed by its writer, which is still "
				  "running or was killed",
				  file->path);
	}
	if (o->filter.lost_hidden)
		cmd_error("%llu lost records are not shown because of the filters; see qslog stat",
			  (unsigned long long)o->filter.lost_hidden);
}

int cmd_cat(int argc, char **argv)
{
	struct cmd_input o = { 0 };
	struct output out = { .fd = STDOUT_FILENO };
	struct merge *merge = NULL;
	struct reader_hint hint;
	int err, status, output_status;

	err = cmd_input_parse(&o, argc, argv, help);
	if (err) {
		status = err > 0 ? CMD_OK : cmd_usage_error("cat");
		goto cleanup;
	}
	filter_hint(&o.filter, &hint);
	err = merge_open(&merge, o.paths, o.path_cnt, &hint, NULL, NULL);
	if (err) {
		cmd_error("%s", strerror(-err));
		status = CMD_FAILURE;
		goto cleanup;
	}
	err = print_records(&o, merge, &out);
	if (!err)
		err = output_flush(&out);
	output_status = output_finish(&out, err);
	if (err) { /* what nobody reads is not worth a diagnosis */
		status = output_status;
		goto cleanup;
	}
	status = merge_finish(merge);
	report(&o, merge);
cleanup:
	buffer_fini(&out.buffer);
	merge_close(merge);
	filter_fini(&o.filter);
	return status;
}
