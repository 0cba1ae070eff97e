/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doctor.c - see doctor.h. What can be tried is tried: the programs are loaded, probes of our own
 * are attached to in both ways and hit, a child's memory is read, the task iterator is run.
 */
#include "doctor.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/btf.h>

#include "kernel.h"
#include "priority.h"
#include "privilege.h"
#include "proc_maps.h"

#ifndef QSLOG_VERSION
#define QSLOG_VERSION "unknown"
#endif

#define RING_BYTES (1u << 20)

enum verdict { GOOD, LESS, BAD };

struct doctor {
	struct btf *btf;
	struct kernel *kernel; /* NULL: could not be opened */
	bool works;
};

/* One line, and for what is not good a second one with what to do. BAD: kernel mode is impossible. */
static void say(struct doctor *d, enum verdict verdict, const char *what, const char *found,
		const char *advice)
{
	static const char *const words[] = {"ok", "less", "no"};

	printf("  %-5s %-23s %s\n", words[verdict], what, found);
	if (verdict != GOOD && advice)
		printf("  %-5s %-23s -> %s\n", "", "", advice);
	if (verdict == BAD)
		d->works = false;
}

static void either(struct doctor *d, bool good, enum verdict otherwise, const char *what,
		   const char *yes, const char *no, const char *advice)
{
	say(d, good ? GOOD : otherwise, what, good ? yes : no, advice);
}

/* --- What needs no privilege to find out */

static void btf_look(struct doctor *d)
{
	char found[128];

	d->btf = btf__load_vmlinux_btf();
	snprintf(found, sizeof(found), "/sys/kernel/btf/vmlinux: %s",
		 d->btf ? "the kernel describes its types" : strerror(errno));
	say(d, d->btf ? GOOD : BAD, "BTF", found,
	    "a kernel with CONFIG_DEBUG_INFO_BTF=y, and /sys mounted");
}

/* Has the enum of the kernel that member? */
static bool enum_has(const struct btf *btf, const char *name, const char *member)
{
	const struct btf_type *type;
	const struct btf_enum *values;
	int id = btf ? btf__find_by_name_kind(btf, name, BTF_KIND_ENUM) : -1, i;

	if (id < 0)
		return false;
	type = btf__type_by_id(btf, (uint32_t)id);
	values = btf_enum(type);
	for (i = 0; i < btf_vlen(type); i++)
		if (strcmp(btf__name_by_offset(btf, values[i].name_off), member) == 0)
			return true;
	return false;
}

static void features_look(struct doctor *d)
{
	static const struct {
		const char *name, *type, *member, *from;
	} needed[] = {
		{"ring buffer", "bpf_map_type", "BPF_MAP_TYPE_RINGBUF", "a kernel from 5.8 on"},
		{"attach cookies", "bpf_func_id", "BPF_FUNC_get_attach_cookie", "a kernel from 5.15 on"},
		{"bpf_loop", "bpf_func_id", "BPF_FUNC_loop", "a kernel from 5.17 on"},
		{"memory of others", "bpf_func_id", "BPF_FUNC_copy_from_user_task",
		 "a kernel from 5.18 on"},
	};
	unsigned int i;

	for (i = 0; d->btf && i < sizeof(needed) / sizeof(needed[0]); i++)
		either(d, enum_has(d->btf, needed[i].type, needed[i].member), BAD, needed[i].name,
		       needed[i].member, "the kernel does not have it", needed[i].from);
	if (d->btf)
		either(d, btf__find_by_name_kind(d->btf, "btf_trace_sched_switch",
						 BTF_KIND_TYPEDEF) > 0,
		       LESS, "scheduler", "tp_btf/sched_switch, for --sched", "no sched_switch: no --sched",
		       NULL);
}

static void namespace_look(struct doctor *d)
{
	either(d, kernel_pids_seen(), BAD, "PID namespace",
	       "the first one: process ids are those that the kernel sees",
	       "not the first one: process ids here are not those that the kernel sees",
	       "run it on the host, or in a container with --pid=host; it traces into containers from "
	       "there");
}

/* --- Capabilities */

static void capabilities_look(struct doctor *d)
{
	const bool admin = privilege_has(CAP_SYS_ADMIN);

	either(d, privilege_bpf(), BAD, "CAP_BPF", admin ? "by CAP_SYS_ADMIN" : "there",
	       "missing: no BPF programs", "sudo");
	either(d, privilege_perfmon(), BAD, "CAP_PERFMON", admin ? "by CAP_SYS_ADMIN" : "there",
	       "missing: BPF programs may not read memory", "sudo");
	either(d, privilege_has(CAP_SYS_PTRACE), LESS, "CAP_SYS_PTRACE", "there: every process",
	       "missing: only processes of this user, with no more rights than this one",
	       "sudo, or give the capability, to trace those of others");
	either(d, admin || privilege_has(CAP_CHECKPOINT_RESTORE), LESS, "CAP_CHECKPOINT_RESTORE",
	       admin ? "by CAP_SYS_ADMIN" : "there: deleted libraries can be opened",
	       "missing: libraries that were deleted or replaced since they were loaded cannot be opened",
	       "sudo, or give the capability, if a program is traced whose libraries are updated");
	either(d, privilege_has(CAP_SETUID) && privilege_has(CAP_SETGID), LESS, "CAP_SETUID, CAP_SETGID",
	       "there, for --drop-privs", "missing: --drop-privs cannot change the user", NULL);
}

