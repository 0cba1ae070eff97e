/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows_live.c - rows_decoder of reader.h: records out of the frames of a writer in the same
 * process, as they come. A frame is scanned as a whole first, because the clock pair that its last
 * records need is behind them.
 */
#include <errno.h>
#include <stdlib.h>

#include "reader.h"
#include "rows_decode.h"

struct rows_decoder {
	struct catalog_in catalog;
	struct clock_map clock;
	struct rows_state state;
	struct row_list list;
};

int rows_decoder_open(struct rows_decoder **out)
{
	struct rows_decoder *d = calloc(1, sizeof(*d));

	*out = d;
	if (!d)
		return -ENOMEM;
	rows_state_init(&d->state);
	if (catalog_pool_open(&d->catalog.pool) == 0)
		return 0;
	free(d);
	*out = NULL;
	return -ENOMEM;
}

int rows_decoder_feed(struct rows_decoder *d, const void *data, uint32_t bytes,
		      void (*record)(void *arg, const struct record *), void *arg)
{
	struct rows_problem problem = { 0, NULL };
	struct record r;
	uint32_t i;
	int err, decode_err;

	row_list_clear(&d->list);
	if (d->state.tick_ns)
		d->clock.tick_ns = (uint32_t)d->state.tick_ns;
	err = rows_scan(&d->state, &d->catalog, &d->clock, NULL, data, bytes, &d->list,
			&problem);
	if (d->state.tick_ns) /* a file header says it */
		d->clock.tick_ns = (uint32_t)d->state.tick_ns;
	for (i = 0; i < d->list.cnt; i++) {
		decode_err = row_decode(&d->catalog, &d->clock, data, bytes, &d->list,
					&d->list.rows[i], &r);
		if (decode_err)
			return decode_err;
		record(arg, &r);
	}
	return err;
}

void rows_decoder_close(struct rows_decoder *d)
{
	if (!d)
		return;
	catalog_pool_close(d->catalog.pool);
	catalog_in_fini(&d->catalog);
	clock_map_fini(&d->clock);
	row_list_fini(&d->list);
	free(d);
}
