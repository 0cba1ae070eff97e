/* SPDX-License-Identifier: BSD-2-Clause */
/* live.c - the rows that the writer hands out are decoded as a reader would, and printed. */
#include "live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_out.h"
#include "file_format.h"
#include "reader.h"
#include "text.h"

struct live {
	struct writer *writer;
	struct rows_decoder *decoder;
	struct buffer line;
	int error;
};

static void live_record(void *arg, const struct record *record)
{
	struct live *live = arg;

	live->line.len = 0;
	text_line(&live->line, record);
	if (live->line.failed) {
		live->error = live->error ? live->error : -ENOMEM;
		live->line.failed = false;
	}
	if (!live->error && fwrite(live->line.data, 1, live->line.len, stdout) != live->line.len)
		live->error = errno ? -errno : -EIO;
}

static void live_rows(void *arg, const void *data, uint32_t bytes)
{
	struct live *live = arg;
	int err = rows_decoder_feed(live->decoder, data, bytes, live_record, live);

	if (err && !live->error)
		live->error = err;
	if (fflush(stdout) && !live->error)
		live->error = -errno;
}

/* Rows do not say it themselves: the header of the file does. */
static int tick_tell(struct live *live, uint32_t tick_ns)
{
	uint8_t entry[24];
	const uint64_t tick = tick_ns;
	uint8_t *p = info_extended_put(entry, FILE_SUB_TICK, 8);

	memcpy(p, &tick, 8);
	return rows_decoder_feed(live->decoder, entry, (uint32_t)(p + 8 - entry), live_record, live);
}

int live_open(struct live **out, struct writer *writer, uint32_t tick_ns)
{
	struct live *live = calloc(1, sizeof(*live));
	int err;

	if (!live)
		return -ENOMEM;
	err = rows_decoder_open(&live->decoder);
	if (!err && tick_ns > 1)
		err = tick_tell(live, tick_ns);
	if (err) {
		rows_decoder_close(live->decoder);
		free(live);
		return err;
	}
	live->writer = writer;
	writer_tap(writer, live_rows, live);
	*out = live;
	return 0;
}

int live_error(const struct live *live)
{
	return live->error;
}

void live_close(struct live *live)
{
	if (!live)
		return;
	writer_tap(live->writer, NULL, NULL);
	rows_decoder_close(live->decoder);
	buffer_fini(&live->line);
	free(live);
}
