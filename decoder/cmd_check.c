/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_check.c - qslog check: reads everything and reports damage, per file. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "escape.h"
#include "merge.h"
#include "output.h"

static void help(void)
{
	printf("usage: qslog check [-q] FILE...\n"
	       "Reads .qslog files to the end and reports every damage with its place, and whether\n"
	       "the file was closed by its writer.\n\n"
	       "  -q, --quiet         only the exit status, and errors\n"
	       "  -h, --help          this text\n\n"
	       "exit status: 0 all files are whole, 1 failure, 2 usage, 3 a file is damaged or\n"
	       "incomplete (records that the program lost are counted in the file; they are no damage)\n");
}

static void on_damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	struct buffer *out = arg;

	escape_text(out, path, strlen(path));
	buffer_printf(out, ": damaged at byte %llu: ", (unsigned long long)offset);
	escape_text(out, what, strlen(what));
	buffer_char(out, '\n');
}

static void print_file(struct buffer *out, const struct merge_file *f)
{
	const struct reader_totals *t = &f->totals;
	char hasty[80] = "";

	if (f->error)
		return; /* on stderr already */
	if (t->blocks_hasty)
		snprintf(hasty, sizeof(hasty), " (%llu not packed: the writer was behind)",
			 (unsigned long long)t->blocks_hasty);
	escape_text(out, f->path, strlen(f->path));
	buffer_printf(out, ": %llu records, %llu lost, %llu blocks%s, %llu bytes%s%s: ",
		      (unsigned long long)t->records, (unsigned long long)t->lost,
		      (unsigned long long)t->blocks, hasty, (unsigned long long)t->file_bytes,
		      t->has_tail ? ", with a tail" : "",
		      t->is_classic ? ", original format" :
		      t->has_index  ? ", closed" :
				      ", not closed");
	if (t->blocks_damaged && !t->is_classic)
		buffer_printf(out, "damaged (%llu blocks lost)\n",
			      (unsigned long long)t->blocks_damaged);
	else if (f->damages)
		buffer_str(out, "damaged\n");
	else
		buffer_str(out, t->has_index ? "ok\n" : "incomplete\n");
}

/* 0; 1: help was printed; -EINVAL: reported */
static int parse(bool *quiet, int argc, char **argv)
{
	static const struct option options[] = { { "quiet", no_argument, NULL, 'q' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "hq", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			help();
			return 1;
		case 'q':
			*quiet = true;
			break;
		default:
			return -EINVAL; /* getopt has said why */
		}
	}
	if (optind == argc) {
		cmd_error("no file given");
		return -EINVAL;
	}
	return 0;
}

static int check_file(struct output *out, char *path, int *status)
{
	const struct merge_options options = { .damage = on_damage, .damage_arg = &out->buffer };
	const struct record *record;
	struct merge *merge = NULL;
	unsigned file;
	int err, file_status;

	err = merge_open(&merge, &path, 1, &options);
	if (err)
		return err;
	while (merge_next(merge, &record, &file) > 0)
		;
	file_status = merge_finish(merge);
	print_file(&out->buffer, merge_file(merge, 0));
	/* of several, a file that could not be read counts for more than a damaged one */
	if (*status != CMD_FAILURE && file_status)
		*status = file_status;
	merge_close(merge);
	return out->buffer.failed ? -ENOMEM : 0;
}

int cmd_check(int argc, char **argv)
{
	struct output out = { .fd = STDOUT_FILENO };
	bool quiet = false;
	int err, status = CMD_OK, output_status;

	err = parse(&quiet, argc, argv);
	if (err)
		return err > 0 ? CMD_OK : cmd_usage_error("check");
	for (int i = optind; !err && i < argc; i++) {
		err = check_file(&out, argv[i], &status);
		if (quiet)
			out.buffer.len = 0;
		else if (!err)
			err = output_flush(&out);
	}
	output_status = output_finish(&out, err);
	return output_status ? output_status : status;
}
