/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector_dump.c - see collector_dump.h. All arenas are copied first, so that the file shows one
 * moment, then the copies are ingested and written, beside the file that is to be; it gets its name
 * when it is complete.
 */
#include <qslog.h>

#include "collector_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "counter.h"
#include "ingest.h"
#include "snapshot_path.h"
#include "writer.h"

#define COPY_BYTES_MAX (256u << 20) /* of arenas at a time; those beyond are a little later */
#define NAMES_SHARE 16u		    /* of known threads, so many at a time are asked for their name */

static uint32_t arena_count(void)
{
	return __atomic_load_n(&qslog_priv_registry.arena_cnt, __ATOMIC_ACQUIRE);
}

static struct qslog_arena *arena_at(uint32_t i)
{
	return ((struct qslog_arena **)(uintptr_t)qslog_priv_registry.table)[i];
}

/* --- Life. */

int dumper_open(struct dumper *d, const char *path)
{
	struct clock_pair pair;
	uint32_t i, cnt = arena_count();
	char expanded[PATH_MAX];
	int err;

	memset(d, 0, sizeof(*d));
	d->past = &d->own_past;
	err = snapshot_path_expand(path, 0, (int)getpid(), -1, expanded);
	if (!err)
		err = snapshot_path_resolve(expanded, d->path);
	if (!err)
		err = proc_facts_read(&d->facts, getpid());
	if (!err)
		err = clock_scale_init(&d->scale, counter_kind_of(qslog_priv_clock()));
	if (!err)
		err = clock_pair_take(&d->scale, &pair);
	if (!err)
		err = snapshot_sites_open(&d->sites);
	if (err)
		return err;
	d->name = snapshot_path_name(d->path);
	safe_past_add(d->past, &pair);
	snapshot_ring_prepare();
	d->lost_before = __atomic_load_n(&qslog_priv_registry.lost, __ATOMIC_RELAXED);
	for (i = 0; i < cnt; i++) {
		struct qslog_arena *arena = arena_at(i);
		struct safe_arena *own = safe_arena_of(arena);

		memset(own, 0, sizeof(*own));
		own->taken = __atomic_load_n(&arena->head, __ATOMIC_ACQUIRE);
		own->dropped = __atomic_load_n(&arena->dropped, __ATOMIC_RELAXED);
	}
	return 0;
}

void dumper_close(struct dumper *d)
{
	snapshot_sites_close(d->sites);
	proc_facts_free(&d->facts);
	d->sites = NULL;
	d->memory = NULL;
}

void dumper_memory(struct dumper *d, struct safe_memory *memory)
{
	d->memory = memory;
	d->past = safe_memory_past(memory);
	*d->past = d->own_past;
}

struct writer_process dumper_process(const struct dumper *d)
{
	return (struct writer_process){
		.pid = (uint32_t)d->facts.pid,
		.start_time_ns = d->facts.start_time_ns,
		.name = d->facts.name,
		.exe = d->facts.exe,
		.command = d->facts.command,
	};
}

/* --- Notes. */

static void name_note(struct qslog_arena *arena, bool again)
{
	const uint64_t key = __atomic_load_n(&arena->key, __ATOMIC_ACQUIRE);
	struct safe_arena *own = safe_arena_of(arena);
	struct proc_thread thread;

	if (!key || (key == own->key && !again) ||
	    __atomic_load_n(&arena->state, __ATOMIC_ACQUIRE) != QSLOG_ARENA_LIVE)
		return;
	if (proc_thread_read(getpid(), (pid_t)arena->tid, &thread) ||
	    __atomic_load_n(&arena->key, __ATOMIC_ACQUIRE) != key)
		return;
	if (key != own->key) {
		own->last_key = own->key;
		memcpy(own->last_name, own->name, sizeof(own->last_name));
		own->key = 0;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	}
	memcpy(own->name, thread.name, sizeof(own->name));
	__atomic_store_n(&own->key, key, __ATOMIC_RELEASE);
}

void dumper_note(struct dumper *d)
{
	uint32_t i, cnt = arena_count();
	struct clock_pair pair;

	if (clock_pair_take(&d->scale, &pair) == 0) {
		safe_past_add(d->past, &pair);
		if (d->memory)
			safe_memory_clock(d->memory, &d->scale, &pair);
	}
	for (i = 0; i < cnt; i++)
		name_note(arena_at(i), i % NAMES_SHARE == d->notes % NAMES_SHARE);
	d->notes++;
}

