/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_input.h - the command line of subcommands that read the records of files: filters, --json,
 * the files. */
#ifndef QSLOG_CMD_INPUT_H
#define QSLOG_CMD_INPUT_H

#include <stdbool.h>

#include "filter.h"

struct cmd_input {
	struct filter filter; /* filter_fini() */
	bool json;
	char *const *paths; /* into argv */
	unsigned path_cnt;  /* > 0 */
};

/* 0; 1: `help` was called; negative: reported. `input` is zeroed, and to be freed in any case. */
int cmd_input_parse(struct cmd_input *input, int argc, char **argv, void (*help)(void));

#endif
