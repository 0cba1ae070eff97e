/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - the qslog command: picks a subcommand and runs it. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd.h"

#ifndef QSLOG_VERSION
#define QSLOG_VERSION "unknown"
#endif

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "cat", cmd_cat, "records as text or JSON, with filters" },
	{ "grep", cmd_grep, "records whose message matches a pattern" },
	{ "merge", cmd_merge, "several files into one, by time" },
	{ "stat", cmd_stat, "counts, rates and span latencies per site, lost records" },
	{ "export", cmd_export, "records as a file of another kind" },
	{ "check", cmd_check, "is the file whole?" },
	{ "recover", cmd_recover, "complete files whose writer was killed" },
};

#define COMMAND_CNT (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fprintf(to, "usage: qslog COMMAND [OPTION]... FILE...\n"
		    "Reads the .qslog files that qslog-trace and libqslog write.\n\n");
	for (size_t i = 0; i < COMMAND_CNT; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
	fprintf(to, "\n'qslog COMMAND --help' has the options of a command; 'qslog --version'.\n"
		    "exit status: 0 ok, 1 failure, 2 usage, 3 input damaged or incomplete\n");
}

static int run(int argc, char **argv)
{
	for (size_t i = 0; i < COMMAND_CNT; i++) {
		if (!strcmp(argv[0], commands[i].name))
			return commands[i].run(argc, argv);
	}
	cmd_error("%s: no such command", argv[0]);
	fprintf(stderr, "Try 'qslog help'.\n");
	return CMD_USAGE;
}

/* qslog help [COMMAND] */
static int help(int argc, char **argv)
{
	char option[] = "--help";
	char *help_argv[] = { NULL, option, NULL };

	if (argc < 2) {
		usage(stdout);
		return CMD_OK;
	}
	help_argv[0] = argv[1];
	return run(2, help_argv);
}

/* What printf() left: help and version. Data does not go through stdio. */
static int close_stdout(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	if (errno == EPIPE)
		return status;
	cmd_error("cannot write to standard output: %s", strerror(errno));
	return CMD_FAILURE;
}

int main(int argc, char **argv)
{
	int status;

	signal(SIGPIPE, SIG_IGN);   /* write() says EPIPE instead */
	setlocale(LC_CTYPE, "");    /* characters of --grep and -t */
	tzset();
	if (argc < 2) {
		usage(stderr);
		return CMD_USAGE;
	}
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		status = help(argc - 1, argv + 1);
	} else if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("qslog %s\n", QSLOG_VERSION);
		status = CMD_OK;
	} else {
		status = run(argc - 1, argv + 1);
	}
	return close_stdout(status);
}
