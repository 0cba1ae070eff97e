// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * qslog.bpf.c - copies records out of traced processes into the ring buffer.
 *
 * One copy routine (arena_copy), reached in three ways:
 *   push     a thread traps into qslog:batch with up to 32 KiB of new records;
 *   pull     the tracer reads a task iterator, which visits what quiet threads have not pushed;
 *   harvest  a process ends: its memory is still there when the exit tracepoint fires (kernels
 *            from 6.16 on), or when a fatal signal is delivered and exit_group is entered; or it
 *            executes another program.
 * For every arena the map `arenas` says up to which position chunks were submitted. A chunk that
 * finds no room in the ring buffer changes nothing there, so that the next entry tries again as
 * long as the owner has not overwritten it; and then a mark of the owner says how many are lost.
 */
#include "vmlinux.h"

#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

#include "chunk.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile struct trace_config config;
const volatile struct arena_state state_zero;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} chunks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ARENAS_MAX);
	__type(key, struct arena_id);
	__type(value, struct arena_state);
} arenas SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct proc_entry);
} procs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct process_registries);
} registries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TROUBLE_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} troubles SEC(".maps");

/* Where a thread's arena is, for those of which single records are taken. */
struct thread_arena {
	__u64 address, end; /* of the memory, mapped twice */
	__u32 registry, arena;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64); /* bpf_get_current_pid_tgid() */
	__type(value, struct thread_arena);
} thread_arenas SEC(".maps");

__u64 pull_number;	 /* counts up by the tracer before each pull */
__u32 pull_baseline;	 /* 1: arenas that exist already begin where they are now */
__u64 selftest_hits;
__u64 zero; /* for sums in loops: the verifier would follow each value of one that it knows */
__u32 tracer_sleeps;	 /* 1: it waits, and nobody has woken it yet */
__u32 attached_gone;	 /* threads through which probes were attached, and that have ended */
__u32 harvests;		 /* that were begun */
struct chosen_hit chosen_hit;

static __always_inline void trouble_count(__u32 what)
{
	__u64 *count = bpf_map_lookup_elem(&troubles, &what);

	if (count)
		++*count;
}

/* Where to read: the current task, or (in the sleepable iterator only) another one. */
static __always_inline long user_read(void *to, __u32 bytes, __u64 from, struct task_struct *task,
				      const bool sleepable)
{
	if (sleepable)
		return bpf_copy_from_user_task(to, bytes, (const void *)from, task, 0);
	return bpf_probe_read_user(to, bytes, (const void *)from);
}

/* The parts of struct qslog_arena, as long as the stack is short. */
struct arena_head {
	__u64 reserve, head, limit, records, mask, dropped, delta, clock_limit;
	__u64 key;
	__u32 magic, state, tid, index;
	__u64 pushed, mark_cnt;
};
struct arena_life {
	__u64 born, born_records, born_dropped, last_key, last_born;
	__u32 last_tid, instance;
};
_Static_assert(__builtin_offsetof(struct arena_head, mark_cnt) ==
		       __builtin_offsetof(struct qslog_arena, mark_cnt) &&
		       __builtin_offsetof(struct arena_head, clock_limit) ==
			       __builtin_offsetof(struct qslog_arena, clock_limit), "arena_head");
_Static_assert(sizeof(struct arena_life) ==
		       sizeof(struct qslog_arena) - __builtin_offsetof(struct qslog_arena, born),
	       "arena_life");

/* The beginning of struct qslog_registry. */
struct registry_head {
	__u32 semaphore, magic, abi_version, pid;
	__u64 table;
	__u32 table_max, arena_cnt;
	__u64 key_next, lost;
};

/* Kernels before 6.13 give the functions that call each other 512 bytes of stack together. */
struct copy {
	union {
		struct arena_head head;
		struct registry_head registry; /* before its arenas are visited */
	};
	struct arena_life life;
	__u64 address;
	struct arena_id id;
	__u32 tgid;
	__u32 entry;
	__u32 unreadable; /* arenas that could not be read */
	__u16 last;	  /* 1: no thread of the process will write any more */
	__u16 untaken;	  /* 1: arenas only of which nothing has been taken for the dump */
	__u64 untracked;  /* records of arenas that have no state */
};

