/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * immediate.bpf.h - a thread has written one record, which it points to (qslog:record). Part of qslog.bpf.c.
 */
#ifndef QSLOG_IMMEDIATE_BPF_H
#define QSLOG_IMMEDIATE_BPF_H

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
	struct copying c = {};

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

#endif
