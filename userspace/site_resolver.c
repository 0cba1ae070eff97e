/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * site_resolver.c - see site_resolver.h. Memory is read through /proc/PID/mem and mappings through
 * /proc/PID/maps, both opened once: such a descriptor stays with the memory that the process had
 * then, and reads as empty after its end or exec. process_vm_readv(2), which takes a pid, could
 * read a later process of that pid; it serves where CAP_SYS_PTRACE is there and the capability to
 * open another user's files is not, and the mappings are asked afterwards whether it was the one.
 *
 * An image is an ELF file at a bias: [start, end) of the process. Images stay after dlclose, until
 * another one takes their place. What has been asked for is kept in a hash table by address, with
 * linear probing; entries are removed by building a new table.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc_maps.h"
#include "site_read.h"
#include "site_resolver.h"

#define REJECTS_MAX SITE_RESOLVER_IMAGES_MAX
#define TABLE_SIZE_MIN 64u

struct site_image {
	struct elf_image *elf;
	dev_t dev;
	uint64_t inode;
	uint64_t bias, start, end;
	bool seen; /* by this refresh */
	bool new;  /* added by this refresh */
};

/* A file that is mapped executable and no image, so that it is not opened at every refresh. */
struct site_reject {
	dev_t dev;
	uint64_t inode;
	bool seen;
};

struct site_entry {
	uint64_t addr;
	struct writer_format *format; /* NULL: err */
	uint32_t bytes;
	int err;
	bool used;
};

struct site_resolver {
	pid_t pid;
	int mem_fd; /* -1: may not be opened */
	int maps_fd;
	bool files_first;
	struct elf_cache *cache;
	struct site_image images[SITE_RESOLVER_IMAGES_MAX];
	uint32_t image_cnt;
	struct site_reject rejects[REJECTS_MAX];
	uint32_t reject_cnt;
	struct site_entry *table;
	size_t table_size; /* a power of two, at least twice the entries */
	size_t bytes;
	struct site_resolver_stats stats;
};

/* ---- what was asked for ---- */

static struct site_entry *table_slot(struct site_entry *table, size_t size, uint64_t addr)
{
	size_t at = (size_t)((addr * 0x9e3779b97f4a7c15ull) >> 32) & (size - 1);

	while (table[at].used && table[at].addr != addr)
		at = (at + 1) & (size - 1);
	return &table[at];
}

/* A table of `size` without the failures, if so asked, and without sites in [start, end). */
static int table_rebuild(struct site_resolver *resolver, size_t size, bool keep_failures,
			 uint64_t start, uint64_t end)
{
	struct site_entry *table = calloc(size, sizeof(*table));

	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < resolver->table_size; i++) {
		struct site_entry *entry = &resolver->table[i];

		if (!entry->used)
			continue;
		if (!entry->format && !keep_failures) {
			resolver->stats.failures--;
		} else if (entry->format && entry->addr >= start && entry->addr < end) {
			resolver->stats.sites--;
			resolver->bytes -= entry->bytes;
			free(entry->format);
		} else {
			*table_slot(table, size, entry->addr) = *entry;
		}
	}
	free(resolver->table);
	resolver->table = table;
	resolver->table_size = size;
	return 0;
}

static int table_add(struct site_resolver *resolver, const struct site_entry *entry)
{
	struct site_resolver_stats *stats = &resolver->stats;
	int err = 0;

	if (!entry->format && stats->failures == SITE_RESOLVER_FAILURES_MAX)
		err = table_rebuild(resolver, resolver->table_size, false, 0, 0);
	if (!err && (stats->sites + stats->failures + 1) * 2 > resolver->table_size)
		err = table_rebuild(resolver, resolver->table_size * 2, true, 0, 0);
	if (err)
		return err;
	*table_slot(resolver->table, resolver->table_size, entry->addr) = *entry;
	if (entry->format)
		stats->sites++;
	else
		stats->failures++;
	resolver->bytes += entry->bytes;
	return 0;
}

