/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_export.c - qslog export: records of files, merged by time, as a file of another kind. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "cmd_input.h"
#include "export.h"
#include "merge.h"

static const struct exporter *const exporters[] = {
	&export_classic,
};

#define EXPORTER_CNT (sizeof(exporters) / sizeof(exporters[0]))

static void help(void)
{
	printf("usage: qslog export --to NAME [OPTION]... FILE... [-o OUT]\n"
	       "Writes the records of .qslog files, merged by time, in another format. NAME is one of:\n\n");
	for (size_t i = 0; i < EXPORTER_CNT; i++)
		printf("  %-10s %s\n", exporters[i]->name, exporters[i]->help);
	printf("\n"
	       "  -o, --output OUT    write to this file (default: standard output)\n"
	       "%s%s"
	       "  -h, --help          this text\n\n"
	       "What the other format cannot hold, or only in another way, is said on standard error.\n\n"
	       "exit status: 0 ok, 1 failure, 2 usage, 3 a file is damaged or incomplete (everything\n"
	       "undamaged has been written)\n",
	       cmd_input_help, filter_help);
}

static const struct exporter *exporter_find(const char *name)
{
	if (!name) {
		cmd_error("no format given: --to NAME");
		return NULL;
	}
	for (size_t i = 0; i < EXPORTER_CNT; i++) {
		if (!strcmp(exporters[i]->name, name))
			return exporters[i];
	}
	cmd_error("--to %s: no such format", name);
	return NULL;
}

/* Writing over what is being read would lose it. */
static bool is_input(const struct cmd_input *o, const char *path)
{
	struct stat out, in;

	if (stat(path, &out) != 0)
		return false;
	for (unsigned i = 0; i < o->path_cnt; i++) {
		if (stat(o->paths[i], &in) == 0 && in.st_dev == out.st_dev &&
		    in.st_ino == out.st_ino)
			return true;
	}
	return false;
}

/* CMD_OK, or reported. */
static int output_open(struct export *e, const struct exporter *exporter, const struct cmd_input *o)
{
	e->out.fd = STDOUT_FILENO;
	if (e->path && is_input(o, e->path)) {
		cmd_error("%s: is one of the files to be read; give another with -o", e->path);
		return CMD_USAGE;
	}
	if (!e->path && (exporter->by_path || (exporter->binary && isatty(STDOUT_FILENO)))) {
		cmd_error("%s is nothing for %s: give a file with -o", exporter->name,
			  exporter->by_path ? "standard output" : "a terminal");
		return CMD_USAGE;
	}
	if (!e->path || exporter->by_path)
		return CMD_OK;
	e->out.name = e->path;
	e->out.fd = open(e->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (e->out.fd >= 0)
		return CMD_OK;
	cmd_error("cannot write %s: %s", e->path, strerror(errno));
	return CMD_FAILURE;
}

static int records_export(struct export *e, const struct exporter *exporter, struct cmd_input *o,
			  struct merge *merge, struct filter_state *state)
{
	const struct record *record;
	unsigned file;
	int err = exporter->begin(e);

	while (!err && merge_next(merge, &record, &file) > 0) {
		if (filter_match(&o->filter, state, record))
			err = exporter->record(e, record, file);
	}
	return err ? err : exporter->end(e);
}

static void notes_print(const struct export *e, const struct exporter *exporter)
{
	struct buffer text = { 0 };
	char *line, *rest;

	if (!exporter->notes)
		return;
	exporter->notes(e, &text);
	buffer_char(&text, '\0');
	rest = text.failed ? NULL : text.data;
	while (rest && (line = strsep(&rest, "\n"))) {
		if (*line)
			cmd_error("%s: %s", exporter->name, line);
	}
	buffer_fini(&text);
}

static int output_close(struct export *e, int err)
{
	bool opened = e->out.fd != STDOUT_FILENO;
	int fd = e->out.fd, status = output_finish(&e->out, err);

	if (opened && close(fd) != 0 && !status) {
		cmd_error("cannot write %s: %s", e->path, strerror(errno));
		return CMD_FAILURE;
	}
	return status;
}

static int export_files(const struct exporter *exporter, const char *output, struct cmd_input *o)
{
	struct merge_options options = { .jobs = o->jobs, .classic = o->classic };
	struct filter_state state = { 0 };
	struct export e = { .path = output };
	struct merge *merge = NULL;
	int err, status, output_status;

	filter_hint(&o->filter, &options.hint);
	err = filter_state_init(&state, &o->filter);
	if (!err)
		err = merge_open(&merge, o->paths, o->path_cnt, &options);
	if (err) {
		cmd_error("%s", strerror(-err));
		status = CMD_FAILURE;
		goto cleanup;
	}
	status = output_open(&e, exporter, o);
	if (status)
		goto cleanup;
	err = records_export(&e, exporter, o, merge, &state);
	output_status = output_close(&e, err);
	if (err || output_status) {
		status = output_status;
		goto cleanup;
	}
	status = merge_finish(merge);
	cmd_input_incomplete(merge, state.lost_hidden);
	notes_print(&e, exporter);
	cmd_input_stats(o, merge);
cleanup:
	exporter->close(&e);
	merge_close(merge);
	filter_state_fini(&state);
	return status;
}

/* As cmd_input_parse(); *to and *output: inside argv, NULL where not given. */
static int parse(struct cmd_input *o, const char **to, const char **output, int argc, char **argv)
{
	enum { OPTION_TO = 0x300 };
	static const struct option options[] = { { "to", required_argument, NULL, OPTION_TO },
						 { "output", required_argument, NULL, 'o' },
						 { "help", no_argument, NULL, 'h' },
						 FILTER_LONG_OPTIONS,
						 CMD_INPUT_LONG_OPTIONS,
						 { NULL, 0, NULL, 0 } };
	int c, err;

	while ((c = getopt_long(argc, argv, "hj:o:" FILTER_SHORT_OPTIONS, options, NULL)) != -1) {
		switch (c) {
		case 'h':
			help();
			return 1;
		case OPTION_TO:
			*to = optarg;
			break;
		case 'o':
			*output = optarg;
			break;
		default:
			err = cmd_input_option(o, c, optarg);
			if (err)
				return err;
		}
	}
	if (o->json) {
		cmd_error("--json is of qslog cat; here --to says in what to write");
		return -EINVAL;
	}
	return cmd_input_files(o, argc, argv);
}

int cmd_export(int argc, char **argv)
{
	const struct exporter *exporter = NULL;
	const char *to = NULL, *output = NULL;
	struct cmd_input o = { 0 };
	int err, status;

	err = parse(&o, &to, &output, argc, argv);
	if (!err)
		exporter = exporter_find(to);
	if (exporter)
		status = export_files(exporter, output, &o);
	else
		status = err > 0 ? CMD_OK : cmd_usage_error("export");
	cmd_input_fini(&o);
	return status;
}
