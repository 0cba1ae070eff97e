/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * process.bpf.h - processes come and go: children of traced ones, programs that are to be traced,
 * and the files that are mapped into both. Part of qslog.bpf.c.
 *
 * A process is known to the maps before its first instruction, so that what it writes is taken from
 * then on, whether or not the tracer has had time to look at it. What happens to it is said in the
 * ring buffer, in its place among the records.
 */
#ifndef QSLOG_PROCESS_BPF_H
#define QSLOG_PROCESS_BPF_H

#define SIGSTOP 19

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct file_key);
	__type(value, struct file_entry);
} files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct plain_key);
	__type(value, __u32);
} plain_files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct exe_name);
	__type(value, __u32);
} exe_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_registries);
} registries_scratch SEC(".maps");

__u32 process_number; /* the last one that was given */
__u32 holds;	      /* 1: the tracer lets go whom it hears that it is held */
const volatile struct process_registries registries_none;
const volatile struct process_program program_none;

static __always_inline __u32 process_number_next(void)
{
	return __sync_fetch_and_add(&process_number, 1) + 1;
}

/* The room for an event and `more` bytes behind it; NULL: counted. */
static __always_inline struct chunk *event_open(__u32 tgid, __u32 process, enum process_what what,
						const __u64 more)
{
	struct process_event *event;
	struct chunk *chunk =
		bpf_ringbuf_reserve(&chunks, sizeof(*chunk) + sizeof(*event) + more, 0);

	if (!chunk) {
		trouble_count(TROUBLE_EVENT_LOST);
		return NULL;
	}
	__builtin_memset(chunk, 0, sizeof(*chunk) + sizeof(*event));
	chunk->data_bytes = sizeof(*event) + more;
	chunk->entry = CHUNK_PROCESS;
	chunk->tgid = tgid;
	chunk->process = process;
	event = (struct process_event *)chunk->data;
	event->what = what;
	event->file = PROCESS_NO_FILE;
	return chunk;
}

static __always_inline void event_close(struct chunk *chunk)
{
	bpf_ringbuf_submit(chunk, BPF_RB_FORCE_WAKEUP);
}

static __always_inline void process_end_say(__u32 tgid, const struct proc_entry *proc,
					    enum process_what what)
{
	struct chunk *chunk = event_open(tgid, proc->process, what, 0);
	struct process_event *event;

	if (!chunk)
		return;
	event = (struct process_event *)chunk->data;
	event->no_arena = proc->no_arena - proc->no_arena_base;
	event->untracked = proc->untracked;
	event->unreadable = proc->unreadable;
	/* Before the tracer hears of it: what it removes then must not be the next one's entry. */
	if (what == PROCESS_REPLACED)
		bpf_map_delete_elem(&procs, &tgid);
	event_close(chunk);
}

static __always_inline void file_key_of(struct file *file, struct plain_key *key)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	key->file.inode = BPF_CORE_READ(inode, i_ino);
	key->file.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	key->bytes = BPF_CORE_READ(inode, i_size);
	key->generation = BPF_CORE_READ(inode, i_generation);
}

/* --- Programs and libraries say what they have when they are loaded (qslog:module) */

/* Of a library that is gone without a word, the memory is no registry any more. */
static __always_inline bool registry_stale(__u64 address)
{
	__u32 magic = 0;

	return bpf_probe_read_user(&magic, sizeof(magic),
				   (const void *)(address + __builtin_offsetof(struct qslog_registry,
									       magic))) ||
	       (magic && magic != QSLOG_REGISTRY_MAGIC);
}

static __always_inline void registry_add(__u32 process, __u64 address, __u32 file)
{
	struct process_registries *known = bpf_map_lookup_elem(&registries, &process);
	int i;

	if (!known)
		return;
	for (i = 0; i < PROCESS_REGISTRIES_MAX; i++)
		if (known->slot[i].address == address) {
			known->slot[i].file = file;
			known->slot[i].ended = 0;
			return;
		}
	for (i = 0; i < PROCESS_REGISTRIES_MAX; i++) {
		__u64 before = known->slot[i].address;

		if ((!before || registry_stale(before)) &&
		    __sync_val_compare_and_swap(&known->slot[i].address, before, address) ==
			    before) {
			known->slot[i].file = file;
			known->slot[i].ended = 0;
			return;
		}
	}
	trouble_count(TROUBLE_PROCESS_FULL);
}

static __always_inline void registry_end(__u32 process, __u64 address)
{
	struct process_registries *known = bpf_map_lookup_elem(&registries, &process);
	int i;

	for (i = 0; known && i < PROCESS_REGISTRIES_MAX; i++)
		if (known->slot[i].address == address)
			known->slot[i].ended = 1;
}

