/* SPDX-License-Identifier: BSD-2-Clause */
/* options.h - the command line of qslog-trace. */
#ifndef QSLOG_OPTIONS_H
#define QSLOG_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "chunk.h"
#include "writer.h"

struct options {
	pid_t *pids;		/* -p */
	unsigned int pid_cnt;
	const char **exes;	/* --exe */
	unsigned int exe_cnt;
	bool follow;		/* -f */
	char **command;		/* behind --; NULL: none */
	const char *output;	/* -o; NULL: a name made from the target's */
	uint64_t duration_ms;	/* -d; 0: no limit */
	uint8_t level;		/* -l, enum qslog_level: lowest recorded */
	const char **tags;	/* -t, fnmatch patterns, NULL-terminated; NULL: all */
	unsigned int tag_cnt;
	uint32_t *tids;		/* --tid, ended by 0; NULL: all */
	unsigned int tid_cnt;
	uint64_t duration_min_ns; /* --min-duration */
	uint32_t sample;	/* --sample; 0: all */
	int nice;		/* --nice */
	uint32_t ring_bytes;	/* --ring-size */
	uint32_t flush_ms;	/* --flush-ms */
	bool live, quiet, strict;
	bool snapshot;		/* --snapshot, --snapshot-site */
	struct chosen_site chosen[CHOSEN_MAX]; /* --snapshot-site */
	unsigned int chosen_cnt;
	bool immediate;		/* --immediate */
	struct writer_rotation rotation; /* --rotate-*, --max-files */
	enum writer_sync sync;		 /* --sync */
	const char *drop_user; /* --drop-privs; NULL: stay what one is */
	enum writer_compress compress;	 /* --compress */
	uint32_t tick_ns;		 /* --tick; 0: 1 */
	bool sched; /* --sched */
	bool check; /* --check, and nothing else */
	unsigned int verbose;
};

/* 0; 1: done (help or version was printed); -EINVAL: the error has been printed. */
int options_parse(struct options *o, int argc, char **argv);
void options_fini(struct options *o);

#endif
