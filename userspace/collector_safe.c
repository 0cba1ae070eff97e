/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector_safe.c - the hooks of the runtime, and the journal of safe_layout.h. Arenas with
 * something that is not in the file yet are in a list that goes through their own memory; before
 * the writer writes, each notes how far the write takes it, afterwards `collected` goes there.
 */
#include <qslog.h>

#include "collector_safe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "writer_state.h"

/* The hooks have no argument. `sites` is held while they may not change. */
static struct safe_memory *hooked;
static pthread_mutex_t sites = PTHREAD_MUTEX_INITIALIZER;

static int arena_memory(uint64_t bytes, int *fd, uint64_t *offset)
{
	return safe_memory_arena(hooked, bytes, fd, offset);
}

/* Where this fails, records of new sites would not be understood after a death. */
static void sites_added(int module)
{
	const uint64_t slabs = __atomic_load_n(&qslog_priv_registry.site_slabs, __ATOMIC_ACQUIRE);

	pthread_mutex_lock(&sites);
	if (hooked && module)
		(void)safe_memory_modules(hooked);
	if (hooked)
		(void)safe_memory_slabs(hooked, (const struct qslog_site_slab *)(uintptr_t)slabs);
	pthread_mutex_unlock(&sites);
}

static void arena_list(struct collector_safe *s, struct qslog_arena *arena)
{
	struct safe_arena *own = safe_arena_of(arena);

	if (own->listed)
		return;
	own->listed = 1;
	own->next = (uint64_t)(uintptr_t)s->listed;
	s->listed = arena;
}

static struct qslog_arena *listed_next(const struct qslog_arena *arena)
{
	return (struct qslog_arena *)(uintptr_t)safe_arena_of(arena)->next;
}

static void write_begin(void *arg, uint64_t sequence, uint32_t frame)
{
	struct collector_safe *s = arg;
	const uint64_t number = safe_memory_write_next(s->memory);
	struct safe_write write = {.sequence = sequence, .frame = frame};
	struct ingest_position position;
	struct writer_state state;
	struct qslog_arena *arena;

	for (arena = s->listed; arena; arena = listed_next(arena)) {
		struct safe_arena *own = safe_arena_of(arena);

		__atomic_store_n(&own->pending_write, 0, __ATOMIC_RELEASE);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		own->pending_pos = own->taken;
		own->pending_dropped = own->dropped;
		if (ingest_position_get(s->process, 0, arena->index, &position) == 0) {
			own->pending_pos = position.pos;
			own->pending_dropped = position.dropped;
			own->thread = position.thread + 1;
		}
		__atomic_store_n(&own->pending_write, number, __ATOMIC_RELEASE);
	}
	writer_state_get(s->writer, &state);
	write.thread_cnt = state.thread_cnt;
	write.format_cnt = state.format_cnt;
	safe_memory_write_begin(s->memory, &write);
}

static void write_end(void *arg, bool settled)
{
	struct collector_safe *s = arg;
	struct qslog_arena *arena = s->listed, *next;

	if (!settled)
		return;
	s->listed = NULL;
	s->unflushed_bytes = 0;
	for (; arena; arena = next) {
		struct safe_arena *own = safe_arena_of(arena);
		const uint64_t taken = own->taken, pos = own->pending_pos;

		next = listed_next(arena);
		own->listed = 0;
		own->dropped = own->pending_dropped;
		if (taken != pos) /* this is in the midst of its batch */
			arena_list(s, arena);
		/* The owner may begin another life at once. */
		__atomic_store_n(&arena->collected, pos, __ATOMIC_RELEASE);
	}
}

/* What was written before is settled, and nothing of it is in the other file. */
static void write_file(void *arg, const uint8_t file_id[16], bool done)
{
	struct collector_safe *s = arg;
	struct safe_write none = {.sequence = UINT64_MAX, .frame = SAFE_NO_FRAME};
	struct writer_state state;

	if (done) {
		writer_state_get(s->writer, &state);
		none.thread_cnt = state.thread_cnt;
		none.format_cnt = state.format_cnt;
		safe_memory_write_begin(s->memory, &none);
	}
	safe_memory_file(s->memory, file_id, done);
}