/* Only one pull runs at a time. On the stack the verifier would follow what it holds. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct copy);
} pull_copy SEC(".maps");

/* Where the next chunk begins. */
struct place {
	__u64 sent;	 /* as the state says */
	__u64 from;
	__u64 records;	 /* before `from`, where that is not `sent` */
};

/* What comes next has been overwritten, or is of a thread that is no longer known. */
static __always_inline bool arena_overrun(const struct copy *c, __u64 sent)
{
	return sent < c->head.head && (c->head.reserve - sent > c->head.mask + 1 ||
				       sent < c->life.last_born);
}

/* A loop of the kernel's, since the verifier would walk an open one many times over. (Only a sleepable
 * one has a task: the stack is short.) */
struct mark_loop {
	const struct copy *copy;
	__u64 oldest;
	struct qslog_mark best;
	long err;
};
struct mark_loop_sleepable {
	struct mark_loop loop;
	struct task_struct *task;
};

/* The newest first, and not the one that the owner may be about to write. */
static __always_inline long mark_look(__u32 index, struct mark_loop *loop, struct task_struct *task,
				      const bool sleepable)
{
	const struct copy *c = loop->copy;
	__u64 at = (c->head.mark_cnt - 1 - index) & (QSLOG_MARKS - 1);
	struct qslog_mark mark;

	loop->err = user_read(&mark, sizeof(mark),
			      c->address + __builtin_offsetof(struct qslog_arena, marks) +
				      at * sizeof(mark), task, sleepable);
	if (loop->err || mark.pos < loop->oldest)
		return 1;
	loop->best = mark;
	return 0;
}

static long mark_step(__u32 index, struct mark_loop *loop)
{
	return mark_look(index, loop, NULL, false);
}

static long mark_step_sleepable(__u32 index, struct mark_loop_sleepable *sleepable)
{
	return mark_look(index, &sleepable->loop, sleepable->task, true);
}

/* The oldest mark from `oldest` on; 0: there is none, or its owner writes them just now. */
static __always_inline int mark_find(struct copy *c, __u64 oldest, struct qslog_mark *out,
				     struct task_struct *task, const bool sleepable)
{
	struct mark_loop loop = {c, oldest, {~0ull, 0}, 0};
	__u64 cnt;

	if (sleepable) {
		struct mark_loop_sleepable other = {loop, task};

		bpf_loop(QSLOG_MARKS - 1, mark_step_sleepable, &other, 0);
		loop = other.loop;
	} else {
		bpf_loop(QSLOG_MARKS - 1, mark_step, &loop, 0);
	}
	if (loop.err || loop.best.pos == ~0ull ||
	    user_read(&cnt, sizeof(cnt),
		      c->address + __builtin_offsetof(struct qslog_arena, mark_cnt), task, sleepable) ||
	    cnt != c->head.mark_cnt)
		return 0;
	*out = loop.best;
	return 1;
}

/* From the oldest mark that cannot be overwritten soon; 1: found. */
static __always_inline int arena_resync(struct copy *c, struct place *place,
					struct task_struct *task, const bool sleepable)
{
	__u64 ring = c->head.mask + 1, oldest;
	struct qslog_mark mark;

	oldest = c->head.reserve > ring ? c->head.reserve - ring + QSLOG_BATCH_BYTES : 0;
	if (oldest < c->life.last_born)
		oldest = c->life.last_born;
	if (oldest <= place->sent)
		oldest = place->sent + 1;
	if (!mark_find(c, oldest, &mark, task, sleepable) || mark.pos > c->head.head)
		return 0;
	place->from = mark.pos;
	place->records = mark.records;
	return 1;
}

static __always_inline int failed(struct arena_state *state, enum trouble why)
{
	trouble_count(why);
	state->failed = 1 + why;
	return -1;
}

/* A ring buffer record out of a few sizes, since reserve wants a constant, and the copy. */
#define CHUNK_TRY(limit)                                                                    \
	do {                                                                                \
		chunk = bpf_ringbuf_reserve(&chunks, sizeof(struct chunk) + (limit), 0);      \
		if (!chunk)                                                                 \
			return failed(state, TROUBLE_RING_FULL);                            \
		if (bytes > (limit)) /* never: for the verifier */                          \
			bytes = (limit);                                                    \
		err = user_read(chunk->data, bytes, data, task, sleepable);                 \
	} while (0)

