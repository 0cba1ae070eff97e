/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_take.c - see recover_memory.h: the records. How far those of an arena are in the file
 * already: up to `collected`; or, if the write that was begun last is found in the file, up to where
 * that arena noted for it (safe_layout.h, the journal). In snapshot mode there was no file, and from
 * where on the records are whole is told by marks (snapshot_ring.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ingest.h"
#include "recover_memory.h"
#include "recover_sites.h"
#include "snapshot_ring.h"

struct taking {
	const struct recover_memory *m;
	struct writer *writer;
	struct ingest_process *process;
	struct recover_sites *sites;
	bool written; /* the last write that was begun is in the file */
	uint8_t *data;
	char thread_name[32]; /* of what is being taken */
	struct recover_counts *counts;
};

static int site_get(void *arg, uint64_t address, struct writer_format *out)
{
	const struct taking *t = arg;

	return recover_sites_get(t->sites, address, out);
}

static void thread_name(void *arg, uint32_t tid, char name[32])
{
	const struct taking *t = arg;

	(void)tid;
	memcpy(name, t->thread_name, sizeof(t->thread_name));
}

/* NULL: none is known. */
static void thread_name_set(struct taking *t, const char name[32])
{
	size_t i;

	memset(t->thread_name, 0, sizeof(t->thread_name));
	for (i = 0; name && i < sizeof(t->thread_name) - 1 && name[i]; i++)
		t->thread_name[i] = (unsigned char)name[i] < ' ' || name[i] == 0x7f ? '?' : name[i];
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

	err = recover_memory_read(t->m->fd, t->data, first, ring_offset + from);
	if (!err)
		err = recover_memory_read(t->m->fd, t->data + first, bytes - first, ring_offset);
	while (!err && at < bytes) {
		uint64_t word;
		uint32_t size;

		memcpy(&word, t->data + at, sizeof(word));
		size = (uint32_t)(word >> QSLOG_RECORD_SIZE_SHIFT & QSLOG_RECORD_SIZE_MASK) * 8;
		if (size < QSLOG_RECORD_HEADER_BYTES || size > QSLOG_RECORD_BYTES_MAX ||
		    size > bytes - at)
			break;
		at += size;
	}
	*whole = at;
	return err;
}

/* The thread keeps the number that it has in the file. */
static int thread_known(struct taking *t, const struct qslog_arena *arena,
			const struct safe_arena *own)
{
	int err;

	if (!own->thread || own->key != arena->key)
		return 0;
	thread_name_set(t, own->name);
	err = writer_thread_at(t->writer, own->thread - 1, 0, arena->tid, arena->key,
			       t->thread_name);
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

		err = recover_memory_read(m->fd, &arena, sizeof(arena), offset);
		if (err || arena.magic != QSLOG_SITE_SLAB_MAGIC)
			continue;
		for (room = 0; room < ring / sizeof(*slab) && !err; room++) {
			err = recover_memory_read(m->fd, slab, sizeof(*slab), offset + QSLOG_ARENA_HEADER_BYTES +
								     room * sizeof(*slab));
			if (!err && slab->address && slab->used && slab->used <= sizeof(slab->bytes))
				err = recover_sites_memory(sites, slab->address, slab->bytes,
							   (uint32_t)slab->used);
		}
	}
	free(slab);
	return err;
}

/* Hands over the whole records in [from, to), of which `dropped` is as it was at their beginning. */
static int bytes_take(struct taking *t, uint32_t index, struct ingest_batch *batch, uint64_t to,
		      uint64_t dropped)
{
	const uint64_t ring = t->m->header.ring_bytes, bytes = to - batch->from;
	const uint64_t offset = SAFE_ARENAS_OFF + index * (QSLOG_ARENA_HEADER_BYTES + ring);
	struct ingest_position position;
	uint32_t whole;
	int err;

	err = ring_read(t, offset + QSLOG_ARENA_HEADER_BYTES, batch->from, (uint32_t)bytes, &whole);
	if (err)
		return err;
	batch->arena = index;
	batch->resync = batch->baseline = true;
	err = ingest_batch(t->process, batch);
	batch->resync = batch->baseline = false;
	batch->data = t->data;
	batch->bytes = whole;
	batch->dropped = dropped;
	if (!err)
		err = ingest_batch(t->process, batch);
	if (err || whole == bytes)
		return err;
	/* how many it would have been is not known */
	t->counts->damaged++;
	err = ingest_position_get(t->process, 0, index, &position);
	return err ? err : writer_loss(t->writer, position.thread, LOSS_DAMAGED, 1);
}

/* What the collector had not taken. */
static int undrained_take(struct taking *t, uint32_t index, struct qslog_arena *arena,
			  const struct safe_arena *own)
{
	const uint64_t ring = t->m->header.ring_bytes;
	struct ingest_batch batch;
	uint64_t pos = arena->collected, dropped = own->dropped;
	int err;

	if (t->written && own->pending_write == t->m->header.write_cnt) {
		pos = own->pending_pos;
		dropped = own->pending_dropped;
	}
	if (pos > arena->head || arena->head - pos > ring || ((pos | arena->head) & 7)) {
		t->counts->damaged++;
		return 0;
	}
	if (arena->head == pos && arena->dropped <= dropped)
		return 0;
	if (!arena->key) {
		arena->key = arena->last_key;
		arena->tid = arena->last_tid;
	}
	err = thread_known(t, arena, own);
	if (err)
		return err;
	memset(&batch, 0, sizeof(batch));
	batch.tid = arena->tid;
	batch.key = arena->key;
	batch.from = pos;
	batch.dropped = dropped;
	return bytes_take(t, index, &batch, arena->head, arena->dropped);
}

