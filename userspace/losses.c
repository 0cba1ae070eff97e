/* SPDX-License-Identifier: BSD-2-Clause */
/* losses.c - see losses.h. */
#include "losses.h"

#include <errno.h>
#include <stdlib.h>

int losses_add(struct losses *l, uint32_t thread, uint32_t cause, uint64_t count)
{
	if (l->cnt == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct loss *list = realloc(l->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		l->list = list;
		l->cap = cap;
	}
	l->list[l->cnt++] = (struct loss){ thread, cause, count };
	return 0;
}

static int loss_compare(const void *a, const void *b)
{
	const struct loss *x = a, *y = b;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	return x->cause < y->cause ? -1 : x->cause > y->cause;
}

void losses_merge(struct losses *l)
{
	size_t from, to = 0;

	if (!l->cnt)
		return;
	qsort(l->list, l->cnt, sizeof(*l->list), loss_compare);
	for (from = 1; from < l->cnt; from++) {
		if (loss_compare(&l->list[to], &l->list[from]) == 0)
			l->list[to].count += l->list[from].count;
		else
			l->list[++to] = l->list[from];
	}
	l->cnt = to + 1;
}