/* One chunk from place->from on. 1: there may be more; 0: done; -1: not now; -2: somebody else did
 * it meanwhile. */
static __always_inline int chunk_copy(struct copy *c, struct arena_state *state, struct place *place,
				      struct task_struct *task, const bool sleepable)
{
	__u64 ring = c->head.mask + 1, end = c->head.head, from = place->from, data, after;
	bool last_life, based;
	struct chunk *chunk;
	__u32 bytes;
	long err;

	if (from >= end)
		return 0;
	last_life = from < c->life.born;
	if (last_life)
		end = c->life.born;
	/* Not over the end of the ring: its second mapping may not have been touched by the process,
	 * and only the sleepable reader can fault pages in. */
	if (end > (from | c->head.mask) + 1)
		end = (from | c->head.mask) + 1;
	if (from >= end)
		return 0;
	/* The rest of the ring buffer is the harvest's: what a dying process has cannot wait. */
	if (c->entry != CHUNK_HARVEST &&
	    bpf_ringbuf_query(&chunks, BPF_RB_AVAIL_DATA) > config.room_bytes)
		return failed(state, TROUBLE_RING_FULL);
	bytes = end - from > CHUNK_DATA_MAX ? CHUNK_DATA_MAX : end - from;
	data = c->address + QSLOG_ARENA_HEADER_BYTES + (from & c->head.mask);
	if (bytes <= 512)
		CHUNK_TRY(512);
	else if (bytes <= 4096)
		CHUNK_TRY(4096);
	else if (bytes <= 16384)
		CHUNK_TRY(16384);
	else
		CHUNK_TRY(CHUNK_DATA_MAX);
	/* Still there while it was copied? */
	if (!err)
		err = user_read(&after, sizeof(after),
				c->address + __builtin_offsetof(struct qslog_arena, reserve), task,
				sleepable);
	if (err || after - from > ring) {
		bpf_ringbuf_discard(chunk, BPF_RB_NO_WAKEUP);
		return failed(state, err ? TROUBLE_READ_FAILED : TROUBLE_OVERWRITTEN);
	}
	/* Chunks come in the order of their positions: this one's place in the ring buffer is before
	 * that of whoever goes on behind it. */
	if (__sync_val_compare_and_swap(&state->sent, place->sent, from + bytes) != place->sent) {
		bpf_ringbuf_discard(chunk, BPF_RB_NO_WAKEUP);
		return -2;
	}
	based = (state->flags & CHUNK_BASELINE && place->sent == state->base) ||
		(config.snapshot && from != place->sent);
	chunk->data_bytes = bytes;
	chunk->entry = c->entry;
	chunk->flags = (from != place->sent || based ? CHUNK_RESYNC : 0) |
		       (based ? CHUNK_BASELINE : 0) | (c->head.clock_limit ? CHUNK_MONOTONIC : 0);
	chunk->tgid = c->tgid;
	chunk->process = c->id.process;
	chunk->registry = c->id.registry;
	chunk->instance = c->id.instance;
	chunk->arena = c->id.arena;
	chunk->tid = last_life ? c->life.last_tid : c->head.tid;
	chunk->key = last_life ? c->life.last_key : c->head.key;
	chunk->from = from;
	chunk->from_records = from != place->sent ? place->records : state->base_records;
	chunk->base_records = config.snapshot ? chunk->from_records : state->base_records;
	chunk->dropped = last_life ? c->life.born_dropped : c->head.dropped;
	bpf_ringbuf_submit(chunk, BPF_RB_NO_WAKEUP);
	place->sent = place->from = from + bytes;
	return 1;
}

struct chunk_loop {
	struct copy *copy;
	struct arena_state *state;
	struct place place;
};
struct chunk_loop_sleepable {
	struct chunk_loop loop;
	struct task_struct *task;
};

static __always_inline long chunk_next(struct chunk_loop *loop, struct task_struct *task,
				       const bool sleepable)
{
	int more = chunk_copy(loop->copy, loop->state, &loop->place, task, sleepable);

	if (more == -2)
		loop->place.sent = loop->place.from = *(volatile __u64 *)&loop->state->sent;
	return more == 0 || more == -1;
}

