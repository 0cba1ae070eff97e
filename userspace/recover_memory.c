/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_memory.c - see recover_memory.h. How far the records of an arena are in the file already:
 * up to `collected`; or, if the write that was begun last is found in the file, up to where that
 * arena noted for it (safe_layout.h, the journal).
 */
#include "recover_memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest.h"
#include "proc_maps.h"
#include "recover_sites.h"
#include "safe_memory.h"

#define NUMBERS_MAX (1u << 26) /* of threads and formats in a file that one process has written */

static int bytes_read(int fd, void *data, size_t bytes, uint64_t offset)
{
	uint8_t *p = data;

	while (bytes) {
		ssize_t n = pread(fd, p, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		p += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* --- Opening. */

/* A string of the header: terminated, without characters that a terminal would interpret. */
static int string_read(int fd, char *to, uint32_t bytes, uint64_t offset)
{
	int err = bytes_read(fd, to, bytes, offset);
	char *p;

	if (err)
		return err;
	if (!memchr(to, 0, bytes))
		return -EBADMSG;
	for (p = to; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	return 0;
}

static bool header_valid(const struct safe_header *h)
{
	return h->ring_bytes >= QSLOG_ARENA_BYTES_MIN && h->ring_bytes <= QSLOG_ARENA_BYTES_MAX &&
	       !(h->ring_bytes & (h->ring_bytes - 1)) && h->module_bytes <= SAFE_MODULES_BYTES &&
	       h->writes[h->write_cnt % 2].thread_cnt <= NUMBERS_MAX &&
	       h->writes[h->write_cnt % 2].format_cnt <= NUMBERS_MAX && h->hz >= 1000000 && h->hz <= UINT64_C(100000000000) && h->mult &&
	       h->mult <= UINT64_C(1) << 43;
}

static int header_load(struct recover_memory *m)
{
	struct safe_header *h = &m->header;
	uint64_t room;
	int err;

	if (m->size < SAFE_ARENAS_OFF)
		return -EBADMSG;
	err = bytes_read(m->fd, h, sizeof(*h), 0);
	if (err)
		return err;
	if (memcmp(h->magic, SAFE_MAGIC, SAFE_MAGIC_BYTES) != 0)
		return -EBADMSG;
	if (h->version != SAFE_VERSION)
		return -EPROTONOSUPPORT;
	if (!header_valid(h))
		return -EBADMSG;
	memcpy(&m->file_key, h->file_id, sizeof(m->file_key));
	room = (m->size - SAFE_ARENAS_OFF) / (QSLOG_ARENA_HEADER_BYTES + h->ring_bytes);
	m->arena_cnt = h->arena_cnt < room ? h->arena_cnt : (uint32_t)room;
	err = string_read(m->fd, m->output, SAFE_PATH_BYTES, SAFE_PATH_OFF);
	if (!err)
		err = string_read(m->fd, m->name, SAFE_NAME_BYTES, SAFE_NAME_OFF);
	if (!err)
		err = string_read(m->fd, m->exe, SAFE_EXE_BYTES, SAFE_EXE_OFF);
	if (!err)
		err = string_read(m->fd, m->command, SAFE_COMMAND_BYTES, SAFE_COMMAND_OFF);
	return err;
}

/* Does this very process have the file mapped? Then it must not even be opened: closing it again
 * would give up the lock. */
static bool own_file(const struct stat *st)
{
	struct proc_maps maps;
	bool own = false;
	size_t i;

	if (proc_maps_read(&maps, getpid()) != 0)
		return true;
	for (i = 0; i < maps.cnt && !own; i++)
		own = maps.maps[i].inode == st->st_ino && maps.maps[i].dev == st->st_dev;
	proc_maps_free(&maps);
	return own;
}

static int file_lock(int fd, pid_t *pid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return -errno;
	if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		*pid = lock.l_pid;
	return -EBUSY;
}

int recover_memory_open(struct recover_memory *m, const char *path, uid_t owner, pid_t *pid)
{
	struct stat st;
	int err, lock_err = 0;

	memset(m, 0, sizeof(*m));
	m->fd = -1;
	*pid = 0;
	if (stat(path, &st) != 0)
		return -errno;
	if (own_file(&st)) {
		*pid = getpid();
		return -EBUSY;
	}
	m->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (m->fd < 0)
		return -errno;
	err = fstat(m->fd, &st) != 0 ? -errno : 0;
	if (!err && !S_ISREG(st.st_mode))
		err = -EBADMSG;
	/* in a folder where everybody may create files, anybody could have made this one up */
	if (!err && st.st_uid != owner && st.st_uid != geteuid() && st.st_uid != 0)
		err = -EPERM;
	if (!err) {
		lock_err = file_lock(m->fd, pid);
		m->owner = st.st_uid;
		err = fstat(m->fd, &st) != 0 ? -errno : 0;
		m->size = (uint64_t)st.st_size;
	}
	if (!err)
		err = header_load(m);
	if (lock_err)
		err = lock_err;
	if (!err) {
		m->path = strdup(path);
		err = m->path ? 0 : -ENOMEM;
	}
	if (err)
		recover_memory_close(m, false);
	return err;
}

void recover_memory_close(struct recover_memory *m, bool remove)
{
	if (m->fd < 0)
		return;
	if (remove)
		(void)unlink(m->path); /* it can be recovered once more, without effect */
	close(m->fd);
	free(m->path);
	m->fd = -1;
	m->path = NULL;
}

static int folder_each(const char *folder, int (*each)(void *arg, const char *path), void *arg)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX];
	int ret = 0;

	if (!dir)
		return 0;
	while (!ret && (entry = readdir(dir))) {
		unsigned int uid, pid;
		unsigned long long random;
		int end = 0, len;

		if (sscanf(entry->d_name, "qslog-%u-%u-%16llx%n", &uid, &pid, &random, &end) != 3 ||
		    entry->d_name[end])
			continue;
		len = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (len > 0 && (size_t)len < sizeof(path))
			ret = each(arg, path);
	}
	closedir(dir);
	return ret;
}

int recover_memory_each(const char *output, int (*each)(void *arg, const char *path), void *arg)
{
	int ret = folder_each(SAFE_DIR, each, arg);
	char *folder, *slash;

	if (ret || !output)
		return ret;
	folder = strdup(output);
	if (!folder)
		return -ENOMEM;
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	ret = folder_each(!slash ? "." : slash == folder ? "/" : folder, each, arg);
	free(folder);
	return ret;
}

void recover_memory_state(const struct recover_memory *m, struct writer_state *state)
{
	const struct safe_header *h = &m->header;
	const struct safe_write *write = &h->writes[h->write_cnt % 2];
	const struct safe_clock *clock = &h->clocks[h->clock_cnt % 2];

	memset(state, 0, sizeof(*state));
	memcpy(state->file_id, h->file_id, sizeof(state->file_id));
	if (h->write_cnt) {
		state->thread_cnt = write->thread_cnt;
		state->format_cnt = write->format_cnt;
	}
	state->scale.counter0 = h->counter0;
	state->scale.mult = h->mult;
	state->scale.hz = h->hz;
	state->pair.ticks = clock->ticks;
	state->pair.realtime_ns = clock->realtime_ns;
	state->pair.window_ns = clock->window_ns;
}

/* --- Taking. */

struct taking {
	const struct recover_memory *m;
	struct writer *writer;
	struct ingest_process *process;
	bool written; /* the last write that was begun is in the file */
	uint8_t *data;
	const char *thread_name;
	struct recover_counts *counts;
};

static void thread_name(void *arg, uint32_t tid, char name[32])
{
	(void)arg;
	(void)tid;
	name[0] = '\0';
}

static bool last_write_found(const struct safe_header *h, const struct recover_walk *walk,
			     const struct tail_in *tail)
{
	const struct safe_write *write = &h->writes[h->write_cnt % 2];

	if (!h->write_cnt)
		return false;
	if (write->sequence <= walk->last_sequence)
		return true;
	return write->frame != SAFE_NO_FRAME && tail->valid && tail->file_key == walk->file_key &&
	       tail->sequence == write->sequence && tail->frame_cnt > write->frame;
}

/* [pos, head) of the ring, in a row; bytes that lie whole in records from the start. */
static int ring_read(const struct taking *t, uint64_t ring_offset, uint64_t pos, uint32_t bytes,
		     uint32_t *whole)
{
	const uint64_t ring = t->m->header.ring_bytes, from = pos & (ring - 1);
	uint32_t first = ring - from < bytes ? (uint32_t)(ring - from) : bytes, at = 0;
	int err;

	err = bytes_read(t->m->fd, t->data, first, ring_offset + from);
	if (!err)
		err = bytes_read(t->m->fd, t->data + first, bytes - first, ring_offset);
	while (!err && at < bytes) {
		uint64_t word;
		uint32_t size;

		memcpy(&word, t->data + at, sizeof(word));
		size = (uint32_t)(word >> QSLOG_RECORD_SIZE_SHIFT & 0x7fff) * 8;
		if (size < QSLOG_RECORD_HEADER_BYTES || size > QSLOG_RECORD_BYTES_MAX ||
		    size > bytes - at)
			break;
		at += size;
	}
	*whole = at;
	return err;
}

/* The thread keeps the number that it has in the file. */
static int thread_known(const struct taking *t, const struct qslog_arena *arena,
			const struct safe_arena *own)
{
	char name[sizeof(own->name)];
	size_t i;
	int err;

	if (!own->thread || own->key != arena->key)
		return 0;
	memcpy(name, own->name, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (i = 0; name[i]; i++) {
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			name[i] = '?';
	}
	err = writer_thread_at(t->writer, own->thread - 1, 0, arena->tid, arena->key, name);
	return err == -ENOMEM ? err : 0; /* a number that cannot be: it gets another */
}

/* Copies of the memory of registered sites. */
static int slabs_take(const struct recover_memory *m, struct recover_sites *sites)
{
	const uint64_t ring = m->header.ring_bytes, place_bytes = QSLOG_ARENA_HEADER_BYTES + ring;
	struct safe_slab *slab = malloc(sizeof(*slab));
	struct qslog_arena arena;
	uint32_t i, room;
	int err = slab ? 0 : -ENOMEM;

	for (i = 0; i < m->arena_cnt && !err; i++) {
		uint64_t offset = SAFE_ARENAS_OFF + i * place_bytes;

		err = bytes_read(m->fd, &arena, sizeof(arena), offset);
		if (err || arena.magic != QSLOG_SITE_SLAB_MAGIC)
			continue;
		for (room = 0; room < ring / sizeof(*slab) && !err; room++) {
			err = bytes_read(m->fd, slab, sizeof(*slab), offset + QSLOG_ARENA_HEADER_BYTES +
								     room * sizeof(*slab));
			if (!err && slab->address && slab->used && slab->used <= sizeof(slab->bytes))
				err = recover_sites_memory(sites, slab->address, slab->bytes,
							   (uint32_t)slab->used);
		}
	}
	free(slab);
	return err;
}

static int arena_take(struct taking *t, uint32_t index)
{
	const uint64_t ring = t->m->header.ring_bytes;
	const uint64_t offset = SAFE_ARENAS_OFF + index * (QSLOG_ARENA_HEADER_BYTES + ring);
	struct ingest_batch batch;
	struct ingest_position position;
	struct qslog_arena arena;
	struct safe_arena own;
	uint64_t pos, dropped;
	uint32_t whole = 0;
	bool damaged;
	int err;

	err = bytes_read(t->m->fd, &arena, sizeof(arena), offset);
	if (!err)
		err = bytes_read(t->m->fd, &own, sizeof(own), offset + SAFE_ARENA_OFF);
	if (err || !arena.magic || arena.magic == QSLOG_SITE_SLAB_MAGIC)
		return err; /* it never came to be one */
	pos = arena.collected;
	dropped = own.dropped;
	if (t->written && own.pending_write == t->m->header.write_cnt) {
		pos = own.pending_pos;
		dropped = own.pending_dropped;
	}
	damaged = arena.magic != QSLOG_ARENA_MAGIC || arena.mask + 1 != ring || pos > arena.head ||
		  arena.head - pos > ring || ((pos | arena.head) & 7);
	if (damaged) {
		t->counts->damaged++;
		return 0;
	}
	if (arena.head == pos && arena.dropped <= dropped)
		return 0;
	if (!arena.key) {
		arena.key = arena.last_key;
		arena.tid = arena.last_tid;
	}
	err = ring_read(t, offset + QSLOG_ARENA_HEADER_BYTES, pos, (uint32_t)(arena.head - pos),
			&whole);
	if (!err)
		err = thread_known(t, &arena, &own);
	if (err)
		return err;
	memset(&batch, 0, sizeof(batch));
	batch.arena = index;
	batch.tid = arena.tid;
	batch.key = arena.key;
	batch.from = pos;
	batch.dropped = dropped;
	batch.resync = batch.baseline = true;
	err = ingest_batch(t->process, &batch);
	batch.resync = batch.baseline = false;
	batch.data = t->data;
	batch.bytes = whole;
	batch.dropped = arena.dropped;
	if (!err)
		err = ingest_batch(t->process, &batch);
	if (err || whole == arena.head - pos)
		return err;
	/* how many it would have been is not known */
	t->counts->damaged++;
	err = ingest_position_get(t->process, 0, index, &position);
	return err ? err : writer_loss(t->writer, position.thread, LOSS_DAMAGED, 1);
}

static int process_add(const struct recover_memory *m, struct writer *writer)
{
	const struct writer_process process = {
		.pid = m->header.pid, .start_time_ns = m->header.start_time_ns,
		.name = m->name, .exe = m->exe, .command = m->command,
	};

	return writer_process_add(writer, &process);
}

int recover_memory_take(const struct recover_memory *m, struct writer *writer,
			const struct recover_walk *walk, const struct tail_in *tail,
			struct recover_counts *counts)
{
	struct taking t = { .m = m, .writer = writer, .counts = counts };
	struct ingest_source source = { .site = recover_sites_get, .thread_name = thread_name };
	struct recover_sites *sites = NULL;
	struct writer_totals before, after;
	struct ingest *ingest = NULL;
	void *modules = NULL;
	uint32_t i;
	int err, index;

	t.written = last_write_found(&m->header, walk, tail);
	t.data = malloc(m->header.ring_bytes);
	modules = malloc((size_t)m->header.module_bytes + 1);
	err = t.data && modules ? 0 : -ENOMEM;
	if (!err)
		err = bytes_read(m->fd, modules, m->header.module_bytes, SAFE_MODULES_OFF);
	if (!err)
		err = recover_sites_open(&sites, modules, m->header.module_bytes, m->owner);
	if (!err)
		err = slabs_take(m, sites);
	if (!err)
		err = ingest_open(&ingest, writer, NULL);
	if (err)
		goto cleanup;
	index = process_add(m, writer);
	if (index < 0) {
		err = index;
		goto cleanup;
	}
	source.arg = sites;
	err = ingest_process_add(ingest, (uint32_t)index, m->name, 0, &source, &t.process);
	writer_totals_get(writer, &before);
	for (i = 0; i < m->arena_cnt && !err; i++)
		err = arena_take(&t, i);
	writer_totals_get(writer, &after);
	counts->records = after.records - before.records;
	counts->lost = after.lost - before.lost;
cleanup:
	ingest_process_remove(t.process);
	ingest_close(ingest);
	recover_sites_close(sites);
	free(modules);
	free(t.data);
	return err;
}
