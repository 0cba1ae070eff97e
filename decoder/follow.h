/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * follow.h - the records of an output as they are written: of its set, if it is one, from the oldest
 * file on, of the file being written, and of those that follow it. Each record once; those of a
 * thread in their order; damage is reported and passed over.
 */
#ifndef QSLOG_FOLLOW_H
#define QSLOG_FOLLOW_H

#include "reader.h"

struct follow;

/* `record`: of what has come since the last step, in the order of writing. `damage` may be NULL. 0;
 * -errno of the folder. The file need not be there yet. */
int follow_open(struct follow **out, const char *path,
		void (*record)(void *arg, const struct record *record), reader_damage_fn *damage,
		void *arg);

enum follow_state {
	FOLLOW_MORE = 0, /* all that there is has been delivered; more may come */
	FOLLOW_END = 1	 /* the writer has closed the last file */
};
/* Delivers what there is by now. An enum follow_state, or -errno. */
int follow_step(struct follow *f);
/* Waits until something has happened to the files, at most `timeout_ms`. 0 or -errno (-EINTR). */
int follow_wait(struct follow *f, int timeout_ms);

struct follow_totals {
	uint64_t damages; /* reported */
	uint64_t files;	  /* that were read, or begun to be */
};
void follow_totals_get(const struct follow *f, struct follow_totals *out);
void follow_close(struct follow *f); /* NULL is accepted */

#endif