static long chunk_step(__u32 index, struct chunk_loop *loop)
{
	return chunk_next(loop, NULL, false);
}

static long chunk_step_sleepable(__u32 index, struct chunk_loop_sleepable *sleepable)
{
	return chunk_next(&sleepable->loop, sleepable->task, true);
}

static __always_inline struct arena_state *state_get(struct copy *c)
{
	struct arena_id id = c->id; /* a key may not be in memory of any kind */
	struct arena_state *state = bpf_map_lookup_elem(&arenas, &id);
	__u32 tgid = c->tgid;
	struct proc_entry *proc;

	if (state)
		return state;
	proc = bpf_map_lookup_elem(&procs, &tgid);
	if (!proc || proc->arenas >= PROC_ARENAS_MAX) {
		trouble_count(TROUBLE_STATE_FULL);
		return NULL;
	}
	__sync_fetch_and_add(&proc->arenas, 1);
	/* Those that were there before the tracer got their state from the baseline; so this one
	 * is new, and everything in it, from position 0 on, is to be accounted for. */
	bpf_map_update_elem(&arenas, &id, (const void *)&state_zero, BPF_NOEXIST);
	state = bpf_map_lookup_elem(&arenas, &id);
	if (!state)
		trouble_count(TROUBLE_STATE_FULL);
	return state;
}

/* An arena that was there before the tracer: from the newest mark on. Records in front of the
 * tracer's start are passed over by their timestamps. */
static __always_inline void state_baseline(struct copy *c, struct arena_state *state,
					   struct task_struct *task, const bool sleepable)
{
	__u64 sent = state->sent;
	struct qslog_mark mark;

	if (state->flags & CHUNK_BASELINE ||
	    user_read(&mark, sizeof(mark),
		      c->address + __builtin_offsetof(struct qslog_arena, marks) +
			      ((c->head.mark_cnt - 1) & (QSLOG_MARKS - 1)) * sizeof(mark),
		      task, sleepable))
		return;
	state->base_records = mark.records;
	state->base = mark.pos;
	state->flags = CHUNK_BASELINE;
	if (mark.pos > sent) /* else a push was here first */
		__sync_val_compare_and_swap(&state->sent, sent, mark.pos);
}

/* The newest of what several saw: a slow one must not put it back. The last harvest is right. */
static __always_inline void raise(__u64 *value, __u64 to, const bool last)
{
	__u64 now = *(volatile __u64 *)value;

	if (last)
		*(volatile __u64 *)value = to;
	else if (now < to)
		__sync_val_compare_and_swap(value, now, to);
}

static __always_inline void state_note(struct arena_state *state, const struct copy *c)
{
	const bool last = c->last;

	if (last || c->head.head >= state->head) {
		state->tid = c->head.tid;
		state->key = c->head.key;
	}
	raise(&state->head, c->head.head, last);
	raise(&state->records, c->head.records, last);
	raise(&state->dropped, c->head.dropped, last);
}

/*
 * Everything of the arena at `address` that has not been sent. Every value comes from the
 * process and is hostile: what does not add up is counted and left alone; wrong positions can
 * only spoil the process's own records.
 */
