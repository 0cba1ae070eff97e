/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * safe_memory.c - the file is never larger than what fallocate(2) has reserved, so that no store
 * into a mapping of it can find the file system full (SIGBUS); limits on file sizes are looked at
 * first (SIGXFSZ). A POSIX lock on it ends with the process, whatever happens and in
 * whichever PID namespace, and is not inherited by children: it says whether the process lives.
 */
#include "safe_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proc_maps.h"

#define SLABS_MAX 1024u

struct safe_memory {
	int fd;
	uint32_t place_cnt; /* given out */
	struct safe_slab *slabs[SLABS_MAX]; /* mapped copies, each of one slab */
	uint32_t slab_cnt, slab_room; /* copies; further ones that the newest place has room for */
	char *slab_places[SLABS_MAX];
	uint32_t slab_place_cnt;
	struct safe_header *header; /* SAFE_ARENAS_OFF bytes are mapped */
	char path[PATH_MAX];
};

/* --- Space. */

/* A quarter of a file system of limited size stays free: others use it as well. */
static int room_reserve(int fd, uint64_t offset, uint64_t bytes)
{
	struct rlimit limit;
	struct statvfs fs;

	if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
		return -errno;
	if (offset + bytes > SAFE_BYTES_MAX || offset + bytes > limit.rlim_cur)
		return -ENOSPC;
	if (fstatvfs(fd, &fs) != 0)
		return -errno;
	if (fs.f_blocks && (uint64_t)fs.f_bavail * fs.f_frsize <
				   bytes + (uint64_t)fs.f_blocks * fs.f_frsize / 4)
		return -ENOSPC;
	return fallocate(fd, 0, (off_t)offset, (off_t)bytes) != 0 ? -errno : 0;
}

/* The next place is given out; it is lost where it cannot be reserved and another was meanwhile. */
static int place_take(struct safe_memory *m, uint64_t *offset)
{
	const uint64_t bytes = QSLOG_ARENA_HEADER_BYTES + m->header->ring_bytes;
	uint32_t place = __atomic_fetch_add(&m->place_cnt, 1, __ATOMIC_RELAXED), next = place + 1;
	int err;

	*offset = SAFE_ARENAS_OFF + place * bytes;
	err = room_reserve(m->fd, *offset, bytes);
	if (err) {
		(void)__atomic_compare_exchange_n(&m->place_cnt, &next, place, 0, __ATOMIC_RELAXED,
						  __ATOMIC_RELAXED);
		return err;
	}
	while (m->header->arena_cnt < next) {
		uint32_t cnt = m->header->arena_cnt;

		if (cnt < next)
			(void)__atomic_compare_exchange_n(&m->header->arena_cnt, &cnt, next, 0,
							  __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	}
	return 0;
}

int safe_memory_arena(struct safe_memory *m, uint64_t bytes, int *fd, uint64_t *offset)
{
	int err = -ENOSPC;

	if (bytes == QSLOG_ARENA_HEADER_BYTES + m->header->ring_bytes)
		err = place_take(m, offset);
	if (err)
		__atomic_fetch_add(&m->header->unsafe_cnt, 1, __ATOMIC_RELAXED);
	*fd = m->fd;
	return err;
}

void safe_memory_counts(const struct safe_memory *m, uint64_t *safe, uint64_t *not_safe)
{
	*safe = __atomic_load_n(&m->header->arena_cnt, __ATOMIC_RELAXED);
	*not_safe = __atomic_load_n(&m->header->unsafe_cnt, __ATOMIC_RELAXED);
}

/* --- The file. */

static int file_create(struct safe_memory *m, const char *dir, size_t dir_bytes)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	uint64_t random;
	int len, err;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	len = snprintf(m->path, sizeof(m->path), "%.*s/qslog-%u-%d-%016llx", (int)dir_bytes, dir,
		       (unsigned int)geteuid(), (int)getpid(), (unsigned long long)random);
	if (len < 0 || (size_t)len >= sizeof(m->path))
		return -ENAMETOOLONG;
	m->fd = open(m->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m->fd < 0)
		return -errno;
	err = fcntl(m->fd, F_SETLK, &lock) != 0 ? -errno : 0;
	if (!err)
		err = room_reserve(m->fd, 0, SAFE_ARENAS_OFF);
	if (!err)
		return 0;
	(void)unlink(m->path); /* `err` says more */
	close(m->fd);
	m->fd = -1;
	return err;
}

