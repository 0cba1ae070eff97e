/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * span_times.c - each thread has a stack of the spans that are open, each with sums. An interval
 * off the CPU lies within the innermost span (the thread cannot enter or leave one while it is
 * off), and goes to the sums of that; when a span is left, its sums are added to those of the span
 * around it. So the memory is that of the causes of open spans, however long they last.
 */
#include "span_times.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "file_format.h"
#include "hash_index.h"
#include "wait_set.h"

#define FRAMES_MAX 1024u /* open spans of a thread; deeper ones have no times */
#define NAME_BYTES_MAX ((size_t)16 << 20) /* of all names together */

struct frame {
	uint64_t format; /* its hash: numbers are those of a file */
	int64_t enter_ns; /* steady */
	struct record_times sums;
	struct wait_set waits;
};

struct thread {
	uint32_t pid, tid;
	uint64_t key; /* a tid may be used again */
	struct frame *frames;
	uint32_t cnt, cap;
};

struct span_times {
	struct thread *threads;
	uint32_t cnt, cap;
	struct hash_index by_tid, by_name;
	struct record_name *names;
	uint32_t name_cnt, name_cap;
	size_t name_bytes;
	int64_t lossy_until; /* up to here intervals may be missing */
	bool lossy;
	struct record_times result;
	struct wait_set result_waits;
};

int span_times_open(struct span_times **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void span_times_close(struct span_times *t)
{
	uint32_t i, k;

	if (!t)
		return;
	for (i = 0; i < t->cnt; i++) {
		for (k = 0; k < t->threads[i].cnt; k++)
			wait_set_fini(&t->threads[i].frames[k].waits);
		free(t->threads[i].frames);
	}
	for (i = 0; i < t->name_cnt; i++)
		free((void *)(uintptr_t)t->names[i].bytes);
	free(t->names);
	free(t->threads);
	wait_set_fini(&t->result_waits);
	hash_index_fini(&t->by_tid);
	hash_index_fini(&t->by_name);
	free(t);
}

/* ---- names: they outlive the records that they come from ---- */

static uint64_t name_hash(const struct record_name *name)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
	uint32_t i;

	for (i = 0; i < name->len; i++)
		hash = (hash ^ (unsigned char)name->bytes[i]) * 0x100000001b3u;
	return hash;
}

/* Equal names get the same bytes. */
static int name_keep(struct span_times *t, struct record_name *name)
{
	const uint64_t hash = name_hash(name);
	struct hash_index_walk walk;
	uint32_t i = hash_index_first(&t->by_name, hash, &walk);
	char *bytes;
	int err;

	for (; i != HASH_INDEX_NONE; i = hash_index_next(&t->by_name, &walk)) {
		if (t->names[i].len == name->len &&
		    (!name->len || !memcmp(t->names[i].bytes, name->bytes, name->len))) {
			*name = t->names[i];
			return 0;
		}
	}
	if (t->name_bytes + name->len > NAME_BYTES_MAX) {
		*name = (struct record_name){ NULL, 0 };
		return 0;
	}
	if (!array_room(&t->names, t->name_cnt, &t->name_cap, sizeof(*t->names)))
		return -ENOMEM;
	bytes = malloc(name->len + 1);
	if (!bytes)
		return -ENOMEM;
	err = hash_index_add(&t->by_name, hash, t->name_cnt);
	if (err) {
		free(bytes);
		return err;
	}
	if (name->len)
		memcpy(bytes, name->bytes, name->len);
	name->bytes = bytes;
	t->name_bytes += name->len;
	t->names[t->name_cnt++] = *name;
	return 0;
}

int span_times_names(struct span_times *t, struct record_cause *cause)
{
	int err = name_keep(t, &cause->syscall_name);

	return err ? err : name_keep(t, &cause->who_name);
}

/* ---- threads ---- */

static struct thread *thread_find(struct span_times *t, const struct record_thread *thread)
{
	const uint32_t pid = thread->process ? thread->process->pid : 0;
	struct hash_index_walk walk;
	uint32_t i = hash_index_first(&t->by_tid, (uint64_t)pid << 32 | thread->tid, &walk);

	return i == HASH_INDEX_NONE ? NULL : &t->threads[i];
}

static void frames_drop(struct thread *thread)
{
	while (thread->cnt)
		wait_set_fini(&thread->frames[--thread->cnt].waits);
}

static struct thread *thread_get(struct span_times *t, const struct record_thread *of)
{
	struct thread *thread = thread_find(t, of);

	if (!thread) {
		const uint32_t pid = of->process ? of->process->pid : 0;

		if (!array_room(&t->threads, t->cnt, &t->cap, sizeof(*t->threads)) ||
		    hash_index_add(&t->by_tid, (uint64_t)pid << 32 | of->tid, t->cnt))
			return NULL;
		thread = &t->threads[t->cnt++];
		*thread = (struct thread){ .pid = pid, .tid = of->tid, .key = of->key };
	} else if (thread->key != of->key) {
		frames_drop(thread);
		thread->key = of->key;
	}
	return thread;
}