/* ---- the two sources ---- */

bool site_resolver_current(const struct site_resolver *resolver)
{
	char any;

	return resolver->maps_fd >= 0 && pread(resolver->maps_fd, &any, 1, 0) == 1;
}

static ssize_t memory_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	struct site_resolver *resolver = ctx;
	ssize_t n;

	if (addr > (uint64_t)INT64_MAX - len)
		return -EFAULT;
	if (resolver->maps_fd < 0)
		return -ESRCH;
	if (resolver->mem_fd < 0) {
		int err = process_read(resolver->pid, addr, buf, len);

		return err ? err : site_resolver_current(resolver) ? (ssize_t)len : -ESRCH;
	}
	do
		n = pread(resolver->mem_fd, buf, len, (off_t)addr);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EIO ? -EFAULT : -errno;
	return n ? n : -ESRCH; /* nothing at all: the memory is no more */
}

static const struct site_image *image_find(const struct site_resolver *resolver, uint64_t addr)
{
	for (uint32_t i = resolver->image_cnt; i-- > 0;) {
		if (addr >= resolver->images[i].start && addr < resolver->images[i].end)
			return &resolver->images[i];
	}
	return NULL;
}

static ssize_t image_read(void *ctx, uint64_t addr, void *buf, size_t len)
{
	const struct site_image *image = image_find(ctx, addr);

	return image ? elf_image_read(image->elf, addr - image->bias, buf, len) : -EFAULT;
}

static int image_pointer(void *ctx, uint64_t addr, uint64_t *value)
{
	const struct site_image *image = image_find(ctx, addr);

	return image ? elf_image_pointer(image->elf, addr - image->bias, image->bias, value) :
		       -EFAULT;
}

static int elf_resolve(struct site_resolver *resolver, struct site_entry *entry, size_t *bytes)
{
	const struct site_source elf = {
		.read = image_read, .pointer = image_pointer, .ctx = resolver,
	};
	int err = image_find(resolver, entry->addr) ?
			  site_read(&elf, entry->addr, &entry->format, bytes) : -ENOENT;

	if (!err)
		resolver->stats.from_elf++;
	return err;
}

static int memory_resolve(struct site_resolver *resolver, struct site_entry *entry, size_t *bytes)
{
	const struct site_source memory = { .read = memory_read, .ctx = resolver };
	int err = site_read(&memory, entry->addr, &entry->format, bytes);

	if (!err)
		resolver->stats.from_process++;
	return err;
}

static int site_resolve(struct site_resolver *resolver, struct site_entry *entry)
{
	int err = -ESRCH, elf_err = -ENOENT;
	size_t bytes = 0;

	if (resolver->files_first)
		elf_err = elf_resolve(resolver, entry, &bytes);
	if (elf_err && elf_err != -ENOMEM)
		err = memory_resolve(resolver, entry, &bytes);
	if (!resolver->files_first && err && err != -ENOMEM)
		elf_err = elf_resolve(resolver, entry, &bytes);
	/* a process that lives knows better what is wrong */
	if (err && (!elf_err || err == -ESRCH || elf_err == -ENOMEM))
		err = elf_err;
	entry->bytes = (uint32_t)(err ? 0 : bytes);
	return err;
}

static bool failure_lasts(int err)
{
	return err == -ENOENT || err == -EFAULT || err == -EBADMSG || err == -ENAMETOOLONG;
}

int site_resolver_get(struct site_resolver *resolver, uint64_t addr,
		      const struct writer_format **out)
{
	struct site_entry *known = table_slot(resolver->table, resolver->table_size, addr);
	struct site_entry entry = { .addr = addr, .used = true };
	int err;

	*out = NULL;
	if (known->used) {
		*out = known->format;
		return known->err;
	}
	err = site_resolve(resolver, &entry);
	if (err && !failure_lasts(err))
		return err;
	if (!err && resolver->bytes + entry.bytes > SITE_RESOLVER_BYTES_MAX) {
		free(entry.format);
		return -ENOSPC;
	}
	entry.err = err;
	err = table_add(resolver, &entry);
	if (err) {
		free(entry.format);
		return err;
	}
	*out = entry.format;
	return entry.err;
}

