/* SPDX-License-Identifier: BSD-2-Clause */
/* writer_pairs.c - the clock pairs among the rows: when they are taken, and where they are put. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "counter.h"
#include "writer_priv.h"

int64_t writer_ticks_now(const struct writer *w)
{
	return clock_ticks(&w->scale, counter_read(w->scale.kind));
}

void writer_pair_told(struct writer *w, const struct clock_pair *pair)
{
	if (w->put_cnt && pair->ticks <= w->put[w->put_cnt - 1].ticks)
		return;
	if (w->put_cnt == WRITER_PUT)
		memmove(w->put, w->put + 1, --w->put_cnt * sizeof(*w->put));
	w->put[w->put_cnt++] = *pair;
}

const struct clock_pair *writer_pairs_bridge(struct writer *w)
{
	uint32_t first = w->put_cnt > 1 ? w->put_cnt - 2 : 0;

	while (first && w->put[w->put_cnt - 1].ticks - w->put[first - 1].ticks <= WRITER_PUT_NS)
		first--;
	w->bridge = first + 1 < w->put_cnt ? first + 1 : first;
	return w->put_cnt ? &w->put[first] : &w->pair;
}

int writer_pairs_block(struct writer *w, int64_t ticks)
{
	struct clock_pair told[WRITER_PUT + 1];
	uint32_t cnt = 0, i;
	int err;

	for (i = w->bridge; w->bridge_due && i < w->put_cnt && w->put[i].ticks < w->pair.ticks; i++)
		told[cnt++] = w->put[i];
	told[cnt++] = w->pair;
	err = rows_begin(&w->rows, ticks, &told[0]);
	for (i = 1; i < cnt && !err; i++)
		err = rows_clock(&w->rows, &told[i]);
	if (err)
		return err;
	w->bridge_due = false;
	writer_pair_told(w, &w->pair);
	return 0;
}

int writer_pair_put(struct writer *w)
{
	int err = rows_clock(&w->rows, &w->pair);

	if (!err) {
		w->paired = w->rows.len;
		w->pair_written = w->pair.ticks;
		writer_pair_told(w, &w->pair);
	}
	return err;
}

/* Behind the newest rows. The one before may have been taken since the rows before these: what
 * happened to the clock in a long pause does not concern them then. */
int writer_pair_append(struct writer *w)
{
	int err = 0;

	if (w->pair.ticks - w->pair_written >= WRITER_PAIRS_NS)
		err = writer_pair_put(w);
	if (!err && !w->pair_fixed)
		err = clock_pair_take(&w->scale, &w->pair);
	return err ? err : writer_pair_put(w);
}

/* While nothing comes. */
void writer_pair_note(struct writer *w)
{
	if (!w->pair_fixed && !w->earlier_cnt && writer_ticks_now(w) - w->pair.ticks >= WRITER_PAIRS_NS)
		(void)clock_pair_take(&w->scale, &w->pair); /* the one before will do */
}

int writer_pairs_earlier(struct writer *w)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < w->earlier_cnt && !err; i++) {
		err = rows_clock(&w->rows, &w->earlier[i]);
		writer_pair_told(w, &w->earlier[i]);
	}
	if (i && !err)
		w->pair = w->earlier[i - 1];
	w->pair_written = w->pair.ticks;
	w->earlier_cnt = 0;
	return err;
}

/* The first pair, which goes into the header, and those that follow in the first block. */
int writer_pairs_begin(struct writer *w, const struct writer_options *options)
{
	const uint32_t cnt = options->pair_cnt;
	int err = 0;

	if (options->scale)
		w->scale = *options->scale;
	else
		err = clock_scale_init(&w->scale, options->counter_kind ? options->counter_kind :
									   COUNTER_KIND);
	if (err || !cnt)
		return err ? err : clock_pair_take(&w->scale, &w->pair);
	w->pair = options->pairs[0];
	w->pair_fixed = options->pairs_only;
	w->earlier = calloc(cnt, sizeof(*w->earlier));
	if (!w->earlier)
		return -ENOMEM;
	w->earlier_cnt = cnt - 1;
	memcpy(w->earlier, options->pairs + 1, w->earlier_cnt * sizeof(*w->earlier));
	return 0;
}
