/* SPDX-License-Identifier: BSD-2-Clause */
/* elf_cache.c - see elf_cache.h. A list, because it is only searched when a file is mapped that the
 * resolver of a process does not have yet. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include "elf_cache.h"

struct cached_image {
	dev_t dev;
	uint64_t inode;
	struct elf_image *image;
};

struct elf_cache {
	struct cached_image *entries;
	size_t cnt, room;
};

int elf_cache_open(struct elf_cache **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void elf_cache_close(struct elf_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache->cnt; i++)
		elf_image_close(cache->entries[i].image);
	free(cache->entries);
	free(cache);
}

/* While the image is open its inode cannot get another file, so the pair names this very file. */
struct elf_image *elf_cache_find(struct elf_cache *cache, dev_t dev, uint64_t inode)
{
	for (size_t i = 0; cache && i < cache->cnt; i++) {
		if (cache->entries[i].inode == inode && cache->entries[i].dev == dev)
			return elf_image_ref(cache->entries[i].image);
	}
	return NULL;
}

int elf_cache_add(struct elf_cache *cache, dev_t dev, uint64_t inode, struct elf_image *image)
{
	size_t kept = 0;

	/* what only the cache holds has no user left */
	for (size_t i = 0; i < cache->cnt; i++) {
		if (elf_image_refs(cache->entries[i].image) == 1)
			elf_image_close(cache->entries[i].image);
		else
			cache->entries[kept++] = cache->entries[i];
	}
	cache->cnt = kept;
	if (cache->cnt == cache->room) {
		size_t room = cache->room ? cache->room * 2 : 16;
		struct cached_image *grown =
			reallocarray(cache->entries, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		cache->entries = grown;
		cache->room = room;
	}
	cache->entries[cache->cnt++] = (struct cached_image){
		.dev = dev, .inode = inode, .image = elf_image_ref(image),
	};
	return 0;
}
