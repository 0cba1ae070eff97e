/* SPDX-License-Identifier: BSD-2-Clause */
/* ingest_losses.h - what was lost, by thread and cause: for whoever tells the operator. */
#ifndef QSLOG_INGEST_LOSSES_H
#define QSLOG_INGEST_LOSSES_H

#include "hash_index.h"
#include "writer.h"

struct ingest_loss {
	uint32_t thread; /* the writer's number */
	uint32_t pid;
	uint32_t tid;	 /* in the process's view; 0: not known which */
	enum loss_cause cause;
	uint64_t count;
};

/* Zeroed: empty. */
struct ingest_losses {
	struct ingest_loss *list;
	uint32_t cnt, cap;
	struct hash_index index;
};

/* Where there is no memory it is left out here; the file has it. */
void ingest_losses_add(struct ingest_losses *l, uint32_t thread, uint32_t pid, uint32_t tid,
		       enum loss_cause cause, uint64_t count);
void ingest_losses_fini(struct ingest_losses *l);

#endif
