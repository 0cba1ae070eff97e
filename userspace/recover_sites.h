/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_sites.h - the sites of a process that has died, from the ELF files that it had mapped.
 */
#ifndef QSLOG_RECOVER_SITES_H
#define QSLOG_RECOVER_SITES_H

#include "safe_layout.h"
#include "writer.h"

struct recover_sites;

/* `modules` is the region of a safe memory file, of which `bytes` are used; copied. Files are opened
 * when a site in them is asked for. `owner` must be able to read them: the strings of what only
 * root may read would otherwise end up in a file that is not root's. */
int recover_sites_open(struct recover_sites **out, const void *modules, uint32_t bytes, uid_t owner);
void recover_sites_close(struct recover_sites *s); /* NULL is accepted */

/* Memory of the process, for sites that it registered: `bytes` at `address`; copied. */
int recover_sites_memory(struct recover_sites *s, uint64_t address, const void *data,
			 uint32_t bytes);

/* For struct ingest_source; `sites` is a struct recover_sites. The strings are valid until the next
 * call. -ENOENT: the file is gone, or is not the one that the process had mapped. */
int recover_sites_get(void *sites, uint64_t address, struct writer_format *out);

#endif
