/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dynamic_sites.c - see dynamic_sites.h. Formats are kept in a growing array of pointers and found
 * by address through a hash index. Per registry it is remembered how far its slabs were read: they
 * are linked from the newest to the oldest, so a fetch reads from the newest one back to the one
 * that was the newest at the last fetch.
 */
#include "dynamic_sites.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "hash_index.h"
#include "proc_maps.h"
#include "qslog_abi.h"
#include "site_read.h"

#define REGISTRIES_MAX 16u
#define SLABS_MAX (DYNAMIC_SITES_BYTES_MAX / QSLOG_SITE_SLAB_BYTES)

struct known_site {
	uint64_t address;
	struct writer_format *format;
};

struct known_registry {
	uint64_t address;
	uint64_t site_cnt; /* entries read so far */
	uint64_t slab;	   /* the newest at the last fetch */
	uint64_t used;	   /* of it then */
	bool given_up;	   /* damaged, or too much */
};

struct dynamic_sites {
	unsigned int refs;
	struct dynamic_sites *parent;
	struct known_site *sites;
	uint32_t site_cnt, site_cap;
	struct hash_index index;
	size_t bytes;
	struct known_registry registries[REGISTRIES_MAX];
	unsigned int registry_cnt;
	uint64_t slab[QSLOG_SITE_SLAB_BYTES / 8]; /* a copy of one */
};

int dynamic_sites_open(struct dynamic_sites **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->refs = 1;
	return 0;
}

void dynamic_sites_inherit(struct dynamic_sites *sites, struct dynamic_sites *parent)
{
	/* One that has nothing of its own is passed over, so that chains stay short. */
	while (parent && !parent->site_cnt)
		parent = parent->parent;
	if (!parent)
		return;
	parent->refs++;
	sites->parent = parent;
}

void dynamic_sites_close(struct dynamic_sites *sites)
{
	uint32_t i;

	if (!sites || --sites->refs)
		return;
	dynamic_sites_close(sites->parent);
	for (i = 0; i < sites->site_cnt; i++)
		free(sites->sites[i].format);
	free(sites->sites);
	hash_index_fini(&sites->index);
	free(sites);
}

int dynamic_sites_get(const struct dynamic_sites *sites, uint64_t address,
		      const struct writer_format **out)
{
	struct hash_index_walk walk;
	uint32_t i = hash_index_first(&sites->index, address, &walk);

	while (i != HASH_INDEX_NONE && sites->sites[i].address != address)
		i = hash_index_next(&sites->index, &walk);
	if (i == HASH_INDEX_NONE)
		return sites->parent ? dynamic_sites_get(sites->parent, address, out) : -ENOENT;
	*out = sites->sites[i].format;
	return 0;
}

/* --- Definitions */

struct memory {
	uint64_t address;
	const char *bytes;
	size_t len;
};

static ssize_t memory_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	const struct memory *memory = ctx;
	const uint64_t at = addr - memory->address;

	if (addr < memory->address || at >= memory->len)
		return -EFAULT;
	if (len > memory->len - at)
		len = (size_t)(memory->len - at);
	memcpy(buf, memory->bytes + at, len);
	return (ssize_t)len;
}

