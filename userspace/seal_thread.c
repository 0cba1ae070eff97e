/* SPDX-License-Identifier: BSD-2-Clause */
/* seal_thread.c - see seal_thread.h. */
#include "seal_thread.h"

#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "columns_encode.h"

enum seal_state { SEAL_IDLE, SEAL_PACKING, SEAL_DONE, SEAL_END };

struct seal_thread {
	pthread_t thread;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	enum seal_state state;
	struct columns_encoder *encoder;
	const struct columns_block *block;
	const uint8_t *payload;
	uint32_t rows_bytes, payload_bytes;
	int err;
};

bool seal_thread_worth(void)
{
	cpu_set_t cpus;

	/* Where there are so many that they do not fit, there are more than one. */
	return sched_getaffinity(0, sizeof(cpus), &cpus) != 0 || CPU_COUNT(&cpus) > 1;
}

/* It needs none. */
static void capabilities_drop(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	(void)syscall(SYS_capset, &head, none);
}

static void *seal_main(void *arg)
{
	struct seal_thread *t = arg;

	pthread_setname_np(pthread_self(), "qslog-seal");
	capabilities_drop();
	pthread_mutex_lock(&t->lock);
	for (;;) {
		while (t->state != SEAL_PACKING && t->state != SEAL_END)
			pthread_cond_wait(&t->changed, &t->lock);
		if (t->state == SEAL_END)
			break;
		pthread_mutex_unlock(&t->lock);
		t->err = columns_encode(t->encoder, t->block, t->rows_bytes, &t->payload,
					&t->payload_bytes);
		pthread_mutex_lock(&t->lock);
		t->state = SEAL_DONE;
		pthread_cond_broadcast(&t->changed);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

int seal_thread_open(struct seal_thread **out, struct columns_encoder *encoder)
{
	struct seal_thread *t = calloc(1, sizeof(*t));
	sigset_t all, saved;
	int err;

	*out = NULL;
	if (!t)
		return -ENOMEM;
	t->encoder = encoder;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved); /* they are for the owner's thread */
	err = -pthread_create(&t->thread, NULL, seal_main, t);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (err) {
		free(t);
		return err;
	}
	*out = t;
	return 0;
}

static void state_set(struct seal_thread *t, enum seal_state state)
{
	pthread_mutex_lock(&t->lock);
	t->state = state;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

void seal_thread_begin(struct seal_thread *t, const struct columns_block *block, uint32_t rows_bytes)
{
	t->block = block;
	t->rows_bytes = rows_bytes;
	state_set(t, SEAL_PACKING);
}

bool seal_thread_busy(struct seal_thread *t)
{
	bool busy;

	pthread_mutex_lock(&t->lock);
	busy = t->state == SEAL_PACKING;
	pthread_mutex_unlock(&t->lock);
	return busy;
}

int seal_thread_end(struct seal_thread *t, const uint8_t **payload, uint32_t *payload_bytes)
{
	pthread_mutex_lock(&t->lock);
	while (t->state == SEAL_PACKING)
		pthread_cond_wait(&t->changed, &t->lock);
	pthread_mutex_unlock(&t->lock);
	*payload = t->payload;
	*payload_bytes = t->payload_bytes;
	return t->err;
}

void seal_thread_close(struct seal_thread *t)
{
	const uint8_t *payload;
	uint32_t bytes;

	if (!t)
		return;
	(void)seal_thread_end(t, &payload, &bytes);
	state_set(t, SEAL_END);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
