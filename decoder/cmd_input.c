/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_input.c - see cmd_input.h. */
#include "cmd_input.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "file_set.h"
#include "merge.h"

#define JOBS_MAX 256u

const char cmd_input_help[] =
	"      --classic       the files are of the original format (recognised without, mostly)\n"
	"  -j, --jobs N        work with N threads (default: as many as there are processors)\n"
	"      --stats         say on standard error how much of the files was read\n";

static int jobs_parse(struct cmd_input *input, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !n || n > JOBS_MAX) {
		cmd_error("--jobs %s: 1 to %u expected", text, JOBS_MAX);
		return -EINVAL;
	}
	input->jobs = (unsigned)n;
	return 0;
}

void cmd_input_incomplete(const struct merge *merge, uint64_t lost_hidden)
{
	for (unsigned i = 0; i < merge_file_cnt(merge); i++) {
		const struct merge_file *file = merge_file(merge, i);

		if (!file->error && !file->totals.has_index)
			cmd_error("%s: incomplete: not closed by its writer, which is still "
				  "running or was killed",
				  file->path);
	}
	if (lost_hidden)
		cmd_error("%llu lost records are not shown because of the filters; see qslog stat",
			  (unsigned long long)lost_hidden);
}

void cmd_input_stats(const struct cmd_input *input, const struct merge *merge)
{
	struct reader_totals sum = { 0 };

	if (!input->stats)
		return;
	for (unsigned i = 0; i < merge_file_cnt(merge); i++) {
		const struct reader_totals *t = &merge_file(merge, i)->totals;

		sum.read_bytes += t->read_bytes;
		sum.file_bytes += t->file_bytes;
		sum.blocks += t->blocks;
		sum.blocks_decoded += t->blocks_decoded;
		sum.blocks_all += t->blocks_all;
	}
	cmd_error("read %llu of %llu bytes in %llu of %llu blocks, decoded %llu",
		  (unsigned long long)sum.read_bytes, (unsigned long long)sum.file_bytes,
		  (unsigned long long)sum.blocks, (unsigned long long)sum.blocks_all,
		  (unsigned long long)sum.blocks_decoded);
}

int cmd_input_option(struct cmd_input *input, int option, const char *argument)
{
	switch (option) {
	case '?':
		return -EINVAL; /* getopt has said why */
	case CMD_INPUT_JSON:
		input->json = true;
		return 0;
	case CMD_INPUT_SCHED:
		input->sched = true;
		input->times = true;
		return 0;
	case CMD_INPUT_TIMES:
		input->times = true;
		return 0;
	case CMD_INPUT_STATS:
		input->stats = true;
		return 0;
	case CMD_INPUT_CLASSIC:
		input->classic = true;
		return 0;
	case 'j':
		return jobs_parse(input, argument);
	case 'F':
		if (!input->may_follow) {
			cmd_error("only qslog cat can --follow");
			return -EINVAL;
		}
		input->follow = true;
		return 0;
	default:
		return filter_option(&input->filter, option, argument);
	}
}

int cmd_input_files(struct cmd_input *input, int argc, char **argv)
{
	int err = filter_ready(&input->filter);

	if (err)
		return err;
	input->paths = argv + optind;
	input->path_cnt = (unsigned)(argc - optind);
	if (!input->path_cnt) {
		cmd_error("no file given");
		return -EINVAL;
	}
	if (input->follow)
		return 0;
	input->own_paths = file_set_paths(input->paths, input->path_cnt, &input->path_cnt);
	if (!input->own_paths) {
		cmd_error("%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	input->paths = input->own_paths;
	return 0;
}

int cmd_input_parse(struct cmd_input *input, int argc, char **argv, void (*help)(void))
{
	static const struct option options[] = { FILTER_LONG_OPTIONS,
						 CMD_INPUT_LONG_OPTIONS,
						 { "times", no_argument, NULL, CMD_INPUT_TIMES },
						 { "sched", no_argument, NULL, CMD_INPUT_SCHED },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	int c, err;

	while ((c = getopt_long(argc, argv, input->may_follow ? "hj:F" FILTER_SHORT_OPTIONS :
								     "hj:" FILTER_SHORT_OPTIONS,
				options, NULL)) != -1) {
		if (c == 'h') {
			help();
			return 1;
		}
		err = cmd_input_option(input, c, optarg);
		if (err)
			return err;
	}
	return cmd_input_files(input, argc, argv);
}

void cmd_input_fini(struct cmd_input *input)
{
	file_set_paths_free(input->own_paths);
	filter_fini(&input->filter);
}
