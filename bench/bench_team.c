/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_team.c - threads that do the same burst at the same moment. Between bursts they sleep at a
 * barrier, since whoever takes the records over needs the processors then. A barrier wakes them one
 * after the other, which can take longer than a burst, so they line up once more, spinning; where
 * there are more threads than processors they yield while they spin.
 */
#include "bench_team.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "bench_util.h"

#define SPINS 2000

static void line_up(struct team *t)
{
	unsigned int spins = 0;

	__atomic_add_fetch(&t->ready, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&t->ready, __ATOMIC_ACQUIRE) < t->ready_wanted) {
		if (++spins % SPINS == 0)
			sched_yield();
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
	}
}

/* To the nth processor that this process may use; more threads than those share them. */
static int pin(struct team_member *m)
{
	const cpu_set_t *allowed = &m->team->allowed;
	unsigned int left = (unsigned int)(m - m->team->members) % (unsigned int)CPU_COUNT(allowed);
	cpu_set_t one;
	int cpu = 0;

	m->on_first = !left;
	while (!CPU_ISSET(cpu, allowed) || left--)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return -pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

static uint64_t work_do(struct team_member *m)
{
	const struct team *t = m->team;

	switch (t->work) {
	case TEAM_COUNTER:
		return calls_counter(t->amount);
	case TEAM_FLOOR_OFF:
		return calls_floor_off(t->amount, &m->values);
	case TEAM_FLOOR_ON:
		return calls_floor_on(t->kind, t->amount, &m->values);
	case TEAM_CALLS:
		return calls_run(t->kind, t->amount, &m->values);
	case TEAM_EACH:
		calls_each(t->kind, (uint32_t)t->amount, &m->values, m->ticks);
		break;
	case TEAM_RING:
		m->err = calls_floor_ring(t->amount);
		break;
	case TEAM_PIN:
		m->err = pin(m);
		break;
	case TEAM_END:
		break;
	}
	return 0;
}

static void burst(struct team_member *m)
{
	uint64_t cpu_ns;

	if (m->team->cnt > 1)
		line_up(m->team);
	cpu_ns = bench_thread_cpu_ns();
	m->ticks_spent = work_do(m);
	m->cpu_ns = bench_thread_cpu_ns() - cpu_ns;
}

static void *member_main(void *arg)
{
	struct team_member *m = arg;
	struct team *t = m->team;
	bool complete;

	pthread_mutex_lock(&t->starting);
	complete = t->work != TEAM_END;
	pthread_mutex_unlock(&t->starting);
	while (complete) {
		pthread_barrier_wait(&t->barrier);
		if (t->work == TEAM_END)
			break;
		burst(m);
		pthread_barrier_wait(&t->barrier);
	}
	return NULL;
}

int team_run(struct team *t, enum team_work work, uint64_t amount)
{
	unsigned int i;

	t->work = work;
	t->amount = amount;
	t->ready_wanted += t->cnt;
	if (t->cnt > 1)
		pthread_barrier_wait(&t->barrier);
	burst(&t->members[0]);
	if (t->cnt > 1)
		pthread_barrier_wait(&t->barrier);
	for (i = 0; i < t->cnt; i++)
		if (t->members[i].err)
			return t->members[i].err;
	return 0;
}

static void members_join(struct team *t, unsigned int cnt)
{
	unsigned int i;

	for (i = 1; i < cnt; i++)
		pthread_join(t->members[i].thread, NULL);
	pthread_barrier_destroy(&t->barrier);
	pthread_mutex_destroy(&t->starting);
}

/* Nobody waits at the barrier before all are there. */
static int members_start(struct team *t)
{
	unsigned int i;
	int err = 0;

	pthread_mutex_lock(&t->starting);
	for (i = 1; i < t->cnt && !err; i++)
		err = -pthread_create(&t->members[i].thread, NULL, member_main, &t->members[i]);
	if (err)
		t->work = TEAM_END;
	pthread_mutex_unlock(&t->starting);
	if (err)
		members_join(t, i - 1);
	return err;
}

int team_begin(struct team *t, unsigned int cnt, enum call_kind kind)
{
	unsigned int i;
	int err;

	if (!cnt || cnt > TEAM_MAX)
		return -EINVAL;
	memset(t, 0, sizeof(*t));
	t->cnt = cnt;
	t->kind = kind;
	for (i = 0; i < cnt; i++) {
		t->members[i].team = t;
		t->members[i].values.value = i * CALL_THREAD_OFFSET;
		t->members[i].values.step = CALL_STEP_COUNT;
	}
	err = -pthread_getaffinity_np(pthread_self(), sizeof(t->allowed), &t->allowed);
	if (!err)
		err = -pthread_barrier_init(&t->barrier, NULL, cnt);
	if (err)
		return err;
	err = -pthread_mutex_init(&t->starting, NULL);
	if (err) {
		pthread_barrier_destroy(&t->barrier);
		return err;
	}
	err = members_start(t);
	if (err)
		return err;
	err = team_run(t, TEAM_PIN, 0);
	if (err)
		team_end(t);
	return err;
}

void team_end(struct team *t)
{
	(void)team_run(t, TEAM_RING, 0);
	t->work = TEAM_END;
	if (t->cnt > 1)
		pthread_barrier_wait(&t->barrier);
	members_join(t, t->cnt);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(t->allowed), &t->allowed);
}
