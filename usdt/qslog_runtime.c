/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qslog_runtime.c - the cold half of qslog.h: arenas and their registry, the stops at which an
 * owner marks its position and hands over a batch, thread end, fork.
 *
 * How it works. A thread starts with a static empty arena whose limit is 0, so its first record
 * comes here and gets a real one. From then on the owner comes here about once per 32 KiB of
 * records (qslog_priv_reserve_slow): it notes a mark (position, record count), traps into
 * qslog:batch if a tracer is attached, wakes the in-process collector if that sleeps, and finds
 * out how far it may go. Nobody else ever writes an owner's fields.
 *
 * Sites that are registered at run time lie in slabs that are never freed and that a tracer may
 * read; to one that is attached already, their definitions go the way of records.
 *
 * libc only. Everything here may run in a signal handler that interrupted anything: locks are
 * held with signals blocked, memory comes from mmap(2), errno is preserved.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#undef QSLOG_DISABLE /* is about sites; the runtime is whole, and propagates context */
#include "qslog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define TABLE_MAX 4194304u /* pid_max's own limit on threads (PID_MAX_LIMIT, linux/threads.h) */
#define TABLE_MIN 512u
/* An ended arena that a tracer may not have read to its end is left alone this long. */
#define ENDED_REST_NS 1000000000ull
/* Where there was no memory for an arena, the thread does not ask again at every record. */
#define FULL_REST_NS 100000000ull
/* The collector is woken when this part of the ring waits for it: a system call, so not at every
 * stop. */
#define COLLECTOR_WAKE_SHARE 4
/* Stops that come in quick succession push only so often. */
#define PUSH_BYTES (QSLOG_BATCH_BYTES / 2)
/* How long is looked how fast the counter is: to within 1 in 10^5. */
#define COUNTER_LOOK_NS 10000000
/* A tracer that attaches takes less, from its first probe to the time from which on it records. */
#define AHEAD_FOR_NS 1000000000u
/* So many steps is the coarse clock behind at most: ticks come late, and one was seen left out. */
#define AHEAD_STEPS 4u
/* Between two looks at whether the collector has made room, with QSLOG_ON_FULL_BLOCK. */
#define BLOCK_NS 20000

/* Both have file contents (not .bss), since a semaphore is found by its offset in the file. */
struct qslog_registry qslog_priv_registry __attribute__((section(".probes"), used)) = {
	.abi_version = QSLOG_ABI_VERSION,
};

/* qslog:batch(arena, key, from, to, records): what [from, to) holds is committed. */
void qslog_priv_batch_probe(const void *arena, uint64_t key, uint64_t from, uint64_t to,
			    uint64_t records) __attribute__((visibility("hidden")));
/* qslog:module(control, registry, counter, loaded): a program or library with sites was loaded, or
 * is about to be unloaded; control 0: so is the one with this runtime. */
void qslog_priv_module_probe(const void *control, const void *registry, uint64_t counter, int loaded)
	__attribute__((visibility("hidden")));
#if defined(__x86_64__)
#define BATCH_ARGS "8@%rdi 8@%rsi 8@%rdx 8@%rcx 8@%r8"
#define MODULE_ARGS "8@%rdi 8@%rsi 8@%rdx -4@%ecx"
#else
#define BATCH_ARGS "8@x0 8@x1 8@x2 8@x3 8@x4"
#define MODULE_ARGS "8@x0 8@x1 8@x2 -4@x3"
#endif
#define RUNTIME_PROBE(name, semaphore, args)                                                        \
	__asm__(".pushsection .text.qslog_" #name ",\"ax\",%progbits\n"                             \
		".balign 16\n"                                                                      \
		".globl qslog_priv_" #name "_probe\n"                                                \
		".hidden qslog_priv_" #name "_probe\n"                                               \
		".type qslog_priv_" #name "_probe, %function\n"                                      \
		"qslog_priv_" #name "_probe: nop\n"                                                  \
		"ret\n"                                                                             \
		".size qslog_priv_" #name "_probe, .-qslog_priv_" #name "_probe\n"                     \
		".popsection\n"                                                                     \
		".pushsection .note.stapsdt,\"\",\"note\"\n"                                        \
		".balign 4\n"                                                                       \
		".4byte 992f-991f, 994f-993f, 3\n"                                                  \
		"991: .asciz \"stapsdt\"\n"                                                         \
		"992: .balign 4\n"                                                                  \
		"993: .8byte qslog_priv_" #name "_probe, _.stapsdt.base, " semaphore "\n"             \
		".asciz \"qslog\"\n"                                                                \
		".asciz \"" #name "\"\n"                                                            \
		".asciz \"" args "\"\n"                                                             \
		"994: .balign 4\n"                                                                  \
		".popsection\n")
RUNTIME_PROBE(batch, "qslog_priv_registry", BATCH_ARGS);
RUNTIME_PROBE(module, "0", MODULE_ARGS);

/* The arena of threads that have none. Its reserve is added to by every thread's first record,
 * its limit stays 0, so that those come to qslog_priv_reserve_slow(). */
static struct qslog_arena arena_none;
__thread struct qslog_arena *qslog_priv_arena __attribute__((tls_model("initial-exec"))) =
	&arena_none;

__thread struct qslog_priv_local qslog_priv_local __attribute__((tls_model("initial-exec"))) = {
	.id_next = QSLOG_PRIV_ID_SPENT,
};

struct qslog_priv_process qslog_priv_process = {.arena_bytes = QSLOG_ARENA_BYTES_DEFAULT};

static struct {
	int lock;			/* of everything here and of the registry's table */
	int ready;			/* 1: runtime_init() has run */
	uint32_t instance;		/* see struct qslog_arena */
	int thread_key_valid;
	int ending;			/* ends of threads are no longer noticed */
	pthread_key_t thread_key;	/* its destructor is the end of a thread */
	struct qslog_control *controls; /* of all loaded programs and libraries with sites */
	struct qslog_arena *ended_first, *ended_last; /* queue, oldest first */
	uint32_t ended_cnt;
	struct qslog_arena *late;	/* of threads that logged again after their end was noticed */
	struct qslog_arena *misfits;	/* ended, and of another size than new ones have now */
	int ids_seeded;
	uint64_t ids_block;    /* first id of the next thread's block */
	uint64_t trace_key[2]; /* make ids trace ids */
} runtime;

static __thread struct {
	uint8_t ended;	 /* its end has been noticed */
	uint8_t forking; /* holds the lock */
	uint8_t no_syscalls; /* QSLOG_THREAD_NO_SYSCALLS */
	/* QSLOG_THREAD_NO_COUNTER: the arena's limit is 0, and this the real one; a moment by both
	 * clocks, and ticks of the counter in 2^32 ns. */
	uint8_t no_counter;
	uint64_t limit;
	uint64_t since_ns, since_counter, ticks, last;
	/* Who listened at the last record; for how long after a change times are rather ahead, by */
	uint32_t listeners;
	uint64_t ahead_until_ns, ahead_ns;
	/* Whoever wants qslog:record: of the next `asked_cnt` records to find a place (more than one
	 * where handlers came between); of the one that begins at hit_begin, behind padding at
	 * hit_pad; of one at nested_begin amid another one. */
	const struct qslog_control *asked, *hit, *nested_hit;
	uint32_t asked_cnt;
	uint64_t hit_pad, hit_begin, nested_begin;
	uint64_t full_until_ns; /* no memory for an arena; not 0: not to be asked for before */
} thread_state __attribute__((tls_model("initial-exec")));

/* In private memory that a child of fork(2) finds zeroed, however it was forked: 0 there until the
 * child has let go of its parent's arenas. */
static uint32_t parent_of_none = 1, *own_process = &parent_of_none;

static uint64_t monotonic_ns(void)
{
	struct timespec now = {0, 0}; /* where the call is forbidden */

	clock_gettime(thread_state.no_counter ? CLOCK_MONOTONIC_COARSE : CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Not pthread_sigmask(3), which leaves out the signals of libc's own: pthread_cancel(3) would end a
 * thread that holds the lock. */
static void signals_block(sigset_t *saved)
{
	const uint64_t all = ~0ull;

	sigemptyset(saved);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, saved, sizeof(all));
}

static void signals_restore(const sigset_t *saved)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, saved, NULL, sizeof(uint64_t));
}

enum lock_state {
	LOCK_FREE = 0,
	LOCK_TAKEN = 1,
	LOCK_AWAITED = 2 /* taken, and somebody waits on the futex */
};

