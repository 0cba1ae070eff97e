/* SPDX-License-Identifier: BSD-2-Clause */
/* targets_priv.h - the set of traced processes, for targets.c and the files beside it. */
#ifndef QSLOG_TARGETS_PRIV_H
#define QSLOG_TARGETS_PRIV_H

#include "targets.h"

struct member {
	struct target *target;
	bool ended, drained; /* drained: what it left in the ring buffer has been taken */
	bool look;	     /* there may be files that are not known */
	bool by_exe;	     /* it was found to run a program of --exe */
	bool failed_said;    /* that it cannot be looked at */
	uint64_t scan_ms;    /* when to look for libraries next */
	struct kernel_process_losses losses; /* once it has ended */
};

/* --exe: the name may come to be another file's. */
struct named_exe {
	const char *path, *name;
	uint64_t folder; /* its inode */
	int watch;	 /* of the folder */
};

struct targets {
	struct targets_options options;
	struct target_options target_options;
	struct kernel *kernel; /* NULL before targets_attach() */
	struct writer *writer;
	struct ingest *ingest;
	struct member *members; /* by number, once they have one */
	unsigned int cnt, cap, ended;
	uint64_t ever;
	uint32_t newest, reaped; /* numbers: of the newest that was heard of, that has gone */
	unsigned int last;	 /* found last */
	struct named_exe *exes;
	unsigned int exe_cnt;
	int epoll, names; /* names: inotify(7) */
	bool executed;		/* so did the one that ended last */
	bool looks;		/* one is to be looked at */
	uint32_t attached_gone; /* of the kernel side, when it was looked at */
	uint64_t events_lost;
	uint32_t counter_kind;	/* enum file_counter_kind; 0: not known yet */
	uint64_t since, until;	/* counters between which the file is */
	/* What has executed another program, whose own event has not come yet; 0: nothing. */
	uint32_t replaced;
	uint64_t replaced_ms;
	uint64_t now_ms;
};

/* A line for the user. */
__attribute__((format(printf, 2, 3))) void targets_say(const struct targets *ts, const char *format, ...);

/* targets.c: by number, by id (of those that have not ended); NULL: there is none. */
struct member *member_find(struct targets *ts, uint32_t number);
struct member *member_of_pid(const struct targets *ts, pid_t pid);
/* One more; those that were found before may be elsewhere now. NULL: no memory. */
struct member *member_insert(struct targets *ts, struct target *t);
int member_add(struct targets *ts, const struct target_options *options, pid_t pid, struct why *why);
int member_attach(struct targets *ts, struct member *m, struct why *why);
/* Libraries that were loaded since: their sites listen from now on. 0; -errno: it could not be looked at
 * or attached to. */
int member_rescan(struct targets *ts, struct member *m);
/* It is known to the ingest; false: there is none, or no memory. */
bool member_ingest(struct targets *ts, struct member *m);
void member_ended(struct targets *ts, struct member *m, bool executed);
void targets_window_set(struct targets *ts);

/* targets_exes.c: from now on the kernel side takes in who executes them; those that run already. */
int targets_exes_attach(struct targets *ts, struct why *why);
int targets_exes_find(struct targets *ts, struct why *why);
/* Names may have come to be other files': what inotify says of it, or as if it had. */
void targets_names_look(struct targets *ts);
void targets_exes_replaced(struct targets *ts);

/* targets_events.c: some news found no room, what there is now has to be looked at. */
void targets_events_lost_look(struct targets *ts);

/* targets_losses.c: records that are in no arena's state; `ended`: nobody will look at the arenas again. */
void member_losses_count(struct targets *ts, struct member *m, bool ended);
/* Those that are drained go, when what is missing of them has been counted. */
void targets_reap(struct targets *ts);

#endif
