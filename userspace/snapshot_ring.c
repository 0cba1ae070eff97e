/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot_ring.c - see snapshot_ring.h. Where the oldest whole record begins is told by a mark, or
 * by where the arena came into a thread's hands.
 *
 * The ring is copied piece by piece, from the oldest on, while its owner overwrites it in the same
 * direction. After each piece `reserve` tells how far the owner has come: who reserves does so before
 * he writes, so whatever of the piece he may have touched lies before reserve - ring. A copy that is
 * faster than the owner runs away from him after the first piece.
 */
#include "snapshot_ring.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HANDS_TRIES 100
#define HANDS_REST_NS 100000
#define LATE_TRIES 10

/*
 * Between reading what an owner may overwrite and reading `reserve`. On x86-64 he makes his stores
 * visible in order. Elsewhere he would need a barrier at each record; this makes him, and all other
 * threads that run, go through one now.
 */
#ifdef __x86_64__
#define PIECE_BYTES 16384u
void snapshot_ring_prepare(void)
{
}
static void owner_order(void)
{
	__asm__ volatile("" : : : "memory"); /* loads stay in order, too */
}
#else
#define PIECE_BYTES 262144u
static int membarrier_command = MEMBARRIER_CMD_GLOBAL;
void snapshot_ring_prepare(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0)
		membarrier_command = MEMBARRIER_CMD_PRIVATE_EXPEDITED;
}
static void owner_order(void)
{
	(void)syscall(SYS_membarrier, membarrier_command, 0, 0); /* kernels since 4.3 have one */
}
#endif

/* Reads what others write meanwhile, and what is dropped if they did: no races that matter. */
__attribute__((no_sanitize("thread"))) static void words_copy(uint64_t *to, const uint64_t *from,
							      uint64_t bytes)
{
	const volatile uint64_t *p = from;
	uint64_t i;

	for (i = 0; i < bytes / 8; i++)
		to[i] = p[i];
}

static void part_add(struct snapshot_ring *out, uint64_t key, uint32_t tid, uint64_t from,
		     uint64_t to)
{
	if (key && from < to)
		out->parts[out->cnt++] = (struct snapshot_part){
			.key = key, .from = from, .to = to, .tid = tid};
}

/* The least position that is not before `low` and `valid`, and at which a record begins. */
static uint64_t begin_find(const struct qslog_arena *arena, uint64_t valid, uint64_t low)
{
	uint64_t from = UINT64_MAX;
	uint32_t i;

	if (low >= valid)
		return low;
	if (arena->key && arena->born >= valid)
		from = arena->born;
	for (i = 0; i < QSLOG_MARKS; i++) {
		const uint64_t pos = arena->marks[i].pos;

		/* the next one comes there, and may have been on its way */
		if (i == arena->mark_cnt % QSLOG_MARKS)
			continue;
		if (pos >= valid && pos < from)
			from = pos;
	}
	return from;
}

void snapshot_ring_find(const struct qslog_arena *arena, uint64_t valid, uint64_t since,
			struct snapshot_ring *out)
{
	/* whose the records before were is not known */
	const uint64_t known = arena->last_key ? arena->last_born : arena->born;
	const uint64_t from = begin_find(arena, valid, since > known ? since : known);

	out->cnt = 0;
	out->dropped = arena->dropped;
	if (from >= arena->head)
		return;
	if (!arena->key) { /* it was about to get another owner */
		part_add(out, arena->last_key, arena->last_tid, from, arena->head);
		return;
	}
	if (from < arena->born)
		part_add(out, arena->last_key, arena->last_tid, from, arena->born);
	part_add(out, arena->key, arena->tid, from < arena->born ? arena->born : from, arena->head);
}

/* A consistent header: of the owner that is there now, and with the marks that are safe. */
static bool header_take(const struct qslog_arena *arena, struct qslog_arena *out)
{
	const uint64_t key = __atomic_load_n(&arena->key, __ATOMIC_ACQUIRE);
	uint64_t marks, marks_after, n;

	if (!key)
		return false;
	marks = __atomic_load_n(&arena->mark_cnt, __ATOMIC_ACQUIRE);
	words_copy((uint64_t *)(void *)out, (const uint64_t *)(const void *)arena, sizeof(*out));
	out->head = __atomic_load_n(&arena->head, __ATOMIC_ACQUIRE);
	owner_order();
	marks_after = __atomic_load_n(&arena->mark_cnt, __ATOMIC_RELAXED);
	if (__atomic_load_n(&arena->key, __ATOMIC_RELAXED) != key)
		return false;
	out->key = key;
	out->mark_cnt = marks;
	for (n = marks > QSLOG_MARKS ? marks - QSLOG_MARKS : 0;
	     n < marks && n + QSLOG_MARKS <= marks_after; n++)
		memset(&out->marks[n % QSLOG_MARKS], 0, sizeof(out->marks[0]));
	return true;
}

/* false: the arena was changing hands. *most: what it could have been. */
static bool ring_copy(const struct qslog_arena *arena, uint64_t since, void *to,
		      struct snapshot_ring *out, uint64_t *most)
{
	const uint64_t ring = arena->mask + 1;
	uint64_t begin, valid, pos, piece, reserve;
	struct qslog_arena header;

	if (!header_take(arena, &header))
		return false;
	begin = header.head > ring ? header.head - ring : 0;
	if (begin < since)
		begin = since;
	valid = begin;
	for (pos = begin; pos < header.head; pos += piece) {
		piece = header.head - pos < PIECE_BYTES ? header.head - pos : PIECE_BYTES;
		words_copy((uint64_t *)to + (pos - begin) / 8,
			   (const uint64_t *)(const void *)((const char *)arena +
							    QSLOG_ARENA_HEADER_BYTES +
							    (pos & arena->mask)),
			   piece);
		owner_order();
		reserve = __atomic_load_n(&arena->reserve, __ATOMIC_RELAXED);
		if (reserve > ring && reserve - ring > pos)
			valid = reserve - ring < pos + piece ? reserve - ring : pos + piece;
	}
	snapshot_ring_find(&header, valid, since, out);
	out->data = out->cnt ? (uint64_t *)to + (out->parts[0].from - begin) / 8 : NULL;
	*most = header.head > begin ? header.head - begin : 0;
	return true;
}

int snapshot_ring_copy(const struct qslog_arena *arena, uint64_t since, void *to,
		       struct snapshot_ring *out)
{
	const struct timespec rest = {.tv_nsec = HANDS_REST_NS};
	uint64_t most = 0, got = 0;
	int tries, late = 0;

	for (tries = 0; tries < HANDS_TRIES; tries++) {
		if (!ring_copy(arena, since, to, out, &most)) {
			(void)nanosleep(&rest, NULL);
			continue;
		}
		got = out->cnt ? out->parts[out->cnt - 1].to - out->parts[0].from : 0;
		/* Whoever loses the CPU amid a piece is overtaken. */
		if (got >= most / 2 || late++ == LATE_TRIES)
			return 0;
	}
	return -EAGAIN;
}
