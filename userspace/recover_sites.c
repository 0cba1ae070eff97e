/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_sites.c - see recover_sites.h. A module is an executable mapping of a file: with the
 * file's program headers it tells where the whole image was. Nothing in the list is trusted: a file
 * counts only if inode, size and time of change are those that it had when it was mapped.
 */
#include "recover_sites.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_image.h"
#include "site_read.h"

#define IMAGES_MAX 4096u

struct image {
	struct safe_module module;
	const char *path;
	struct elf_image *elf;
	uint64_t bias, start, end;
	bool tried;
};

struct region {
	struct region *next;
	uint64_t address;
	uint32_t bytes;
	char data[];
};

struct recover_sites {
	struct region *regions;
	uid_t owner;
	char *text; /* paths */
	struct image *images;
	uint32_t cnt;
	struct writer_format *format; /* handed out last */
};

static int images_read(struct recover_sites *s, const char *modules, uint32_t bytes)
{
	uint32_t at = 0;
	char *text;

	s->images = calloc(IMAGES_MAX, sizeof(*s->images));
	s->text = malloc((size_t)bytes + IMAGES_MAX);
	if (!s->images || !s->text)
		return -ENOMEM;
	text = s->text;
	while (bytes - at >= sizeof(struct safe_module) && s->cnt < IMAGES_MAX) {
		struct image *image = &s->images[s->cnt];
		uint64_t padded;

		memcpy(&image->module, modules + at, sizeof(image->module));
		at += (uint32_t)sizeof(image->module);
		padded = ((uint64_t)image->module.path_bytes + 7) & ~(uint64_t)7;
		if (padded > bytes - at)
			return 0; /* the rest is damaged: its sites are unknown */
		memcpy(text, modules + at, image->module.path_bytes);
		text[image->module.path_bytes] = '\0';
		image->path = text;
		text += image->module.path_bytes + 1;
		at += (uint32_t)padded;
		s->cnt++;
	}
	return 0;
}

int recover_sites_open(struct recover_sites **out, const void *modules, uint32_t bytes, uid_t owner)
{
	struct recover_sites *s = calloc(1, sizeof(*s));
	int err;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->owner = owner;
	err = images_read(s, modules, bytes);
	if (err) {
		recover_sites_close(s);
		return err;
	}
	*out = s;
	return 0;
}

void recover_sites_close(struct recover_sites *s)
{
	struct region *region;
	uint32_t i;

	if (!s)
		return;
	while ((region = s->regions)) {
		s->regions = region->next;
		free(region);
	}
	for (i = 0; i < s->cnt; i++)
		elf_image_close(s->images[i].elf);
	free(s->images);
	free(s->text);
	free(s->format);
	free(s);
}

int recover_sites_memory(struct recover_sites *s, uint64_t address, const void *data, uint32_t bytes)
{
	struct region *region = malloc(sizeof(*region) + bytes);

	if (!region)
		return -ENOMEM;
	region->address = address;
	region->bytes = bytes;
	memcpy(region->data, data, bytes);
	region->next = s->regions;
	s->regions = region;
	return 0;
}

static const struct region *region_find(const struct recover_sites *s, uint64_t address)
{
	const struct region *region = s->regions;

	while (region && (address < region->address || address - region->address >= region->bytes))
		region = region->next;
	return region;
}

static bool file_matches(const struct recover_sites *s, const struct safe_module *m,
			 const struct stat *st)
{
	return S_ISREG(st->st_mode) && (st->st_mode & S_IROTH || st->st_uid == s->owner) &&
	       st->st_ino == m->inode && m->file_bytes && (uint64_t)st->st_size == m->file_bytes &&
	       (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec == m->mtime_ns;
}

static void image_open(const struct recover_sites *s, struct image *image)
{
	const struct safe_module *m = &image->module;
	uint64_t first, end;
	struct stat st;
	int fd;

	image->tried = true;
	if (image->path[0] != '/' || strlen(image->path) != m->path_bytes || m->end <= m->start)
		return;
	fd = open(image->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && file_matches(s, m, &st) &&
	    elf_image_open(&image->elf, fd) == 0) {
		if (elf_image_bias(image->elf, m->start, m->offset, m->end - m->start,
				   &image->bias)) {
			elf_image_close(image->elf);
			image->elf = NULL;
		} else {
			elf_image_extent(image->elf, &first, &end);
			image->start = first + image->bias;
			image->end = end + image->bias;
		}
	}
	close(fd);
}

/* The newest image with the address. Which images have it is known only once they are open, and an
 * executable mapping lies within 2 GiB of the data that its code refers to. */
static struct image *image_find(struct recover_sites *s, uint64_t address)
{
	const uint64_t reach = UINT64_C(1) << 31;
	uint32_t i;

	for (i = s->cnt; i-- > 0;) {
		struct image *image = &s->images[i];
		const struct safe_module *m = &image->module;

		if (address + reach < m->start || (address > m->end && address - m->end > reach))
			continue;
		if (!image->tried)
			image_open(s, image);
		if (image->elf && address >= image->start && address < image->end)
			return image;
	}
	return NULL;
}

static ssize_t image_read(void *ctx, uint64_t address, void *buf, size_t len)
{
	const struct region *region = region_find(ctx, address);
	const struct image *image;

	if (region) {
		const uint32_t at = (uint32_t)(address - region->address);

		len = len < region->bytes - at ? len : region->bytes - at;
		memcpy(buf, region->data + at, len);
		return (ssize_t)len;
	}
	image = image_find(ctx, address);
	return image ? elf_image_read(image->elf, address - image->bias, buf, len) : -ENOENT;
}

static int image_pointer(void *ctx, uint64_t address, uint64_t *value)
{
	const struct region *region = region_find(ctx, address);
	struct image *image;

	if (region) {
		const uint64_t at = address - region->address;

		if (region->bytes - at < sizeof(*value))
			return -EFAULT;
		memcpy(value, region->data + at, sizeof(*value));
		return 0;
	}
	image = image_find(ctx, address);
	return image ? elf_image_pointer(image->elf, address - image->bias, image->bias, value) :
		       -ENOENT;
}

int recover_sites_get(void *sites, uint64_t address, struct writer_format *out)
{
	struct recover_sites *s = sites;
	const struct site_source source = { .read = image_read, .pointer = image_pointer, .ctx = s };
	size_t bytes;
	int err;

	free(s->format);
	err = site_read(&source, address, &s->format, &bytes);
	if (!err)
		*out = *s->format;
	return err;
}
