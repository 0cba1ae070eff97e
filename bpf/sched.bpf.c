// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sched.bpf.c - when and why the threads of traced processes were off the CPU.
 *
 *   switch, thread leaves    notes when, in which state, in which system call
 *   waking                   notes when, and by whom
 *   switch, thread is back   submits one event with all of that
 *   open                     an iterator that submits those that are off at the end
 *
 * The notes are kept in task storage, so that they go with the thread. The programs run at every
 * switch and wake-up of the machine: what is not traced leaves them after a lookup of its process.
 */
#include "vmlinux.h"

#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "chunk.h"
#include "sched_event.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile struct sched_config config;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/* The traced processes, by tgid: the very map of qslog.bpf.c. An entry may be there before it has its
 * number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct proc_entry);
} procs SEC(".maps");

struct who {
	__u32 tgid, tid;
	char comm[SCHED_COMM_BYTES];
};

/* Of a thread. Written by whoever runs it or wakes it: the scheduler's locks put that in order,
 * but for a wake-up that comes while it is leaving, which is seen by its time. */
struct note {
	__u64 off_ns;	/* 0: it is on the CPU, or was never seen leaving it */
	__u64 ready_ns; /* of its last wake-up */
	__u32 pid, tid; /* in the kernel's view, and in its own as long as `pid` is its */
	__u32 process;
	__s32 syscall;
	__u8 why, flags, waker_kind, pad[5];
	struct who waker, preemptor;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct note);
} notes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCHED_LOST_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

static __always_inline void lost_count(__u32 cause)
{
	__u64 *count = bpf_map_lookup_elem(&lost, &cause);

	if (count)
		++*count;
}

/* The number of a traced process; 0: it is not traced. */
static __always_inline __u32 traced_as(__u32 tgid)
{
	const struct proc_entry *proc = bpf_map_lookup_elem(&procs, &tgid);

	return proc ? proc->process : 0;
}

/* --- What the kernel says about a thread */

/* <linux/sched.h>; the low bits have been the same for as long as there is BTF. */
#define STATE_INTERRUPTIBLE 0x1
#define STATE_UNINTERRUPTIBLE 0x2
#define STATE_STOPPED 0x4
#define STATE_TRACED 0x8
#define STATE_GONE (0x10 | 0x20 | 0x80) /* exit states, dead */
#define FLAG_EXITING 0x4

static __always_inline __u8 why_of(bool preempt, unsigned int state)
{
	if (preempt || !state)
		return SCHED_PREEMPTED;
	if (state & STATE_STOPPED)
		return SCHED_STOPPED;
	if (state & STATE_TRACED)
		return SCHED_DEBUGGED;
	if (state & STATE_INTERRUPTIBLE)
		return SCHED_SLEEP;
	return state & STATE_UNINTERRUPTIBLE ? SCHED_DISK_SLEEP : SCHED_OTHER;
}

#if defined(__TARGET_ARCH_arm64)
struct pt_regs___syscall {
	int syscallno;
} __attribute__((preserve_access_index));
#define REGS_SYSCALL(regs) (((const struct pt_regs___syscall *)(regs))->syscallno)
#else
#define REGS_SYSCALL(regs) ((regs)->orig_ax)
#endif

/* Both are -1 where the thread came into the kernel by an exception or an interrupt. */
static __always_inline __s32 syscall_of(struct task_struct *task)
{
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(task);
	long number = regs ? REGS_SYSCALL(regs) : SCHED_NO_SYSCALL;

	return number < 0 || number > 0xffff ? SCHED_NO_SYSCALL : (__s32)number;
}

/* As the process itself sees it: in the innermost namespace. */
static __always_inline __u32 own_tid(struct task_struct *task)
{
	__u32 level = 0, tid = 0;
	__u64 pid = 0; /* a number: kernels before 6.2 let nobody add to a pointer to a struct */

	bpf_core_read(&pid, sizeof(pid), &task->thread_pid);
	bpf_core_read(&level, sizeof(level), &((struct pid *)pid)->level);
	if (level > 32) /* never */
		level = 0;
	bpf_probe_read_kernel(&tid, sizeof(tid),
			      (const void *)(pid + bpf_core_field_offset(struct pid, numbers) +
					     level * bpf_core_type_size(struct upid) +
					     bpf_core_field_offset(struct upid, nr)));
	return tid;
}

