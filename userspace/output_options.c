/* SPDX-License-Identifier: BSD-2-Clause */
/* output_options.c - see output_options.h. */
#include "output_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX (UINT64_C(1) << 60)

struct unit {
	char letter;
	uint64_t value;
};

/* A whole number, and at most one letter of `units`, of which the last is {0}. */
static int number_parse(const char *text, const struct unit *units, uint64_t min, uint64_t max,
			uint64_t *out)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	if (*end) {
		while (units->letter && units->letter != (*end & ~0x20))
			units++;
		if (!units->letter || end[1] || value > max / units->value)
			return -EINVAL;
		value *= units->value;
	}
	*out = value;
	return value < min || value > max ? -EINVAL : 0;
}

int output_size_parse(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = { { 'K', UINT64_C(1) << 10 }, { 'M', UINT64_C(1) << 20 },
					     { 'G', UINT64_C(1) << 30 }, { 'T', UINT64_C(1) << 40 },
					     { 0, 0 } };

	return number_parse(text, units, WRITER_ROTATE_BYTES_MIN, NUMBER_MAX, bytes);
}

int output_time_parse(const char *text, uint64_t *seconds)
{
	static const struct unit units[] = { { 'S', 1 }, { 'M', 60 }, { 'H', 3600 }, { 'D', 86400 },
					     { 0, 0 } };

	return number_parse(text, units, 1, ROTATE_SECONDS_MAX, seconds);
}

int output_count_parse(const char *text, uint64_t *count)
{
	static const struct unit units[] = { { 'K', 1000 }, { 'M', 1000000 }, { 'G', 1000000000 },
					     { 'T', UINT64_C(1000000000000) }, { 0, 0 } };

	return number_parse(text, units, 1, NUMBER_MAX, count);
}

int output_files_parse(const char *text, uint32_t *files)
{
	static const struct unit none = { 0, 0 };
	uint64_t value;
	int err = number_parse(text, &none, 1, MAX_FILES_MAX, &value);

	if (!err)
		*files = (uint32_t)value;
	return err;
}

/* Its index; -EINVAL: none of them. */
static int name_find(const char *text, const char *const *names, int cnt)
{
	int i;

	for (i = 0; i < cnt; i++) {
		if (strcmp(text, names[i]) == 0)
			return i;
	}
	return -EINVAL;
}

int output_sync_parse(const char *text, enum writer_sync *sync)
{
	static const char *const names[] = { "none", "interval", "block" };
	int i = name_find(text, names, 3);

	if (i >= 0)
		*sync = (enum writer_sync)i;
	return i < 0 ? i : 0;
}

int output_compress_parse(const char *text, enum writer_compress *compress)
{
	static const char *const names[] = { "default", "fast", "max" };
	int i = name_find(text, names, 3);

	if (i >= 0)
		*compress = (enum writer_compress)i;
	return i < 0 ? i : 0;
}

int output_tick_parse(const char *text, uint32_t *tick_ns)
{
	static const char *const names[] = { "ns", "us", "ms" };
	static const uint32_t ticks[] = { 1, 1000, 1000000 };
	int i = name_find(text, names, 3);

	if (i >= 0)
		*tick_ns = ticks[i];
	return i < 0 ? i : 0;
}
