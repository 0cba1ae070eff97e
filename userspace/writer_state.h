/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer_state.h - what it takes to go on with a file whose writer has died (recover.c).
 */
#ifndef QSLOG_WRITER_STATE_H
#define QSLOG_WRITER_STATE_H

#include "clock_pair.h"
#include "recover_tail.h"
#include "recover_walk.h"
#include "writer.h"

struct writer_state {
	uint32_t thread_cnt, format_cnt; /* numbers that are taken; processes get theirs again when
					  * they are added in the same order */
	uint8_t file_id[16];
	struct clock_scale scale;
	struct clock_pair pair; /* the last */
};

void writer_state_get(const struct writer *w, struct writer_state *out);

/*
 * A writer that appends to a file that was not closed: behind `walk`, whose entries it takes over.
 * `fd` stays the caller's, open until writer_close(). Times are as in `state`; without one only
 * writer_tail_seal() may be called. Its blocks have FILE_HINT_RECOVERED.
 */
int writer_reopen(struct writer **out, int fd, struct recover_walk *walk,
		  const struct writer_state *state);

/* Instead of writer_close(), after an error: the file stays as it is, not closed. NULL is accepted. */
void writer_abandon(struct writer *w);

/* The rows of the tail become the next block. */
int writer_tail_seal(struct writer *w, const struct tail_in *tail);

/* The thread that has the number `number` (< thread_cnt) in the file. 0; -EINVAL: it has one. */
int writer_thread_at(struct writer *w, uint32_t number, uint32_t process, uint32_t tid, uint64_t key,
		     const char *name);

#endif
