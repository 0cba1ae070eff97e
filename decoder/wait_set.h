/* SPDX-License-Identifier: BSD-2-Clause */
/* wait_set.h - sums of waiting by cause. A set stays small: what is too much for it is counted by
 * reason only, without who it was. */
#ifndef QSLOG_WAIT_SET_H
#define QSLOG_WAIT_SET_H

#include "record.h"

#define WAIT_SET_MAX 64u

struct wait_set {
	struct record_wait *waits;
	uint32_t cnt, cap;
};

/* The names of the cause must live as long as the set. 0 or -ENOMEM. */
int wait_set_add(struct wait_set *set, const struct record_wait *wait);
int wait_set_merge(struct wait_set *to, const struct record_wait *waits, uint32_t cnt);
void wait_set_sort(struct wait_set *set); /* longest first */
void wait_set_fini(struct wait_set *set);

#endif
