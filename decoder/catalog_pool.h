/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * catalog_pool.h - the processes, threads and formats that blocks of a file speak of, each kept
 * once however often it is said again. Several threads may add at once. Nothing that was handed
 * out is ever changed, moved or freed before the end, so records may point to it.
 */
#ifndef QSLOG_CATALOG_POOL_H
#define QSLOG_CATALOG_POOL_H

#include "record.h"

struct catalog_pool;

int catalog_pool_open(struct catalog_pool **out); /* 0 or -ENOMEM */

/*
 * Take the data of an entry (docs/format.md): what follows the subtype, or for a format what
 * follows its length. 0; -EBADMSG: it is no such entry; -E2BIG: more than a reader is willing to
 * keep; -ENOMEM.
 */
int catalog_pool_process(struct catalog_pool *p, const uint8_t *data, uint32_t bytes,
			 const struct record_process **out);
/* `owner`: what the number of its process means. */
int catalog_pool_thread(struct catalog_pool *p, const uint8_t *data, uint32_t bytes,
			const struct record_process *owner, const struct record_thread **out);
int catalog_pool_format(struct catalog_pool *p, uint8_t level, const uint8_t *data, uint32_t bytes,
			const struct record_format **out);

/* Where processes are from that do not say it; copied. Before the first is added. 0 or -ENOMEM. */
int catalog_pool_host(struct catalog_pool *p, const char *host, uint32_t bytes);

const char *catalog_pool_host_get(const struct catalog_pool *p); /* "": not known */

void catalog_pool_close(struct catalog_pool *p); /* NULL is accepted */

#endif
