/* SPDX-License-Identifier: BSD-2-Clause */
/* snapshot_path.c - see snapshot_path.h. */
#include "snapshot_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int snapshot_path_expand(const char *pattern, size_t from, int pid, int number, char out[PATH_MAX])
{
	size_t at, len = 0;

	for (at = 0; pattern[at]; at++) {
		const char letter = at >= from && pattern[at] == '%' ? pattern[at + 1] : '\0';
		const int value = letter == 'p' ? pid : letter == 'n' ? number : -1;
		char digits[16] = {pattern[at], '\0'};
		size_t bytes;

		if (value >= 0) {
			snprintf(digits, sizeof(digits), "%d", value);
			at++;
		}
		bytes = strlen(digits);
		if (len + bytes >= PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(out + len, digits, bytes);
		len += bytes;
	}
	out[len] = '\0';
	return 0;
}

size_t snapshot_path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

int snapshot_path_resolve(const char *path, char out[PATH_MAX])
{
	const size_t name = snapshot_path_name(path), bytes = strlen(path + name) + 1;
	char folder[PATH_MAX];
	size_t len;

	if (bytes == 1)
		return *path ? -EISDIR : -EINVAL;
	if (name >= sizeof(folder))
		return -ENAMETOOLONG;
	memcpy(folder, name ? path : ".", name ? name : 1);
	folder[name ? name : 1] = '\0';
	if (strstr(folder, "%n"))
		return -EINVAL;
	if (!realpath(folder, out))
		return -errno;
	len = strlen(out);
	if (len > 1)
		out[len++] = '/';
	if (len + bytes > PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(out + len, path + name, bytes);
	return 0;
}