static __always_inline void arena_copy(struct copy *c, struct task_struct *task, const bool sleepable)
{
	const bool harvest = c->entry == CHUNK_HARVEST;
	struct arena_state *state;
	__u64 ring;
	bool owned;

	if (user_read(&c->head, sizeof(c->head), c->address, task, sleepable) ||
	    user_read(&c->life, sizeof(c->life),
		      c->address + __builtin_offsetof(struct qslog_arena, born), task, sleepable)) {
		trouble_count(TROUBLE_READ_FAILED);
		c->unreadable++;
		return;
	}
	ring = c->head.mask + 1;
	if (c->head.magic != QSLOG_ARENA_MAGIC || (ring & c->head.mask) ||
	    ring < QSLOG_ARENA_BYTES_MIN || ring > QSLOG_ARENA_BYTES_MAX ||
	    c->life.born > c->head.head || c->life.last_born > c->life.born) {
		trouble_count(TROUBLE_BAD_ARENA);
		return;
	}
	if (!c->head.key && !(sleepable && pull_baseline)) /* changes hands at this moment */
		return;
	c->id.instance = c->life.instance;
	state = state_get(c);
	if (!state) {
		c->untracked += c->head.records;
		return;
	}
	if (c->untaken && state->sent)
		return;
	/* One at a time is enough; but where the owner would overwrite soon (the other one may have
	 * lost its CPU), whoever is first. */
	owned = !__sync_val_compare_and_swap(&state->busy, 0, 1);
	if (!owned && !harvest && c->head.head - state->sent < ring / 2) {
		trouble_count(TROUBLE_BUSY);
		return;
	}
	state_note(state, c);
	if (sleepable && pull_baseline) {
		state_baseline(c, state, task, sleepable);
	} else {
		struct chunk_loop_sleepable all = {.loop = {.copy = c, .state = state}, .task = task};
		struct chunk_loop *loop = &all.loop;
		__u32 rounds = ring / CHUNK_DATA_MAX + 4; /* the wrap, and others in between */

		loop->place.sent = loop->place.from = *(volatile __u64 *)&state->sent;
		state->failed = 0;
		if (arena_overrun(c, loop->place.sent) &&
		    !arena_resync(c, &loop->place, task, sleepable))
			(void)failed(state, TROUBLE_OVERWRITTEN);
		else if (sleepable)
			bpf_loop(rounds, chunk_step_sleepable, &all, 0);
		else
			bpf_loop(rounds, chunk_step, loop, 0);
	}
	if (owned)
		state->busy = 0;
}

/* The same for the current process. A global function is verified once in each program, and not anew in
 * every state of the loops that lead to it. */
__noinline int arena_copy_own(struct copy *c)
{
	if (c)
		arena_copy(c, NULL, false);
	return 0;
}

static __always_inline void wake_tracer(bool now)
{
	/* An empty record is the only way to wake a ring buffer's reader without data. One that is
	 * awake looks again before it sleeps. */
	if (now || (*(volatile __u32 *)&tracer_sleeps &&
		    bpf_ringbuf_query(&chunks, BPF_RB_AVAIL_DATA) >= config.wakeup_bytes &&
		    __sync_val_compare_and_swap(&tracer_sleeps, 1, 0))) {
		void *nothing = bpf_ringbuf_reserve(&chunks, 8, 0);

		if (nothing)
			bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
	}
}

/* --- all arenas of a process */

struct walk {
	struct copy *copy;
	struct task_struct *task;
	struct process_registries *known;
	__u64 table;
	__u64 no_arena;
};

static __always_inline long walk_arena(__u32 index, struct walk *w, const bool sleepable)
{
	if (user_read(&w->copy->address, sizeof(w->copy->address), w->table + index * 8ull, w->task,
		      sleepable)) {
		trouble_count(TROUBLE_READ_FAILED);
		w->copy->unreadable++;
		return 0;
	}
	w->copy->id.arena = index;
	if (sleepable)
		arena_copy(w->copy, w->task, true);
	else
		arena_copy_own(w->copy);
	return 0;
}

static long walk_pull(__u32 index, struct walk *w)
{
	return walk_arena(index, w, true);
}

static long walk_harvest(__u32 index, struct walk *w)
{
	return walk_arena(index, w, false);
}

static __always_inline long registry_walk(__u32 index, struct walk *w, const bool sleepable)
{
	struct process_registries *known = w->known;
	struct registry_head *registry = &w->copy->registry;
	__u64 address;
	__u32 cnt;

	if (!known || index >= PROCESS_REGISTRIES_MAX)
		return 1;
	address = known->slot[index].address;
	if (!address)
		return 0;
	w->copy->id.registry = known->slot[index].file;
	if (user_read(registry, sizeof(*registry), address, w->task, sleepable)) {
		if (known->slot[index].ended) { /* a library that was unloaded */
			known->slot[index].address = 0;
			return 0;
		}
		trouble_count(TROUBLE_READ_FAILED);
		w->copy->unreadable++;
		return 0;
	}
	if (!registry->magic) /* not initialised yet */
		return 0;
	if (registry->magic != QSLOG_REGISTRY_MAGIC || registry->abi_version != QSLOG_ABI_VERSION ||
	    registry->arena_cnt > registry->table_max || registry->table_max > 1u << 22) {
		trouble_count(TROUBLE_BAD_ARENA);
		return 0;
	}
	w->table = registry->table;
	w->no_arena += registry->lost;
	cnt = registry->arena_cnt;
	if (cnt > PROC_ARENAS_MAX) /* others have no state, and whoever runs this no time */
		cnt = PROC_ARENAS_MAX;
	if (sleepable)
		bpf_loop(cnt, walk_pull, w, 0);
	else
		bpf_loop(cnt, walk_harvest, w, 0);
	return 0;
}

