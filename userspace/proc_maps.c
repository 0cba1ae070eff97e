/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proc_maps.c - see proc_maps.h. First the mappings, then the files behind them.
 *
 * Which file a mapping shows is a question of device and inode as /proc/PID/maps prints them. On
 * some filesystems (btrfs, overlayfs) stat(2) gives another device than that. Where stat does not
 * agree, the candidate is therefore mapped here, and /proc/self/maps says its pair. Files are
 * opened with O_PATH first, so that opening a FIFO or device that a process put in the place of
 * its program does nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proc_maps.h"

#define MAPS_BYTES_MAX (64u << 20)
#define DELETED " (deleted)"

static int file_read_all(int fd, char **out, size_t *len)
{
	size_t room = 0, used = 0;
	char *buf = NULL;
	int err;

	for (;;) {
		ssize_t n;

		if (room - used < 2) {
			char *grown;

			room = room ? room * 2 : 65536;
			err = -E2BIG;
			if (room > MAPS_BYTES_MAX)
				goto fail;
			err = -ENOMEM;
			grown = realloc(buf, room);
			if (!grown)
				goto fail;
			buf = grown;
		}
		n = read(fd, buf + used, room - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = -errno;
			goto fail;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	buf[used] = 0;
	*out = buf;
	*len = used;
	return 0;
fail:
	free(buf);
	return err;
}

/* A number in `base` that ends with `stop`, which is taken as well. */
static bool number_take(char **at, int base, char stop, uint64_t *value)
{
	char *end;

	if (**at == ' ' || **at == '-' || **at == '+')
		return false;
	errno = 0;
	*value = strtoull(*at, &end, base);
	if (errno || end == *at || *end != stop)
		return false;
	*at = end + 1;
	return true;
}

/* The kernel writes a newline in a path as \012. */
static void path_unescape(char *path)
{
	char *to = path;

	while (*path) {
		if (!strncmp(path, "\\012", 4)) {
			*to++ = '\n';
			path += 4;
		} else {
			*to++ = *path++;
		}
	}
	*to = 0;
}

/* start-end perms offset major:minor inode   path */
static bool line_parse(char *line, struct proc_map *map)
{
	uint64_t dev_major, dev_minor;

	if (!number_take(&line, 16, '-', &map->start) || !number_take(&line, 16, ' ', &map->end) ||
	    map->start >= map->end || strnlen(line, 5) < 5 || line[4] != ' ')
		return false;
	map->perms = (line[0] == 'r' ? PROC_MAP_READ : 0u) | (line[1] == 'w' ? PROC_MAP_WRITE : 0u) |
		     (line[2] == 'x' ? PROC_MAP_EXEC : 0u) | (line[3] == 's' ? PROC_MAP_SHARED : 0u);
	line += 5;
	if (!number_take(&line, 16, ' ', &map->offset) ||
	    !number_take(&line, 16, ':', &dev_major) || !number_take(&line, 16, ' ', &dev_minor))
		return false;
	map->dev = makedev((unsigned int)dev_major, (unsigned int)dev_minor);
	errno = 0;
	map->inode = strtoull(line, &line, 10);
	if (errno || (*line && *line != ' '))
		return false;
	line += strspn(line, " ");
	path_unescape(line);
	map->path = line;
	return true;
}

int proc_maps_read_fd(struct proc_maps *out, int fd)
{
	size_t len, lines = 0;
	char *line, *next;
	int err;

	memset(out, 0, sizeof(*out));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	err = file_read_all(fd, &out->text, &len);
	if (err)
		return err;
	for (const char *p = out->text; (p = strchr(p, '\n')); p++)
		lines++;
	err = -ESRCH;
	if (!lines)
		goto fail;
	err = -ENOMEM;
	out->maps = calloc(lines, sizeof(*out->maps));
	if (!out->maps)
		goto fail;
	err = -EBADMSG;
	for (line = out->text; *line; line = next) {
		next = strchr(line, '\n');
		if (!next)
			goto fail;
		*next++ = 0;
		if (!line_parse(line, &out->maps[out->cnt]))
			goto fail;
		if (out->cnt && out->maps[out->cnt].start < out->maps[out->cnt - 1].end)
			continue; /* the process moved it while the list was being read */
		out->cnt++;
	}
	return 0;
fail:
	proc_maps_free(out);
	return err;
}

int proc_maps_read(struct proc_maps *out, pid_t pid)
{
	char path[64];
	int fd, err;

	memset(out, 0, sizeof(*out));
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	err = proc_maps_read_fd(out, fd);
	close(fd);
	return err;
}

void proc_maps_free(struct proc_maps *maps)
{
	if (!maps)
		return;
	free(maps->maps);
	free(maps->text);
	memset(maps, 0, sizeof(*maps));
}

const struct proc_map *proc_maps_find(const struct proc_maps *maps, uint64_t addr)
{
	size_t from = 0, to = maps->cnt;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (addr < maps->maps[mid].start)
			to = mid;
		else if (addr >= maps->maps[mid].end)
			from = mid + 1;
		else
			return &maps->maps[mid];
	}
	return NULL;
}

static int by_file(const void *a, const void *b)
{
	const struct proc_map *x = *(const struct proc_map *const *)a;
	const struct proc_map *y = *(const struct proc_map *const *)b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static int by_start(const void *a, const void *b)
{
	const struct proc_map *x = *(const struct proc_map *const *)a;
	const struct proc_map *y = *(const struct proc_map *const *)b;

	return x->start < y->start ? -1 : x->start > y->start;
}

int proc_maps_files(const struct proc_maps *maps, const struct proc_map ***out, size_t *cnt)
{
	const struct proc_map **files;
	size_t found = 0, kept = 0;

	*out = NULL;
	*cnt = 0;
	files = calloc(maps->cnt + 1, sizeof(*files));
	if (!files)
		return -ENOMEM;
	for (size_t i = 0; i < maps->cnt; i++) {
		if (maps->maps[i].inode && (maps->maps[i].perms & PROC_MAP_EXEC))
			files[found++] = &maps->maps[i];
	}
	qsort(files, found, sizeof(*files), by_file);
	for (size_t i = 0; i < found; i++) {
		if (!kept || files[i]->dev != files[kept - 1]->dev ||
		    files[i]->inode != files[kept - 1]->inode)
			files[kept++] = files[i];
	}
	qsort(files, kept, sizeof(*files), by_start);
	*out = files;
	*cnt = kept;
	return 0;
}

/* Whether a mapping of `fd` would show the device and inode of `map`. */
static int same_file(int fd, const struct stat *st, const struct proc_map *map)
{
	const struct proc_map *mine;
	struct proc_maps self;
	void *page;
	int err;

	if (st->st_dev == map->dev && st->st_ino == map->inode)
		return 0;
	if (st->st_size == 0)
		return -ENOENT;
	page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
	if (page == MAP_FAILED)
		return -ENOENT;
	err = proc_maps_read(&self, getpid());
	if (!err) {
		mine = proc_maps_find(&self, (uint64_t)(uintptr_t)page);
		if (!mine || mine->dev != map->dev || mine->inode != map->inode)
			err = -ENOENT;
		proc_maps_free(&self);
	}
	if (munmap(page, 1) && !err)
		err = -errno;
	return err;
}

static int candidate_open(const char *path, const struct proc_map *map)
{
	char self[64];
	struct stat st;
	int place, fd, err;

	place = open(path, O_PATH | O_CLOEXEC);
	if (place < 0)
		return -errno;
	err = fstat(place, &st) ? -errno : 0;
	if (!err && !S_ISREG(st.st_mode))
		err = -ENOENT;
	if (err)
		goto cleanup;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", place);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	err = fd < 0 ? -errno : same_file(fd, &st, map);
	if (!err)
		err = fd;
	else if (fd >= 0)
		close(fd);
cleanup:
	close(place);
	return err;
}

struct search {
	const struct proc_map *map;
	int fd;	 /* found, or an error that another path cannot cure, or -ENOENT */
	int denied;
};

/* Tries one path; false when the search is over. */
__attribute__((format(printf, 2, 3))) static bool search_path(struct search *search,
							       const char *format, ...)
{
	char path[PATH_MAX + 64];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(path))
		return true;
	search->fd = candidate_open(path, search->map);
	if (search->fd >= 0 || search->fd == -EMFILE || search->fd == -ENFILE ||
	    search->fd == -ENOMEM)
		return false;
	if (search->fd == -EACCES || search->fd == -EPERM)
		search->denied = search->fd;
	return true;
}

int proc_map_open(pid_t pid, const struct proc_map *map)
{
	struct search search = { .map = map };
	size_t len = strlen(map->path), suffix = sizeof(DELETED) - 1;

	if (!map->inode)
		return -EINVAL;
	if (!search_path(&search, "/proc/%d/map_files/%llx-%llx", (int)pid,
			 (unsigned long long)map->start, (unsigned long long)map->end))
		return search.fd;
	if (map->path[0] == '/' && len < PATH_MAX) {
		if (!search_path(&search, "/proc/%d/root%s", (int)pid, map->path) ||
		    !search_path(&search, "%s", map->path))
			return search.fd;
		/* the name is gone, but another file of the same inode may have it again */
		if (len > suffix && !strcmp(map->path + len - suffix, DELETED) &&
		    !search_path(&search, "/proc/%d/root%.*s", (int)pid, (int)(len - suffix),
				 map->path))
			return search.fd;
	}
	if (!search_path(&search, "/proc/%d/exe", (int)pid))
		return search.fd;
	return search.denied ? search.denied : -ENOENT;
}

int proc_map_load(pid_t pid, const struct proc_map *map, struct elf_image **image, uint64_t *bias)
{
	int fd, err;

	*image = NULL;
	fd = proc_map_open(pid, map);
	if (fd < 0)
		return fd;
	err = elf_image_open(image, fd);
	close(fd);
	if (err)
		return err;
	err = elf_image_bias(*image, map->start, map->offset, map->end - map->start, bias);
	if (err) {
		elf_image_close(*image);
		*image = NULL;
	}
	return err;
}

int process_read(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = { .iov_base = buf, .iov_len = len };
	struct iovec remote = { .iov_base = (void *)(uintptr_t)addr, .iov_len = len };
	ssize_t n;

	if (!len)
		return 0;
	if (addr > INT64_MAX || len > INT64_MAX - addr)
		return -EFAULT;
	n = process_vm_readv(pid, &local, 1, &remote, 1, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

int process_semaphore_read(pid_t pid, uint64_t addr, uint16_t *value)
{
	return process_read(pid, addr, value, sizeof(*value));
}