/* Snapshot mode: false if the arena makes no sense. */
static bool newest_find(const struct recover_memory *m, const struct qslog_arena *arena,
			const struct safe_arena *own, struct snapshot_ring *out)
{
	const uint64_t ring = m->header.ring_bytes, reserve = arena->reserve;

	if (arena->magic != QSLOG_ARENA_MAGIC || arena->mask + 1 != ring || arena->head > reserve ||
	    arena->born > arena->head || arena->last_born > arena->born || arena->head & 7)
		return false;
	snapshot_ring_find(arena, reserve > ring ? reserve - ring : 0, own->taken, out);
	return !out->cnt || !((out->parts[0].from | out->parts[out->cnt - 1].from) & 7);
}

/* Snapshot mode: the newest that is whole, of the thread and of the one before it. */
static int newest_take(struct taking *t, uint32_t index, const struct qslog_arena *arena,
		       const struct safe_arena *own)
{
	struct snapshot_ring found;
	struct ingest_batch batch;
	unsigned int i;
	int err = 0;

	if (!newest_find(t->m, arena, own, &found)) {
		t->counts->damaged++;
		return 0;
	}
	memset(&batch, 0, sizeof(batch));
	batch.dropped = own->dropped;
	for (i = 0; i < found.cnt && !err; i++) {
		const struct snapshot_part *part = &found.parts[i];

		thread_name_set(t, part->key == own->key      ? own->name :
				   part->key == own->last_key ? own->last_name :
								NULL);
		batch.key = part->key;
		batch.tid = part->tid;
		batch.from = part->from;
		batch.bytes = 0;
		err = bytes_take(t, index, &batch, part->to,
				 i == found.cnt - 1 ? arena->dropped : own->dropped);
	}
	return err;
}

/* 0 also where there is none (arena->magic is 0 then). */
static int arena_read(const struct recover_memory *m, uint32_t index, struct qslog_arena *arena,
		      struct safe_arena *own)
{
	const uint64_t place = QSLOG_ARENA_HEADER_BYTES + m->header.ring_bytes;
	const uint64_t offset = SAFE_ARENAS_OFF + index * place;
	int err = recover_memory_read(m->fd, arena, sizeof(*arena), offset);

	if (!err)
		err = recover_memory_read(m->fd, own, sizeof(*own), offset + SAFE_ARENA_OFF);
	if (!err && arena->magic == QSLOG_SITE_SLAB_MAGIC)
		arena->magic = 0;
	return err;
}

static int arena_take(struct taking *t, uint32_t index)
{
	struct qslog_arena arena;
	struct safe_arena own;
	int err = arena_read(t->m, index, &arena, &own);

	if (err || !arena.magic)
		return err;
	thread_name_set(t, NULL);
	if (t->m->header.snapshot)
		return newest_take(t, index, &arena, &own);
	if (arena.magic != QSLOG_ARENA_MAGIC || arena.mask + 1 != t->m->header.ring_bytes) {
		t->counts->damaged++;
		return 0;
	}
	return undrained_take(t, index, &arena, &own);
}

int recover_memory_dumped(const struct recover_memory *m)
{
	struct snapshot_ring found;
	struct qslog_arena arena;
	struct safe_arena own;
	uint32_t i;
	int err;

	if (!m->header.dumped)
		return 0;
	for (i = 0; i < m->arena_cnt; i++) {
		err = arena_read(m, i, &arena, &own);
		if (err)
			return err;
		if (arena.magic && newest_find(m, &arena, &own, &found) && found.cnt &&
		    found.parts[found.cnt - 1].to != own.pending_pos)
			return 0;
	}
	return 1;
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
	const struct ingest_source source = { .arg = &t, .site = site_get,
					      .thread_name = thread_name };
	struct writer_totals before, after;
	struct ingest *ingest = NULL;
	void *modules = NULL;
	uint32_t i;
	int err, index;

	t.written = !m->header.snapshot && walk && last_write_found(&m->header, walk, tail);
	t.data = malloc(m->header.ring_bytes);
	modules = malloc((size_t)m->header.module_bytes + 1);
	err = t.data && modules ? 0 : -ENOMEM;
	if (!err)
		err = recover_memory_read(m->fd, modules, m->header.module_bytes, SAFE_MODULES_OFF);
	if (!err)
		err = recover_sites_open(&t.sites, modules, m->header.module_bytes, m->owner);
	if (!err)
		err = slabs_take(m, t.sites);
	if (!err)
		err = ingest_open(&ingest, writer, NULL);
	if (err)
		goto cleanup;
	index = process_add(m, writer);
	if (index < 0) {
		err = index;
		goto cleanup;
	}
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
	recover_sites_close(t.sites);
	free(modules);
	free(t.data);
	return err;
}
