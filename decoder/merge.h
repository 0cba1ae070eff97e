/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.h - several .qslog files as one stream of records in time order. Files that cannot be
 * read are reported to the user and left out; the exit status says so at the end.
 */
#ifndef QSLOG_MERGE_H
#define QSLOG_MERGE_H

#include "reader.h"

struct merge;

struct merge_file {
	const char *path;
	struct reader_totals totals; /* after merge_finish() */
	int error;		     /* negative errno of opening or reading, or 0 */
	uint64_t damages;	     /* reported about it */
};

struct merge_options {
	struct reader_hint hint;
	bool classic; /* the files are of the original format, whatever they begin with */
	unsigned jobs; /* threads that work; 0: as many as there are processors */
	reader_damage_fn *damage; /* NULL: damage is printed on stderr */
	void *damage_arg;
};

/* 0 or -ENOMEM. */
int merge_open(struct merge **out, char *const *paths, unsigned path_cnt,
	       const struct merge_options *options);

/* 1: *record is valid until the next call, *file is the index of its file; 0: end of all. */
int merge_next(struct merge *m, const struct record **record, unsigned *file);

/* Lines instead of records (see reader.h): before the first next, and with merge_next_run(), of
 * which a run is of the one file *file. */
void merge_render(struct merge *m, const struct reader_render *render);
int merge_next_run(struct merge *m, struct reader_run *run, unsigned *file);

/* Takes the totals of all files. Returns an enum cmd_exit: CMD_FAILURE if a file could not be
 * opened or read, CMD_DAMAGED if one is damaged or was not closed. */
int merge_finish(struct merge *m);

/* Is any of that more than a file that has not been closed? */
bool merge_trouble(const struct merge *m);

/* Of the file; "" if it does not say. */
const char *merge_host(const struct merge *m, unsigned i);
/* Have all that could be opened scheduler events; has any? */
bool merge_sched(const struct merge *m, bool *any);
/* Are these records of several hosts? */
bool merge_hosts(const struct merge *m);

unsigned merge_file_cnt(const struct merge *m);
const struct merge_file *merge_file(const struct merge *m, unsigned i);
void merge_close(struct merge *m); /* NULL is accepted */

#endif
