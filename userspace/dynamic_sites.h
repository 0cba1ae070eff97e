/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dynamic_sites.h - the sites that a process has registered at run time. They are in no ELF file,
 * so what the tracer is to know of them after the end of the process it must take before: by
 * definitions that come between the records (dynamic_sites_define), for those registered while it
 * is attached, and out of the process's slabs (dynamic_sites_fetch), for all others.
 *
 * Nothing in the process is trusted; what it can make the tracer keep is bounded.
 */
#ifndef QSLOG_DYNAMIC_SITES_H
#define QSLOG_DYNAMIC_SITES_H

#include <stdint.h>
#include <sys/types.h>

#include "writer.h"

#define DYNAMIC_SITES_BYTES_MAX (64u << 20) /* formats and strings */

struct dynamic_sites;

/* 0, -ENOMEM */
int dynamic_sites_open(struct dynamic_sites **out);
/* After fork(2): what is not known of the child is looked for in what is known of its parent. */
void dynamic_sites_inherit(struct dynamic_sites *sites, struct dynamic_sites *parent);
void dynamic_sites_close(struct dynamic_sites *sites); /* NULL is accepted */

/* The site at `address`, whose struct qslog_site and strings are the `bytes` bytes of `memory`. One
 * that is known already stays as it is. -EBADMSG, -EFAULT, -ENAMETOOLONG: not a site, or one with
 * strings elsewhere (see site_read.h); -ENOSPC: DYNAMIC_SITES_BYTES_MAX; -ENOMEM. */
int dynamic_sites_define(struct dynamic_sites *sites, uint64_t address, const void *memory,
			 size_t bytes);

/* Takes in what has been registered since the last call, by the runtime whose struct qslog_registry
 * is at `registry` of the process. Costs one short read where that is nothing. Entries that are no
 * sites are passed over. -EBADMSG: not a registry, or damaged; -ENOSPC: as above, and from then on
 * for a damaged one too, without looking again; -ENOMEM; errors of reading the process. */
int dynamic_sites_fetch(struct dynamic_sites *sites, pid_t pid, uint64_t registry);

/* -ENOENT: not known. `out` stays valid until close. */
int dynamic_sites_get(const struct dynamic_sites *sites, uint64_t address,
		      const struct writer_format **out);

#endif
