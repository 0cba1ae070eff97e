/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ends.bpf.h - a thread or a process ends, or executes another program, by whichever of these hooks the
 * kernel has while the memory is still there (kernel_ends.h chooses). Part of qslog.bpf.c.
 */
#ifndef QSLOG_ENDS_BPF_H
#define QSLOG_ENDS_BPF_H

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

#endif
