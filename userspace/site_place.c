/* SPDX-License-Identifier: BSD-2-Clause */
/* site_place.c - see site_place.h. */
#include "site_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int site_place_parse(const char *text, size_t file_bytes_max, struct site_place *out)
{
	const char *colon = strrchr(text, ':');
	unsigned long line;
	char *end;

	if (!colon || colon == text || (size_t)(colon - text) > file_bytes_max ||
	    colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	errno = 0;
	line = strtoul(colon + 1, &end, 10);
	if (errno || *end || !line || line > UINT32_MAX)
		return -EINVAL;
	out->file_bytes = (size_t)(colon - text);
	out->line = (uint32_t)line;
	return 0;
}
