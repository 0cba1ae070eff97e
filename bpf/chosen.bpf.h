/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * chosen.bpf.h - a chosen site records, and a dump is to be written: what the arenas of its process hold
 * at that moment is taken before the thread goes on. Part of qslog.bpf.c.
 *
 * qslog:record is attached to, so each record comes here; nearly all leave by their line. Only one hit
 * is served at a time: until the tracer has written the dump others are counted.
 */
#ifndef QSLOG_CHOSEN_BPF_H
#define QSLOG_CHOSEN_BPF_H

#define CHOSEN_PARTS 16 /* a path is read in parts of CHOSEN_FILE_BYTES */

/* The length of a string of the process; -1: it cannot be read, or is longer than any path. */
static __always_inline long text_bytes(__u64 text, char part[CHOSEN_FILE_BYTES])
{
	long bytes = 0, got;
	int i;

	for (i = 0; i < CHOSEN_PARTS; i++) {
		got = bpf_probe_read_user_str(part, CHOSEN_FILE_BYTES, (const void *)(text + bytes));
		if (got <= 0)
			return -1;
		bytes += got - 1; /* without the NUL */
		if (got < CHOSEN_FILE_BYTES)
			return bytes;
	}
	return -1;
}

/* The same file, or the last parts of its path. A function of its own, and short names, for the stack:
 * kernels before 6.13 give 512 bytes for it and what calls it. */
static __noinline bool chosen_fits(const volatile struct chosen_site *site, __u64 file)
{
	char part[CHOSEN_FILE_BYTES];
	__u32 want = site->file_bytes;
	long bytes = text_bytes(file, part);
	char before;

	if (bytes < want || want >= CHOSEN_FILE_BYTES)
		return false;
	__builtin_memset(part, 0, sizeof(part));
	if (bpf_probe_read_user(part, want, (const void *)(file + bytes - want)) ||
	    bpf_strncmp(part, sizeof(part), (const char *)site->file))
		return false;
	if (bytes == want || site->file[0] == '/')
		return true;
	return bpf_probe_read_user(&before, 1, (const void *)(file + bytes - want - 1)) == 0 &&
	       before == '/';
}

static __always_inline void chosen_serve(struct proc_entry *proc, __u32 tgid, __u32 site)
{
	__sync_fetch_and_or(&chosen_hit.seen, 1u << site);
	if (__sync_val_compare_and_swap(&chosen_hit.state, CHOSEN_ARMED, CHOSEN_TAKING) !=
	    CHOSEN_ARMED) {
		__sync_fetch_and_add(&chosen_hit.missed, 1);
		wake_tracer(true);
		return;
	}
	chosen_hit.site = site;
	chosen_hit.tgid = tgid;
	chosen_hit.process = proc->process;
	(void)harvest(false);
	*(volatile __u32 *)&chosen_hit.state = CHOSEN_TAKEN;
	wake_tracer(true);
}

static __always_inline int chosen(__u64 file, __u32 line)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, i;
	struct proc_entry *proc;

#pragma clang loop unroll(full)
	for (i = 0; i < CHOSEN_MAX; i++) {
		if (config.chosen[i].line != line || !line || !chosen_fits(&config.chosen[i], file))
			continue;
		proc = bpf_map_lookup_elem(&procs, &tgid);
		if (proc && !proc->harvested && !(proc->flags & PROCESS_SHARED))
			chosen_serve(proc, tgid, i);
		return 0;
	}
	return 0;
}

SEC("usdt")
int BPF_USDT(on_chosen, void *format, void *file, int line)
{
	return chosen((__u64)file, line);
}

SEC("uprobe")
int BPF_KPROBE(on_chosen_multi, void *format, void *file, int line)
{
	return chosen((__u64)file, line);
}

#endif
