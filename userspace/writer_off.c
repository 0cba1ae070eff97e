/* SPDX-License-Identifier: BSD-2-Clause */
/* writer_off.c - the intervals in which threads were off the CPU, and what is missing of them. */
#include <errno.h>

#include "off_encode.h"
#include "writer_priv.h"

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t greatest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void missing_add(struct off_missing *m, uint64_t cnt, int64_t from, int64_t to)
{
	if (!cnt)
		return;
	m->from = m->cnt ? least(m->from, from) : from;
	m->to = m->cnt ? greatest(m->to, to) : to;
	m->cnt += cnt;
}

static int lost_append(struct writer *w, const struct off_missing *m, unsigned cause)
{
	uint8_t data[64];
	uint32_t bytes = off_lost_encode(data, m->from, m->to, cause, m->cnt);

	return rows_off(&w->rows, FILE_SUB_OFF_LOST, data, bytes, 0, m->cnt, m->from, m->to);
}

int writer_off_begin(struct writer *w)
{
	int err = w->off_carry.cnt ? lost_append(w, &w->off_carry, FILE_OFF_LOST_UNWRITTEN) : 0;

	if (!err)
		w->off_carry.cnt = 0;
	return err;
}

void writer_off_drop(struct writer *w, const struct rows_summary *b)
{
	missing_add(&w->off_carry, b->off_cnt + b->off_lost, b->time_min, b->time_max);
	w->off_cnt -= b->off_cnt;
	w->off_lost += b->off_cnt;
}

/* One entry; returns how many are in it. */
static int entry_append(struct writer *w, const struct writer_off *offs, uint32_t cnt)
{
	struct off_entry e;
	uint32_t taken = off_encode(&e, &w->scale, offs, cnt), i;
	int err = writer_block_begin(w, e.time_min);

	for (i = 0; i < taken && !err; i++)
		err = rows_process(&w->rows, &w->catalog, offs[i].process);
	if (!err)
		err = rows_off(&w->rows, FILE_SUB_OFF, e.data, e.bytes, e.cnt, 0, e.time_min,
			       e.time_max);
	if (err)
		return err;
	w->off_cnt += taken;
	writer_block_check(w);
	return (int)taken;
}

int writer_off(struct writer *w, const struct writer_off *offs, uint32_t cnt)
{
	uint32_t i;
	int64_t on;
	int n = 0;

	for (i = 0; i < cnt; i++)
		if (offs[i].process >= w->catalog.process_cnt || offs[i].why > FILE_OFF_OTHER ||
		    offs[i].who > FILE_OFF_WHO_THREAD || offs[i].flags > FILE_OFF_FLAGS_ALL)
			return -EINVAL;
	for (i = 0; i < cnt && n >= 0; i += (uint32_t)n) {
		n = entry_append(w, &offs[i], cnt - i);
		if (n < 0)
			break;
	}
	w->off_lost += cnt - i;
	for (; i < cnt; i++) {
		on = clock_ticks(&w->scale, offs[i].on);
		missing_add(&w->off_carry, 1, on, on);
	}
	return n < 0 ? n : 0;
}

int writer_off_lost(struct writer *w, uint64_t from, uint64_t to, unsigned cause, uint64_t count)
{
	const struct off_missing m = {count, clock_ticks(&w->scale, from),
				      clock_ticks(&w->scale, to)};
	int err;

	if (!count || cause >= FILE_OFF_LOST_CAUSE_COUNT)
		return count ? -EINVAL : 0;
	w->off_lost += count;
	err = writer_block_begin(w, m.from);
	if (!err)
		err = lost_append(w, &m, cause);
	if (err)
		missing_add(&w->off_carry, count, m.from, m.to);
	else
		writer_block_check(w);
	return err;
}

uint32_t writer_counter_kind(const struct writer *w)
{
	return w->scale.kind;
}
