/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * arena_copy.bpf.h - the one way by which records come out of an arena: chunk by chunk from where its state
 * says up to its head, or from a mark of its owner where that has been overwritten. Part of
 * qslog.bpf.c.
 */
#ifndef QSLOG_ARENA_COPY_BPF_H
#define QSLOG_ARENA_COPY_BPF_H

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
struct copying {
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
	__type(value, struct copying);
} pull_copy SEC(".maps");

/* Where the next chunk begins. */
struct place {
	__u64 sent;	 /* as the state says */
	__u64 from;
	__u64 records;	 /* before `from`, where that is not `sent` */
};

/* What comes next has been overwritten, or is of a thread that is no longer known. */
static __always_inline bool arena_overrun(const struct copying *c, __u64 sent)
{
	return sent < c->head.head && (c->head.reserve - sent > c->head.mask + 1 ||
				       sent < c->life.last_born);
}

/* A loop of the kernel's, since the verifier would walk an open one many times over. (Only a sleepable
 * one has a task: the stack is short.) */
struct mark_loop {
	const struct copying *copy;
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
	const struct copying *c = loop->copy;
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
static __always_inline int mark_find(struct copying *c, __u64 oldest, struct qslog_mark *out,
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
static __always_inline int arena_resync(struct copying *c, struct place *place,
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
static __always_inline int chunk_copy(struct copying *c, struct arena_state *state, struct place *place,
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
	struct copying *copy;
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

static __always_inline struct arena_state *state_get(struct copying *c)
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
static __always_inline void state_baseline(struct copying *c, struct arena_state *state,
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

static __always_inline void state_note(struct arena_state *state, const struct copying *c)
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
static __always_inline void arena_copy(struct copying *c, struct task_struct *task, const bool sleepable)
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
__noinline int arena_copy_own(struct copying *c)
{
	if (c)
		arena_copy(c, NULL, false);
	return 0;
}

#endif
