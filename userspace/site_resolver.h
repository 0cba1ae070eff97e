/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * site_resolver.h - the address of a site in a process -> what the site says.
 *
 * A resolver is opened while the process lives. It remembers what is mapped where and keeps the ELF
 * files open, so that sites can be resolved when the process is gone, its memory has been unmapped
 * or its files are deleted: first from the memory of the process, else from the ELF file with its
 * relocations applied. Both ways give the same result (for sites that the linker made; one that the
 * program made at run time is in its memory only).
 *
 * A resolver belongs to one program: what the process becomes by exec is another one, for which the
 * caller opens another resolver; the old one keeps resolving the old program's sites. A later
 * process of the same pid is never mistaken for this one. A resolver belongs to one thread.
 */
#ifndef QSLOG_SITE_RESOLVER_H
#define QSLOG_SITE_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "elf_cache.h"
#include "writer.h"

/* Bounds on what a hostile process can make a resolver keep. */
#define SITE_RESOLVER_IMAGES_MAX 1024u	      /* ELF files in memory, unloaded ones included */
#define SITE_RESOLVER_FAILURES_MAX 4096u      /* addresses remembered not to be sites */
#define SITE_RESOLVER_BYTES_MAX (64u << 20) /* formats and strings */

struct site_resolver;

struct site_resolver_stats {
	uint64_t sites;		/* known now */
	uint64_t failures;	/* addresses known now not to be sites */
	uint64_t from_process;	/* resolved from memory, ever */
	uint64_t from_elf;	/* resolved from a file, ever */
	uint32_t images;	/* ELF files remembered */
	uint32_t files_missing; /* executable files that the last refresh could not take in: their
				 * sites can only be resolved while the process lives */
	int files_error;	/* why: the first such negative errno, or 0 */
};

/*
 * Opens /proc/PID and takes the mappings in. `cache` shares the ELF files between resolvers and has
 * to outlive this one; NULL: none. -ESRCH: no such process; -EACCES, -EPERM: not permitted to read
 * it; -ENOMEM, -EMFILE. A file that cannot be opened is no error (see files_missing).
 */
int site_resolver_open(struct site_resolver **out, pid_t pid, struct elf_cache *cache);
void site_resolver_close(struct site_resolver *resolver); /* NULL is accepted */

/*
 * The same for a process that is told of by others, and may have ended already: nothing is known
 * but what site_resolver_image_add() says. site_resolver_process() makes it one as above.
 */
int site_resolver_open_empty(struct site_resolver **out, struct elf_cache *cache);
int site_resolver_process(struct site_resolver *resolver, pid_t pid);
/* Has the process still the memory that it had when it was opened? */
bool site_resolver_current(const struct site_resolver *resolver);
/* The file `image` (a reference is taken) is at `bias` from now on. Returns as refresh does. */
int site_resolver_image_add(struct site_resolver *resolver, dev_t dev, uint64_t inode,
			    struct elf_image *image, uint64_t bias);
/* All of another one's images, as after fork(2). */
int site_resolver_images_copy(struct site_resolver *resolver, const struct site_resolver *from);
/* Files come before memory: what is mapped now may not be what the record was written with. */
void site_resolver_files_first(struct site_resolver *resolver);

/*
 * Takes in what has been mapped since (dlopen), and forgets which addresses were no sites. To be
 * called before the process can end, and when an address is not found. Returns 0, or 1 where
 * addresses that were resolved before may mean another site now (a library took the place of an
 * unloaded one): what the caller remembers by address is void then. -ESRCH: the process has gone
 * (or called exec); everything known stays. Formats from before the call are not valid after it.
 */
int site_resolver_refresh(struct site_resolver *resolver);

/*
 * The site at `addr`, which may be any value. `out` belongs to the resolver and is valid until the
 * next refresh or close. Results, also failures, are remembered. Errors:
 *   -ENOENT       the process is gone and none of its files had the address
 *   -EFAULT       the site or one of its strings is not in readable memory
 *   -EBADMSG      not a site, or a site with impossible contents, or the ELF file is damaged
 *   -ENAMETOOLONG a string is longer than site_read.h allows
 *   -ENOSPC       SITE_RESOLVER_BYTES_MAX; -ENOMEM; errors of reading the file
 */
int site_resolver_get(struct site_resolver *resolver, uint64_t addr,
		      const struct writer_format **out);

void site_resolver_stats_get(const struct site_resolver *resolver, struct site_resolver_stats *out);

#endif
