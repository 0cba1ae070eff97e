/* SPDX-License-Identifier: BSD-2-Clause */
/* writer_header.c - the first block of a file (docs/format.md, "File header block"). */
#include <string.h>
#include <unistd.h>

#include "varint.h"
#include "writer_priv.h"

#ifndef QSLOG_VERSION
#define QSLOG_VERSION "unknown"
#endif

static uint8_t *text_put(uint8_t *p, unsigned subtype, const char *text)
{
	size_t len = strnlen(text, 255);

	p = info_extended_put(p, subtype, (uint32_t)len);
	memcpy(p, text, len);
	return p + len;
}

int writer_header_write(struct writer *w, struct block_out *out, const struct clock_pair *pair,
			uint64_t number)
{
	uint8_t data[1024], body[2 * VARINT_BYTES_MAX], *p = data;
	const struct clock_pair coarse = clock_pair_coarse(pair, w->rows.tick_ns);
	const uint64_t tick_ns = w->rows.tick_ns;
	char host[256] = "";
	uint32_t bytes;

	if (w->host_given)
		memcpy(host, w->host, sizeof(host));
	else if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0'; /* a file without it is as good */
	p = info_extended_put(p, FILE_SUB_TICK, 8);
	memcpy(p, &tick_ns, 8);
	p = text_put(p + 8, FILE_SUB_WRITER, "qslog-trace " QSLOG_VERSION);
	p = info_extended_put(p, FILE_SUB_FILE_ID, 16);
	memcpy(p, block_out_file_id(out), 16);
	p += 16;
	if (*host || !w->host_given)
		p = text_put(p, FILE_SUB_HOST, host);
	bytes = (uint32_t)(varint_put(body, number) - body);
	p = info_extended_put(p, FILE_SUB_SET, FILE_SET_ID_BYTES + bytes);
	memcpy(p, w->set_id, FILE_SET_ID_BYTES);
	memcpy(p + FILE_SET_ID_BYTES, body, bytes);
	p += FILE_SET_ID_BYTES + bytes;
	bytes = (uint32_t)(varint_put(varint_put(body, w->scale.kind), w->scale.hz) - body);
	p = info_extended_put(p, FILE_SUB_COUNTER, bytes);
	memcpy(p, body, bytes);
	p = info_extended_put(p + bytes, FILE_SUB_CLOCK, 20);
	memcpy(p, &coarse.ticks, 8);
	memcpy(p + 8, &coarse.realtime_ns, 8);
	memcpy(p + 16, &coarse.window_ns, 4);
	p += 20;
	if (w->sched)
		p = info_extended_put(p, FILE_SUB_SCHED, 0);
	return block_out_write(out, FILE_BLOCK_HEADER, NULL, &coarse, data,
			       (uint32_t)(p - data));
}