static long registry_pull(__u32 index, struct walk *w)
{
	return registry_walk(index, w, true);
}

static long registry_harvest(__u32 index, struct walk *w)
{
	return registry_walk(index, w, false);
}

/* What the arenas' own states do not say. */
static __always_inline void walk_note(const struct walk *w, struct proc_entry *proc)
{
	proc->unreadable = w->copy->unreadable;
	proc->untracked = w->copy->untracked;
	if (w->no_arena > proc->no_arena)
		proc->no_arena = w->no_arena;
}

static __always_inline void walk_init(struct walk *w, struct copy *c)
{
	__builtin_memset(c, 0, sizeof(*c));
	w->copy = c;
	w->no_arena = *(volatile __u64 *)&zero;
}

/* --- immediate: a thread has written one record, which it points to */

struct seek {
	const struct process_registries *known;
	__u64 record, table;
	struct thread_arena found; /* address 0: nowhere */
};

static long seek_arena(__u32 index, struct seek *seek)
{
	__u64 address, mask;

	if (bpf_probe_read_user(&address, sizeof(address), (const void *)(seek->table + index * 8ull)) ||
	    bpf_probe_read_user(&mask, sizeof(mask),
				(const void *)(address +
					       __builtin_offsetof(struct qslog_arena, mask))))
		return 0;
	if (mask >= QSLOG_ARENA_BYTES_MAX || seek->record < address ||
	    seek->record >= address + QSLOG_ARENA_HEADER_BYTES + 2 * (mask + 1))
		return 0;
	seek->found.address = address;
	seek->found.end = address + QSLOG_ARENA_HEADER_BYTES + 2 * (mask + 1);
	seek->found.arena = index;
	return 1;
}

static long seek_registry(__u32 index, struct seek *seek)
{
	const struct process_registries *known = seek->known;
	__u64 address;
	struct {
		__u64 table;
		__u32 table_max, arena_cnt;
	} registry;

	if (!known || index >= PROCESS_REGISTRIES_MAX)
		return 1;
	address = known->slot[index].address;
	if (!address || bpf_probe_read_user(&registry, sizeof(registry),
					    (const void *)(address + __builtin_offsetof(
						    struct qslog_registry, table))))
		return 0;
	seek->table = registry.table;
	seek->found.registry = known->slot[index].file;
	if (registry.arena_cnt <= registry.table_max && registry.table_max <= 1u << 22)
		bpf_loop(registry.arena_cnt, seek_arena, seek, 0);
	return seek->found.address != 0;
}

static __always_inline int record_hit(__u64 record)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tgid = id >> 32;
	struct proc_entry *proc = bpf_map_lookup_elem(&procs, &tgid);
	struct thread_arena *known;
	struct copy c = {};

	if (!proc || proc->harvested || proc->flags & PROCESS_SHARED)
		return 0;
	c.tgid = tgid;
	c.id.process = proc->process;
	known = bpf_map_lookup_elem(&thread_arenas, &id);
	if (!known || record < known->address || record >= known->end) {
		struct seek seek = {.record = record};

		seek.known = bpf_map_lookup_elem(&registries, &c.id.process);
		bpf_loop(PROCESS_REGISTRIES_MAX, seek_registry, &seek, 0);
		if (!seek.found.address) /* the next pull will */
			return 0;
		bpf_map_update_elem(&thread_arenas, &id, &seek.found, BPF_ANY);
		known = bpf_map_lookup_elem(&thread_arenas, &id);
		if (!known)
			return 0;
	}
	c.id.registry = known->registry;
	c.id.arena = known->arena;
	c.address = known->address;
	c.entry = CHUNK_PUSH;
	arena_copy_own(&c);
	wake_tracer(*(volatile __u32 *)&tracer_sleeps &&
		    __sync_val_compare_and_swap(&tracer_sleeps, 1, 0));
	return 0;
}