/* ---- sums ---- */

static int off_add(struct span_times *t, const struct record *record)
{
	struct thread *thread = thread_find(t, record->thread);
	struct record_wait wait = { record->off->cause, record->off->off_ns, 1 };
	struct record_times *sums;
	struct frame *f;

	if (!thread || !thread->cnt)
		return 0;
	f = &thread->frames[thread->cnt - 1];
	sums = &f->sums;
	sums->off_ns += record->off->off_ns;
	sums->off_cnt++;
	if (wait.cause.why == FILE_OFF_PREEMPTED) {
		sums->preempted_ns += record->off->off_ns;
	} else {
		wait.ns -= record->off->ready_ns < wait.ns ? record->off->ready_ns : wait.ns;
		sums->blocked_ns += wait.ns;
		sums->ready_ns += record->off->off_ns - wait.ns;
	}
	return wait_set_add(&f->waits, &wait);
}

/* Of a span that has been left, to the one around it. */
static int frame_merge(struct frame *to, const struct frame *from)
{
	to->sums.off_ns += from->sums.off_ns;
	to->sums.blocked_ns += from->sums.blocked_ns;
	to->sums.ready_ns += from->sums.ready_ns;
	to->sums.preempted_ns += from->sums.preempted_ns;
	to->sums.off_cnt += from->sums.off_cnt;
	to->sums.incomplete |= from->sums.incomplete;
	return wait_set_merge(&to->waits, from->waits.waits, from->waits.cnt);
}

/* ---- spans ---- */

static int span_enter(struct span_times *t, const struct record *record)
{
	struct thread *thread = thread_get(t, record->thread);
	struct frame *f;

	if (!thread || !array_room(&thread->frames, thread->cnt, &thread->cap, sizeof(*f)))
		return -ENOMEM;
	if (thread->cnt == FRAMES_MAX)
		return 0;
	f = &thread->frames[thread->cnt++];
	*f = (struct frame){ .format = record->format->hash, .enter_ns = record->steady_ns };
	f->sums.incomplete = t->lossy && record->steady_ns < t->lossy_until;
	return 0;
}

/* Is it the frame of the span that is left? Its duration is scaled by the drift of the clock. */
static bool frame_fits(const struct frame *f, const struct record *record)
{
	const int64_t enter = record->steady_ns - (int64_t)record->duration_ns;
	const int64_t slack = 1000 + (int64_t)(record->duration_ns / 512);

	return f->format == record->format->hash && f->enter_ns >= enter - slack &&
	       f->enter_ns <= enter + slack;
}

static int span_exit(struct span_times *t, struct record *record)
{
	struct thread *thread = thread_find(t, record->thread);
	struct frame *f;
	uint32_t i;
	int err = 0;

	if (!thread || thread->key != record->thread->key)
		return 0;
	for (i = thread->cnt; i-- > 0;)
		if (frame_fits(&thread->frames[i], record))
			break;
	if (i >= thread->cnt)
		return 0;
	/* That those in it were left is missing in the file. */
	for (; thread->cnt > i + 1 && !err; thread->cnt--) {
		f = &thread->frames[thread->cnt - 1];
		err = frame_merge(f - 1, f);
		wait_set_fini(&f->waits);
	}
	f = &thread->frames[i];
	if (!err && i)
		err = frame_merge(f - 1, f);
	if (err)
		return err;
	thread->cnt = i;
	wait_set_fini(&t->result_waits);
	t->result_waits = f->waits;
	wait_set_sort(&t->result_waits);
	t->result = f->sums;
	t->result.waits = t->result_waits.waits;
	t->result.wait_cnt = t->result_waits.cnt;
	t->result.cpu_ns = record->duration_ns > f->sums.off_ns ?
			   record->duration_ns - f->sums.off_ns : 0;
	record->times = &t->result;
	return 0;
}

/* Nobody knows whose they were. */
static void lost_note(struct span_times *t, const struct record *record)
{
	const int64_t until = record->steady_ns + (int64_t)record->duration_ns;
	uint32_t i, k;

	for (i = 0; i < t->cnt; i++)
		for (k = 0; k < t->threads[i].cnt; k++)
			t->threads[i].frames[k].sums.incomplete = true;
	t->lossy_until = t->lossy && t->lossy_until > until ? t->lossy_until : until;
	t->lossy = true;
}

int span_times_add(struct span_times *t, struct record *record)
{
	switch (record->kind) {
	case RECORD_OFF:
		return off_add(t, record);
	case RECORD_OFF_LOST:
		lost_note(t, record);
		return 0;
	case RECORD_SPAN_ENTER:
		return span_enter(t, record);
	case RECORD_SPAN_EXIT:
		return span_exit(t, record);
	default:
		return 0;
	}
}
