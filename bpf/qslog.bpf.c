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

#include "arena_copy.bpf.h"

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

#include "arena_walk.bpf.h"
#include "immediate.bpf.h"

/* --- pull */

SEC("iter.s/task")
int pull_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u32 tgid, first = 0;
	struct proc_entry *proc;
	struct walk w = {};
	struct copying *c;

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
	struct copying copy, *c = &copy;
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
	struct copying c = {};

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

#include "ends.bpf.h"