SEC("usdt")
int BPF_USDT(on_record, void *format, void *file, int line, int level, void *record)
{
	return record_hit((__u64)record);
}

SEC("uprobe")
int BPF_KPROBE(on_record_multi, void *format, void *file, int line, int level, void *record)
{
	return record_hit((__u64)record);
}

/* --- pull */

SEC("iter.s/task")
int pull_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u32 tgid, first = 0;
	struct proc_entry *proc;
	struct walk w = {};
	struct copy *c;

	if (!task)
		return 0;
	tgid = task->tgid;
	proc = bpf_map_lookup_elem(&procs, &tgid);
	/* One that is about to execute another program has been harvested, and may have other memory
	 * before it has another number. */
	if (!proc || proc->harvested || proc->executes || proc->pulled == pull_number || !task->mm)
		return 0;
	proc->pulled = pull_number; /* once per process, whichever thread comes first */
	c = bpf_map_lookup_elem(&pull_copy, &first);
	if (!c)
		return 0;
	w.task = task;
	walk_init(&w, c);
	/* What those hold now would leave a hole behind what was taken as a chosen site recorded. */
	c->untaken = *(volatile __u32 *)&chosen_hit.state == CHOSEN_TAKEN &&
		     chosen_hit.process == proc->process;
	c->entry = CHUNK_PULL;
	c->tgid = tgid;
	c->id.process = proc->process;
	w.known = bpf_map_lookup_elem(&registries, &c->id.process);
	bpf_loop(PROCESS_REGISTRIES_MAX, registry_pull, &w, 0);
	/* Is it still the same? What was not readable meanwhile was not there any more. */
	proc = bpf_map_lookup_elem(&procs, &tgid);
	if (!proc || proc->process != c->id.process || proc->harvested || proc->executes)
		return 0;
	walk_note(&w, proc);
	if (pull_baseline)
		proc->no_arena_base = proc->no_arena;
	return 0;
}

/* --- harvest */

static __always_inline int harvest(bool last)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct proc_entry *proc = bpf_map_lookup_elem(&procs, &tgid);
	struct copy copy, *c = &copy;
	struct walk w = {};

	if (!proc || proc->harvested)
		return 0;
	__sync_fetch_and_add(&harvests, 1);
	walk_init(&w, c);
	c->entry = CHUNK_HARVEST;
	c->last = last;
	c->tgid = tgid;
	c->id.process = proc->process;
	w.known = bpf_map_lookup_elem(&registries, &c->id.process);
	bpf_loop(PROCESS_REGISTRIES_MAX, registry_harvest, &w, 0);
	walk_note(&w, proc);
	if (last)
		proc->harvested = 1;
	wake_tracer(true);
	return 0;
}

#include "process.bpf.h"
#include "chosen.bpf.h"

/* --- push */

/* Of --exe, and no event has said that it is there. A function of its own, for its stack. */
static __noinline struct proc_entry *stranger_begin(__u32 tgid)
{
	process_begin((struct task_struct *)bpf_get_current_task(), 0, 0, NULL);
	return bpf_map_lookup_elem(&procs, &tgid);
}

static __always_inline int batch(__u64 cookie, void *arena, __u64 key, __u64 from, __u64 to,
				 __u64 records)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct proc_entry *proc;
	struct copy c = {};

	if (tgid == config.selftest_tgid && key == SELFTEST_KEY) {
		if (from == 1 && to == 2 && records == 3 && (__u32)cookie == SELFTEST_COOKIE)
			__sync_fetch_and_add(&selftest_hits, 1);
		return 0;
	}
	proc = bpf_map_lookup_elem(&procs, &tgid);
	if (!proc && config.exes)
		proc = stranger_begin(tgid);
	if (!proc || proc->harvested || proc->flags & PROCESS_SHARED)
		return 0;
	c.tgid = tgid;
	c.id.process = proc->process;
	c.id.registry = (__u32)cookie; /* the number of the file with the probe */
	c.address = (__u64)arena;
	c.entry = CHUNK_PUSH;
	if (bpf_probe_read_user(&c.id.arena, sizeof(c.id.arena),
				(const void *)(c.address +
					       __builtin_offsetof(struct qslog_arena, index)))) {
		trouble_count(TROUBLE_READ_FAILED);
		return 0;
	}
	arena_copy_own(&c);
	wake_tracer(false);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_batch, void *arena, __u64 key, __u64 from, __u64 to, __u64 records)
{
	return batch(bpf_usdt_cookie(ctx), arena, key, from, to, records);
}

