/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_recover.c - qslog recover: makes closed files of those whose writer has died, and lists what
 * there is to recover. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "escape.h"
#include "output.h"
#include "recover.h"

struct options {
	const char *memory;
};

static void help(void)
{
	printf("usage: qslog recover [--shm PATH] FILE...\n"
	       "       qslog recover\n"
	       "Completes .qslog files whose writer was killed: seals what is in FILE.tail, adds what\n"
	       "an application in in-process mode had recorded and not written yet, which it left in\n"
	       "/dev/shm, and writes the index. It may be interrupted and repeated. Without a file:\n"
	       "lists what applications have left in /dev/shm.\n\n"
	       "Of an application in snapshot mode FILE is what its dumps were to be called, %%n and all:\n"
	       "what its threads had recorded last becomes that file (%%n: 0), or, where there is one,\n"
	       "the next number that is free is put behind it (FILE.1).\n\n"
	       "  -s, --shm PATH      take the records from there (default: looked for in /dev/shm and\n"
	       "                      beside FILE)\n"
	       "  -h, --help          this text\n\n"
	       "The programs and libraries that the application ran are read for the texts of its\n"
	       "records; where they have been removed or replaced, those that it had not written yet\n"
	       "are counted as lost.\n\n"
	       "exit status: 0 ok, 1 failure (a file that is still being written, too), 2 usage,\n"
	       "3 recovered, but records are lost or may be\n");
}

/* 0; 1: help was printed; -EINVAL: reported */
static int parse(struct options *o, int argc, char **argv)
{
	static const struct option options[] = { { "shm", required_argument, NULL, 's' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "hs:", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			help();
			return 1;
		case 's':
			o->memory = optarg;
			break;
		default:
			return -EINVAL; /* getopt has said why */
		}
	}
	if (o->memory && argc - optind != 1) {
		cmd_error("--shm takes one file");
		return -EINVAL;
	}
	return 0;
}

/* --- The list. */

static int print_left(void *arg, const struct recover_left *left)
{
	struct buffer *out = arg;

	escape_text(out, left->memory, strlen(left->memory));
	if (left->error) {
		buffer_printf(out, ": %s\n", left->error == -EBADMSG ? "not understood" :
								       strerror(-left->error));
	} else if (left->lives) {
		buffer_printf(out, ": in use by process %d\n", (int)left->pid);
	} else if (!left->snapshot && access(left->output, F_OK) != 0) {
		buffer_printf(out, ": process %d has ended, and its output is gone: to be deleted; it was ",
			      (int)left->pid);
		escape_text(out, left->output, strlen(left->output));
		buffer_char(out, '\n');
	} else {
		buffer_printf(out, ": process %d has ended; qslog recover ", (int)left->pid);
		escape_text(out, left->output, strlen(left->output));
		buffer_char(out, '\n');
	}
	return out->failed ? -ENOMEM : 0;
}

static int list(void)
{
	struct output out = { .fd = STDOUT_FILENO };
	int err = recover_list(print_left, &out.buffer);

	return output_finish(&out, err);
}

/* --- Files. */

static void explain(const struct options *o, const char *path, int err, pid_t pid)
{
	const char *what = strerror(-err);

	if (err == -EBUSY && pid) {
		cmd_error("%s: process %d still writes it: stop that, then recover", path, (int)pid);
		return;
	}
	if (err == -EBUSY)
		what = "it is still being written";
	else if (err == -EBADMSG)
		what = o->memory ? "it, or the file of --shm, is not a file of qslog, or is damaged" :
				   "not a .qslog file";
	else if (err == -EPROTONOSUPPORT)
		what = "written by a later version of qslog";
	else if (err == -ESTALE)
		what = "the file of --shm belongs to another output";
	else if (err == -EPERM && o->memory)
		what = "the file of --shm belongs to another user";
	cmd_error("%s: cannot recover: %s", path, what);
}

static int result_print(struct buffer *out, const char *path, const struct recover_result *r)
{
	escape_text(out, path, strlen(path));
	buffer_printf(out, ": records=%llu recovered=%llu lost=%llu%s\n",
		      (unsigned long long)r->records,
		      (unsigned long long)(r->from_tail + r->from_memory),
		      (unsigned long long)(r->lost + r->torn_records),
		      r->was_closed ? " (it was closed)" : "");
	if (r->unsafe)
		cmd_error("%s: %u threads found no room in /dev/shm: their last records are lost, how "
			  "many is not known", path, r->unsafe);
	if (r->damaged)
		cmd_error("%s: what %u threads left is damaged; how many records that is, is not known",
			  path, r->damaged);
	return r->lost || r->torn_records || r->unsafe || r->damaged ? CMD_DAMAGED : CMD_OK;
}

/* --- What snapshot mode has left. */

struct snapshots {
	struct buffer *out;
	const char *path;
	int status;
};

static void snapshot_print(void *arg, const struct recover_made *made)
{
	struct snapshots *s = arg;
	int status = CMD_OK;

	if (made->error) {
		cmd_error("%s: cannot recover %s: %s", s->path, made->memory, strerror(-made->error));
		status = CMD_FAILURE;
	} else if (*made->path) {
		status = result_print(s->out, made->path, &made->result);
	} else {
		escape_text(s->out, s->path, strlen(s->path));
		buffer_printf(s->out, ": a dump has all that was left\n");
	}
	if (s->status != CMD_FAILURE && status)
		s->status = status;
}

static int recover_one(struct buffer *out, const struct options *o, const char *path)
{
	struct snapshots snapshots = { .out = out, .path = path };
	struct recover_result r;
	int err = recover_file(path, o->memory, &r), found = 0;
	pid_t pid = 0;

	/* there may be no file yet, or one of a dump from before */
	if (err == -ENOENT || err == -ESTALE || (!err && r.was_closed))
		found = recover_snapshots(path, o->memory, false, snapshot_print, &snapshots, &pid);
	if (found > 0)
		return snapshots.status;
	if (err) {
		explain(o, path, found == -EBUSY ? found : err, found == -EBUSY ? pid : r.pid);
		return CMD_FAILURE;
	}
	return result_print(out, path, &r);
}

int cmd_recover(int argc, char **argv)
{
	struct output out = { .fd = STDOUT_FILENO };
	struct options o = { 0 };
	int err, status = CMD_OK, one, output_status;

	err = parse(&o, argc, argv);
	if (err)
		return err > 0 ? CMD_OK : cmd_usage_error("recover");
	if (optind == argc)
		return list();
	for (int i = optind; i < argc; i++) {
		one = recover_one(&out.buffer, &o, argv[i]);
		if (status != CMD_FAILURE && one)
			status = one;
	}
	output_status = output_finish(&out, 0);
	return output_status ? output_status : status;
}
