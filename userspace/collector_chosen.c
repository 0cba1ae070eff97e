/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector_chosen.c - the site that writes a dump in snapshot mode: "FILE:LINE". As long as there is
 * one, every record asks; the line tells nearly all of them apart, and what was found out about the
 * others is remembered by their address. Lock-free, since signal handlers ask as well.
 */
#include <qslog.h>

#include "collector_snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "site_place.h"

#define FILE_BYTES_MAX 1024u
#define KNOWN_CNT 64u
#define KNOWN_CHOSEN 1u /* sites are aligned to 8 */

static struct {
	uint32_t line;
	size_t file_bytes;
	char file[FILE_BYTES_MAX];
	uint64_t known[KNOWN_CNT]; /* addresses of sites with that line */
} chosen;

int collector_chosen_set(const char *text)
{
	struct site_place place;

	chosen.line = 0;
	collector_chosen_forget();
	if (!text)
		return 0;
	if (site_place_parse(text, FILE_BYTES_MAX - 1, &place))
		return -EINVAL;
	chosen.file_bytes = place.file_bytes;
	memcpy(chosen.file, text, chosen.file_bytes);
	chosen.line = place.line;
	return 0;
}

void collector_chosen_forget(void)
{
	uint32_t i;

	for (i = 0; i < KNOWN_CNT; i++)
		__atomic_store_n(&chosen.known[i], 0, __ATOMIC_RELAXED);
}

/* The same file, or the last parts of its path. */
static bool file_fits(const char *file)
{
	const size_t bytes = strlen(file);

	return bytes >= chosen.file_bytes &&
	       memcmp(file + bytes - chosen.file_bytes, chosen.file, chosen.file_bytes) == 0 &&
	       (bytes == chosen.file_bytes || chosen.file[0] == '/' ||
		file[bytes - chosen.file_bytes - 1] == '/');
}

static bool site_fits(const struct qslog_site *site)
{
	const uint64_t address = (uint64_t)(uintptr_t)site;
	uint64_t *known = &chosen.known[(address >> 4) % KNOWN_CNT];
	uint64_t have = __atomic_load_n(known, __ATOMIC_RELAXED);

	if ((have & ~(uint64_t)KNOWN_CHOSEN) != address) {
		have = address | (file_fits(site->file) ? KNOWN_CHOSEN : 0);
		__atomic_store_n(known, have, __ATOMIC_RELAXED);
	}
	return have & KNOWN_CHOSEN;
}

int collector_chosen(const struct qslog_site *site, int recorded)
{
	if (!chosen.line || site->line != chosen.line || !site_fits(site))
		return 0;
	if (recorded)
		collector_snapshot_trigger();
	return 1;
}