/*
 * In what a wake-up runs, by either of two ways. The kernel counts how deep in interrupts a CPU
 * is, in a variable of its own before and after 6.2 to 6.14; on arm64 in a field of the thread.
 * Where the variable has no name (CONFIG_KALLSYMS_ALL=n), marks are set at the entry of handlers.
 */
#if defined(__TARGET_ARCH_x86)
struct pcpu_hot {
	int preempt_count;
} __attribute__((preserve_access_index));
extern const int __preempt_count __ksym __weak;
extern const struct pcpu_hot pcpu_hot __ksym __weak;

static __always_inline int preempt_count(void)
{
	if (&__preempt_count)
		return *(const int *)bpf_this_cpu_ptr(&__preempt_count);
	if (&pcpu_hot)
		return ((const struct pcpu_hot *)bpf_this_cpu_ptr(&pcpu_hot))->preempt_count;
	return 0;
}
#else
struct thread_info___count {
	struct {
		__u32 count;
	} preempt;
} __attribute__((preserve_access_index));
struct task_struct___count {
	struct thread_info___count thread_info;
} __attribute__((preserve_access_index));

static __always_inline int preempt_count(void)
{
	struct task_struct___count *task = (void *)bpf_get_current_task_btf();

	return bpf_core_field_exists(task->thread_info.preempt.count) ?
		       (int)task->thread_info.preempt.count : 0;
}
#endif

#define COUNT_SOFTIRQ 0x100    /* <linux/preempt.h>: serving one, not only holding them off */
#define COUNT_HARDIRQ 0xff0000 /* and NMIs */

struct marks {
	__u8 hardirq, softirq;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct marks);
} marks SEC(".maps");

static __always_inline int mark_set(bool hardirq, __u8 value)
{
	const __u32 zero = 0;
	struct marks *m = bpf_map_lookup_elem(&marks, &zero);

	if (m && hardirq)
		m->hardirq = value;
	else if (m)
		m->softirq = value;
	return 0;
}

SEC("tp_btf/softirq_entry")
int on_softirq(void *ctx)
{
	return mark_set(false, 1);
}

SEC("tp_btf/softirq_exit")
int on_softirq_end(void *ctx)
{
	return mark_set(false, 0);
}

SEC("tp_btf/irq_handler_entry")
int on_irq(void *ctx)
{
	return mark_set(true, 1);
}

SEC("tp_btf/irq_handler_exit")
int on_irq_end(void *ctx)
{
	return mark_set(true, 0);
}

SEC("tp_btf/hrtimer_expire_entry")
int on_timer(void *ctx)
{
	return mark_set(true, 1);
}

SEC("tp_btf/hrtimer_expire_exit")
int on_timer_end(void *ctx)
{
	return mark_set(true, 0);
}

static __always_inline __u8 kind_by_marks(void)
{
	const __u32 zero = 0;
	const struct marks *m = bpf_map_lookup_elem(&marks, &zero);

	/* The idle thread wakes nobody by itself. */
	if (!m || m->hardirq || !bpf_get_current_task_btf()->pid)
		return SCHED_WHO_HARDIRQ;
	return m->softirq ? SCHED_WHO_SOFTIRQ : SCHED_WHO_THREAD;
}

static __always_inline __u8 kind_by_count(void)
{
	const int count = preempt_count();

	return count & COUNT_HARDIRQ ? SCHED_WHO_HARDIRQ :
	       count & COUNT_SOFTIRQ ? SCHED_WHO_SOFTIRQ : SCHED_WHO_THREAD;
}

static __always_inline void who_note(struct who *who, struct task_struct *task)
{
	struct note *note;

	who->tgid = task->tgid;
	who->tid = task->pid;
	if (traced_as(who->tgid)) {
		note = bpf_task_storage_get(&notes, task, NULL, 0);
		who->tid = note ? note->tid : own_tid(task);
	}
	bpf_probe_read_kernel(who->comm, sizeof(who->comm), task->comm);
}

/* --- Events */