/* False where it does not fit, which would make the path of no use. */
static bool string_put(struct safe_memory *m, uint32_t offset, uint32_t bytes, const char *string)
{
	size_t len = string ? strlen(string) : 0;

	if (len >= bytes)
		return false;
	if (len)
		memcpy((char *)m->header + offset, string, len);
	return true;
}

static int header_fill(struct safe_memory *m, const char *output, const uint8_t file_id[16],
		       const struct clock_scale *scale, const struct writer_process *process,
		       uint64_t ring_bytes)
{
	struct safe_header *h = m->header;

	if (!string_put(m, SAFE_PATH_OFF, SAFE_PATH_BYTES, output) ||
	    !string_put(m, SAFE_NAME_OFF, SAFE_NAME_BYTES, process->name) ||
	    !string_put(m, SAFE_EXE_OFF, SAFE_EXE_BYTES, process->exe) ||
	    !string_put(m, SAFE_COMMAND_OFF, SAFE_COMMAND_BYTES, process->command))
		return -ENAMETOOLONG;
	h->version = SAFE_VERSION;
	h->pid = process->pid;
	h->start_time_ns = process->start_time_ns;
	h->snapshot = !file_id;
	if (file_id)
		memcpy(h->file_id, file_id, sizeof(h->file_id));
	h->counter_kind = scale->kind;
	h->ring_bytes = ring_bytes;
	h->counter0 = scale->counter0;
	h->mult = scale->mult;
	h->hz = scale->hz;
	return safe_memory_modules(m);
}

