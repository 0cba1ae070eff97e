/* SPDX-License-Identifier: BSD-2-Clause */
/* wait_set.c - a short list that is searched from its end: what repeats, repeats soon. */
#include "wait_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

static bool same_name(const struct record_name *a, const struct record_name *b)
{
	return a->len == b->len &&
	       (a->bytes == b->bytes || !a->len || memcmp(a->bytes, b->bytes, a->len) == 0);
}

static bool same_cause(const struct record_cause *a, const struct record_cause *b)
{
	return a->why == b->why && a->who == b->who && a->io == b->io && a->exiting == b->exiting &&
	       a->syscall == b->syscall && a->who_pid == b->who_pid && a->who_tid == b->who_tid &&
	       same_name(&a->syscall_name, &b->syscall_name) &&
	       same_name(&a->who_name, &b->who_name);
}

static struct record_wait *find(const struct wait_set *set, const struct record_cause *cause)
{
	uint32_t i;

	for (i = set->cnt; i-- > 0;)
		if (same_cause(&set->waits[i].cause, cause))
			return &set->waits[i];
	return NULL;
}

int wait_set_add(struct wait_set *set, const struct record_wait *wait)
{
	struct record_wait *at = find(set, &wait->cause), more = *wait;

	/* the last places are for those without */
	if (!at && set->cnt >= WAIT_SET_MAX && more.cause.who) {
		more.cause.who = 0;
		more.cause.who_pid = more.cause.who_tid = 0;
		more.cause.who_name = (struct record_name){ NULL, 0 };
		at = find(set, &more.cause);
	}
	if (at) {
		at->ns += more.ns;
		at->cnt += more.cnt;
		return 0;
	}
	if (!array_room(&set->waits, set->cnt, &set->cap, sizeof(*set->waits)))
		return -ENOMEM;
	set->waits[set->cnt++] = more;
	return 0;
}

int wait_set_merge(struct wait_set *to, const struct record_wait *waits, uint32_t cnt)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < cnt && !err; i++)
		err = wait_set_add(to, &waits[i]);
	return err;
}

static int wait_compare(const void *a, const void *b)
{
	const struct record_wait *x = a, *y = b;

	return (x->ns < y->ns) - (x->ns > y->ns);
}

void wait_set_sort(struct wait_set *set)
{
	if (set->cnt)
		qsort(set->waits, set->cnt, sizeof(*set->waits), wait_compare);
}

void wait_set_fini(struct wait_set *set)
{
	free(set->waits);
	memset(set, 0, sizeof(*set));
}
