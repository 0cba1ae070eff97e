/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd.c - diagnostics of commands; see cmd.h. */
#include "cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void cmd_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	flockfile(stderr);
	fputs("qslog: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	funlockfile(stderr);
	va_end(args);
}

int cmd_usage_error(const char *command)
{
	fprintf(stderr, "Try 'qslog %s --help'.\n", command);
	return CMD_USAGE;
}

int64_t cmd_now_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts))
		return 0; /* not possible with this clock on Linux */
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