static __always_inline void event_submit(struct task_struct *task, const struct note *note,
					 __u64 on_ns, __u8 more_flags)
{
	const bool preempted = note->why == SCHED_PREEMPTED;
	struct sched_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	__u8 kind;

	if (!e) {
		lost_count(SCHED_LOST_RING_FULL);
		return;
	}
	e->off_ns = note->off_ns;
	e->on_ns = on_ns;
	e->ready_ns = 0;
	/* A wake-up before it had left counts from then on; one from a wait before is no news, but
	 * then it has not been woken from this one either. */
	if (!preempted)
		e->ready_ns = note->ready_ns > note->off_ns ? note->ready_ns : note->off_ns;
	if (more_flags & SCHED_OPEN && e->ready_ns == note->off_ns)
		e->ready_ns = on_ns; /* not woken yet */
	e->process = note->process;
	e->tid = note->tid;
	e->syscall = note->syscall;
	e->cpu = bpf_get_smp_processor_id();
	e->why = note->why;
	kind = preempted ? SCHED_WHO_THREAD : note->waker_kind;
	if (preempted) {
		e->who_tgid = note->preemptor.tgid;
		e->who_tid = note->preemptor.tid;
		__builtin_memcpy(e->who_comm, note->preemptor.comm, SCHED_COMM_BYTES);
	} else {
		e->who_tgid = note->waker.tgid;
		e->who_tid = note->waker.tid;
		__builtin_memcpy(e->who_comm, note->waker.comm, SCHED_COMM_BYTES);
	}
	e->who_flags = kind | (note->flags | more_flags) << SCHED_FLAGS_SHIFT;
	bpf_ringbuf_submit(e, bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= config.wakeup_bytes ?
				      BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline void leaves(struct task_struct *task, __u32 process, struct task_struct *next,
				   bool preempt, unsigned int state, __u64 now)
{
	struct note *note;

	if (!preempt && state & STATE_GONE)
		return;
	note = bpf_task_storage_get(&notes, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!note) {
		lost_count(SCHED_LOST_STATE);
		return;
	}
	if (note->pid != (__u32)task->pid) { /* new, or it has executed a program */
		note->pid = task->pid;
		note->tid = own_tid(task);
	}
	note->process = process;
	note->why = why_of(preempt, state);
	note->flags = (task->flags & FLAG_EXITING ? SCHED_EXITING : 0) |
		      (BPF_CORE_READ_BITFIELD(task, in_iowait) ? SCHED_IO : 0);
	note->syscall = syscall_of(task);
	if (note->why == SCHED_PREEMPTED)
		who_note(&note->preemptor, next);
	note->off_ns = now;
}

static __always_inline void returns(struct task_struct *task, __u64 now)
{
	struct note *note = bpf_task_storage_get(&notes, task, NULL, 0);

	if (!note || !note->off_ns)
		return;
	event_submit(task, note, now, 0);
	note->off_ns = 0;
	note->waker_kind = SCHED_WHO_UNKNOWN;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int state)
{
	const __u32 from = traced_as(prev->tgid), to = traced_as(next->tgid);
	__u64 now;

	if (!from && !to)
		return 0;
	now = bpf_ktime_get_ns();
	if (to)
		returns(next, now);
	if (from)
		leaves(prev, from, next, preempt, state, now);
	return 0;
}

static __always_inline int woken(struct task_struct *task, const bool by_count)
{
	struct note *note;

	if (!traced_as(task->tgid))
		return 0;
	note = bpf_task_storage_get(&notes, task, NULL, 0);
	if (!note) /* it has not left the CPU yet */
		return 0;
	note->ready_ns = bpf_ktime_get_ns();
	note->waker_kind = by_count ? kind_by_count() : kind_by_marks();
	if (note->waker_kind == SCHED_WHO_THREAD)
		who_note(&note->waker, bpf_get_current_task_btf());
	return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct *task)
{
	return woken(task, true);
}

SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking_marked, struct task_struct *task)
{
	return woken(task, false);
}

/* Once the others are detached. */
SEC("iter/task")
int open_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct note *note;

	if (!task || !traced_as(task->tgid))
		return 0;
	note = bpf_task_storage_get(&notes, task, NULL, 0);
	if (note && note->off_ns)
		event_submit(task, note, bpf_ktime_get_ns(), SCHED_OPEN);
	return 0;
}
