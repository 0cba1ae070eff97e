/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * site_read.h - a struct qslog_site at an address of some memory -> a checked struct writer_format.
 * The memory may be a live process or its ELF files; nothing in it is trusted.
 */
#ifndef QSLOG_SITE_READ_H
#define QSLOG_SITE_READ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "writer.h"

/* Longest strings, without their NUL. */
#define SITE_FORMAT_BYTES_MAX 4096u
#define SITE_STRING_BYTES_MAX 1024u /* file, function, tag, name */

struct site_source {
	/* Up to `len` bytes at `addr`: how many (at least 1), or a negative errno. Is never asked for
	 * bytes on both sides of a 4 KiB boundary. */
	ssize_t (*read)(void *ctx, uint64_t addr, void *buf, size_t len);
	/* What the pointer at `addr` holds; NULL: what read() gives. */
	int (*pointer)(void *ctx, uint64_t addr, uint64_t *value);
	void *ctx;
};

/*
 * Reads and checks the site at `addr`, any value. `out` and its strings are one block of `bytes`
 * bytes, to be given to free(). -EBADMSG: not a site (magic, kind, level, argument count or types;
 * missing strings); -ENAMETOOLONG: a string beyond its maximum (nothing is cut); -EFAULT: the site
 * or one of its strings is not readable; -ENOMEM; errors of the source.
 */
int site_read(const struct site_source *source, uint64_t addr, struct writer_format **out,
	      size_t *bytes);

#endif