/* Through a multi-uprobe link. The probe is the first instruction of a function, its arguments
 * are where the calling convention has them. */
SEC("uprobe")
int BPF_KPROBE(on_batch_multi, void *arena, __u64 key, __u64 from, __u64 to, __u64 records)
{
	return batch(bpf_get_attach_cookie(ctx), arena, key, from, to, records);
}

/* Who attaches to this one switches a level on: all that counts is the semaphore. */
SEC("usdt")
int on_level(struct pt_regs *ctx)
{
	return 0;
}

SEC("uprobe")
int on_level_multi(struct pt_regs *ctx)
{
	return 0;
}

/* --- ends */

/* The kernel takes a uprobe for a process's by the memory of the thread that it was attached
 * through (uprobe_perf_filter): when that one ends, the tracer has to attach through another. */
static __always_inline int thread_ended(void)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tgid = id >> 32;
	struct proc_entry *proc = bpf_map_lookup_elem(&procs, &tgid);

	if (proc && proc->attached == (__u32)id) {
		__sync_fetch_and_add(&attached_gone, 1);
		wake_tracer(true);
	}
	return 0;
}

/* The last thread of the group: nobody runs in user space any more. Where the kernel says which
 * that is (6.16), the memory is still there too. The others end before it at their own time, or
 * because another one executes a program. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task, bool group_dead)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct proc_entry *proc = bpf_map_lookup_elem(&procs, &tgid);

	if (!proc || proc->harvested)
		return 0;
	if (group_dead || proc->executes)
		harvest(group_dead);
	if (!group_dead)
		return thread_ended();
	process_end_say(tgid, proc, PROCESS_ENDED);
	return 0;
}

/* Kernels before 6.16: the memory may be gone, what was in it has been taken before. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit_late, struct task_struct *task)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct proc_entry *proc = bpf_map_lookup_elem(&procs, &tgid);

	if (BPF_CORE_READ(task, signal, live.counter))
		return thread_ended();
	if (proc && !proc->harvested) {
		proc->harvested = 1;
		process_end_say(tgid, proc, PROCESS_ENDED);
	}
	return 0;
}

/* Another program is about to take the place of this one: what fails from here on is fatal. */
SEC("tp_btf/sched_prepare_exec")
int on_exec_begin(void *ctx)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct proc_entry *proc = bpf_map_lookup_elem(&procs, &tgid);

	if (!proc)
		return 0;
	proc->executes = 1; /* before: the other threads are still running */
	return harvest(false);
}

/* Kernels before 6.16: each thread as it gets the signal that kills it... */
SEC("tp_btf/signal_deliver")
int BPF_PROG(on_signal, int signal, struct kernel_siginfo *info, struct k_sigaction *action)
{
	/* Handled signals return to the program; those that are ignored or stop it are harmless. */
	if (signal != 9 && (__u64)BPF_CORE_READ(action, sa.sa_handler) != 0)
		return 0;
	return harvest(false);
}

/* ... and before the exit that the process chose itself. */
SEC("tracepoint/syscalls/sys_enter_exit_group")
int on_exit_group(void *ctx)
{
	return harvest(false);
}

/* A program that is executed, or not: that is seen later. Others of its threads get SIGKILL. */
SEC("tracepoint/syscalls/sys_enter_execve")
int on_execve(void *ctx)
{
	return harvest(false);
}

SEC("tracepoint/syscalls/sys_enter_execveat")
int on_execveat(void *ctx)
{
	return harvest(false);
}

/* Kernels before 6.16, without tracefs: what every end of a process goes through that is not its
 * last thread's own, a fatal signal included; and the point of no return of exec. */
SEC("fentry/do_group_exit")
int on_group_exit(void *ctx)
{
	return harvest(false);
}

SEC("fentry/begin_new_exec")
int on_new_exec(void *ctx)
{
	return harvest(false);
}