/* ---- what is mapped ---- */

static void image_remove(struct site_resolver *resolver, uint32_t at)
{
	elf_image_close(resolver->images[at].elf);
	resolver->image_cnt--;
	memmove(&resolver->images[at], &resolver->images[at + 1],
		(resolver->image_cnt - at) * sizeof(resolver->images[0]));
}

static struct elf_image *image_elf(const struct site_resolver *resolver, const struct proc_map *map)
{
	for (uint32_t i = 0; i < resolver->image_cnt; i++) {
		const struct site_image *image = &resolver->images[i];

		if (image->inode == map->inode && image->dev == map->dev)
			return image->elf;
	}
	return NULL;
}

static struct site_reject *reject_find(struct site_resolver *resolver, const struct proc_map *map)
{
	for (uint32_t i = 0; i < resolver->reject_cnt; i++) {
		struct site_reject *reject = &resolver->rejects[i];

		if (reject->inode == map->inode && reject->dev == map->dev)
			return reject;
	}
	return NULL;
}

/* Marks what is known of this mapping; false if nothing is. */
static bool map_known(struct site_resolver *resolver, const struct proc_map *map)
{
	struct elf_image *elf = image_elf(resolver, map);
	struct site_reject *reject;
	uint64_t bias;

	if (elf) {
		if (elf_image_bias(elf, map->start, map->offset, map->end - map->start, &bias))
			return true; /* the program mapped its file once more, for itself */
		for (uint32_t i = 0; i < resolver->image_cnt; i++) {
			struct site_image *image = &resolver->images[i];

			if (image->elf == elf && image->bias == bias) {
				image->seen = true;
				return true;
			}
		}
		return false;
	}
	reject = reject_find(resolver, map);
	if (reject)
		reject->seen = true;
	return reject;
}

static int image_room(struct site_resolver *resolver)
{
	if (resolver->image_cnt < SITE_RESOLVER_IMAGES_MAX)
		return 0;
	for (uint32_t i = 0; i < resolver->image_cnt; i++) {
		if (!resolver->images[i].seen) {
			image_remove(resolver, i);
			return 0;
		}
	}
	return -E2BIG;
}

/* The file of the mapping with a reference for the caller, and its bias. */
static int map_load(struct site_resolver *resolver, const struct proc_map *map,
		    struct elf_image **elf, uint64_t *bias)
{
	int err;

	*elf = image_elf(resolver, map);
	if (*elf)
		elf_image_ref(*elf);
	else
		*elf = elf_cache_find(resolver->cache, map->dev, map->inode);
	if (!*elf) {
		err = proc_map_load(resolver->pid, map, elf, bias);
		if (!err && resolver->cache)
			err = elf_cache_add(resolver->cache, map->dev, map->inode, *elf);
	} else {
		err = elf_image_bias(*elf, map->start, map->offset, map->end - map->start, bias);
	}
	if (err) {
		elf_image_close(*elf);
		*elf = NULL;
	}
	return err;
}

static int map_add(struct site_resolver *resolver, const struct proc_map *map)
{
	struct site_image image = { .dev = map->dev, .inode = map->inode, .seen = true, .new = true };
	int err;

	err = image_room(resolver);
	if (err)
		return err;
	err = map_load(resolver, map, &image.elf, &image.bias);
	if (err)
		return err;
	elf_image_extent(image.elf, &image.start, &image.end);
	image.start += image.bias;
	image.end += image.bias;
	resolver->images[resolver->image_cnt++] = image;
	return 0;
}