int safe_memory_open(struct safe_memory **out, const char *output, const uint8_t file_id[16],
		     const struct clock_scale *scale, const struct writer_process *process,
		     uint64_t ring_bytes)
{
	struct safe_memory *m = calloc(1, sizeof(*m));
	const char *slash = strrchr(output, '/');
	void *map;
	int err;

	*out = NULL;
	if (!m)
		return -ENOMEM;
	err = file_create(m, SAFE_DIR, sizeof(SAFE_DIR) - 1);
	if (err && slash)
		err = file_create(m, output, (size_t)(slash - output));
	if (err) {
		free(m);
		return err;
	}
	map = mmap(NULL, SAFE_ARENAS_OFF, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (map == MAP_FAILED) {
		err = -errno;
		safe_memory_close(m, true);
		return err;
	}
	m->header = map;
	err = header_fill(m, output, file_id, scale, process, ring_bytes);
	if (err) {
		safe_memory_close(m, true);
		return err;
	}
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memcpy(m->header->magic, SAFE_MAGIC, SAFE_MAGIC_BYTES);
	*out = m;
	return 0;
}

void safe_memory_close(struct safe_memory *m, bool remove)
{
	uint64_t place_bytes;

	if (!m)
		return;
	if (remove)
		(void)unlink(m->path); /* somebody else has done it */
	place_bytes = m->header ? QSLOG_ARENA_HEADER_BYTES + m->header->ring_bytes : 0;
	if (m->header)
		munmap(m->header, SAFE_ARENAS_OFF);
	for (; m->slab_place_cnt; m->slab_place_cnt--)
		munmap(m->slab_places[m->slab_place_cnt - 1], place_bytes);
	close(m->fd);
	free(m);
}

/* --- Modules. */

/* Is the newest entry that overlaps the mapping one about the same? */
static bool module_known(const struct safe_header *h, const struct proc_map *map)
{
	const char *region = (const char *)h + SAFE_MODULES_OFF;
	bool known = false;
	uint32_t at = 0;

	while (at < h->module_bytes) {
		const struct safe_module *module = (const struct safe_module *)(region + at);

		if (module->start < map->end && map->start < module->end)
			known = module->start == map->start && module->end == map->end &&
				module->offset == map->offset && module->dev == map->dev &&
				module->inode == map->inode;
		at += (uint32_t)sizeof(*module) + ((module->path_bytes + 7) & ~7u);
	}
	return known;
}

static void module_add(struct safe_header *h, const struct proc_map *map)
{
	size_t path_bytes = strlen(map->path), bytes;
	struct safe_module *module;
	struct stat st;

	bytes = sizeof(*module) + ((path_bytes + 7) & ~(size_t)7);
	if (path_bytes >= PATH_MAX || bytes > SAFE_MODULES_BYTES - h->module_bytes) {
		h->module_lost++;
		return;
	}
	module = (struct safe_module *)((char *)h + SAFE_MODULES_OFF + h->module_bytes);
	memset(module, 0, sizeof(*module));
	module->start = map->start;
	module->end = map->end;
	module->offset = map->offset;
	module->dev = map->dev;
	module->inode = map->inode;
	/* by inode only: on overlay file systems the device is another one in /proc/PID/maps */
	if (stat(map->path, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == map->inode) {
		module->file_bytes = (uint64_t)st.st_size;
		module->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	}
	module->path_bytes = (uint32_t)path_bytes;
	memcpy(module + 1, map->path, path_bytes);
	__atomic_store_n(&h->module_bytes, h->module_bytes + (uint32_t)bytes, __ATOMIC_RELEASE);
}

int safe_memory_modules(struct safe_memory *m)
{
	struct proc_maps maps;
	size_t i;
	int err;

	err = proc_maps_read(&maps, getpid());
	if (err)
		return err;
	for (i = 0; i < maps.cnt; i++) {
		const struct proc_map *map = &maps.maps[i];

		if (map->inode && map->perms & PROC_MAP_EXEC && !module_known(m->header, map))
			module_add(m->header, map);
	}
	proc_maps_free(&maps);
	return 0;
}

/* --- Registered sites. */

/* Another place, full of room for copies. */
static int slab_place_add(struct safe_memory *m)
{
	const uint64_t ring = m->header->ring_bytes;
	uint64_t offset;
	char *place;
	int err;

	err = place_take(m, &offset);
	if (err)
		return err;
	place = mmap(NULL, QSLOG_ARENA_HEADER_BYTES + ring, PROT_READ | PROT_WRITE, MAP_SHARED,
		     m->fd, (off_t)offset);
	if (place == MAP_FAILED)
		return -errno;
	((struct qslog_arena *)(void *)place)->magic = QSLOG_SITE_SLAB_MAGIC;
	m->slab_places[m->slab_place_cnt++] = place;
	m->slab_room = (uint32_t)(ring / sizeof(struct safe_slab));
	return 0;
}

static int slab_add(struct safe_memory *m, const struct qslog_site_slab *slab)
{
	struct safe_slab *copy;
	int err = 0;

	if (m->slab_cnt == SLABS_MAX)
		return -ENOSPC;
	if (!m->slab_room)
		err = slab_place_add(m);
	if (err)
		return err;
	copy = (struct safe_slab *)(void *)(m->slab_places[m->slab_place_cnt - 1] +
					    QSLOG_ARENA_HEADER_BYTES) + --m->slab_room;
	m->slabs[m->slab_cnt++] = copy;
	__atomic_store_n(&copy->address, (uint64_t)(uintptr_t)slab, __ATOMIC_RELEASE);
	return 0;
}

static struct safe_slab *slab_copy_of(const struct safe_memory *m, const struct qslog_site_slab *slab)
{
	uint32_t i;

	for (i = m->slab_cnt; i-- > 0;) {
		if (m->slabs[i]->address == (uint64_t)(uintptr_t)slab)
			return m->slabs[i];
	}
	return NULL;
}

int safe_memory_slabs(struct safe_memory *m, const struct qslog_site_slab *newest)
{
	const struct qslog_site_slab *slab;
	int err = 0;

	for (slab = newest; slab && !err;
	     slab = (const struct qslog_site_slab *)(uintptr_t)slab->next) {
		uint64_t used = __atomic_load_n(&slab->used, __ATOMIC_ACQUIRE);
		struct safe_slab *copy = slab_copy_of(m, slab);

		if (!copy) {
			err = slab_add(m, slab);
			copy = err ? NULL : m->slabs[m->slab_cnt - 1];
		}
		if (!copy || copy->used == used)
			continue;
		memcpy(copy->bytes + copy->used, (const char *)slab + copy->used, used - copy->used);
		__atomic_store_n(&copy->used, used, __ATOMIC_RELEASE);
	}
	return err;
}

/* --- The journal. */

uint64_t safe_memory_write_next(const struct safe_memory *m)
{
	return m->header->write_cnt + 1;
}

void safe_memory_write_begin(struct safe_memory *m, const struct safe_write *write)
{
	struct safe_header *h = m->header;

	h->writes[(h->write_cnt + 1) % 2] = *write;
	__atomic_store_n(&h->write_cnt, h->write_cnt + 1, __ATOMIC_RELEASE);
}

void safe_memory_file(struct safe_memory *m, const uint8_t file_id[16], bool done)
{
	struct safe_header *h = m->header;
	const uint64_t next = h->file_cnt + 1;

	if (done) {
		__atomic_store_n(&h->file_cnt, next, __ATOMIC_RELEASE);
		return;
	}
	__atomic_store_n(&h->file_pending, 0, __ATOMIC_RELEASE); /* an attempt before this */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memcpy(h->files[next % 2], file_id, sizeof(h->files[0]));
	__atomic_store_n(&h->file_pending, next, __ATOMIC_RELEASE);
}

void safe_memory_clock(struct safe_memory *m, const struct clock_scale *scale,
		       const struct clock_pair *pair)
{
	struct safe_header *h = m->header;
	struct safe_clock *clock = &h->clocks[(h->clock_cnt + 1) % 2];

	__atomic_store_n(&h->counter0, scale->counter0, __ATOMIC_RELAXED);
	clock->ticks = pair->ticks;
	clock->realtime_ns = pair->realtime_ns;
	clock->window_ns = pair->window_ns;
	__atomic_store_n(&h->clock_cnt, h->clock_cnt + 1, __ATOMIC_RELEASE);
}

/* --- Snapshot mode. */

struct safe_past *safe_memory_past(struct safe_memory *m)
{
	return &m->header->past;
}

void safe_memory_dumped(struct safe_memory *m, bool dumped)
{
	__atomic_store_n(&m->header->dumped, dumped, __ATOMIC_SEQ_CST);
}

void safe_memory_unlink(struct safe_memory *m)
{
	(void)unlink(m->path); /* somebody else has done it */
}

void safe_past_add(struct safe_past *past, const struct clock_pair *pair)
{
	const unsigned int zeros = past->cnt ? (unsigned int)__builtin_ctzll(past->cnt) : SAFE_PAST - 1;
	struct safe_clock *clock = &past->clocks[zeros < SAFE_PAST - 2 || !past->cnt ? zeros :
								       SAFE_PAST - 2];

	__atomic_store_n(&clock->realtime_ns, 0, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	clock->ticks = pair->ticks;
	clock->window_ns = pair->window_ns;
	__atomic_store_n(&clock->realtime_ns, pair->realtime_ns, __ATOMIC_RELEASE);
	past->cnt++;
}

uint32_t safe_past_get(const struct safe_past *past, struct clock_pair pairs[SAFE_PAST])
{
	uint32_t cnt = 0, i, at;

	for (i = 0; i < SAFE_PAST; i++) {
		const struct clock_pair pair = {.ticks = past->clocks[i].ticks,
						.realtime_ns = past->clocks[i].realtime_ns,
						.window_ns = past->clocks[i].window_ns};

		if (!pair.realtime_ns || pair.ticks > FILE_TICKS_MAX || pair.ticks < -FILE_TICKS_MAX)
			continue;
		for (at = cnt; at && pairs[at - 1].ticks > pair.ticks; at--)
			pairs[at] = pairs[at - 1];
		if (at && pairs[at - 1].ticks == pair.ticks)
			continue; /* what was moved up is still in its old place, too */
		pairs[at] = pair;
		cnt++;
	}
	return cnt;
}
