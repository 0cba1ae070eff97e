/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * targets_events.c - what happens to processes: they come, load libraries, execute programs, end.
 *
 * It is said in its place among the records, so that when the end of one is seen all that it left has
 * been taken. Then what is missing is counted, and it goes. (Where its end is seen by its pidfd, it
 * stays until the ring buffer was found empty.)
 */
#include "targets_priv.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ENDS_AT_ONCE 64

static struct member *member_born(struct targets *ts, const struct target_birth *birth)
{
	struct member *m = NULL;
	struct target *t;
	int err = target_born(&t, &ts->target_options, birth);

	if (!err) {
		m = member_insert(ts, t);
		if (!m)
			target_close(t);
	}
	if (!m)
		targets_say(ts, "process %d cannot be traced: out of memory", (int)birth->pid);
	return m;
}

/* Its beginning was not said, or is not known. Its records are counted in any case. */
static struct member *member_stranger(struct targets *ts, const struct chunk *chunk)
{
	const struct process_event nothing = {.comm = "?"};
	const struct target_birth birth = {
		.pid = (pid_t)chunk->tgid, .number = chunk->process, .event = &nothing,
	};
	struct proc_entry entry;
	struct target *t;

	if (kernel_process_get(ts->kernel, birth.pid, &entry) && entry.process == birth.number &&
	    target_open(&t, &ts->target_options, birth.pid, NULL) == 0) {
		struct member *m;

		target_number_set(t, birth.number);
		(void)target_scan(t, NULL);
		m = member_insert(ts, t);
		if (m)
			return m;
		target_close(t);
	}
	return member_born(ts, &birth);
}

struct target *targets_of(struct targets *ts, const struct chunk *chunk)
{
	struct member *m = member_find(ts, chunk->process);

	if (!m && chunk->process > ts->reaped)
		m = member_stranger(ts, chunk);
	return m && member_ingest(ts, m) ? m->target : NULL;
}

/* A program that is not known: before it goes on, if it is held. */
static void program_look(struct targets *ts, struct member *m, const struct process_event *event,
			 dev_t dev)
{
	struct target_counts counts;
	struct proc_entry entry;

	/* It may have come to have the name of one that is known. */
	if (event->flags & PROCESS_EXE)
		targets_exes_replaced(ts);
	if (!(event->flags & PROCESS_HELD) &&
	    probed_files_plain(ts->target_options.files, dev, event->key.file.inode, event->key.bytes))
		return;
	if (member_rescan(ts, m) < 0)
		return;
	m->scan_ms = ts->now_ms + 1; /* its libraries are yet to come */
	target_counts_get(m->target, &counts);
	/* Of one that could not be looked at, as a whole and as the program that it was, nothing is
	 * known: the next that executes it is held again. */
	if (!counts.files && !counts.unseen && target_lives(m->target) &&
	    kernel_process_get(ts->kernel, target_pid(m->target), &entry) &&
	    entry.process == target_number(m->target) && !entry.executes && !entry.harvested)
		kernel_plain_add(ts->kernel, &event->key);
}

static void process_let_go(struct targets *ts, pid_t pid, const struct target *t)
{
	/* It is still stopped, so it is the one that has this id. */
	const int own = t ? target_pidfd(t) : -1,
		  fd = own >= 0 ? own : (int)syscall(SYS_pidfd_open, pid, 0);
	const int err = fd < 0 ? errno :
			syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0) ? errno : 0;

	if (fd >= 0 && fd != own)
		close(fd);
	if (err && err != ESRCH)
		targets_say(ts, "process %d was stopped to be looked at, and cannot be let go: %s; "
			    "kill -CONT %d helps", (int)pid, strerror(err), (int)pid);
}

static void begun(struct targets *ts, const struct chunk *chunk, const struct process_event *event,
		  const struct process_program *program)
{
	const dev_t dev = makedev((unsigned int)(event->key.file.dev >> 20),
				  (unsigned int)(event->key.file.dev & 0xfffff));
	struct member *parent = event->what == PROCESS_FORKED ? member_find(ts, event->parent) : NULL;
	const struct target_birth birth = {
		.pid = (pid_t)chunk->tgid,
		.number = chunk->process,
		.event = event,
		.parent = parent ? parent->target : NULL,
		.program = program,
		.file = event->what == PROCESS_EXECUTED ?
				probed_files_number(ts->target_options.files, event->file) : NULL,
	};
	struct member *m = member_find(ts, chunk->process);

	if (event->what == PROCESS_EXECUTED && event->parent == ts->replaced)
		ts->replaced = 0;
	if (m && birth.file) /* it was looked at, perhaps before it had its program */
		(void)target_program(m->target, birth.file, event->start);
	if (!m)
		m = member_born(ts, &birth);
	if (m && !birth.file && !birth.parent)
		program_look(ts, m, event, dev);
	if (event->flags & PROCESS_HELD)
		process_let_go(ts, birth.pid, m ? m->target : NULL);
}