/* The file is of no use, and will not be at the next refresh. */
static bool map_reject(struct site_resolver *resolver, const struct proc_map *map, int err)
{
	if (err != -ENOEXEC && err != -ENOTSUP && err != -EBADMSG && err != -E2BIG)
		return false;
	if (err == -E2BIG && resolver->image_cnt == SITE_RESOLVER_IMAGES_MAX)
		return false;
	if (resolver->reject_cnt < REJECTS_MAX)
		resolver->rejects[resolver->reject_cnt++] = (struct site_reject){
			.dev = map->dev, .inode = map->inode, .seen = true,
		};
	return true;
}

static int maps_take(struct site_resolver *resolver, const struct proc_maps *maps)
{
	struct site_resolver_stats *stats = &resolver->stats;

	for (size_t i = 0; i < maps->cnt; i++) {
		if (maps->maps[i].inode && (maps->maps[i].perms & PROC_MAP_EXEC))
			map_known(resolver, &maps->maps[i]);
	}
	for (size_t i = 0; i < maps->cnt; i++) {
		const struct proc_map *map = &maps->maps[i];
		int err;

		if (!map->inode || !(map->perms & PROC_MAP_EXEC) || map_known(resolver, map))
			continue;
		err = map_add(resolver, map);
		if (err == -ENOMEM)
			return err;
		/* what is no program or library for us has no sites for us */
		if (!err || (map_reject(resolver, map, err) && (err == -ENOEXEC || err == -ENOTSUP)))
			continue;
		stats->files_missing++;
		if (!stats->files_error)
			stats->files_error = err;
	}
	return 0;
}

/* A new image voids what was known of its addresses; images unloaded from there are gone. */
static int images_settle(struct site_resolver *resolver)
{
	uint64_t sites = resolver->stats.sites;
	int err;

	for (uint32_t i = 0; i < resolver->image_cnt; i++) {
		uint64_t start = resolver->images[i].start, end = resolver->images[i].end;

		if (!resolver->images[i].new)
			continue;
		err = sites ? table_rebuild(resolver, resolver->table_size, false, start, end) : 0;
		if (err)
			return err;
		resolver->images[i].new = false;
		for (uint32_t j = resolver->image_cnt; j-- > 0;) {
			const struct site_image *old = &resolver->images[j];

			if (old->seen || old->start >= end || start >= old->end)
				continue;
			image_remove(resolver, j);
			if (j < i)
				i--;
		}
	}
	return resolver->stats.sites != sites;
}

int site_resolver_refresh(struct site_resolver *resolver)
{
	struct proc_maps maps;
	uint32_t kept = 0;
	int err;

	if (resolver->maps_fd < 0)
		return -ESRCH;
	err = proc_maps_read_fd(&maps, resolver->maps_fd);
	if (err)
		return err;
	for (uint32_t i = 0; i < resolver->image_cnt; i++)
		resolver->images[i].seen = false;
	for (uint32_t i = 0; i < resolver->reject_cnt; i++)
		resolver->rejects[i].seen = false;
	resolver->stats.files_missing = 0;
	resolver->stats.files_error = 0;
	err = maps_take(resolver, &maps);
	proc_maps_free(&maps);
	if (err)
		return err;
	/* nothing keeps the inode of a rejected file: when it is unmapped, its number may be reused */
	for (uint32_t i = 0; i < resolver->reject_cnt; i++) {
		if (resolver->rejects[i].seen)
			resolver->rejects[kept++] = resolver->rejects[i];
	}
	resolver->reject_cnt = kept;
	if (resolver->stats.failures)
		err = table_rebuild(resolver, resolver->table_size, false, 0, 0);
	return err ? err : images_settle(resolver);
}

