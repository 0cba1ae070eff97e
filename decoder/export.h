/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * export.h - records of files become a file of another kind: qslog export --to NAME. An exporter is
 * a struct of functions in export_NAME.c, and a line in the table of cmd_export.c.
 *
 * begin, record for each record in the order of time over all files, end; close in any case. All
 * return 0 or a negative errno, and print nothing.
 */
#ifndef QSLOG_EXPORT_H
#define QSLOG_EXPORT_H

#include "output.h"
#include "record.h"

struct export {
	const char *path;  /* of the output; NULL: standard output */
	struct output out; /* append to out.buffer, then call output_more() */
	void *state;	   /* the exporter's own */
};

struct exporter {
	const char *name;
	const char *help; /* a line of --help */
	bool binary;	  /* nothing for a terminal */
	bool by_path;	  /* it opens e->path itself, which is not NULL then; `out` is of no use */
	int (*begin)(struct export *e);
	int (*record)(struct export *e, const struct record *record, unsigned file);
	int (*end)(struct export *e);
	/* Lines about what the output holds in another way than the input, or not at all. May be NULL. */
	void (*notes)(const struct export *e, struct buffer *out);
	void (*close)(struct export *e);
};

extern const struct exporter export_classic;

#endif
