/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_input.c - see cmd_input.h. */
#include "cmd_input.h"

#include <errno.h>
#include <getopt.h>

#include "cmd.h"

int cmd_input_parse(struct cmd_input *input, int argc, char **argv, void (*help)(void))
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
			input->json = true;
			break;
		case '?':
			return -EINVAL; /* getopt has said why */
		default:
			err = filter_option(&input->filter, c, optarg);
			if (err)
				return err;
		}
	}
	input->paths = argv + optind;
	input->path_cnt = (unsigned)(argc - optind);
	if (!input->path_cnt) {
		cmd_error("no file given");
		return -EINVAL;
	}
	return 0;
}
