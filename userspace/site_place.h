/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * site_place.h - "FILE:LINE", the place of a site: FILE as in the source, or the last parts of its
 * path.
 */
#ifndef QSLOG_SITE_PLACE_H
#define QSLOG_SITE_PLACE_H

#include <stddef.h>
#include <stdint.h>

struct site_place {
	size_t file_bytes; /* of the text, from its beginning */
	uint32_t line;	   /* not 0 */
};

/* FILE has at most `file_bytes_max` bytes. 0 or -EINVAL. */
int site_place_parse(const char *text, size_t file_bytes_max, struct site_place *out);

#endif