static long vma_look(struct task_struct *task, struct vm_area_struct *vma, struct plain_key *key)
{
	if (vma->vm_file)
		file_key_of(vma->vm_file, key);
	return 0;
}

/* Not inlined: its variables are not on the stack while harvest() is deep in its loops. */
static __noinline int module_mapped(__u64 cookie, __u64 control, __u64 counter, __u32 process)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct process_event *event;
	struct plain_key key = {};
	struct chunk *chunk;

	bpf_find_vma(bpf_get_current_task_btf(), control, vma_look, &key, 0);
	chunk = event_open(tgid, process, PROCESS_MAPPED, 0);
	if (!chunk)
		return 0;
	event = (struct process_event *)chunk->data;
	event->start = control;
	event->counter = counter;
	event->key = key;
	event->file = (__u32)cookie;
	event_close(chunk);
	return 0;
}

static __always_inline int module(__u64 cookie, __u64 control, __u64 registry, __u64 counter,
				  __u32 loaded)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct proc_entry *proc = bpf_map_lookup_elem(&procs, &tgid);

	if (!proc || proc->harvested || proc->flags & PROCESS_SHARED)
		return 0;
	/* What was there at these addresses before has written all that it will. */
	harvest(false);
	if (!loaded && !control)
		registry_end(proc->process, registry);
	if (!loaded)
		return 0;
	registry_add(proc->process, registry, (__u32)cookie);
	return module_mapped(cookie, control, counter, proc->process);
}

SEC("usdt")
int BPF_USDT(on_module, __u64 control, __u64 registry, __u64 counter, __u32 loaded)
{
	return module(bpf_usdt_cookie(ctx), control, registry, counter, loaded);
}

SEC("uprobe")
int BPF_KPROBE(on_module_multi, __u64 control, __u64 registry, __u64 counter, __u32 loaded)
{
	return module(bpf_get_attach_cookie(ctx), control, registry, counter, loaded);
}

/* --- New processes */

/* Into the maps; the event is the caller's. 0: no room. */
static __always_inline int process_add(__u32 tgid, const struct proc_entry *entry,
				       const struct process_registries *known)
{
	__u32 process = entry->process;

	if (bpf_map_update_elem(&registries, &process, known, BPF_ANY)) {
		trouble_count(TROUBLE_PROCESS_FULL);
		return 0;
	}
	if (bpf_map_update_elem(&procs, &tgid, entry, BPF_ANY)) {
		bpf_map_delete_elem(&registries, &process);
		trouble_count(TROUBLE_PROCESS_FULL);
		return 0;
	}
	return 1;
}

/* Before the child's first instruction. Its memory is a copy: levels are on in it, and what its
 * parent had recorded is not in it (see fork in usdt/qslog_runtime.c). */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, child_tgid = child->tgid;
	const void *known = (const void *)&registries_none;
	struct proc_entry *proc, entry = {};
	struct process_event *event;
	struct chunk *chunk;

	if (child_tgid == tgid)
		return 0;
	proc = bpf_map_lookup_elem(&procs, &tgid);
	if (!proc || proc->harvested || !(proc->flags & (PROCESS_FOLLOW | PROCESS_EXE)))
		return 0;
	entry.flags = proc->flags;
	if (child->mm == parent->mm)
		entry.flags |= PROCESS_SHARED;
	else
		entry.flags &= ~PROCESS_SHARED;
	if (entry.flags & PROCESS_SHARED && !(entry.flags & PROCESS_FOLLOW))
		return 0;
	entry.process = process_number_next();
	if (!(entry.flags & PROCESS_SHARED)) {
		__u32 number = proc->process;

		known = bpf_map_lookup_elem(&registries, &number);
		if (!known)
			return 0;
	}
	if (!process_add(child_tgid, &entry, known))
		return 0;
	chunk = event_open(child_tgid, entry.process, PROCESS_FORKED, 0);
	if (!chunk)
		return 0;
	event = (struct process_event *)chunk->data;
	event->parent = proc->process;
	event->start_boottime = child->start_boottime;
	event->flags = entry.flags;
	event_close(chunk);
	return 0;
}

/* Is the parent a shell that has put it into a job of its own? A service manager's child is in
 * another session, too. */
