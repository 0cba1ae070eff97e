/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * haste.h - when blocks are to be written as they are rather than packed, because what waits for the
 * writer is running out of room. What decides is how full that is, in percent, before a block is
 * sealed and after one was packed: where rings are small, packing alone may fill them.
 *
 * Haste begins when it is half full and lasts until there is next to nothing. Where it begins again
 * soon, packing is too slow for what comes: then each time it lasts twice as many blocks as before.
 */
#ifndef QSLOG_HASTE_H
#define QSLOG_HASTE_H

#include <stdbool.h>
#include <stdint.h>

#define HASTE_FROM 50u /* percent */
#define HASTE_UNTIL 12u
#define HASTE_SOON 32u	    /* blocks */
#define HASTE_LEAST_MAX 64u /* blocks that it lasts at least */

struct haste {
	bool on;
	uint32_t least, left; /* blocks of this haste: at least, and how many of these are left */
	uint32_t packed;      /* blocks since the last */
};

static inline void haste_begin(struct haste *h)
{
	h->least = !h->least || h->packed > HASTE_SOON ? 1 : h->least * 2;
	if (h->least > HASTE_LEAST_MAX)
		h->least = HASTE_LEAST_MAX;
	h->left = h->least;
	h->on = true;
}

/* A block is about to be sealed: true, as it is; false, packed. */
static inline bool haste_before(struct haste *h, unsigned int percent)
{
	if (!h->on && percent >= HASTE_FROM)
		haste_begin(h);
	if (!h->on) {
		h->packed++;
	} else if (h->left) {
		h->left--;
	} else if (percent < HASTE_UNTIL) {
		h->on = false;
		h->packed = 1;
	}
	return h->on;
}

/* A block was packed. */
static inline void haste_after(struct haste *h, unsigned int percent)
{
	if (percent >= HASTE_FROM)
		haste_begin(h);
}

#endif
