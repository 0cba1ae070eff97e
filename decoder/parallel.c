/* SPDX-License-Identifier: BSD-2-Clause */
/* parallel.c - one queue, one lock: jobs are blocks of a file, some hundred a second. */
#include "parallel.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#define THREADS_MAX 256u

struct parallel {
	pthread_mutex_t lock;
	pthread_cond_t queued, done;
	struct parallel_job *head, *tail;
	unsigned thread_cnt;
	bool ends;
	pthread_t threads[];
};

static struct parallel_job *take(struct parallel *p)
{
	struct parallel_job *job = p->head;

	if (job) {
		p->head = job->next;
		if (!p->head)
			p->tail = NULL;
	}
	return job;
}

/* Takes this one out of the queue. */
static void take_out(struct parallel *p, struct parallel_job *job)
{
	struct parallel_job *before = NULL, *at = p->head;

	for (; at != job; at = at->next)
		before = at;
	if (before)
		before->next = job->next;
	else
		p->head = job->next;
	if (p->tail == job)
		p->tail = before;
}

/* Without the lock while it runs. */
static void run(struct parallel *p, struct parallel_job *job)
{
	job->state = PARALLEL_RUNNING;
	pthread_mutex_unlock(&p->lock);
	job->run(job);
	pthread_mutex_lock(&p->lock);
	job->state = PARALLEL_DONE;
	pthread_cond_broadcast(&p->done);
}

static void *work(void *arg)
{
	struct parallel *p = arg;
	struct parallel_job *job;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		job = take(p);
		if (job)
			run(p, job);
		else if (p->ends)
			break;
		else
			pthread_cond_wait(&p->queued, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static unsigned processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n > 0 ? (unsigned)n : 1;
}

int parallel_open(struct parallel **out, unsigned jobs)
{
	sigset_t all, before;
	struct parallel *p;
	unsigned i;

	if (!jobs)
		jobs = processors();
	if (jobs > THREADS_MAX)
		jobs = THREADS_MAX;
	p = calloc(1, sizeof(*p) + jobs * sizeof(p->threads[0]));
	*out = p;
	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->queued, NULL);
	pthread_cond_init(&p->done, NULL);
	sigfillset(&all); /* signals are for the main thread */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (i = 1; i < jobs; i++) {
		if (pthread_create(&p->threads[p->thread_cnt], NULL, work, p))
			break;
		p->thread_cnt++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return 0;
}

unsigned parallel_jobs(const struct parallel *p)
{
	return p->thread_cnt + 1;
}

void parallel_start(struct parallel *p, struct parallel_job *job, bool first)
{
	pthread_mutex_lock(&p->lock);
	job->state = PARALLEL_QUEUED;
	job->next = first ? p->head : NULL;
	if (first)
		p->head = job;
	else if (p->tail)
		p->tail->next = job;
	else
		p->head = job;
	if (!first || !p->tail)
		p->tail = job;
	pthread_cond_signal(&p->queued);
	pthread_mutex_unlock(&p->lock);
}

bool parallel_done(struct parallel *p, struct parallel_job *job)
{
	bool done;

	pthread_mutex_lock(&p->lock);
	done = job->state == PARALLEL_DONE;
	pthread_mutex_unlock(&p->lock);
	return done;
}

static void help(struct parallel *p, struct parallel_job *job)
{
	struct parallel_job *other;

	if (job->state == PARALLEL_QUEUED) {
		take_out(p, job);
		run(p, job);
		return;
	}
	other = take(p);
	if (other)
		run(p, other);
	else
		pthread_cond_wait(&p->done, &p->lock);
}

void parallel_help(struct parallel *p, struct parallel_job *job)
{
	pthread_mutex_lock(&p->lock);
	if (job->state == PARALLEL_QUEUED || job->state == PARALLEL_RUNNING)
		help(p, job);
	pthread_mutex_unlock(&p->lock);
}

void parallel_wait(struct parallel *p, struct parallel_job *job)
{
	pthread_mutex_lock(&p->lock);
	while (job->state == PARALLEL_QUEUED || job->state == PARALLEL_RUNNING)
		help(p, job);
	pthread_mutex_unlock(&p->lock);
}

void parallel_close(struct parallel *p)
{
	unsigned i;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->ends = true;
	pthread_cond_broadcast(&p->queued);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->thread_cnt; i++)
		pthread_join(p->threads[i], NULL);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->queued);
	pthread_cond_destroy(&p->done);
	free(p);
}