static int proc_open(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

int site_resolver_open_empty(struct site_resolver **out, struct elf_cache *cache)
{
	struct site_resolver *resolver = calloc(1, sizeof(*resolver));
	int err;

	if (!resolver)
		return -ENOMEM;
	resolver->mem_fd = resolver->maps_fd = -1;
	resolver->cache = cache;
	err = table_rebuild(resolver, TABLE_SIZE_MIN, true, 0, 0);
	if (err) {
		site_resolver_close(resolver);
		return err;
	}
	*out = resolver;
	return 0;
}

int site_resolver_process(struct site_resolver *resolver, pid_t pid)
{
	int mem_fd, maps_fd;

	if (resolver->maps_fd >= 0)
		return 0;
	mem_fd = proc_open(pid, "mem");
	if (mem_fd < 0 && mem_fd != -EACCES)
		return mem_fd;
	maps_fd = proc_open(pid, "maps");
	if (maps_fd < 0) {
		if (mem_fd >= 0)
			close(mem_fd);
		return maps_fd;
	}
	resolver->pid = pid;
	resolver->mem_fd = mem_fd < 0 ? -1 : mem_fd;
	resolver->maps_fd = maps_fd;
	return 0;
}

int site_resolver_image_add(struct site_resolver *resolver, dev_t dev, uint64_t inode,
			    struct elf_image *elf, uint64_t bias)
{
	struct site_image image = {
		.elf = elf, .dev = dev, .inode = inode, .bias = bias, .seen = true, .new = true,
	};
	int err;

	elf_image_extent(elf, &image.start, &image.end);
	image.start += bias;
	image.end += bias;
	for (uint32_t i = 0; i < resolver->image_cnt; i++) {
		struct site_image *known = &resolver->images[i];

		if (known->elf == elf && known->bias == bias)
			return 0;
		/* Whatever lay there is unloaded. */
		known->seen = known->start >= image.end || image.start >= known->end;
	}
	err = image_room(resolver);
	if (err)
		return err;
	elf_image_ref(elf);
	resolver->images[resolver->image_cnt++] = image;
	return images_settle(resolver);
}

int site_resolver_images_copy(struct site_resolver *resolver, const struct site_resolver *from)
{
	int err = 0;

	for (uint32_t i = 0; i < from->image_cnt && err >= 0; i++) {
		const struct site_image *image = &from->images[i];

		err = site_resolver_image_add(resolver, image->dev, image->inode, image->elf,
					      image->bias);
	}
	return err < 0 ? err : 0;
}

void site_resolver_files_first(struct site_resolver *resolver)
{
	resolver->files_first = true;
}

int site_resolver_open(struct site_resolver **out, pid_t pid, struct elf_cache *cache)
{
	struct site_resolver *resolver;
	int err;

	*out = NULL;
	resolver = calloc(1, sizeof(*resolver));
	if (!resolver)
		return -ENOMEM;
	resolver->pid = pid;
	resolver->cache = cache;
	resolver->maps_fd = -1;
	resolver->mem_fd = proc_open(pid, "mem");
	err = resolver->mem_fd == -EACCES ? 0 : resolver->mem_fd < 0 ? resolver->mem_fd : 0;
	if (err)
		goto cleanup;
	resolver->maps_fd = proc_open(pid, "maps");
	err = resolver->maps_fd < 0 ? resolver->maps_fd : 0;
	if (err)
		goto cleanup;
	err = table_rebuild(resolver, TABLE_SIZE_MIN, true, 0, 0);
	if (err)
		goto cleanup;
	err = site_resolver_refresh(resolver);
	if (err < 0)
		goto cleanup;
	err = 0;
	*out = resolver;
	resolver = NULL;
cleanup:
	site_resolver_close(resolver);
	return err;
}

void site_resolver_close(struct site_resolver *resolver)
{
	if (!resolver)
		return;
	for (size_t i = 0; i < resolver->table_size; i++)
		free(resolver->table[i].format);
	free(resolver->table);
	for (uint32_t i = 0; i < resolver->image_cnt; i++)
		elf_image_close(resolver->images[i].elf);
	if (resolver->mem_fd >= 0)
		close(resolver->mem_fd);
	if (resolver->maps_fd >= 0)
		close(resolver->maps_fd);
	free(resolver);
}

void site_resolver_stats_get(const struct site_resolver *resolver, struct site_resolver_stats *out)
{
	*out = resolver->stats;
	out->images = resolver->image_cnt;
}
