/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd.h - what the subcommands of qslog share. Each has argv[0] = its name, and returns an exit
 * code. Only commands print; everything below them returns errors. */
#ifndef QSLOG_CMD_H
#define QSLOG_CMD_H

#include <stdint.h>

enum cmd_exit {
	CMD_OK = 0,
	CMD_FAILURE = 1,
	CMD_USAGE = 2,
	CMD_DAMAGED = 3 /* input damaged or incomplete */
};

int cmd_cat(int argc, char **argv);
int cmd_grep(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_recover(int argc, char **argv);

/* "qslog: ..." and a newline on stderr. */
__attribute__((format(printf, 1, 2))) void cmd_error(const char *format, ...);

/* CLOCK_REALTIME */
int64_t cmd_now_ns(void);

/* For what the user got wrong: points at `qslog COMMAND --help`; returns CMD_USAGE. */
int cmd_usage_error(const char *command);

#endif
