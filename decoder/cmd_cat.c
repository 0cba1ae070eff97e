/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_cat.c - qslog cat: records as lines of text or JSON, several files merged by time. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "filter.h"
#include "merge.h"
#include "output.h"
#include "text.h"

struct cat_options {
	struct filter filter;
	bool json;
	char *const *paths;
	unsigned path_cnt;
};

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

/* 0; 1: help was printed; -EINVAL: reported */
static int parse(struct cat_options *o, int argc, char **argv)
{
	enum { OPTION_JSON = 0x100 };
	static const struct option options[] = { FILTER_LONG_OPTIONS,
						 { "json", no_argument, NULL, OPTION_JSON },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	int c, err;

	while ((c = getopt_long(argc, argv, "h" FILTER_SHORT_OPTIONS, options, NULL)) != -1) {
		switch (c) {
		case 'h':
			help();
			return 1;
		case OPTION_JSON:
			o->json = true;
			break;
		case '?':
			return -EINVAL; /* getopt has said why */
		default:
			err = filter_option(&o->filter, c, optarg);
			if (err)
				return err;
		}
	}
	o->paths = argv + optind;
	o->path_cnt = (unsigned)(argc - optind);
	if (!o->path_cnt) {
		cmd_error("no file given");
		return -EINVAL;
	}
	return 0;
}

static int print_records(struct cat_options *o, struct merge *merge, struct output *out)
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

static void report(const struct cat_options *o, const struct merge *merge)
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
	struct cat_options o = { 0 };
	struct output out = { .fd = STDOUT_FILENO };
	struct merge *merge = NULL;
	struct reader_hint hint;
	int err, status, output_status;

	err = parse(&o, argc, argv);
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