static void memory_look(struct doctor *d)
{
	static volatile uint64_t value = 0x51534c4f47u;
	uint64_t got = 0;
	char found[128];
	pid_t child = fork();
	int err;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	err = child < 0 ? -errno : process_read(child, (uintptr_t)&value, &got, sizeof(got));
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	snprintf(found, sizeof(found), "process_vm_readv: %s", err ? strerror(-err) : "read a child's");
	say(d, err || got != value ? BAD : GOOD, "process memory", found,
	    "a seccomp filter or a security module forbids it: run it outside of the container");
}

/* --- What is tried */

static void attach_try(struct doctor *d, bool multi, bool other)
{
	const char *what = multi ? "uprobes by multi link" : "uprobes by perf event";
	struct why why = {""};
	char found[sizeof(why.text) + 64];

	if (kernel_attach_try(d->kernel, multi, &why) == 0) {
		say(d, GOOD, what, "a probe with a semaphore was attached to, and hit", NULL);
		return;
	}
	snprintf(found, sizeof(found), "%s", why.text);
	say(d, other ? LESS : BAD, what, found, multi ?
	    "from kernel 6.10 on; without it attaching needs CAP_SYS_ADMIN" :
	    "needs CAP_SYS_ADMIN; without it a process cannot be attached to whose main thread has "
	    "ended");
}

static bool attach_works(struct doctor *d, bool multi)
{
	return kernel_attach_try(d->kernel, multi, NULL) == 0;
}

static void ends_look(struct doctor *d)
{
	const struct kernel_ends *ends = kernel_ends_get(d->kernel);
	const char *degraded = kernel_ends_degraded(ends);

	either(d, !degraded, LESS, "end of processes", kernel_ends_text(ends), kernel_ends_text(ends),
	       degraded);
}

static void iterator_try(struct doctor *d)
{
	char found[128];
	int err = kernel_pull(d->kernel, false);

	snprintf(found, sizeof(found), "%s", err ? strerror(-err) : "visited all tasks, may sleep");
	say(d, err ? BAD : GOOD, "task iterator", found, "a kernel from 5.18 on");
}

static void chunk_ignore(void *arg, const struct chunk *chunk)
{
	(void)arg;
	(void)chunk;
}

static void kernel_try(struct doctor *d, bool libbpf_messages)
{
	const struct kernel_options options = {
		.ring_bytes = RING_BYTES,
		.libbpf_messages = libbpf_messages,
		.ends = getenv("QSLOG_TRACE_HARVEST"),
		.chunk = chunk_ignore,
	};
	struct why why = {""};
	char text[64];
	int err = kernel_check(&why);

	if (!err)
		err = kernel_open(&d->kernel, &options, &why);
	if (err) {
		d->kernel = NULL;
		say(d, BAD, "BPF programs", why.text[0] ? why.text : strerror(-err), NULL);
		return;
	}
	snprintf(text, sizeof(text), "loaded: %llu instructions verified",
		 (unsigned long long)kernel_verified(d->kernel));
	say(d, GOOD, "BPF programs", text, NULL);
	attach_try(d, true, attach_works(d, false));
	attach_try(d, false, attach_works(d, true));
	iterator_try(d);
	ends_look(d);
}

bool doctor_run(bool libbpf_messages)
{
	struct doctor d = {.works = true};
	struct utsname system;

	if (uname(&system) == 0)
		printf("qslog-trace %s on %s %s %s, user id %u\n", QSLOG_VERSION, system.sysname,
		       system.release, system.machine, (unsigned int)geteuid());
	capabilities_look(&d);
	namespace_look(&d);
	memory_look(&d);
	btf_look(&d);
	features_look(&d);
	kernel_try(&d, libbpf_messages);
	either(&d, prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0, LESS, "seccomp",
	       "there, for the filter of the tracer itself", "not in this kernel: the tracer runs without "
	       "a filter of its own", NULL);
	either(&d, !priority_groups(), LESS, "priority", "a nice value counts among all processes",
	       "the kernel groups processes by session (kernel.sched_autogroup_enabled): a nice value counts "
	       "among those of one only", "start the tracer in a session of its own, as sudo does: it raises the "
	       "session's priority then, and gives it back");
	puts(d.works ? "kernel mode works here" :
	     "kernel mode does not work here; in-process mode does: QSLOG_FILE=app.qslog ./app");
	kernel_close(d.kernel);
	btf__free(d.btf);
	return d.works;
}
