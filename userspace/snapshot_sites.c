/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot_sites.c - see snapshot_sites.h. What is kept about an address holds for records with a
 * timestamp counter up to `until`, which was the time of the keeping. There may be several of an
 * address, of one library after the other; the one that holds is the first that had not ended when
 * the record was made. A record that none holds for is of what lies there now.
 *
 * All that the rings refer to is kept, whichever library it belongs to: which one goes is not known
 * here, and of the others the same is found at the next time.
 */
#include "snapshot_sites.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hash_index.h"
#include "site_read.h"

#define KEPT_MAX (1u << 20)
#define KEPT_TAG 1u /* sites are aligned to 8 */

struct kept {
	uint64_t address, until;
	struct writer_format *format; /* NULL: there was no site */
	bool needed;
};

struct snapshot_sites {
	struct kept *kept;
	uint32_t cnt, cap;
	struct hash_index index;
	uint64_t now;
	struct writer_format *format; /* handed out last */
};

int snapshot_sites_open(struct snapshot_sites **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void snapshot_sites_close(struct snapshot_sites *s)
{
	uint32_t i;

	if (!s)
		return;
	for (i = 0; i < s->cnt; i++)
		free(s->kept[i].format);
	free(s->kept);
	free(s->format);
	hash_index_fini(&s->index);
	free(s);
}

/* --- Reading. */

/* By a system call, which says EFAULT; where that is forbidden, as everybody else does. */
static ssize_t own_read(void *ctx, uint64_t address, void *buf, size_t len)
{
	const struct iovec to = {.iov_base = buf, .iov_len = len};
	const struct iovec from = {.iov_base = (void *)(uintptr_t)address, .iov_len = len};
	ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0);

	(void)ctx;
	if (n > 0)
		return n;
	if (n == 0 || errno == EFAULT)
		return -EFAULT;
	memcpy(buf, (const void *)(uintptr_t)address, len);
	return (ssize_t)len;
}

static int own_site_read(uint64_t address, struct writer_format **out, size_t *bytes)
{
	const struct site_source source = {.read = own_read};

	return site_read(&source, address, out, bytes);
}

int snapshot_sites_get(void *sites, uint64_t address, struct writer_format *out)
{
	struct snapshot_sites *s = sites;
	size_t bytes;
	int err;

	if (address & KEPT_TAG) {
		if (address >> 1 >= s->cnt || !s->kept[address >> 1].format)
			return -EBADMSG;
		*out = *s->kept[address >> 1].format;
		return 0;
	}
	free(s->format);
	err = own_site_read(address, &s->format, &bytes);
	if (!err)
		*out = *s->format;
	return err;
}

/* --- Keeping. */

/* What holds for a record, or HASH_INDEX_NONE. */
static uint32_t kept_find(const struct snapshot_sites *s, uint64_t address, uint64_t counter)
{
	struct hash_index_walk walk;
	uint32_t i = hash_index_first(&s->index, address, &walk), found = HASH_INDEX_NONE;

	for (; i != HASH_INDEX_NONE; i = hash_index_next(&s->index, &walk)) {
		const struct kept *k = &s->kept[i];

		if (k->address == address && k->until >= counter &&
		    (found == HASH_INDEX_NONE || k->until < s->kept[found].until))
			found = i;
	}
	return found;
}

/* The newest of the address, or NULL. */
static struct kept *kept_newest(const struct snapshot_sites *s, uint64_t address)
{
	struct hash_index_walk walk;
	uint32_t i = hash_index_first(&s->index, address, &walk);
	struct kept *newest = NULL;

	for (; i != HASH_INDEX_NONE; i = hash_index_next(&s->index, &walk)) {
		struct kept *k = &s->kept[i];

		if (k->address == address && (!newest || k->until > newest->until))
			newest = k;
	}
	return newest;
}

static bool string_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool format_same(const struct writer_format *a, const struct writer_format *b)
{
	if (!a || !b)
		return a == b;
	return a->kind == b->kind && a->level == b->level && a->arg_cnt == b->arg_cnt &&
	       a->line == b->line && memcmp(a->types, b->types, sizeof(a->types)) == 0 &&
	       string_same(a->tag, b->tag) && string_same(a->file, b->file) &&
	       string_same(a->function, b->function) && string_same(a->format, b->format) &&
	       string_same(a->name, b->name);
}

