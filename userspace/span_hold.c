/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * span_hold.c - a queue of records, and a stack of the spans that are open. A span's beginning stays
 * in the queue until it is decided; what is in front of the first undecided one goes.
 */
#include "span_hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qslog_abi.h"

#define DEPTH_MAX 256u
#define QUEUE_BYTES_MAX (16u << 20) /* then the oldest span stays, however short it may turn out */
#define QUEUE_BYTES_MIN (64u << 10)

enum fate { FATE_STAYS = 0, FATE_OPEN = 1, FATE_LEFT_OUT = 2 };

struct held {
	uint32_t bytes; /* of the record behind this */
	uint32_t format;
	uint32_t fate;
	uint32_t pad;
};

struct open_span {
	uint64_t start;
	uint64_t at; /* position in the queue; of no meaning once it is decided */
	bool decided;
};

struct span_hold {
	uint64_t min;
	char *queue;
	uint32_t cap;
	uint64_t head, tail; /* positions: head is where the next goes; queue[0] is `base` */
	uint64_t base;
	struct open_span open[DEPTH_MAX];
	uint32_t depth, decided; /* open[0 .. decided) are */
};

struct span_hold *span_hold_new(uint64_t min)
{
	struct span_hold *h = calloc(1, sizeof(*h));

	if (h)
		h->min = min;
	return h;
}

void span_hold_free(struct span_hold *h)
{
	if (!h)
		return;
	free(h->queue);
	free(h);
}

static struct held *held_at(const struct span_hold *h, uint64_t at)
{
	return (struct held *)(void *)(h->queue + (at - h->base));
}

/* What is in front of the first span that is undecided. */
static int queue_emit(struct span_hold *h, span_hold_emit *emit, void *arg)
{
	int first = 0, err;

	while (h->tail < h->head) {
		const struct held *held = held_at(h, h->tail);

		if (held->fate == FATE_OPEN)
			return first;
		if (held->fate == FATE_STAYS) {
			err = emit(arg, held->format, (const uint64_t *)(held + 1), held->bytes);
			first = first ? first : err;
		}
		h->tail += sizeof(*held) + held->bytes;
	}
	h->base = h->head; /* empty: begins at the front again */
	h->tail = h->head;
	return first;
}

static int queue_room(struct span_hold *h, uint32_t bytes)
{
	uint32_t used = (uint32_t)(h->head - h->tail), cap = h->cap ? h->cap : QUEUE_BYTES_MIN;
	char *grown;

	if (h->head - h->base + bytes <= h->cap)
		return 0;
	if (used + bytes <= h->cap / 2) {
		memmove(h->queue, h->queue + (h->tail - h->base), used);
		h->base = h->tail;
		return 0;
	}
	while (cap < h->head - h->base + bytes)
		cap *= 2;
	grown = realloc(h->queue, cap);
	if (!grown)
		return -ENOMEM;
	h->queue = grown;
	h->cap = cap;
	return 0;
}

static void decide(struct span_hold *h, uint32_t upto)
{
	for (; h->decided < upto; h->decided++) {
		held_at(h, h->open[h->decided].at)->fate = FATE_STAYS;
		h->open[h->decided].decided = true;
	}
}

static void decide_by_time(struct span_hold *h, uint64_t now)
{
	uint32_t upto = h->decided;

	while (upto < h->depth && now - h->open[upto].start >= h->min &&
	       now >= h->open[upto].start)
		upto++;
	decide(h, upto);
}

/* How many records are left out with the one that leaves a span: none, it alone, or two. */
static unsigned int span_left(struct span_hold *h, uint64_t start, uint64_t now)
{
	const bool brief = now - start < h->min;
	uint32_t i = h->depth, deeper;

	while (i && h->open[i - 1].start != start)
		i--;
	if (!i)
		return brief; /* it was entered before the tracer came, or that is lost */
	i--;
	for (deeper = i + 1; deeper < h->depth; deeper++) /* were not left: they stay */
		if (deeper >= h->decided)
			held_at(h, h->open[deeper].at)->fate = FATE_STAYS;
	h->depth = i;
	if (i < h->decided) {
		h->decided = i;
		return 0;
	}
	held_at(h, h->open[i].at)->fate = brief ? FATE_LEFT_OUT : FATE_STAYS;
	return brief ? 2 : 0;
}

int span_hold_record(struct span_hold *h, bool span, uint32_t format, const uint64_t *record,
		     uint32_t bytes, span_hold_emit *emit, void *arg, uint64_t *left_out)
{
	const bool leaves = span && record[0] & QSLOG_RECORD_EXIT;
	const uint64_t now = record[1];
	unsigned int out = 0;
	struct held *held;
	int err, first;

	decide_by_time(h, now);
	if (leaves)
		out = span_left(h, record[record[0] & QSLOG_RECORD_SPAN_ID ? 3 : 2], now);
	*left_out += out;
	if (out)
		return queue_emit(h, emit, arg);
	if (h->head - h->tail > QUEUE_BYTES_MAX && h->decided < h->depth)
		decide(h, h->decided + 1);
	first = queue_emit(h, emit, arg);
	if (h->head == h->tail && (!span || leaves || h->depth == DEPTH_MAX)) {
		err = emit(arg, format, record, bytes);
		return first ? first : err;
	}
	err = queue_room(h, (uint32_t)sizeof(*held) + bytes);
	if (err) {
		(void)emit(arg, format, record, bytes);
		return err;
	}
	held = held_at(h, h->head);
	*held = (struct held){bytes, format, FATE_STAYS, 0};
	memcpy(held + 1, record, bytes);
	if (span && !leaves && h->depth < DEPTH_MAX) {
		held->fate = FATE_OPEN;
		h->open[h->depth++] = (struct open_span){now, h->head, false};
	}
	h->head += sizeof(*held) + bytes;
	return first;
}

int span_hold_until(struct span_hold *h, uint64_t now, span_hold_emit *emit, void *arg)
{
	if (now == UINT64_MAX) {
		decide(h, h->depth);
		h->depth = h->decided = 0;
	} else {
		decide_by_time(h, now);
	}
	return queue_emit(h, emit, arg);
}
