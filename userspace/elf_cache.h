/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * elf_cache.h - ELF images shared by everything that reads the same files (the libraries of many
 * traced processes), by device and inode as /proc/PID/maps has them. The cache holds a reference to
 * each until nobody else does; it belongs to one thread.
 */
#ifndef QSLOG_ELF_CACHE_H
#define QSLOG_ELF_CACHE_H

#include <stdint.h>
#include <sys/types.h>

#include "elf_image.h"

struct elf_cache;
int elf_cache_open(struct elf_cache **out);
void elf_cache_close(struct elf_cache *cache); /* images in use stay valid; NULL is accepted */

/* A new reference, or NULL when the cache (which may be NULL) does not have the file. */
struct elf_image *elf_cache_find(struct elf_cache *cache, dev_t dev, uint64_t inode);
int elf_cache_add(struct elf_cache *cache, dev_t dev, uint64_t inode, struct elf_image *image);

#endif