/* --- Copies. */

struct copy {
	struct snapshot_ring ring;
	struct qslog_arena *arena;
};

struct copies {
	char *memory;
	size_t bytes;
	struct copy *list; /* has room for `total` */
	uint32_t cnt;
	uint32_t next, total; /* arenas */
};

static void *memory_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void copies_free(struct copies *c)
{
	if (c->memory)
		munmap(c->memory, c->bytes);
	if (c->list)
		munmap(c->list, c->total * sizeof(*c->list));
}

static int copies_alloc(struct copies *c)
{
	size_t largest = 0, sum = 0;
	uint32_t i;

	memset(c, 0, sizeof(*c));
	c->total = arena_count();
	for (i = 0; i < c->total; i++) {
		const size_t ring = arena_at(i)->mask + 1;

		largest = ring > largest ? ring : largest;
		sum += ring;
	}
	if (!c->total)
		return 0;
	c->list = memory_map(c->total * sizeof(*c->list));
	if (!c->list)
		return -ENOMEM;
	c->bytes = sum < COPY_BYTES_MAX ? sum : COPY_BYTES_MAX;
	do {
		c->bytes = c->bytes > largest ? c->bytes : largest;
		c->memory = memory_map(c->bytes);
		if (c->memory)
			return 0;
		c->bytes /= 2;
	} while (c->bytes >= largest);
	copies_free(c);
	return -ENOMEM;
}

/* As many of the next arenas as there is room for; 0: there are no more. */
static uint32_t copies_take(struct copies *c)
{
	size_t used = 0;

	for (c->cnt = 0; c->next < c->total; c->next++) {
		struct copy *copy = &c->list[c->cnt];
		struct qslog_arena *arena = arena_at(c->next);

		if (arena->mask + 1 > c->bytes - used)
			break;
		copy->arena = arena;
		if (snapshot_ring_copy(arena, safe_arena_of(arena)->taken, c->memory + used,
				       &copy->ring) ||
		    !copy->ring.cnt)
			continue;
		used += arena->mask + 1;
		c->cnt++;
	}
	return c->cnt;
}

int dumper_keep_sites(struct dumper *d)
{
	struct copies c;
	uint32_t i;
	int err = copies_alloc(&c), end_err;

	if (err)
		return err;
	snapshot_sites_keep_begin(d->sites, qslog_priv_counter_slow());
	while (copies_take(&c))
		for (i = 0; i < c.cnt && !err; i++)
			err = snapshot_sites_keep(d->sites, &c.list[i].ring);
	end_err = snapshot_sites_keep_end(d->sites);
	copies_free(&c);
	return err ? err : end_err;
}

/* --- Records. */

static void thread_name(void *arg, uint32_t tid, char name[32])
{
	const struct dumper *d = arg;
	const struct safe_arena *own = safe_arena_of(d->arena);
	struct proc_thread thread;

	if (__atomic_load_n(&d->arena->key, __ATOMIC_ACQUIRE) == d->key &&
	    __atomic_load_n(&d->arena->state, __ATOMIC_ACQUIRE) == QSLOG_ARENA_LIVE &&
	    proc_thread_read(getpid(), (pid_t)tid, &thread) == 0)
		memcpy(name, thread.name, sizeof(thread.name));
	else if (own->key == d->key)
		memcpy(name, own->name, sizeof(own->name));
	else if (own->last_key == d->key)
		memcpy(name, own->last_name, sizeof(own->last_name));
}

static int site_get(void *arg, uint64_t address, struct writer_format *out)
{
	const struct dumper *d = arg;

	return snapshot_sites_get(d->sites, address, out);
}