static void lock_take(sigset_t *saved)
{
	int state = LOCK_FREE;

	signals_block(saved);
	if (__atomic_compare_exchange_n(&runtime.lock, &state, LOCK_TAKEN, 0, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return;
	/* The timeout is for sandboxes that forbid FUTEX_WAKE to the other side. */
	while (__atomic_exchange_n(&runtime.lock, LOCK_AWAITED, __ATOMIC_ACQUIRE) != LOCK_FREE)
		syscall(SYS_futex, &runtime.lock, FUTEX_WAIT_PRIVATE, LOCK_AWAITED,
			&(struct timespec){.tv_nsec = 50000000}, NULL, 0);
}

static void lock_release(void)
{
	if (__atomic_exchange_n(&runtime.lock, LOCK_FREE, __ATOMIC_RELEASE) == LOCK_AWAITED)
		syscall(SYS_futex, &runtime.lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void lock_give(const sigset_t *saved)
{
	lock_release();
	signals_restore(saved);
}

/* --- Handing over. The caller owns the arena, and no record of it is being written. */

static int tracer_attached(void)
{
	return __atomic_load_n(&qslog_priv_registry.batch_semaphore, __ATOMIC_RELAXED) != 0;
}

static void arena_push(struct qslog_arena *arena, uint64_t to, uint64_t records)
{
	uint64_t from = arena->pushed;

	if (tracer_attached() && to != from) {
		arena->pushed = to;
		qslog_priv_batch_probe(arena, arena->key, from, to, records);
	}
}

static int push_due(const struct qslog_arena *arena, uint64_t pos)
{
	return pos - arena->pushed >= PUSH_BYTES && tracer_attached();
}

/* At a stop, where [start, end) has been reserved. What is reserved counts as overwritten, of a record of
 * 128 KiB half a ring that is still there: so the reservation is given back meanwhile. 0: it could not
 * be, since a handler has reserved behind it. */
static int arena_push_stopped(struct qslog_arena *arena, uint64_t start, uint64_t end,
			      uint64_t records)
{
	uint64_t expected = end;
	const int back = __atomic_compare_exchange_n(&arena->reserve, &expected, start, 0,
						     __ATOMIC_RELAXED, __ATOMIC_RELAXED);

	arena_push(arena, start, records);
	return back;
}

/* All that the calling thread has recorded, unless that is in the middle of a record. */
static void arena_push_all(struct qslog_arena *arena)
{
	sigset_t saved;

	if (!tracer_attached())
		return;
	signals_block(&saved); /* no handler's records amid this */
	if (arena->head == arena->reserve)
		arena_push(arena, arena->head, arena->records);
	signals_restore(&saved);
}

static uint64_t arena_mark_last(const struct qslog_arena *arena)
{
	return arena->marks[(arena->mark_cnt - 1) % QSLOG_MARKS].pos;
}

static void arena_mark(struct qslog_arena *arena, uint64_t pos, uint64_t records)
{
	struct qslog_mark *mark = &arena->marks[arena->mark_cnt % QSLOG_MARKS];

	mark->pos = pos;
	mark->records = records;
	__atomic_store_n(&arena->mark_cnt, arena->mark_cnt + 1, __ATOMIC_RELEASE);
}

static uint32_t ended_kept(void)
{
	return __atomic_load_n(&qslog_priv_process.ended_kept, __ATOMIC_RELAXED);
}

/* At a stop. The marks have to reach back over the whole ring, also those 15 that are not about to be
 * overwritten: there is one in each 14th of it. */
static int mark_due(const struct qslog_arena *arena, uint64_t pos)
{
	const uint64_t last = arena_mark_last(arena), part = (arena->mask + 1) / (QSLOG_MARKS - 2);

	return pos / part != last / part;
}

void qslog_priv_collector_wake(void)
{
	uint32_t sleeping = QSLOG_COLLECTOR_SLEEPING;

	if (__atomic_load_n(&qslog_priv_process.collector, __ATOMIC_SEQ_CST) == sleeping &&
	    __atomic_compare_exchange_n(&qslog_priv_process.collector, &sleeping,
					QSLOG_COLLECTOR_AWAKE, 0, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED))
		syscall(SYS_futex, &qslog_priv_process.collector, FUTEX_WAKE_PRIVATE, 1, NULL, NULL,
			0);
}

/* --- Arenas. */

/* The same by a file without a name, where mremap(2) does not map twice (qemu's user mode). */
static int arena_map_file(char *base, uint64_t ring_bytes)
{
	const size_t once = QSLOG_ARENA_HEADER_BYTES + ring_bytes;
	struct rlimit limit;
	int fd, err = -1;

	/* Going over the limit on file sizes would be a signal. */
	if (getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur < once)
		return -1;
	fd = memfd_create("qslog", MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)once) == 0 &&
	    mmap(base, once, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED &&
	    mmap(base + once, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 QSLOG_ARENA_HEADER_BYTES) != MAP_FAILED)
		err = 0;
	close(fd);
	return err;
}

/* The ring's second mapping; `fd`: of the memory's file, -1 for anonymous memory. */
static int arena_map_again(char *base, uint64_t ring_bytes, int fd, uint64_t offset)
{
	const size_t once = QSLOG_ARENA_HEADER_BYTES + ring_bytes;

	if (fd >= 0)
		return mmap(base + once, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			    (off_t)(offset + QSLOG_ARENA_HEADER_BYTES)) == MAP_FAILED ? -1 : 0;
	if (mremap(base + QSLOG_ARENA_HEADER_BYTES, 0, ring_bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
		   base + once) != MAP_FAILED)
		return 0;
	return arena_map_file(base, ring_bytes);
}

/* Header, ring, and the ring once more. Shared memory, since only that can be mapped twice: what
 * the collector supplies, or anonymous, so that neither a file-size limit nor a full file system
 * can hit. */
static struct qslog_arena *arena_map(uint64_t ring_bytes)
{
	size_t once = QSLOG_ARENA_HEADER_BYTES + ring_bytes;
	int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, fd = -1;
	uint64_t offset = 0;
	char *base = mmap(NULL, once + ring_bytes, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (qslog_priv_process.arena_memory &&
	    qslog_priv_process.arena_memory(once, &fd, &offset) == 0)
		flags = MAP_SHARED | MAP_FIXED;
	else
		fd = -1;
	if (mmap(base, once, PROT_READ | PROT_WRITE, flags, fd, (off_t)offset) == MAP_FAILED ||
	    arena_map_again(base, ring_bytes, fd, offset)) {
		munmap(base, once + ring_bytes);
		return NULL;
	}
	/* A child of fork(2) shares the ring. Where no handler of pthread_atfork(3) was called, it
	 * notices by the zeros in the header that the arena is not its own. */
	if (fd < 0 && mmap(base, QSLOG_ARENA_HEADER_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
		(void)madvise(base, QSLOG_ARENA_HEADER_BYTES, MADV_WIPEONFORK);
	return (struct qslog_arena *)base;
}

static int table_map(void)
{
	uint32_t max = TABLE_MAX;
	void *table;

	if (qslog_priv_registry.table)
		return 0;
	do {
		table = mmap(NULL, max * sizeof(void *), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (table != MAP_FAILED) {
			qslog_priv_registry.table_max = max;
			qslog_priv_registry.table = (uint64_t)(uintptr_t)table;
			return 0;
		}
		max /= 2;
	} while (max >= TABLE_MIN);
	return -1;
}

/* Attached to the levels counts as well: while a tracer attaches anew, the batch probe may have
 * nobody for a moment. */
static int tracer_around(void)
{
	const struct qslog_control *control;
	int word;

	if (tracer_attached())
		return 1;
	for (control = runtime.controls; control; control = control->next)
		for (word = 0; word < QSLOG_WORD_COUNT; word++)
			if (control->words[word] & QSLOG_WORD_TRACERS)
				return 1;
	return 0;
}

static int ended_is_drained(const struct qslog_arena *arena)
{
	if (__atomic_load_n(&qslog_priv_process.collector, __ATOMIC_ACQUIRE) &&
	    __atomic_load_n(&arena->collected, __ATOMIC_ACQUIRE) != arena->head)
		return 0;
	return !tracer_around() || monotonic_ns() - arena->ended_ns >= ENDED_REST_NS;
}

static void ended_remove_first(void)
{
	runtime.ended_cnt--;
	runtime.ended_first = (struct qslog_arena *)(uintptr_t)runtime.ended_first->next;
	if (!runtime.ended_first)
		runtime.ended_last = NULL;
}

/* A drained arena of an ended thread, or a new one; NULL where there is no memory. */
static struct qslog_arena *arena_obtain(void)
{
	struct qslog_registry *registry = &qslog_priv_registry;
	struct qslog_arena *arena = runtime.ended_first;
	uint32_t index = registry->arena_cnt;

	/* Those of another size are out of use until that is asked for again. */
	while (arena && arena->mask + 1 != qslog_priv_process.arena_bytes) {
		ended_remove_first();
		arena->next = (uint64_t)(uintptr_t)runtime.misfits;
		runtime.misfits = arena;
		arena = runtime.ended_first;
	}
	if (arena && runtime.ended_cnt > ended_kept() && ended_is_drained(arena)) {
		ended_remove_first();
		return arena;
	}
	arena = runtime.misfits;
	if (arena && arena->mask + 1 == qslog_priv_process.arena_bytes && ended_is_drained(arena)) {
		runtime.misfits = (struct qslog_arena *)(uintptr_t)arena->next;
		return arena;
	}
	if (thread_state.full_until_ns && monotonic_ns() < thread_state.full_until_ns)
		return NULL;
	thread_state.full_until_ns = 0;
	if (runtime.ended_first) /* it would do, had the collector come by */
		qslog_priv_collector_wake();
	if (table_map() || index == registry->table_max)
		goto full;
	arena = arena_map(qslog_priv_process.arena_bytes);
	if (!arena)
		goto full;
	arena->magic = QSLOG_ARENA_MAGIC;
	arena->mask = qslog_priv_process.arena_bytes - 1;
	arena->index = index;
	arena->instance = runtime.instance;
	((uint64_t *)(uintptr_t)registry->table)[index] = (uint64_t)(uintptr_t)arena;
	__atomic_store_n(&registry->arena_cnt, index + 1, __ATOMIC_RELEASE);
	return arena;
full:
	arena = runtime.ended_first;
	if (arena && ended_is_drained(arena)) { /* no room to leave it alone */
		ended_remove_first();
		return arena;
	}
	thread_state.full_until_ns = monotonic_ns() + FULL_REST_NS;
	return NULL;
}

static int clock_is_monotonic(void)
{
	return qslog_priv_registry.clock == QSLOG_CLOCK_MONOTONIC;
}

/* Where the next stop is; where the counter is not the CPU's, every record comes to the cold function. */
static void arena_limit_set(struct qslog_arena *arena, uint64_t limit)
{
	if (clock_is_monotonic()) {
		arena->clock_limit = limit | 1; /* positions are multiples of 8 */
	} else if (thread_state.no_counter) {
		thread_state.limit = limit | 1;
		arena->limit = 0;
	} else {
		arena->limit = limit > QSLOG_PRIV_SLACK ? limit - QSLOG_PRIV_SLACK : 0;
	}
}

/* A new life: the key is 0 while the rest changes, positions go on. */
static void arena_begin_life(struct qslog_arena *arena)
{
	uint64_t last = arena->key;

	__atomic_store_n(&arena->key, 0, __ATOMIC_RELEASE);
	arena->last_key = last;
	arena->last_born = arena->born;
	arena->last_tid = arena->tid;
	arena->born = arena->head;
	arena->born_records = arena->records;
	arena->born_dropped = arena->dropped;
	arena->pushed = arena->head;
	arena_limit_set(arena, 0);
	arena->next = 0;
	arena->tid = (uint32_t)syscall(SYS_gettid);
	arena->state = QSLOG_ARENA_LIVE;
	arena_mark(arena, arena->head, arena->records);
	__atomic_store_n(&arena->key, ++qslog_priv_registry.key_next, __ATOMIC_RELEASE);
}

static uint64_t *arena_word(const struct qslog_arena *arena, uint64_t pos)
{
	return (uint64_t *)((char *)(uintptr_t)arena + QSLOG_ARENA_HEADER_BYTES +
			    (pos & arena->mask));
}

/* How many records there are in [from, to), where all are complete. */
static uint64_t records_between(const struct qslog_arena *arena, uint64_t from, uint64_t to)
{
	uint64_t cnt = 0, word, bytes;

	while (from < to) {
		word = *arena_word(arena, from);
		bytes = (word >> QSLOG_RECORD_SIZE_SHIFT & QSLOG_RECORD_SIZE_MASK) * 8;
		if (bytes < QSLOG_RECORD_HEADER_BYTES)
			break; /* never */
		cnt += (word & QSLOG_RECORD_SITE_MASK) != 0;
		from += bytes;
	}
	return cnt;
}

/* How many records there are in front of `end`, which is where the first ends that is not
 * committed: handlers that interrupted it may have written some behind it. */
static uint64_t records_before(const struct qslog_arena *arena, uint64_t end)
{
	const volatile struct qslog_arena *now = arena;
	uint64_t records, reserve;

	do {
		records = now->records;
		reserve = now->reserve;
	} while (now->records != records);
	return records - records_between(arena, end, reserve);
}

/* Puts empty definitions there. */
static void arena_pad(const struct qslog_arena *arena, uint64_t at, uint64_t to)
{
	const uint64_t step = QSLOG_RECORD_HEADER_BYTES;
	uint64_t bytes;

	for (; at < to; at += bytes) {
		bytes = to - at == step + 8 ? step + 8 : step; /* sizes are multiples of 8 */
		arena_word(arena, at)[0] = bytes << (QSLOG_RECORD_SIZE_SHIFT - 3);
		arena_word(arena, at)[1] = 0;
	}
}

/* A thread that was cancelled asynchronously may leave a record half written, which hides those
 * that handlers wrote behind it. Puts empty definitions there, and counts what was committed. */
static void arena_repair(struct qslog_arena *arena)
{
	const uint64_t step = QSLOG_RECORD_HEADER_BYTES, ring = arena->mask + 1;
	uint64_t records, last = arena->reserve, full_at = arena->head + ring;
	const struct qslog_mark *mark;

	if (arena->head == last)
		return;
	if (__atomic_load_n(&qslog_priv_process.collector, __ATOMIC_ACQUIRE))
		full_at = __atomic_load_n(&arena->collected, __ATOMIC_ACQUIRE) + ring;
	if (last > full_at) { /* it was waiting for room */
		last = full_at >= arena->head + step ? full_at : arena->head;
		arena->reserve = last;
	}
	mark = &arena->marks[(arena->mark_cnt - 1) % QSLOG_MARKS];
	records = mark->records + records_between(arena, mark->pos, arena->head);
	arena->dropped += arena->records - records;
	arena->records = records;
	arena_pad(arena, arena->head, last);
	__atomic_store_n(&arena->head, last, __ATOMIC_RELEASE);
}

/* Under the lock, when nothing is to be pushed any more. */
static void arena_finish(struct qslog_arena *arena)
{
	arena_mark(arena, arena->head, arena->records);
	arena->ended_ns = monotonic_ns();
	arena->next = 0;
	__atomic_store_n(&arena->state, QSLOG_ARENA_ENDED, __ATOMIC_RELEASE);
	if (runtime.ended_last)
		runtime.ended_last->next = (uint64_t)(uintptr_t)arena;
	else
		runtime.ended_first = arena;
	runtime.ended_last = arena;
	runtime.ended_cnt++;
}

static void late_remove(const struct qslog_arena *arena)
{
	struct qslog_arena *at = runtime.late;

	if (at == arena)
		runtime.late = (struct qslog_arena *)(uintptr_t)at->next;
	for (; at; at = (struct qslog_arena *)(uintptr_t)at->next)
		if (at->next == (uint64_t)(uintptr_t)arena) {
			at->next = arena->next;
			break;
		}
}

/* libc runs destructors of threads a few times only, so the last ones may log unnoticed, and
 * handlers after them. Where such a thread is gone its arena is taken from here. */
static void late_finish(void)
{
	struct qslog_arena *arena = runtime.late, *next;

	for (; arena; arena = next) {
		next = (struct qslog_arena *)(uintptr_t)arena->next;
		if (syscall(SYS_tgkill, getpid(), arena->tid, 0) == 0 || errno != ESRCH)
			continue;
		late_remove(arena);
		arena_repair(arena);
		arena_push(arena, arena->head, arena->records);
		arena_finish(arena);
	}
}

static void arena_end_life(void *thread_arena)
{
	struct qslog_arena *arena = thread_arena;
	int saved_errno = errno;
	sigset_t saved;

	signals_block(&saved);
	arena_repair(arena);
	arena_push(arena, arena->head, arena->records);
	signals_restore(&saved);
	lock_take(&saved);
	qslog_priv_arena = &arena_none;
	thread_state.limit = 0;
	if (thread_state.ended)
		late_remove(arena);
	thread_state.ended = 1;
	arena_finish(arena);
	lock_give(&saved);
	errno = saved_errno;
}

static int own_process_is(void);

static struct qslog_arena *thread_arena_get(void)
{
	struct qslog_arena *arena;
	sigset_t saved;

	if (thread_state.forking || !own_process_is())
		return NULL;
	if (qslog_priv_arena->magic == QSLOG_ARENA_MAGIC) /* a signal handler was here first */
		return qslog_priv_arena;
	lock_take(&saved);
	if (qslog_priv_arena->magic != QSLOG_ARENA_MAGIC)
		qslog_priv_arena = &arena_none;
	arena = qslog_priv_arena;
	if (arena == &arena_none && runtime.thread_key_valid) {
		late_finish();
		arena = arena_obtain();
		if (arena) {
			arena_begin_life(arena);
			if (thread_state.ended) {
				arena->next = (uint64_t)(uintptr_t)runtime.late;
				runtime.late = arena;
			}
			qslog_priv_arena = arena;
		}
	} else if (arena == &arena_none) {
		arena = NULL;
	}
	lock_release();
	if (arena && !runtime.ending)
		pthread_setspecific(runtime.thread_key, arena);
	signals_restore(&saved); /* not earlier: a thread may be cancelled here */
	return arena;
}

/* --- What the collector records: a level for all, and levels for tags. */

static const uint8_t level_words[QSLOG_LEVEL_COUNT] = {
	[QSLOG_LEVEL_VERBOSE] = QSLOG_WORD_VERBOSE, [QSLOG_LEVEL_DEBUG] = QSLOG_WORD_DEBUG,
	[QSLOG_LEVEL_INFO] = QSLOG_WORD_INFO,	    [QSLOG_LEVEL_WARN] = QSLOG_WORD_WARN,
	[QSLOG_LEVEL_ERROR] = QSLOG_WORD_ERROR,	    [QSLOG_LEVEL_FATAL] = QSLOG_WORD_FATAL,
};

struct level_rule {
	char tag[QSLOG_LEVEL_TAG_MAX + 1];
	int16_t level;
	uint8_t length;
	uint8_t prefix; /* it ends in *, which `tag` leaves out */
};

/* Changed under the lock, with `version` odd meanwhile. What was found for a tag is remembered by its
 * address: address << 16 | low bits of version << 8 | level + 1. */
static struct {
	uint32_t version;
	uint32_t cnt;
	int level; /* of tags without a rule */
	struct level_rule rules[QSLOG_LEVEL_TAGS_MAX];
	uint64_t known[256];
} levels;

static int rule_fits(const struct level_rule *rule, const char *tag)
{
	return strncmp(tag, rule->tag, rule->length) == 0 && (rule->prefix || !tag[rule->length]);
}

static int level_look(const char *tag)
{
	const struct level_rule *rule, *best = NULL;
	uint32_t i;

	for (i = 0; i < levels.cnt && i < QSLOG_LEVEL_TAGS_MAX; i++) {
		rule = &levels.rules[i];
		if (rule_fits(rule, tag) &&
		    (!best || rule->length > best->length ||
		     (rule->length == best->length && best->prefix)))
			best = rule;
	}
	return best ? best->level : levels.level;
}

/* Lock-free, since handlers come here too, also amid a change by another thread. */
static int level_wanted(const struct qslog_site *site)
{
	const char *tag = site->tag ? site->tag : program_invocation_short_name;
	const uint64_t address = (uint64_t)(uintptr_t)tag;
	uint64_t *known = &levels.known[(address ^ address >> 8) % 256], have, key;
	uint32_t version;
	int level;

	do {
		version = __atomic_load_n(&levels.version, __ATOMIC_ACQUIRE);
		key = address << 16 | (version & 0xff) << 8;
		have = __atomic_load_n(known, __ATOMIC_RELAXED);
		if ((have & ~0xffull) == key && !(version & 1))
			return site->level >= (int)(have & 0xff) - 1;
		level = level_look(tag);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (version & 1 || __atomic_load_n(&levels.version, __ATOMIC_RELAXED) != version);
	__atomic_store_n(known, key | (uint64_t)(level + 1), __ATOMIC_RELAXED);
	return site->level >= level;
}

static void levels_change_begin(void)
{
	__atomic_store_n(&levels.version, levels.version + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/* What is remembered goes before the low bits of the version come back. */
static void levels_change_end(void)
{
	uint32_t i;

	if ((levels.version & 0xff) == 0xff)
		for (i = 0; i < 256; i++)
			__atomic_store_n(&levels.known[i], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&levels.version, levels.version + 1, __ATOMIC_RELEASE);
}

/* Lowest of what is recorded, and from where on everything is. */
static void levels_range(int *lowest, int *all)
{
	uint32_t i;

	*lowest = *all = qslog_priv_process.collector_on ? levels.level : QSLOG_LEVEL_COUNT;
	for (i = 0; i < levels.cnt && qslog_priv_process.collector_on; i++) {
		if (levels.rules[i].level < *lowest)
			*lowest = levels.rules[i].level;
		if (levels.rules[i].level > *all)
			*all = levels.rules[i].level;
	}
}

static void control_levels_apply(struct qslog_control *control)
{
	const uint16_t both = QSLOG_WORD_COLLECTOR | QSLOG_WORD_ASK;
	int level, lowest, all;

	levels_range(&lowest, &all);
	for (level = 0; level < QSLOG_LEVEL_COUNT; level++) {
		uint16_t *word = &control->words[level_words[level]];
		uint16_t have = __atomic_load_n(word, __ATOMIC_RELAXED) & both;
		uint16_t want = level < lowest ? 0 : level < all ? both : QSLOG_WORD_COLLECTOR;

		if (want && __atomic_load_n(&qslog_priv_process.site_chosen, __ATOMIC_RELAXED))
			want = both;
		if (want & ~have)
			__atomic_fetch_or(word, want, __ATOMIC_RELAXED);
		if (have & ~want)
			__atomic_fetch_and(word, (uint16_t)~(have & ~want), __ATOMIC_RELAXED);
	}
}

static void levels_apply(void)
{
	struct qslog_control *control;

	for (control = runtime.controls; control; control = control->next)
		control_levels_apply(control);
}

void qslog_priv_collector_levels(int on)
{
	sigset_t saved;

	lock_take(&saved);
	qslog_priv_process.collector_on = on;
	levels_apply();
	lock_give(&saved);
}

void qslog_priv_collector_levels_again(void)
{
	sigset_t saved;

	lock_take(&saved);
	levels_apply();
	lock_give(&saved);
}

static int rule_set(const char *tag, size_t length, int prefix, int level)
{
	uint32_t i;

	for (i = 0; i < levels.cnt; i++)
		if (levels.rules[i].length == length && levels.rules[i].prefix == prefix &&
		    memcmp(levels.rules[i].tag, tag, length) == 0)
			break;
	if (i == levels.cnt && level == -1)
		return 0;
	if (i == QSLOG_LEVEL_TAGS_MAX)
		return -ENOSPC;
	if (level == -1) {
		levels.rules[i] = levels.rules[--levels.cnt];
		return 0;
	}
	memcpy(levels.rules[i].tag, tag, length);
	levels.rules[i].tag[length] = '\0';
	levels.rules[i].length = (uint8_t)length;
	levels.rules[i].prefix = (uint8_t)prefix;
	levels.rules[i].level = (int16_t)level;
	levels.cnt += i == levels.cnt;
	return 0;
}

int qslog_set_level(const char *tag, int level)
{
	size_t length = tag ? strnlen(tag, QSLOG_LEVEL_TAG_MAX + 2) : 0;
	const int prefix = length && tag[length - 1] == '*';
	const int saved_errno = errno;
	sigset_t saved;
	int err = 0;

	if (level > QSLOG_LEVEL_COUNT || level < (tag ? -1 : 0) || (tag && !length))
		return -EINVAL;
	length -= (size_t)prefix;
	if (length > QSLOG_LEVEL_TAG_MAX)
		return -EINVAL;
	lock_take(&saved);
	levels_change_begin();
	if (tag)
		err = rule_set(tag, length, prefix, level);
	else
		levels.level = level;
	levels_change_end();
	levels_apply();
	lock_give(&saved);
	errno = saved_errno;
	return err;
}

/* Somebody wants to be told of the record once it is complete. So that publishing it comes to
 * qslog_priv_publish_slow(), padding takes its place and is not published before it, as if a record
 * had been interrupted. Returns where it begins. */
static uint64_t tell_of(struct qslog_arena *arena, uint64_t start, uint64_t bytes,
			uint64_t full_at, int nested)
{
	const struct qslog_control *control = thread_state.asked;

	if (--thread_state.asked_cnt)
		arena->limit = 0;
	if (nested) { /* that comes there anyway */
		thread_state.nested_hit = control;
		thread_state.nested_begin = start;
	} else if (start + 2 * bytes <= full_at) {
		arena_pad(arena, start, start + bytes);
		thread_state.hit_pad = start;
		start = qslog_priv_reserve_add(&arena->reserve, bytes);
		thread_state.hit_begin = start;
		thread_state.hit = control;
	}
	return start;
}

/* --- Time. */

__extension__ typedef unsigned __int128 wide;

static uint32_t listeners_now(void)
{
	const uint32_t collector = __atomic_load_n(&qslog_priv_process.collector, __ATOMIC_RELAXED);

	return __atomic_load_n(&qslog_priv_registry.batch_semaphore, __ATOMIC_RELAXED) |
	       (uint32_t)(collector != QSLOG_COLLECTOR_OFF) << 16;
}

/* What the counter would be about now: never ahead of it, since the coarse clock is not. But whoever
 * has just begun to listen leaves out what is from before, so for a while never behind it. */
static uint64_t counter_estimate(void)
{
	const uint64_t now = monotonic_ns(), since = thread_state.since_ns;
	uint64_t past = now > since ? now - since : 0, estimate;

	if (thread_state.listeners != listeners_now()) {
		thread_state.listeners = listeners_now();
		thread_state.ahead_until_ns = now + AHEAD_FOR_NS;
	}
	if (now < thread_state.ahead_until_ns)
		past += thread_state.ahead_ns;
	estimate = thread_state.since_counter + (uint64_t)((wide)past * thread_state.ticks >> 32);
	if (estimate > thread_state.last)
		thread_state.last = estimate;
	return thread_state.last;
}

uint64_t qslog_priv_counter_slow(void)
{
	const int saved_errno = errno;
	uint64_t counter = clock_is_monotonic()	   ? monotonic_ns() :
			   thread_state.no_counter ? counter_estimate() :
						     qslog_priv_counter();

	errno = saved_errno;
	return counter;
}

/* How fast the counter is, from two looks at both clocks. */
static int counter_leave(void)
{
	struct timespec step;
	uint64_t ns, counter;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &step) || !getauxval(AT_SYSINFO_EHDR))
		return -ENOTSUP;
	ns = monotonic_ns();
	counter = qslog_priv_counter();
	syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = COUNTER_LOOK_NS}, NULL);
	thread_state.since_ns = monotonic_ns();
	thread_state.since_counter = qslog_priv_counter();
	if (thread_state.since_ns <= ns) /* the call is forbidden */
		return -ENOTSUP;
	thread_state.ticks = (uint64_t)(((wide)(thread_state.since_counter - counter) << 32) /
					(thread_state.since_ns - ns));
	thread_state.last = thread_state.since_counter;
	thread_state.ahead_ns = (uint64_t)step.tv_nsec * AHEAD_STEPS;
	thread_state.limit = 0;
	thread_state.no_counter = 1;
	return 0;
}

#if defined(__x86_64__)
/* One line of sysfs, with a blank in front of each word and behind it; "" where it cannot be read.
 * By syscall(2): a thread could be cancelled in open(3). */
static void clocksource_read(const char *path, char *text, size_t bytes)
{
	long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC), n;

	text[0] = '\0';
	if (fd < 0)
		return;
	n = syscall(SYS_read, fd, text + 1, bytes - 3);
	syscall(SYS_close, fd);
	if (n <= 0)
		return;
	text[0] = ' ';
	text[n + 1] = '\0';
	if (text[n] == '\n')
		text[n] = ' ';
}

/*
 * Does the TSC count at one rate, in step on all CPUs? CPUID says whether the hardware (or the
 * hypervisor, which clears the bit for guests that may be moved) promises it: 80000007h, EDX bit 8.
 * The kernel may have found that it is not so: mark_tsc_unstable() in arch/x86/kernel/tsc.c after
 * tests of its own or by tsc=unstable. Then "tsc" is not in available_clocksource: either
 * init_tsc_clocksource() did not register it, or __clocksource_unstable() in
 * kernel/time/clocksource.c took CLOCK_SOURCE_VALID_FOR_HRES from it, without which
 * available_clocksource_show() leaves it out.
 *
 * A virtual machine may have been told so only in order that the kernel uses what its hypervisor
 * offers. Where that is in use, its own clock is the TSC all the same: vread_pvclock() and
 * vread_hvclock() (arch/x86/include/asm/vdso/gettimeofday.h) scale what rdtsc gives by one factor
 * and offset for all CPUs. So the TSC is taken; clock pairs follow the factor. (It may jump when
 * such a machine is moved or resumed from a snapshot: docs/time.md.)
 */
static int tsc_is_good(void)
{
	static const char folder[] = "/sys/devices/system/clocksource/clocksource0/";
	unsigned int eax, ebx, ecx, edx;
	char path[96], text[256];

	if (!__get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) || !(edx & 1u << 8))
		return 0;
	stpcpy(stpcpy(path, folder), "available_clocksource");
	clocksource_read(path, text, sizeof(text));
	if (!text[0] || strstr(text, " tsc "))
		return 1;
	stpcpy(stpcpy(path, folder), "current_clocksource");
	clocksource_read(path, text, sizeof(text));
	return strstr(text, " kvm-clock ") || strstr(text, " hyperv_clocksource_tsc_page ");
}
#else
/* The architecture demands it of the system counter (Arm ARM, "The Generic Timer"). */
static int tsc_is_good(void)
{
	return 1;
}
#endif

static enum qslog_clock clock_decide(void)
{
	const char *wanted = secure_getenv("QSLOG_CLOCK");

	if (wanted && strcmp(wanted, "tsc") == 0)
		return QSLOG_CLOCK_COUNTER;
	if (wanted && strcmp(wanted, "monotonic") == 0)
		return QSLOG_CLOCK_MONOTONIC;
	return tsc_is_good() ? QSLOG_CLOCK_COUNTER : QSLOG_CLOCK_MONOTONIC;
}

/* The room is there: the record gets its counter, as the last thing that is done. */
static struct qslog_priv_slot slot_take(struct qslog_arena *arena, uint64_t start)
{
	const struct qslog_priv_slot slot = {arena, start};

	arena_word(arena, start)[1] = qslog_priv_counter_slow();
	return slot;
}

/* --- The stop. `start` has been reserved already, up to start + bytes. */
struct qslog_priv_slot qslog_priv_reserve_slow(struct qslog_arena *arena, uint64_t start,
					       uint64_t bytes)
{
	struct qslog_priv_slot slot = {NULL, 0};
	int saved_errno = errno;

	/* No stop: see arena_limit_set(). A forked child finds 0. */
	if (start + bytes <= (thread_state.limit ? thread_state.limit : arena->clock_limit) &&
	    !thread_state.asked_cnt &&
	    __atomic_load_n(own_process, __ATOMIC_RELAXED))
		return slot_take(arena, start);
	/* None, or that of the parent of a forked child. */
	if (arena->magic != QSLOG_ARENA_MAGIC ||
	    !__atomic_load_n(own_process, __ATOMIC_RELAXED)) {
		arena = thread_arena_get();
		if (!arena) {
			__atomic_fetch_add(&qslog_priv_registry.lost, 1, __ATOMIC_RELAXED);
			qslog_priv_line_stale();
			thread_state.asked_cnt -= thread_state.asked_cnt != 0;
			goto out;
		}
		start = qslog_priv_reserve_add(&arena->reserve, bytes);
	}
	for (;;) {
		const uint64_t end = start + bytes, ring = arena->mask + 1;
		const int nested = arena->head != start; /* in a handler amid another record */
		uint64_t full_at = nested ? arena->head + ring : UINT64_MAX;
		int wake = 0;
		uint64_t expected = end, next;

		if (__atomic_load_n(&qslog_priv_process.collector, __ATOMIC_ACQUIRE)) {
			uint64_t room_to =
				__atomic_load_n(&arena->collected, __ATOMIC_ACQUIRE) + ring;

			if (room_to < full_at)
				full_at = room_to;
			wake = room_to - start <= ring - ring / COLLECTOR_WAKE_SHARE &&
			       !thread_state.no_syscalls;
		}
		if (end > full_at) {
			if (!thread_state.no_syscalls)
				qslog_priv_collector_wake();
			if (qslog_priv_process.on_full == QSLOG_ON_FULL_BLOCK && !nested &&
			    !thread_state.no_syscalls) {
				/* Not nanosleep(3), where a thread may be cancelled. */
				syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = BLOCK_NS},
					NULL);
				continue;
			}
			/* Give the reservation back. Where that fails, a handler has reserved
			 * behind it and found room, so there is room for this one too. */
			if (__atomic_compare_exchange_n(&arena->reserve, &expected, start, 0,
							__ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
				qslog_priv_count_one(&arena->dropped);
				/* The line is told of anew: the record may have been about it. */
				qslog_priv_line_stale();
				thread_state.asked_cnt -= thread_state.asked_cnt != 0;
				goto out;
			}
			continue;
		}
		next = start + QSLOG_BATCH_BYTES;
		if (!nested) {
			const uint64_t records = records_before(arena, end);

			if (mark_due(arena, start))
				arena_mark(arena, start, records);
			if (push_due(arena, start) && arena_push_stopped(arena, start, end, records)) {
				start = qslog_priv_reserve_add(&arena->reserve, bytes);
				continue;
			}
		}
		if (wake)
			qslog_priv_collector_wake();
		if (next < end)
			next = end;
		if (next > full_at)
			next = full_at;
		arena_limit_set(arena, next);
		/* Of the lap of head, also amid another record, whose place stays the same then. */
		arena->delta = (uint64_t)(uintptr_t)arena + QSLOG_ARENA_HEADER_BYTES -
			       (arena->head & ~arena->mask);
		if (thread_state.asked_cnt)
			start = tell_of(arena, start, bytes, full_at, nested);
		break;
	}
	slot = slot_take(arena, start);
out:
	errno = saved_errno;
	return slot;
}

/* --- qslog:record, and the site that snapshot mode waits for. */

static int site_chosen(const struct qslog_site *site, int recorded)
{
	int (*const chosen)(const struct qslog_site *, int) =
		__atomic_load_n(&qslog_priv_process.site_chosen, __ATOMIC_ACQUIRE);

	return chosen && chosen(site, recorded);
}

int qslog_priv_ask(const struct qslog_control *control, const struct qslog_site *site)
{
	const uint16_t *words = control->words;
	const uint16_t level = __atomic_load_n(&words[level_words[site->level]], __ATOMIC_RELAXED);

	if (__atomic_load_n(&words[QSLOG_WORD_RECORD], __ATOMIC_RELAXED) || site_chosen(site, 0)) {
		thread_state.asked = control;
		thread_state.asked_cnt++;
		qslog_priv_arena->limit = 0; /* of arena_none it is anyway */
		return 1;
	}
	return !(level & QSLOG_WORD_ASK) || level & QSLOG_WORD_TRACERS ||
	       site->kind == QSLOG_SITE_CONTEXT || level_wanted(site);
}

static void record_hit(const struct qslog_control *control, const uint64_t *record)
{
	typedef void record_probe(const char *format, const char *file, uint32_t line, int level,
				  const void *record, uint32_t bytes);
	const struct qslog_site *site =
		(const struct qslog_site *)(uintptr_t)(*record & QSLOG_RECORD_SITE_MASK);

	((record_probe *)control->record_probe)(
		site->format, site->file, site->line, site->level, record,
		(uint32_t)(*record >> QSLOG_RECORD_SIZE_SHIFT & QSLOG_RECORD_SIZE_MASK) * 8);
	if (!(*record & QSLOG_RECORD_EXIT))
		(void)site_chosen(site, 1);
}

/* Handlers that come amid this see head as it is: where it is behind what is reserved, theirs is not
 * published by themselves. */
static void publish_all(struct qslog_arena *arena)
{
	volatile struct qslog_arena *now = arena;
	uint64_t head, reserved;

	for (;;) {
		head = now->head;
		reserved = now->reserve;
		if (head == reserved)
			return;
		if (now->head == head) /* else a handler has published meanwhile */
			__atomic_store_n(&arena->head, reserved, __ATOMIC_RELEASE);
	}
}

void qslog_priv_publish_slow(struct qslog_arena *arena, uint64_t begin)
{
	const struct qslog_control *control = NULL;
	const int saved_errno = errno;

	if (thread_state.hit && thread_state.hit_begin == begin &&
	    arena->head == thread_state.hit_pad) {
		control = thread_state.hit;
		thread_state.hit = NULL;
		publish_all(arena);
	} else if (arena->head > begin) { /* handlers came while it was published */
		publish_all(arena);
	} else if (thread_state.nested_hit && thread_state.nested_begin == begin) {
		control = thread_state.nested_hit;
		thread_state.nested_hit = NULL;
	}
	if (control)
		record_hit(control, arena_word(arena, begin));
	errno = saved_errno;
}

/* Threads may meet here: a call more or less passes then. */
int qslog_priv_limit_pass(struct qslog_priv_limit *limit, uint32_t per_second, uint64_t *left_out)
{
	uint64_t second = monotonic_ns() / 1000000000u;

	if (__atomic_load_n(&limit->second, __ATOMIC_RELAXED) != second) {
		__atomic_store_n(&limit->second, second, __ATOMIC_RELAXED);
		__atomic_store_n(&limit->passed, 1, __ATOMIC_RELAXED);
		*left_out = __atomic_exchange_n(&limit->left_out, 0, __ATOMIC_RELAXED);
		return 1;
	}
	if (__atomic_load_n(&limit->passed, __ATOMIC_RELAXED) < per_second) {
		__atomic_fetch_add(&limit->passed, 1, __ATOMIC_RELAXED);
		return 1;
	}
	__atomic_fetch_add(&limit->left_out, 1, __ATOMIC_RELAXED);
	return 0;
}

/* --- Modules: programs and libraries with sites. */

/* The child has one thread, and none of the parent's memory is its own: the arenas stay mapped
 * (they are shared with the parent) but are never touched again. */
static void fork_child(void)
{
	struct qslog_registry *registry = &qslog_priv_registry;

	qslog_priv_arena = &arena_none;
	pthread_setspecific(runtime.thread_key, NULL);
	qslog_priv_local.id_next = QSLOG_PRIV_ID_SPENT;
	qslog_priv_local.line.announced = 0; /* the parent's records are not the child's */
	runtime.ids_seeded = 0;
	registry->arena_cnt = 0;
	registry->table = 0;
	registry->lost = 0;
	registry->pid = (uint32_t)getpid();
	runtime.ended_first = runtime.ended_last = NULL;
	runtime.ended_cnt = 0;
	runtime.misfits = runtime.late = NULL;
	thread_state.full_until_ns = 0;
	thread_state.ended = 0;
	thread_state.limit = 0;
	qslog_priv_process.collector = QSLOG_COLLECTOR_OFF;
	qslog_priv_process.collector_on = 0;
	qslog_priv_process.arena_memory = NULL;
	qslog_priv_process.sites_added = NULL;
	qslog_priv_process.ended_kept = 0;
	qslog_priv_process.site_chosen = NULL;
	levels_apply();
}

static sigset_t fork_saved;

static void fork_prepare(void)
{
	sigset_t saved;

	lock_take(&saved);
	thread_state.forking = 1; /* handlers of others may log */
	fork_saved = saved; /* with the lock: several threads may fork at once */
}

static void fork_parent(void)
{
	const sigset_t saved = fork_saved;

	thread_state.forking = 0;
	lock_give(&saved);
}

static void fork_child_locked(void)
{
	fork_child();
	__atomic_store_n(own_process, 1, __ATOMIC_RELEASE);
	thread_state.forking = 0;
	lock_give(&fork_saved);
}

/* 0: no, or not yet: another thread is about to make it so. */
static int own_process_is(void)
{
	uint32_t expected = 0;

	if (QSLOG_PRIV_UNLIKELY(__atomic_compare_exchange_n(own_process, &expected, 2, 0,
							    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))) {
		/* Forked without handlers: _Fork(3), clone(2). Who held the lock is not here. */
		fork_child();
		__atomic_store_n(&runtime.lock, 0, __ATOMIC_RELEASE);
		__atomic_store_n(own_process, 1, __ATOMIC_RELEASE);
		return 1;
	}
	return expected == 1;
}

static void own_process_init(void)
{
	void *page = mmap(NULL, sizeof(*own_process), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	if (madvise(page, sizeof(*own_process), MADV_WIPEONFORK)) { /* kernels before 4.14 */
		munmap(page, sizeof(*own_process));
		return;
	}
	own_process = page;
	*own_process = 1;
}

static void runtime_init(void)
{
	if (runtime.ready)
		return;
	runtime.ready = 1;
	runtime.instance = (uint32_t)(monotonic_ns() >> 8);
	own_process_init();
	runtime.thread_key_valid = pthread_key_create(&runtime.thread_key, arena_end_life) == 0;
	pthread_atfork(fork_prepare, fork_parent, fork_child_locked);
	qslog_priv_registry.pid = (uint32_t)getpid();
	qslog_priv_registry.clock = (uint16_t)clock_decide();
	__atomic_store_n(&qslog_priv_registry.magic, QSLOG_REGISTRY_MAGIC, __ATOMIC_RELEASE);
}

enum qslog_clock qslog_priv_clock(void)
{
	sigset_t saved;

	lock_take(&saved);
	runtime_init();
	lock_give(&saved);
	return (enum qslog_clock)qslog_priv_registry.clock;
}

void qslog_priv_hooks_set(int (*arena_memory)(uint64_t bytes, int *fd, uint64_t *offset),
			  void (*sites_added)(int module))
{
	sigset_t saved;

	lock_take(&saved);
	qslog_priv_process.arena_memory = arena_memory;
	qslog_priv_process.sites_added = sites_added;
	lock_give(&saved);
}

void qslog_priv_module_add(struct qslog_control *control, void (*record_probe)(void))
{
	void (*sites_added)(int module);
	sigset_t saved;

	lock_take(&saved);
	runtime_init();
	control->record_probe = record_probe;
	control->next = runtime.controls;
	runtime.controls = control;
	control_levels_apply(control);
	sites_added = qslog_priv_process.sites_added;
	lock_give(&saved);
	qslog_priv_module_probe(control, &qslog_priv_registry, qslog_priv_counter_slow(), 1);
	if (sites_added)
		sites_added(1);
}

void qslog_priv_module_remove(struct qslog_control *control)
{
	struct qslog_control **at;
	sigset_t saved;

	/* The sites of what is still in the arenas may be about to go. */
	qslog_flush();
	qslog_priv_module_probe(control, &qslog_priv_registry, qslog_priv_counter_slow(), 0);
#ifdef QSLOG_WITH_COLLECTOR
	qslog_priv_collector_unload();
#endif
	lock_take(&saved);
	for (at = &runtime.controls; *at; at = &(*at)->next)
		if (*at == control) {
			*at = control->next;
			break;
		}
	/* What lies at the addresses of its tags may be others soon. */
	levels_change_begin();
	levels_change_end();
	lock_give(&saved);
}

/* --- Sites defined at run time: struct site_entry is what a slab holds of each. */

struct site_entry {
	uint64_t bytes; /* up to the next one, this included */
	struct qslog_site site;
	char strings[];
};

static struct qslog_site_slab *slab_for(size_t bytes)
{
	struct qslog_registry *registry = &qslog_priv_registry;
	struct qslog_site_slab *slab = (struct qslog_site_slab *)(uintptr_t)registry->site_slabs;

	if (slab && slab->used + bytes <= slab->bytes)
		return slab;
	slab = mmap(NULL, QSLOG_SITE_SLAB_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slab == MAP_FAILED)
		return NULL;
	slab->magic = QSLOG_SITE_SLAB_MAGIC;
	slab->bytes = QSLOG_SITE_SLAB_BYTES;
	slab->used = sizeof(*slab);
	slab->next = registry->site_slabs;
	__atomic_store_n(&registry->site_slabs, (uint64_t)(uintptr_t)slab, __ATOMIC_RELEASE);
	return slab;
}

/* Puts the definition into the thread's arena and the arena into the tracer's hands. Where that
 * cannot be done now, the tracer finds the site in the slabs as long as the process lives. */
static void site_define(const struct site_entry *entry)
{
	const uint64_t bytes = QSLOG_RECORD_HEADER_BYTES + entry->bytes; /* the address, not .bytes */
	struct qslog_arena *arena = thread_arena_get();
	struct qslog_priv_record r;

	if (!arena || arena->head != arena->reserve)
		return;
	/* One that found no room would count as a lost record. */
	if (__atomic_load_n(&qslog_priv_process.collector, __ATOMIC_ACQUIRE) &&
	    arena->head + bytes >
		    __atomic_load_n(&arena->collected, __ATOMIC_ACQUIRE) + arena->mask + 1)
		return;
	if (!qslog_priv_record_open(&r, NULL, 0, bytes))
		return;
	r.words[2] = (uint64_t)(uintptr_t)&entry->site;
	memcpy(r.words + 3, &entry->site, entry->bytes - sizeof(entry->bytes));
	qslog_priv_record_publish(&r);
	arena_push_all(r.arena);
}

static int site_string_fits(const char *string, size_t max)
{
	return !string || strnlen(string, max + 1) <= max;
}

static int site_def_valid(const struct qslog_site_def *def)
{
	unsigned int i;

	if (def->size != sizeof(*def) || def->level < 0 || def->level >= QSLOG_LEVEL_COUNT ||
	    def->arg_cnt > QSLOG_ARGS_MAX || (def->arg_cnt && !def->types))
		return 0;
	for (i = 0; i < def->arg_cnt; i++)
		if (def->types[i] >= QSLOG_ARG_TYPE_COUNT)
			return 0;
	if (!(def->kind == QSLOG_SITE_LOG && def->format && !def->name) &&
	    !(def->kind == QSLOG_SITE_SPAN && def->name && (def->format || !def->arg_cnt)))
		return 0;
	return site_string_fits(def->format, QSLOG_SITE_FORMAT_MAX) &&
	       site_string_fits(def->tag, QSLOG_SITE_STRING_MAX) &&
	       site_string_fits(def->file, QSLOG_SITE_STRING_MAX) &&
	       site_string_fits(def->function, QSLOG_SITE_STRING_MAX) &&
	       site_string_fits(def->name, QSLOG_SITE_STRING_MAX);
}

static const char *site_string_copy(char **to, const char *string)
{
	const char *copy = *to;

	if (!string)
		return NULL;
	*to = stpcpy(*to, string) + 1;
	return copy;
}

/* Copies a valid definition into a slab; NULL where there is no memory. */
static const struct site_entry *site_add(const struct qslog_site_def *def)
{
	const char *const strings[] = {def->format ? def->format : "", def->file ? def->file : "",
				       def->function ? def->function : "", def->tag, def->name};
	struct qslog_site_slab *slab;
	struct site_entry *entry;
	size_t bytes = sizeof(*entry), i;
	char *to;

	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		bytes += strings[i] ? strlen(strings[i]) + 1 : 0;
	bytes = (bytes + 7) & ~(size_t)7;
	slab = slab_for(bytes);
	if (!slab)
		return NULL;
	entry = (struct site_entry *)((char *)slab + slab->used);
	entry->bytes = bytes;
	entry->site.magic = QSLOG_SITE_MAGIC;
	entry->site.kind = (uint8_t)def->kind;
	entry->site.level = (uint8_t)def->level;
	entry->site.arg_cnt = (uint8_t)def->arg_cnt;
	entry->site.line = def->line;
	if (def->arg_cnt)
		memcpy(entry->site.types, def->types, def->arg_cnt);
	to = entry->strings;
	entry->site.format = site_string_copy(&to, strings[0]);
	entry->site.file = site_string_copy(&to, strings[1]);
	entry->site.function = site_string_copy(&to, strings[2]);
	entry->site.tag = site_string_copy(&to, strings[3]);
	entry->site.name = site_string_copy(&to, strings[4]);
	__atomic_store_n(&slab->used, slab->used + bytes, __ATOMIC_RELEASE);
	__atomic_add_fetch(&qslog_priv_registry.site_cnt, 1, __ATOMIC_SEQ_CST);
	return entry;
}

const struct qslog_site *qslog_site_register(const struct qslog_site_def *def)
{
	const int saved_errno = errno;
	const struct site_entry *entry;
	void (*sites_added)(int module);
	sigset_t saved;

	if (!def || !site_def_valid(def)) {
		errno = EINVAL;
		return NULL;
	}
	lock_take(&saved);
	entry = site_add(def);
	sites_added = qslog_priv_process.sites_added;
	lock_give(&saved);
	if (entry && sites_added)
		sites_added(0);
	/* After it was added: a tracer that comes from now on finds it there. */
	if (entry && tracer_attached())
		site_define(entry);
	errno = entry ? saved_errno : ENOMEM;
	return entry ? &entry->site : NULL;
}

/* The slot of a value that is no text. */
static uint64_t value_slot(const struct qslog_value *value)
{
	switch (value->type) {
	case QSLOG_ARG_BOOL:
		return value->u != 0;
	case QSLOG_ARG_CHAR:
	case QSLOG_ARG_UINT8:
		return (uint8_t)value->u;
	case QSLOG_ARG_FLOAT:
		return qslog_priv_take_float(value->f);
	default:
		return value->u;
	}
}

static int value_is_text(const struct qslog_value *value)
{
	return value->type == QSLOG_ARG_STR || value->type == QSLOG_ARG_BYTES;
}

int qslog_priv_values_write(const struct qslog_site *site, enum qslog_site_kind kind, uint64_t id,
			    const struct qslog_value *values, unsigned int cnt, uint64_t *counter)
{
	const uint64_t fixed = QSLOG_RECORD_HEADER_BYTES + 8u * cnt + (id ? 8u : 0u);
	uint64_t bytes = fixed, texts = 0, cap, *p;
	struct qslog_priv_text text[QSLOG_ARGS_MAX];
	struct qslog_priv_record r;
	unsigned int i;

	if (site->kind != kind || site->arg_cnt != cnt)
		return -EINVAL;
	for (i = 0; i < cnt; i++) {
		if (values[i].type != site->types[i])
			return -EINVAL;
		if (!value_is_text(&values[i]))
			continue;
		text[i] = qslog_priv_take_blob(values[i].str);
		bytes += qslog_priv_extra_text(text[i]);
		texts++;
	}
	if (QSLOG_PRIV_UNLIKELY(bytes > QSLOG_RECORD_BYTES_MAX)) {
		cap = ((QSLOG_RECORD_BYTES_MAX - fixed) / texts) & ~7ull;
		bytes = fixed;
		for (i = 0; i < cnt; i++)
			if (value_is_text(&values[i]))
				bytes += qslog_priv_cut_text(&text[i], cap);
	}
	if (!qslog_priv_record_open(&r, site, id ? QSLOG_RECORD_SPAN_ID : 0, bytes))
		return -ENOSPC;
	p = r.words + 2;
	if (id)
		*p++ = id;
	for (i = 0; i < cnt; i++)
		p = value_is_text(&values[i]) ? qslog_priv_put_text(p, text[i]) :
						qslog_priv_put_slot(p, value_slot(&values[i]));
	qslog_priv_record_commit(&r);
	*counter = r.counter;
	return 0;
}

/* --- Trace context: ids. */

/* Bijective (the finaliser of splitmix64), so that what differs goes on to differ. */
static uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ v >> 27) * 0x94d049bb133111ebull;
	return v ^ v >> 31;
}

/* Under the lock. Where the kernel has no random bytes yet, what differs between processes. */
static void ids_seed(void)
{
	uint64_t seed[3];

	if (syscall(SYS_getrandom, seed, sizeof(seed), 1 /* GRND_NONBLOCK */) != (long)sizeof(seed)) {
		seed[0] = mix(monotonic_ns()) ^ mix((uint64_t)getpid());
		seed[1] = mix(seed[0] + qslog_priv_counter());
		seed[2] = mix(seed[1] ^ (uint64_t)(uintptr_t)&seed);
	}
	runtime.ids_block = seed[0] & ~(2 * (uint64_t)QSLOG_PRIV_ID_SPENT - 1);
	runtime.trace_key[0] = seed[1];
	runtime.trace_key[1] = seed[2];
	__atomic_store_n(&runtime.ids_seeded, 1, __ATOMIC_RELEASE);
}

/* A block begins with an id whose low bits are 0, which is left out, and ends where the bit
 * QSLOG_PRIV_ID_SPENT is set. A handler that comes before the store gets a block of its own. */
uint64_t qslog_priv_id_refill(void)
{
	const int saved_errno = errno;
	uint64_t block;
	sigset_t saved;

	if (!__atomic_load_n(&runtime.ids_seeded, __ATOMIC_ACQUIRE)) {
		lock_take(&saved);
		if (!runtime.ids_seeded)
			ids_seed();
		lock_give(&saved);
	}
	block = __atomic_fetch_add(&runtime.ids_block, 2 * (uint64_t)QSLOG_PRIV_ID_SPENT,
				   __ATOMIC_RELAXED);
	__atomic_store_n(&qslog_priv_local.id_next, block + 2, __ATOMIC_RELAXED);
	errno = saved_errno;
	return block + 1;
}

uint64_t qslog_span_id_new(void)
{
	return qslog_priv_id_next();
}

struct qslog_trace_id qslog_trace_id_new(void)
{
	struct qslog_trace_id id;
	uint64_t n;

	do {
		n = qslog_priv_id_next();
		id.high = mix(n ^ runtime.trace_key[0]);
		id.low = mix(n + runtime.trace_key[1]);
	} while (!id.high && !id.low);
	return id;
}

/* --- Trace context: lines. */

#define LINE_SITE(level_) \
	{.magic = QSLOG_SITE_MAGIC, .kind = QSLOG_SITE_CONTEXT, .level = level_, .format = "", \
	 .file = "", .function = ""}
static const struct qslog_site line_sites[QSLOG_LEVEL_COUNT] = {
	LINE_SITE(QSLOG_LEVEL_VERBOSE), LINE_SITE(QSLOG_LEVEL_DEBUG),
	LINE_SITE(QSLOG_LEVEL_INFO),	LINE_SITE(QSLOG_LEVEL_WARN),
	LINE_SITE(QSLOG_LEVEL_ERROR),	LINE_SITE(QSLOG_LEVEL_FATAL),
};

/* The counter that was recorded; 0: dropped. */
static uint64_t line_write(const struct qslog_priv_line *line, uint32_t depth, uint64_t bits)
{
	const uint64_t slots = bits & QSLOG_LINE_AGAIN ? 5 : 4;
	struct qslog_priv_record r;

	if (!qslog_priv_record_open(&r, line->site, 0, QSLOG_RECORD_HEADER_BYTES + slots * 8))
		return 0;
	r.words[2] = line->context.trace.high;
	r.words[3] = line->context.trace.low;
	r.words[4] = line->parent;
	r.words[5] = line->context.flags | bits | (uint64_t)depth << QSLOG_LINE_DEPTH_SHIFT;
	if (bits & QSLOG_LINE_AGAIN)
		r.words[6] = line->context.span;
	qslog_priv_record_commit(&r);
	return r.counter;
}

/* To a signal handler that comes amid a change no line is open. */
static void line_set(struct qslog_priv_line *line, const struct qslog_priv_line *to, uint32_t depth)
{
	line->depth = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	line->context = to->context;
	line->parent = to->parent;
	line->site = to->site;
	line->word = to->word;
	line->announced = to->announced;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	line->depth = depth;
}

void qslog_priv_line_begin(struct qslog_local_parent *parent, const struct qslog_control *control,
			   const struct qslog_site *site, enum qslog_level level,
			   const struct qslog_context *context, uint64_t listeners)
{
	struct qslog_priv_line *line = &qslog_priv_local.line, next = {.depth = 0};

	parent->outer = *line;
	parent->depth = line->depth + 1;
	parent->start = 0;
	if (context)
		next.context = *context;
	if (!next.context.trace.high && !next.context.trace.low) {
		next.context.trace = qslog_trace_id_new();
		next.context.span = 0;
		next.context.flags = QSLOG_TRACE_SAMPLED | QSLOG_TRACE_RANDOM;
	}
	next.parent = next.context.span;
	next.site = site ? site : &line_sites[level];
	if (control) {
		next.word = &control->words[level_words[level]];
		next.announced = *next.word;
	}
	if (listeners) {
		(void)qslog_priv_ask(control, next.site);
		parent->start = line_write(&next, parent->depth, 0);
		if (!parent->start) { /* the next span tells of it; closing is recorded as well */
			next.announced = QSLOG_PRIV_STALE;
			parent->start = qslog_priv_counter_slow();
		}
	}
	line_set(line, &next, parent->depth);
}

/* Who listens has changed since the line was recorded, or records of the thread were dropped since. */
static void line_again(void)
{
	struct qslog_priv_line *line = &qslog_priv_local.line;
	struct qslog_arena *arena = qslog_priv_arena;

	line->announced = *line->word;
	if (!line->announced || line_write(line, line->depth, QSLOG_LINE_AGAIN))
		return;
	/* Should there be room again for the span that is entered now, nobody would know where it
	 * belongs: it counts as dropped as well. */
	line->announced = QSLOG_PRIV_STALE;
	if (arena == &arena_none)
		__atomic_fetch_add(&qslog_priv_registry.lost, 1, __ATOMIC_RELAXED);
	else
		qslog_priv_count_one(&arena->dropped);
}

struct qslog_priv_nest qslog_priv_span_nest(void)
{
	struct qslog_priv_line *line = &qslog_priv_local.line;
	struct qslog_priv_nest nest;

	if (line->word && *line->word != line->announced)
		line_again();
	nest.id = qslog_priv_id_next();
	nest.parent = line->context.span;
	line->context.span = nest.id;
	return nest;
}

void qslog_priv_span_leave(uint64_t id, uint64_t parent)
{
	if (qslog_priv_local.line.context.span == id)
		qslog_priv_local.line.context.span = parent;
}

void qslog_priv_span_exit_write(const struct qslog_control *control, const struct qslog_site *site,
				uint64_t start, uint64_t id)
{
	struct qslog_priv_record r;

	(void)qslog_priv_ask(control, site); /* what was entered is left */
	if (!qslog_priv_record_open(&r, site, QSLOG_RECORD_EXIT | QSLOG_RECORD_SPAN_ID,
				    QSLOG_RECORD_HEADER_BYTES + 2 * 8))
		return;
	r.words[2] = id;
	r.words[3] = start;
	qslog_priv_record_commit(&r);
}

void qslog_priv_line_end(struct qslog_local_parent *parent, const struct qslog_control *control,
			 uint64_t listeners)
{
	struct qslog_priv_line *line = &qslog_priv_local.line;
	const struct qslog_site *site = line->site;
	const int recorded = parent->start || line->announced;
	const uint32_t depth = parent->depth;
	struct qslog_priv_record r;

	parent->depth = 0;
	if (!depth || depth > line->depth)
		return;
	line_set(line, &parent->outer, depth - 1);
	if (listeners && recorded && qslog_priv_ask(control, site) &&
	    qslog_priv_record_open(&r, site, QSLOG_RECORD_EXIT,
				   QSLOG_RECORD_HEADER_BYTES + 2 * 8)) {
		r.words[2] = parent->start;
		r.words[3] = depth;
		qslog_priv_record_commit(&r);
	}
}

int qslog_context_get(struct qslog_context *out)
{
	const struct qslog_priv_line *line = &qslog_priv_local.line;

	if (!out)
		return -EINVAL;
	if (!line->depth)
		return -ENOENT;
	*out = line->context;
	return 0;
}

/* --- Trace context: the traceparent header, https://www.w3.org/TR/trace-context-2/ */

/* `digits` lower-case hexadecimal digits; -1: others. */
static int hex_take(const char *text, int digits, uint64_t *value)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < digits; i++) {
		const char c = text[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return -1;
	}
	*value = v;
	return 0;
}

static char *hex_put(char *to, uint64_t value, int digits)
{
	while (digits--)
		*to++ = "0123456789abcdef"[value >> 4 * digits & 15];
	return to;
}

int qslog_traceparent_parse(const char *text, struct qslog_context *out)
{
	/* 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 */
	enum { TRACE = 3, SPAN = 36, FLAGS = 53, END = QSLOG_TRACEPARENT_BYTES - 1 };
	uint64_t version, flags;
	struct qslog_context c;

	if (!text || !out || strnlen(text, END) != END || text[TRACE - 1] != '-' || text[SPAN - 1] != '-' ||
	    text[FLAGS - 1] != '-' || hex_take(text, 2, &version) ||
	    hex_take(text + TRACE, 16, &c.trace.high) ||
	    hex_take(text + TRACE + 16, 16, &c.trace.low) || hex_take(text + SPAN, 16, &c.span) ||
	    hex_take(text + FLAGS, 2, &flags))
		return -EINVAL;
	if (version == 0xff || (text[END] && (version == 0 || text[END] != '-')) || !c.span ||
	    (!c.trace.high && !c.trace.low))
		return -EINVAL;
	c.flags = (uint8_t)flags;
	*out = c;
	return 0;
}

void qslog_traceparent_format(const struct qslog_context *context, char out[QSLOG_TRACEPARENT_BYTES])
{
	char *to = out;

	*to++ = '0';
	*to++ = '0';
	*to++ = '-';
	to = hex_put(to, context->trace.high, 16);
	to = hex_put(to, context->trace.low, 16);
	*to++ = '-';
	to = hex_put(to, context->span, 16);
	*to++ = '-';
	to = hex_put(to, context->flags & (QSLOG_TRACE_SAMPLED | QSLOG_TRACE_RANDOM), 2);
	*to = '\0';
}

/* --- API. */

void qslog_stats_get(struct qslog_stats *stats)
{
	const struct qslog_registry *registry = &qslog_priv_registry;
	uint32_t i, cnt = __atomic_load_n(&registry->arena_cnt, __ATOMIC_ACQUIRE);
	struct qslog_arena *const *table = (struct qslog_arena *const *)(uintptr_t)registry->table;

	if (!stats)
		return;
	stats->recorded = 0;
	stats->bytes = 0;
	stats->memory = 0;
	stats->arenas = cnt;
	stats->lost = __atomic_load_n(&registry->lost, __ATOMIC_RELAXED);
	for (i = 0; i < cnt; i++) {
		stats->recorded += __atomic_load_n(&table[i]->records, __ATOMIC_RELAXED);
		stats->lost += __atomic_load_n(&table[i]->dropped, __ATOMIC_RELAXED);
		stats->bytes += __atomic_load_n(&table[i]->head, __ATOMIC_ACQUIRE);
		stats->memory += QSLOG_ARENA_HEADER_BYTES + table[i]->mask + 1;
	}
}

int qslog_thread_prepare(unsigned int flags)
{
	const int saved_errno = errno;
	struct qslog_arena *arena;
	int err = 0;

	if (flags & ~(QSLOG_THREAD_NO_SYSCALLS | QSLOG_THREAD_NO_COUNTER))
		return -EINVAL;
	arena = thread_arena_get();
	if (!arena)
		err = -ENOMEM;
	(void)qslog_priv_id_next(); /* the first one of a block, where there was none */
	thread_state.no_syscalls = flags & QSLOG_THREAD_NO_SYSCALLS;
	thread_state.no_counter = 0;
	thread_state.limit = 0;
	if (!err && flags & QSLOG_THREAD_NO_COUNTER)
		err = counter_leave();
	if (arena)
		arena->limit = 0; /* the next record finds out */
	errno = saved_errno;
	return err;
}

int qslog_flush(void)
{
	struct qslog_arena *arena = qslog_priv_arena;
	int saved_errno = errno, err = 0;

	if (arena != &arena_none)
		arena_push_all(arena);
#ifdef QSLOG_WITH_COLLECTOR
	err = qslog_priv_collector_flush();
#endif
	errno = saved_errno;
	return err;
}

/* The main thread's end, on kernels where a tracer cannot read an exiting process; or that of a
 * library that has a runtime of its own, and that other threads outlive. */
__attribute__((destructor)) static void runtime_fini(void)
{
	struct qslog_arena *arena = qslog_priv_arena;
	sigset_t saved;

	if (arena != &arena_none)
		arena_push_all(arena);
	qslog_priv_module_probe(NULL, &qslog_priv_registry, qslog_priv_counter_slow(), 0);
	lock_take(&saved);
	if (runtime.thread_key_valid && !runtime.ending) {
		runtime.ending = 1;
		pthread_key_delete(runtime.thread_key);
	}
	lock_give(&saved);
}
