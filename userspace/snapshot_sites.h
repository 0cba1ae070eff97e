/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot_sites.h - the sites of this process, for records that may be much older than what lies at
 * the site's address now: in snapshot mode a library may be gone, and another in its place, while
 * its records are still in the arenas. What a library's sites said is kept before it goes, as long
 * as there are records of them. One thread at a time.
 */
#ifndef QSLOG_SNAPSHOT_SITES_H
#define QSLOG_SNAPSHOT_SITES_H

#include "snapshot_ring.h"
#include "writer.h"

struct snapshot_sites;

int snapshot_sites_open(struct snapshot_sites **out); /* 0 or -ENOMEM */
void snapshot_sites_close(struct snapshot_sites *s);  /* NULL is accepted */

/*
 * Before a library goes: begin, keep for copies of all rings, end. What no ring needs any more is
 * dropped then. `now`: the counter as records have it. 0 or -ENOMEM: records of the library will be
 * unknown, or those of another.
 */
void snapshot_sites_keep_begin(struct snapshot_sites *s, uint64_t now);
int snapshot_sites_keep(struct snapshot_sites *s, const struct snapshot_ring *ring);
int snapshot_sites_keep_end(struct snapshot_sites *s);

/* Makes the records in a copy refer to what was kept for them, in place of their address. */
void snapshot_sites_refer(const struct snapshot_sites *s, struct snapshot_ring *ring);

/* For struct ingest_source; `sites` is a struct snapshot_sites, the address from such a copy. Memory
 * that is not there any more is an error and no SIGSEGV. */
int snapshot_sites_get(void *sites, uint64_t address, struct writer_format *out);

#endif
