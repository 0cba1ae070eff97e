/* SPDX-License-Identifier: BSD-2-Clause */
/* losses.h - what is missing, by thread and cause, until a file can say it. */
#ifndef QSLOG_LOSSES_H
#define QSLOG_LOSSES_H

#include <stddef.h>
#include <stdint.h>

struct loss {
	uint32_t thread;
	uint32_t cause;
	uint64_t count;
};

struct losses {
	struct loss *list;
	size_t cnt, cap;
};

int losses_add(struct losses *l, uint32_t thread, uint32_t cause, uint64_t count); /* 0 or -ENOMEM */
/* One entry per thread and cause, so that the list does not grow while nothing can be written. */
void losses_merge(struct losses *l);

#endif
