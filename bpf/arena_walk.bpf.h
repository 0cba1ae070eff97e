/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * arena_walk.bpf.h - all arenas of a process, by its registries: of the current task, or (in the sleepable
 * iterator) of another one. Part of qslog.bpf.c.
 */
#ifndef QSLOG_ARENA_WALK_BPF_H
#define QSLOG_ARENA_WALK_BPF_H

struct walk {
	struct copying *copy;
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

static __always_inline void walk_init(struct walk *w, struct copying *c)
{
	__builtin_memset(c, 0, sizeof(*c));
	w->copy = c;
	w->no_arena = *(volatile __u64 *)&zero;
}

#endif
