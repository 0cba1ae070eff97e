/* SPDX-License-Identifier: BSD-2-Clause */
/* stat_times.c - see stat_times.h. */
#include "stat_times.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "file_format.h"

int stat_times_add(struct stat_times **times, const struct record_times *r)
{
	struct stat_times *t = *times;
	int err;

	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return -ENOMEM;
		*times = t;
	}
	err = histogram_add(&t->cpu, r->cpu_ns);
	if (!err)
		err = histogram_add(&t->off, r->off_ns);
	if (!err)
		err = wait_set_merge(&t->waits, r->waits, r->wait_cnt);
	t->cnt++;
	t->incomplete += r->incomplete;
	t->blocked += (double)r->blocked_ns;
	t->ready += (double)r->ready_ns;
	t->preempted += (double)r->preempted_ns;
	return err;
}

void stat_times_free(struct stat_times *t)
{
	if (!t)
		return;
	histogram_fini(&t->cpu);
	histogram_fini(&t->off);
	wait_set_fini(&t->waits);
	free(t);
}

static struct stat_thread *thread_get(struct stat_threads *ts, const struct record *r)
{
	const uint32_t pid = r->thread->process ? r->thread->process->pid : 0;
	const uint64_t key = (uint64_t)pid << 32 | r->thread->tid;
	struct hash_index_walk walk;
	uint32_t i;

	i = hash_index_first(&ts->by_tid, key, &walk);
	if (i != HASH_INDEX_NONE)
		return &ts->list[i];
	if (!array_room(&ts->list, ts->cnt, &ts->cap, sizeof(*ts->list)) ||
	    hash_index_add(&ts->by_tid, key, ts->cnt))
		return NULL;
	ts->list[ts->cnt] = (struct stat_thread){ .pid = pid, .tid = r->thread->tid };
	ts->list[ts->cnt].first_ns = r->steady_ns - (int64_t)r->off->off_ns;
	return &ts->list[ts->cnt++];
}

int stat_threads_add(struct stat_threads *ts, const struct record *r)
{
	struct stat_thread *t = thread_get(ts, r);
	struct record_wait wait = { r->off->cause, r->off->off_ns, 1 };

	if (!t)
		return -ENOMEM;
	t->last_ns = r->steady_ns;
	if (r->off->open) {
		t->open += (double)r->off->off_ns;
		return 0;
	}
	t->cnt++;
	if (wait.cause.why == FILE_OFF_PREEMPTED) {
		t->preempted += (double)wait.ns;
		return 0;
	}
	wait.ns -= r->off->ready_ns < wait.ns ? r->off->ready_ns : wait.ns;
	t->ready += (double)(r->off->off_ns - wait.ns);
	t->blocked += (double)wait.ns;
	return wait_set_add(&t->waits, &wait);
}

double stat_thread_cpu(const struct stat_thread *t)
{
	const double off = t->blocked + t->ready + t->preempted + t->open;
	const double all = (double)(t->last_ns - t->first_ns);

	return all > off ? all - off : 0;
}

static int thread_compare(const void *a, const void *b)
{
	const double x = stat_thread_cpu(a), y = stat_thread_cpu(b);

	return (x < y) - (x > y);
}

void stat_threads_sort(struct stat_threads *ts)
{
	uint32_t i;

	for (i = 0; i < ts->cnt; i++)
		wait_set_sort(&ts->list[i].waits);
	if (ts->cnt)
		qsort(ts->list, ts->cnt, sizeof(*ts->list), thread_compare);
}

void stat_threads_fini(struct stat_threads *ts)
{
	uint32_t i;

	for (i = 0; i < ts->cnt; i++)
		wait_set_fini(&ts->list[i].waits);
	free(ts->list);
	hash_index_fini(&ts->by_tid);
	memset(ts, 0, sizeof(*ts));
}
