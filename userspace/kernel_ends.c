/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel_ends.c - see kernel_ends.h. */
#include "kernel_ends.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "chunk.h"
#include "qslog.skel.h"

/* Does sched_process_exit say whether the group is dead? Then it comes while the memory is still
 * there (kernel 6.16: both changed together). */
static bool exit_tracepoint_early(const struct btf *btf)
{
	const struct btf_type *type;
	int id = btf__find_by_name_kind(btf, "btf_trace_sched_process_exit", BTF_KIND_TYPEDEF);

	if (id < 0)
		return false;
	type = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type);
	if (!type || !btf_is_ptr(type))
		return false;
	type = btf__type_by_id(btf, type->type);
	return type && btf_is_func_proto(type) && btf_vlen(type) >= 3;
}

static bool functions_known(const struct btf *btf)
{
	return btf__find_by_name_kind(btf, "do_group_exit", BTF_KIND_FUNC) > 0 &&
	       btf__find_by_name_kind(btf, "begin_new_exec", BTF_KIND_FUNC) > 0;
}

/* Tracepoints of system calls are attached to by their numbers there. */
static bool tracefs_readable(void)
{
	return access("/sys/kernel/tracing/events/syscalls/sys_enter_exit_group/id", R_OK) == 0 ||
	       access("/sys/kernel/debug/tracing/events/syscalls/sys_enter_exit_group/id",
		      R_OK) == 0;
}

static enum kernel_ends_way way_find(const struct btf *btf, const char *wanted)
{
	if (!wanted && exit_tracepoint_early(btf))
		return ENDS_EARLY;
	if (wanted && strcmp(wanted, "signal-only") == 0)
		return ENDS_SIGNAL_ONLY;
	if (wanted && strcmp(wanted, "functions") == 0)
		return ENDS_FUNCTIONS;
	if (wanted || tracefs_readable())
		return ENDS_SIGNAL;
	return functions_known(btf) ? ENDS_FUNCTIONS : ENDS_SIGNAL_ONLY;
}

/* The programs of a way, and NULL. Functions may turn out not to be traceable: then signals. */
static void programs_of(const struct qslog_bpf *skel, enum kernel_ends_way way,
			struct bpf_program *out[KERNEL_ENDS_MAX + 1])
{
	unsigned int cnt = 0;

	out[cnt++] = skel->progs.on_executed;
	if (way != ENDS_EARLY)
		out[cnt++] = skel->progs.on_exit_late;
	switch (way) {
	case ENDS_EARLY:
		out[cnt++] = skel->progs.on_exit;
		out[cnt++] = skel->progs.on_exec_begin;
		break;
	case ENDS_SIGNAL:
		out[cnt++] = skel->progs.on_signal;
		out[cnt++] = skel->progs.on_exit_group;
		out[cnt++] = skel->progs.on_execve;
		out[cnt++] = skel->progs.on_execveat;
		break;
	case ENDS_FUNCTIONS:
		out[cnt++] = skel->progs.on_group_exit;
		out[cnt++] = skel->progs.on_new_exec;
		break;
	case ENDS_SIGNAL_ONLY:
		out[cnt++] = skel->progs.on_signal;
		break;
	}
	out[cnt] = NULL;
}

int kernel_ends_choose(struct kernel_ends *ends, struct qslog_bpf *skel, const char *wanted,
		       struct why *why)
{
	struct bpf_program *programs[KERNEL_ENDS_MAX + 1], *program;
	struct btf *btf = btf__load_vmlinux_btf();
	unsigned int i;

	if (!btf)
		return why_set(why, -errno, "cannot read the kernel's BTF: %s", strerror(errno));
	ends->way = way_find(btf, wanted);
	btf__free(btf);
	skel->rodata->config.harvest_by_signal = ends->way != ENDS_EARLY;
	for (i = ENDS_EARLY; i <= ENDS_SIGNAL_ONLY; i++) {
		programs_of(skel, (enum kernel_ends_way)i, programs);
		for (struct bpf_program **p = programs; (program = *p); p++)
			(void)bpf_program__set_autoload(program, false);
	}
	programs_of(skel, ends->way, programs);
	for (i = 0; programs[i]; i++)
		(void)bpf_program__set_autoload(programs[i], true);
	if (ends->way == ENDS_FUNCTIONS)
		(void)bpf_program__set_autoload(skel->progs.on_signal, true);
	return 0;
}

static int programs_attach(struct kernel_ends *ends, struct qslog_bpf *skel, struct why *why)
{
	struct bpf_program *programs[KERNEL_ENDS_MAX + 1];
	unsigned int i;
	int err;

	programs_of(skel, ends->way, programs);
	for (i = 0; programs[i]; i++) {
		ends->links[i] = bpf_program__attach(programs[i]);
		if (ends->links[i])
			continue;
		err = -errno;
		return why_set(why, err, "cannot attach to the end of processes (%s): %s",
			       bpf_program__name(programs[i]), strerror(-err));
	}
	return 0;
}

int kernel_ends_attach(struct kernel_ends *ends, struct qslog_bpf *skel, struct why *why)
{
	if (ends->way == ENDS_FUNCTIONS && programs_attach(ends, skel, NULL)) {
		kernel_ends_close(ends);
		ends->way = ENDS_SIGNAL_ONLY;
	} else if (ends->way == ENDS_FUNCTIONS) {
		return 0;
	}
	return programs_attach(ends, skel, why);
}

void kernel_ends_close(struct kernel_ends *ends)
{
	unsigned int i;

	for (i = 0; i < KERNEL_ENDS_MAX; i++) {
		bpf_link__destroy(ends->links[i]);
		ends->links[i] = NULL;
	}
}

const char *kernel_ends_text(const struct kernel_ends *ends)
{
	static const char *const texts[] = {
		[ENDS_EARLY] = "sched_process_exit, while the memory is still there",
		[ENDS_SIGNAL] = "signal_deliver, exit_group, execve: sched_process_exit comes too late",
		[ENDS_FUNCTIONS] = "do_group_exit(), begin_new_exec(): sched_process_exit comes too late",
		[ENDS_SIGNAL_ONLY] = "signal_deliver only",
	};

	return texts[ends->way];
}

const char *kernel_ends_degraded(const struct kernel_ends *ends)
{
	if (ends->way != ENDS_SIGNAL_ONLY)
		return NULL;
	return "what a process records within its last flush interval before _exit or exec may be lost: "
	       "mount tracefs (mount -t tracefs tracefs /sys/kernel/tracing) and run as root";
}