static int copy_ingest(struct dumper *d, struct ingest_process *process, const struct copy *copy)
{
	const struct snapshot_ring *ring = &copy->ring;
	struct ingest_batch batch;
	unsigned int i;
	int err = 0;

	d->arena = copy->arena;
	memset(&batch, 0, sizeof(batch));
	batch.arena = copy->arena->index;
	batch.dropped = safe_arena_of(copy->arena)->dropped;
	for (i = 0; i < ring->cnt && !err; i++) {
		const struct snapshot_part *part = &ring->parts[i];

		d->key = batch.key = part->key;
		batch.tid = part->tid;
		batch.from = part->from;
		if (!i) { /* what was before is no loss */
			batch.resync = batch.baseline = true;
			err = ingest_batch(process, &batch);
			batch.resync = batch.baseline = false;
			if (err)
				break;
		}
		batch.data = ring->data + (part->from - ring->parts[0].from) / 8;
		batch.bytes = (uint32_t)(part->to - part->from);
		if (i == ring->cnt - 1)
			batch.dropped = ring->dropped;
		err = ingest_batch(process, &batch);
	}
	return err;
}

/* A last dump says of each arena how far it goes. */
static void copies_mark(const struct copies *c)
{
	uint32_t i;

	for (i = 0; i < c->cnt; i++)
		safe_arena_of(c->list[i].arena)->pending_pos =
			c->list[i].ring.parts[c->list[i].ring.cnt - 1].to;
}

static int records_write(struct dumper *d, struct copies *c, struct ingest_process *process,
			 bool fatal)
{
	uint32_t i;
	int err = 0;

	/* the first have been taken */
	do {
		for (i = 0; i < c->cnt && !err; i++) {
			snapshot_sites_refer(d->sites, &c->list[i].ring);
			err = copy_ingest(d, process, &c->list[i]);
		}
		if (fatal)
			copies_mark(c);
	} while (!err && copies_take(c));
	if (!err)
		err = ingest_process_loss(process, LOSS_NO_ARENA,
					  __atomic_load_n(&qslog_priv_registry.lost, __ATOMIC_RELAXED) -
						  d->lost_before);
	return err;
}

/* --- Files. */

static int file_write(struct dumper *d, const char *path, struct copies *c, bool fatal)
{
	const struct ingest_source source = {
		.arg = d, .site = site_get, .thread_name = thread_name,
	};
	const struct writer_process process = dumper_process(d);
	struct ingest_process *ingested = NULL;
	struct clock_pair pairs[SAFE_PAST];
	struct writer_options options = {.path = path, .scale = &d->scale, .pairs = pairs};
	struct ingest *ingest = NULL;
	struct writer *writer;
	int err, close_err, index;

	options.pair_cnt = safe_past_get(d->past, pairs);
	err = writer_open(&writer, &options);
	if (err)
		return err;
	err = ingest_open(&ingest, writer, NULL);
	if (err)
		goto out;
	err = index = writer_process_add(writer, &process);
	if (index < 0)
		goto out;
	err = ingest_process_add(ingest, (uint32_t)index, process.name, 0, &source, &ingested);
	if (!err)
		err = records_write(d, c, ingested, fatal);
out:
	ingest_process_remove(ingested);
	ingest_close(ingest);
	close_err = writer_close(writer, NULL);
	return err ? err : close_err;
}

/* May a file take this place? */
static int place_check(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat st;
	int fd, err = 0;

	if (!*path)
		return -EINVAL;
	if (lstat(path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : S_ISLNK(st.st_mode) ? -ELOOP : -ESPIPE;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return 0; /* it may be replaced all the same */
	if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		err = -EBUSY;
	close(fd);
	return err;
}

int dumper_write(struct dumper *d, const char *path, bool fatal)
{
	const int number = (int)d->written + 1;
	char to[PATH_MAX], beside[PATH_MAX + 32];
	struct copies copies;
	int err;

	err = copies_alloc(&copies);
	if (err)
		return err;
	(void)copies_take(&copies); /* at once: this is the moment */
	if (path)
		err = snapshot_path_expand(path, 0, (int)getpid(), number, to);
	else
		err = snapshot_path_expand(d->path, d->name, -1, number, to);
	if (!err)
		err = place_check(to);
	if (err)
		goto out;
	snprintf(beside, sizeof(beside), "%s.%d.tmp", to, (int)getpid());
	if (fatal && d->memory)
		safe_memory_dumped(d->memory, false);
	(void)unlink(beside); /* of an earlier process */
	err = file_write(d, beside, &copies, fatal);
	if (!err && rename(beside, to) != 0)
		err = -errno;
	if (err) {
		(void)unlink(beside); /* the first error counts */
	} else {
		d->written++;
		if (fatal && d->memory)
			safe_memory_dumped(d->memory, true);
	}
out:
	copies_free(&copies);
	return err;
}
