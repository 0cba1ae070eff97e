/* SPDX-License-Identifier: BSD-2-Clause */
/* ingest_losses.c - see ingest_losses.h. */
#include "ingest_losses.h"

#include <stdlib.h>

void ingest_losses_add(struct ingest_losses *l, uint32_t thread, uint32_t pid, uint32_t tid,
		       enum loss_cause cause, uint64_t count)
{
	const uint64_t key = (uint64_t)thread << 8 | (uint64_t)cause;
	struct hash_index_walk walk;
	uint32_t index = hash_index_first(&l->index, key, &walk);

	if (index != HASH_INDEX_NONE) { /* keys are unique */
		l->list[index].count += count;
		return;
	}
	if (l->cnt == l->cap) {
		const uint32_t cap = l->cap ? l->cap * 2 : 64;
		struct ingest_loss *list = realloc(l->list, cap * sizeof(*list));

		if (!list)
			return;
		l->list = list;
		l->cap = cap;
	}
	if (hash_index_add(&l->index, key, l->cnt))
		return;
	l->list[l->cnt++] = (struct ingest_loss){thread, pid, tid, cause, count};
}

void ingest_losses_fini(struct ingest_losses *l)
{
	free(l->list);
	hash_index_fini(&l->index);
}