void collector_safe_hook(struct collector_safe *s, struct safe_memory *memory)
{
	s->memory = memory;
	pthread_mutex_lock(&sites);
	hooked = memory;
	pthread_mutex_unlock(&sites);
	qslog_priv_hooks_set(arena_memory, sites_added);
	sites_added(1); /* also those that came since the file was made */
}

int collector_safe_begin(struct collector_safe *s, struct writer *writer,
			 struct ingest_process *process, const char *path,
			 const struct writer_process *facts, uint64_t ring_bytes)
{
	const struct writer_journal journal = {.arg = s, .begin = write_begin, .end = write_end,
					.file = write_file};
	struct safe_memory *memory = NULL;
	struct writer_state state;
	struct stat st;
	char *output;
	int err;

	memset(s, 0, sizeof(*s));
	output = realpath(path, NULL);
	if (!output || stat(output, &st) != 0) {
		err = -errno;
		goto out;
	}
	err = -ESPIPE;
	if (!S_ISREG(st.st_mode)) /* nobody could add anything later */
		goto out;
	writer_state_get(writer, &state);
	err = safe_memory_open(&memory, output, state.file_id, &state.scale, facts, ring_bytes);
	if (err)
		goto out;
	safe_memory_clock(memory, &state.scale, &state.pair);
	s->writer = writer;
	s->process = process;
	writer_journal(writer, &journal);
	collector_safe_hook(s, memory);
out:
	free(output);
	return err;
}

uint64_t collector_safe_missed(const struct collector_safe *s)
{
	uint64_t safe, missed = 0;

	if (s->memory)
		safe_memory_counts(s->memory, &safe, &missed);
	return missed;
}

void collector_safe_journal_end(struct collector_safe *s)
{
	if (s->memory)
		writer_journal(s->writer, NULL);
}

void collector_safe_end(struct collector_safe *s, bool remove)
{
	if (!s->memory)
		return;
	if (!remove) /* its holder, if there was one, is another process's thread */
		sites = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	qslog_priv_hooks_set(NULL, NULL);
	pthread_mutex_lock(&sites);
	hooked = NULL;
	pthread_mutex_unlock(&sites);
	safe_memory_close(s->memory, remove);
	memset(s, 0, sizeof(*s));
}

void collector_safe_arena_begin(struct qslog_arena *arena, const struct ingest_batch *batch)
{
	struct safe_arena *own = safe_arena_of(arena);

	memset(own, 0, sizeof(*own));
	own->taken = batch->from;
	own->dropped = batch->dropped;
	__atomic_store_n(&arena->collected, batch->from, __ATOMIC_RELEASE);
}

void collector_safe_take(struct collector_safe *s, struct qslog_arena *arena,
			 const struct ingest_batch *batch, uint64_t head)
{
	struct safe_arena *own = safe_arena_of(arena);

	if (own->key != batch->key) {
		own->thread = 0;
		own->key = batch->key;
		memset(own->name, 0, sizeof(own->name));
	}
	own->taken = head;
	s->visited = arena;
	if (s->memory && (batch->bytes || batch->dropped != own->dropped))
		arena_list(s, arena);
}

void collector_safe_taken(struct collector_safe *s, struct qslog_arena *arena,
			  const struct ingest_batch *batch, uint64_t head)
{
	s->visited = NULL;
	s->unflushed_bytes += batch->bytes;
	if (!s->memory)
		__atomic_store_n(&arena->collected, head, __ATOMIC_RELEASE);
	else if (batch->dropped != safe_arena_of(arena)->dropped)
		arena_list(s, arena); /* the batch may have been written before its drops came */
}

void collector_safe_refused(struct collector_safe *s, struct qslog_arena *arena,
			    const struct ingest_batch *batch)
{
	s->visited = NULL;
	safe_arena_of(arena)->taken = batch->from;
}

void collector_safe_name(struct collector_safe *s, const char name[32])
{
	if (s->visited)
		memcpy(safe_arena_of(s->visited)->name, name, 32);
}

void collector_safe_clock(struct collector_safe *s)
{
	struct writer_state state;
	struct clock_pair pair;

	if (!s->memory)
		return;
	writer_state_get(s->writer, &state);
	if (clock_pair_take(&state.scale, &pair) == 0)
		safe_memory_clock(s->memory, &state.scale, &pair);
}