static __always_inline bool process_is_job(struct task_struct *task)
{
	struct signal_struct *own = BPF_CORE_READ(task, signal),
			     *parent = BPF_CORE_READ(task, real_parent, signal);

	return BPF_CORE_READ(own, pids[PIDTYPE_PGID]) != BPF_CORE_READ(parent, pids[PIDTYPE_PGID]) &&
	       BPF_CORE_READ(own, pids[PIDTYPE_SID]) == BPF_CORE_READ(parent, pids[PIDTYPE_SID]);
}

/* A program that may have probes is held until the tracer has attached to them; but not under the
 * eyes of a shell's job control, which would say that it was stopped. */
static __always_inline bool process_hold(struct task_struct *task, const struct plain_key *key)
{
	return holds && !bpf_map_lookup_elem(&plain_files, key) && !process_is_job(task) &&
	       bpf_send_signal(SIGSTOP) == 0;
}

/* Nobody is held without the tracer hearing of it. */
static __always_inline void program_say(struct task_struct *task, __u32 tgid, __u32 process,
					__u32 parent, __u32 flags, const struct plain_key *key,
					const struct file_entry *file, const char *path)
{
	struct chunk *chunk = event_open(tgid, process, PROCESS_EXECUTED,
					 sizeof(struct process_program));
	struct process_program *program;
	struct process_event *event;
	__u64 from, bytes;

	if (!chunk)
		return;
	event = (struct process_event *)chunk->data;
	program = (struct process_program *)(event + 1);
	event->parent = parent;
	event->start_boottime = BPF_CORE_READ(task, start_boottime);
	event->start = BPF_CORE_READ(task, mm, start_code);
	event->key = *key;
	if (file)
		event->file = file->number;
	else if (path && process_hold(task, key))
		flags |= PROCESS_HELD;
	event->flags = flags;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	bpf_probe_read_kernel(program, sizeof(*program), (const void *)&program_none);
	if (path)
		bpf_probe_read_kernel_str(program->path, sizeof(program->path), path);
	from = BPF_CORE_READ(task, mm, arg_start);
	bytes = BPF_CORE_READ(task, mm, arg_end) - from;
	if (bytes > sizeof(program->command))
		bytes = sizeof(program->command);
	if (bytes && !bpf_probe_read_user(program->command, bytes, (const void *)from))
		program->command_bytes = bytes;
	event_close(chunk);
}

/* Is its name one that --exe was given? Then the file is one that has come to have it since. */
static __always_inline bool exe_is_named(struct file *exe)
{
	struct dentry *dentry = BPF_CORE_READ(exe, f_path.dentry);
	struct exe_name name = {};

	name.folder = BPF_CORE_READ(dentry, d_parent, d_inode, i_ino);
	bpf_probe_read_kernel_str(name.name, sizeof(name.name), BPF_CORE_READ(dentry, d_name.name));
	return bpf_map_lookup_elem(&exe_names, &name) != NULL;
}

/* The current process has its program; `parent`: the number of what it was before, or 0. */
static __always_inline void process_begin(struct task_struct *task, __u32 flags, __u32 parent,
					  const char *path)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;
	struct process_registries *known;
	struct proc_entry entry = {};
	struct plain_key key = {};
	struct file_entry *file;
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);

	if (exe)
		file_key_of(exe, &key);
	file = bpf_map_lookup_elem(&files, &key.file);
	if (file ? file->flags & FILE_EXE : config.exes && exe && exe_is_named(exe))
		flags |= PROCESS_EXE;
	if (!(flags & (PROCESS_EXE | PROCESS_FOLLOW)))
		return;
	known = bpf_map_lookup_elem(&registries_scratch, &zero);
	if (!known)
		return;
	__builtin_memset(known, 0, sizeof(*known));
	if (file && file->registry) {
		known->slot[0].address = BPF_CORE_READ(task, mm, start_code) - file->code +
					 file->registry;
		known->slot[0].file = file->number;
	}
	entry.flags = flags;
	entry.process = process_number_next();
	if (!process_add(tgid, &entry, known))
		return;
	program_say(task, tgid, entry.process, parent, flags, &key, file, path);
}

/* It has executed another program: the arenas, and the threads that wrote them, are no more. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_executed, struct task_struct *task, pid_t old_pid, struct linux_binprm *binprm)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32, flags = 0, parent = 0;
	struct proc_entry *proc = bpf_map_lookup_elem(&procs, &tgid);

	if (proc && !proc->harvested) {
		proc->harvested = 1; /* others may still look at it */
		flags = proc->flags & PROCESS_FOLLOW;
		parent = proc->process;
		process_end_say(tgid, proc, PROCESS_REPLACED);
	}
	if (config.exes || flags)
		process_begin(task, flags, parent, binprm->filename);
	return 0;
}

#endif