static int site_room(struct dynamic_sites *sites)
{
	const uint32_t cap = sites->site_cap ? sites->site_cap * 2 : 64;
	struct known_site *grown;

	if (sites->site_cnt < sites->site_cap)
		return 0;
	grown = realloc(sites->sites, cap * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	sites->sites = grown;
	sites->site_cap = cap;
	return 0;
}

int dynamic_sites_define(struct dynamic_sites *sites, uint64_t address, const void *memory,
			 size_t bytes)
{
	struct memory there = { address, memory, bytes };
	const struct site_source source = { .read = memory_read, .ctx = &there };
	const struct writer_format *known;
	struct writer_format *format;
	size_t format_bytes = 0;
	int err;

	if (dynamic_sites_get(sites, address, &known) == 0)
		return 0;
	err = site_read(&source, address, &format, &format_bytes);
	if (err)
		return err;
	err = -ENOSPC;
	if (sites->bytes + format_bytes > DYNAMIC_SITES_BYTES_MAX)
		goto fail;
	err = site_room(sites);
	if (!err)
		err = hash_index_add(&sites->index, address, sites->site_cnt);
	if (err)
		goto fail;
	sites->sites[sites->site_cnt].address = address;
	sites->sites[sites->site_cnt++].format = format;
	sites->bytes += format_bytes;
	return 0;
fail:
	free(format);
	return err;
}

/* --- Slabs */

static struct known_registry *registry_known(struct dynamic_sites *sites, uint64_t address)
{
	unsigned int i;

	for (i = 0; i < sites->registry_cnt; i++)
		if (sites->registries[i].address == address)
			return &sites->registries[i];
	if (sites->registry_cnt == REGISTRIES_MAX)
		return NULL;
	sites->registries[i].address = address;
	sites->registry_cnt++;
	return &sites->registries[i];
}

/* The entries in [from, used) of the copy of the slab at `address`; adds how many to `cnt`. */
static int entries_take(struct dynamic_sites *sites, uint64_t address, uint64_t from, uint64_t used,
			uint64_t *cnt)
{
	while (used - from >= sizeof(uint64_t)) {
		const uint64_t *entry = &sites->slab[from / 8];
		int err;

		if ((entry[0] & 7) || entry[0] <= sizeof(uint64_t) || entry[0] > used - from)
			return -EBADMSG;
		err = dynamic_sites_define(sites, address + from + sizeof(uint64_t), entry + 1,
					   (size_t)entry[0] - sizeof(uint64_t));
		if (err == -ENOMEM || err == -ENOSPC)
			return err;
		from += entry[0];
		++*cnt;
	}
	return 0;
}

/* What the slab has from `from` on; `out` is its header. */
static int slab_take(struct dynamic_sites *sites, pid_t pid, uint64_t address, uint64_t from,
		     struct qslog_site_slab *out, uint64_t *cnt)
{
	int err = process_read(pid, address, out, sizeof(*out));

	if (err)
		return err;
	if (out->magic != QSLOG_SITE_SLAB_MAGIC || out->bytes != QSLOG_SITE_SLAB_BYTES ||
	    out->used > out->bytes || out->used < sizeof(*out) || (out->used & 7) ||
	    from > out->used)
		return -EBADMSG;
	if (from == out->used)
		return 0;
	err = process_read(pid, address + from, &sites->slab[from / 8], (size_t)(out->used - from));
	return err ? err : entries_take(sites, address, from, out->used, cnt);
}

/* From the newest slab back to where the last fetch ended. How many entries there were is counted,
 * not taken from the process, which may register more while its slabs are read. */
static int slabs_take(struct dynamic_sites *sites, pid_t pid, struct known_registry *known,
		      uint64_t newest)
{
	struct qslog_site_slab header = { .used = 0 };
	uint64_t slab, used = 0, cnt = 0;
	uint32_t i;
	int err;

	for (i = 0, slab = newest; slab; i++, slab = header.next) {
		const bool last = slab == known->slab;

		if (i == SLABS_MAX)
			return -ENOSPC;
		err = slab_take(sites, pid, slab, last ? known->used : sizeof(header), &header,
				&cnt);
		if (err)
			return err;
		if (!i)
			used = header.used;
		if (last)
			break;
	}
	known->slab = newest;
	known->used = used;
	known->site_cnt += cnt;
	return 0;
}

int dynamic_sites_fetch(struct dynamic_sites *sites, pid_t pid, uint64_t registry)
{
	struct known_registry *known = registry_known(sites, registry);
	struct qslog_registry now;
	int err;

	if (!known || known->given_up)
		return -ENOSPC;
	err = process_read(pid, registry, &now, sizeof(now));
	if (err)
		return err;
	if (!now.magic || now.site_cnt == known->site_cnt) /* not initialised, or nothing new */
		return 0;
	if (now.magic == QSLOG_REGISTRY_MAGIC && now.abi_version == QSLOG_ABI_VERSION)
		err = slabs_take(sites, pid, known, now.site_slabs);
	else
		err = -EBADMSG;
	if (err == -EBADMSG || err == -ENOSPC)
		known->given_up = true;
	return err;
}