static int kept_add(struct snapshot_sites *s, const struct kept *k)
{
	int err;

	if (s->cnt == KEPT_MAX)
		return -ENOMEM;
	if (s->cnt == s->cap) {
		const uint32_t cap = s->cap ? s->cap * 2 : 256;
		struct kept *kept = reallocarray(s->kept, cap, sizeof(*kept));

		if (!kept)
			return -ENOMEM;
		s->kept = kept;
		s->cap = cap;
	}
	err = hash_index_add(&s->index, k->address, s->cnt);
	if (!err)
		s->kept[s->cnt++] = *k;
	return err;
}

/* Keeps what lies at the address now. */
static int site_keep(struct snapshot_sites *s, uint64_t address)
{
	struct kept k = {.address = address, .until = s->now, .needed = true};
	struct kept *newest = kept_newest(s, address);
	size_t bytes;
	int err = own_site_read(address, &k.format, &bytes);

	if (err == -ENOMEM)
		return err;
	if (newest && format_same(newest->format, k.format)) {
		free(k.format);
		newest->until = s->now;
		newest->needed = true;
		return 0;
	}
	err = kept_add(s, &k);
	if (err)
		free(k.format);
	return err;
}

static uint64_t *ring_end(const struct snapshot_ring *ring)
{
	return ring->data + (ring->parts[ring->cnt - 1].to - ring->parts[0].from) / 8;
}

/* Words of a record; 0: it is none. */
static uint64_t record_words(const uint64_t *record)
{
	const uint64_t words = *record >> QSLOG_RECORD_SIZE_SHIFT & QSLOG_RECORD_SIZE_MASK;

	return words * 8 < QSLOG_RECORD_HEADER_BYTES ? 0 : words;
}

void snapshot_sites_keep_begin(struct snapshot_sites *s, uint64_t now)
{
	uint32_t i;

	s->now = now;
	for (i = 0; i < s->cnt; i++)
		s->kept[i].needed = false;
}

int snapshot_sites_keep(struct snapshot_sites *s, const struct snapshot_ring *ring)
{
	const uint64_t *record = ring->data, *end;
	uint64_t words;
	int err = 0;

	if (!ring->cnt)
		return 0;
	for (end = ring_end(ring); record < end && !err; record += words) {
		const uint64_t address = *record & QSLOG_RECORD_SITE_MASK;
		uint32_t found;

		words = record_words(record);
		if (!words)
			break;
		if (!address || record[1] > s->now)
			continue;
		found = kept_find(s, address, record[1]);
		if (found == HASH_INDEX_NONE)
			err = site_keep(s, address);
		else
			s->kept[found].needed = true;
	}
	return err;
}

int snapshot_sites_keep_end(struct snapshot_sites *s)
{
	uint32_t i, cnt = 0;
	int err = 0;

	hash_index_fini(&s->index);
	for (i = 0; i < s->cnt; i++) {
		if (!err && s->kept[i].needed)
			err = hash_index_add(&s->index, s->kept[i].address, cnt);
		if (!err && s->kept[i].needed)
			s->kept[cnt++] = s->kept[i];
		else
			free(s->kept[i].format);
	}
	s->cnt = cnt;
	return err;
}

void snapshot_sites_refer(const struct snapshot_sites *s, struct snapshot_ring *ring)
{
	uint64_t *record = ring->data, *end, words;

	if (!s->cnt || !ring->cnt)
		return;
	for (end = ring_end(ring); record < end; record += words) {
		const uint64_t address = *record & QSLOG_RECORD_SITE_MASK;
		uint32_t found;

		words = record_words(record);
		if (!words)
			break;
		found = address ? kept_find(s, address, record[1]) : HASH_INDEX_NONE;
		if (found != HASH_INDEX_NONE)
			*record = (*record & ~QSLOG_RECORD_SITE_MASK) |
				  ((uint64_t)found << 1 | KEPT_TAG);
	}
}