void targets_let_go(struct targets *ts, const struct chunk *chunk, const struct process_event *event)
{
	if (event->what == PROCESS_EXECUTED && event->flags & PROCESS_HELD)
		process_let_go(ts, (pid_t)chunk->tgid, NULL);
}

void targets_event(struct targets *ts, const struct chunk *chunk, const struct process_event *event,
		   const struct process_program *program)
{
	struct member *m = member_find(ts, chunk->process);
	struct probed_file *file;

	switch (event->what) {
	case PROCESS_FORKED:
	case PROCESS_EXECUTED:
		begun(ts, chunk, event, program);
		break;
	case PROCESS_ENDED:
	case PROCESS_REPLACED:
		if (!m)
			break;
		member_ended(ts, m, event->what == PROCESS_REPLACED);
		if (event->what == PROCESS_REPLACED && ts->options.follow) {
			ts->replaced = chunk->process;
			ts->replaced_ms = ts->now_ms;
		}
		m->drained = true;
		m->losses.no_arena = event->no_arena;
		m->losses.untracked = event->untracked;
		m->losses.unreadable = event->unreadable;
		break;
	case PROCESS_MAPPED:
		file = probed_files_find(ts->target_options.files,
					 makedev((unsigned int)(event->key.file.dev >> 20),
						 (unsigned int)(event->key.file.dev & 0xfffff)),
					 event->key.file.inode);
		if (m && file)
			target_mapped(m->target, file, event->start);
		else if (m)
			m->look = ts->looks = true;
		break;
	}
}

/* --- Ends */

int targets_fd(const struct targets *ts)
{
	return ts->epoll;
}

void targets_ended_look(struct targets *ts)
{
	struct epoll_event events[ENDS_AT_ONCE];
	int i, n = epoll_wait(ts->epoll, events, ENDS_AT_ONCE, 0);

	for (i = 0; i < n; i++) {
		struct member *m;

		if (!events[i].data.u32) {
			targets_names_look(ts);
			continue;
		}
		m = member_of_pid(ts, (pid_t)events[i].data.u32);
		if (m && !target_lives(m->target))
			member_ended(ts, m, false);
	}
}

void targets_events_lost_look(struct targets *ts)
{
	uint64_t troubles[TROUBLE_COUNT];
	struct proc_entry entry;
	unsigned int i;

	kernel_troubles(ts->kernel, troubles);
	if (troubles[TROUBLE_EVENT_LOST] == ts->events_lost)
		return;
	ts->events_lost = troubles[TROUBLE_EVENT_LOST];
	for (i = 0; i < ts->cnt; i++) {
		struct member *m = &ts->members[i];

		m->look = ts->looks = true;
		if (!m->ended &&
		    (!kernel_process_get(ts->kernel, target_pid(m->target), &entry) ||
		     entry.process != target_number(m->target) || entry.harvested))
			member_ended(ts, m, false);
	}
}

void targets_follow(struct targets *ts, bool drained)
{
	const uint32_t gone = kernel_attached_gone(ts->kernel);
	struct why why = {""};
	unsigned int i;

	for (i = 0; drained && ts->ended && i < ts->cnt; i++)
		ts->members[i].drained = ts->members[i].ended;
	for (i = 0; gone != ts->attached_gone && i < ts->cnt; i++) {
		struct member *m = &ts->members[i];

		if (!m->ended &&
		    target_follow(m->target, ts->kernel, ts->options.level, &why) && why.text[0])
			targets_say(ts, "process %d: the main thread has ended: %s",
				    (int)target_pid(m->target), why.text);
	}
	ts->attached_gone = gone;
	for (i = 0; ts->looks && i < ts->cnt; i++)
		if (ts->members[i].look && !ts->members[i].ended)
			member_rescan(ts, &ts->members[i]);
	ts->looks = false;
}
