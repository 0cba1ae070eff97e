/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * path.c - which instructions a call executes, found out by executing it: a child calls each of the
 * functions of sites.c, first while nobody listens and then while the in-process collector does, and
 * its parent goes through them in single steps. Each instruction is a line on standard output:
 *
 *   off|on KIND ADDRESS     as the linker placed it, in hexadecimal; 0: in another object (libc)
 *
 * How long each one is is objdump's to say (code.sh). The first calls of the thread, which get it an
 * arena, are over when it begins, and no call comes near a stop.
 */
#include <qslog.h>

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "path.h"

#define STEPS_MAX 10000
#define LIMIT_SECONDS 60

extern const char __executable_start[], etext[];

static char text[] = "alpha-01234";

static void call_a(void) { code_a(); }
static void call_b(void) { code_b(4711); }
static void call_c(void) { code_c(42, 21.0, text); }
static void call_span(void) { code_span(4711); }

static const struct {
	const char *name;
	void (*call)(void);
	uintptr_t address;
} kinds[] = {
	{ "a", call_a, (uintptr_t)code_a },
	{ "b", call_b, (uintptr_t)code_b },
	{ "c", call_c, (uintptr_t)code_c },
	{ "span", call_span, (uintptr_t)code_span },
};
#define KIND_CNT (sizeof(kinds) / sizeof(kinds[0]))

/* --- The child: stops before each call. */

static void calls_do(void)
{
	size_t i;

	for (i = 0; i < KIND_CNT; i++) {
		raise(SIGSTOP);
		kinds[i].call();
	}
}

static void child(const char *output)
{
	struct qslog_options options = QSLOG_OPTIONS_INIT;
	size_t i;
	int err;

	alarm(LIMIT_SECONDS);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(1);
	for (i = 0; i < KIND_CNT; i++) /* what the dynamic linker does at a first call */
		kinds[i].call();
	calls_do();
	options.path = output;
	err = qslog_start(&options);
	if (err) {
		fprintf(stderr, "path: qslog_start: %s\n", strerror(-err));
		_exit(1);
	}
	for (i = 0; i < KIND_CNT; i++)
		kinds[i].call();
	calls_do();
	_exit(qslog_stop() ? 1 : 0);
}

/* --- The parent */

struct where {
	uintptr_t pc, sp, link;
};

static int where_get(pid_t pid, struct where *w)
{
#if defined(__x86_64__)
	struct user_regs_struct regs;
#else
	struct user_pt_regs regs;
#endif
	struct iovec io = { &regs, sizeof(regs) };

	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &io))
		return -errno;
#if defined(__x86_64__)
	w->pc = regs.rip;
	w->sp = regs.rsp;
	w->link = 0;
#else
	w->pc = regs.pc;
	w->sp = regs.sp;
	w->link = regs.regs[30];
#endif
	return 0;
}

/* At the first instruction of a function. */
static int return_address(pid_t pid, const struct where *w, uintptr_t *out)
{
#if defined(__x86_64__)
	errno = 0;
	*out = (uintptr_t)ptrace(PTRACE_PEEKDATA, pid, (void *)w->sp, NULL);
	return -errno;
#else
	(void)pid;
	*out = w->link;
	return 0;
#endif
}

/* 0: it has stopped; else it has ended, or something is wrong. */
static int stopped(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFSTOPPED(status) ? 0 : -ECHILD;
}

static int step(pid_t pid, struct where *w)
{
	int err;

	if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL))
		return -errno;
	err = stopped(pid);
	return err ? err : where_get(pid, w);
}

static int base_find(struct dl_phdr_info *info, size_t size, void *base)
{
	(void)size;
	*(uintptr_t *)base = info->dlpi_addr;
	return 1; /* the program comes first */
}

static void line_print(const char *state, const char *kind, uintptr_t pc, uintptr_t base)
{
	const int inside = pc >= (uintptr_t)__executable_start && pc < (uintptr_t)etext;

	printf("%s %s %lx\n", state, kind, inside ? (unsigned long)(pc - base) : 0ul);
}

/* From where the child has stopped to the end of its next call. */
static int call_follow(pid_t pid, const char *state, size_t kind, uintptr_t base)
{
	struct where w = { 0, 0, 0 };
	uintptr_t back;
	unsigned int steps;
	int err;

	for (steps = 0; w.pc != kinds[kind].address; steps++) {
		err = steps < STEPS_MAX ? step(pid, &w) : -ETIME;
		if (err)
			return err;
	}
	err = return_address(pid, &w, &back);
	for (steps = 0; !err && w.pc != back; steps++) {
		line_print(state, kinds[kind].name, w.pc, base);
		err = steps < STEPS_MAX ? step(pid, &w) : -ETIME;
	}
	return err;
}

static int all_follow(pid_t pid)
{
	static const char *const states[] = { "off", "on" };
	uintptr_t base = 0;
	size_t state, kind;
	int err;

	dl_iterate_phdr(base_find, &base);
	for (state = 0; state < 2; state++)
		for (kind = 0; kind < KIND_CNT; kind++) {
			err = stopped(pid);
			if (!err && ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL))
				err = -errno;
			if (!err)
				err = call_follow(pid, states[state], kind, base);
			if (!err && ptrace(PTRACE_CONT, pid, NULL, NULL))
				err = -errno;
			if (err)
				return err;
		}
	return stopped(pid) == -ECHILD ? 0 : -EPROTO;
}

/* path OUTPUT: of the collector */
int main(int argc, char **argv)
{
	pid_t pid;
	int err;

	if (argc != 2) {
		fprintf(stderr, "path: not for use by hand, see code.sh\n");
		return 2;
	}
	pid = fork();
	if (pid == 0)
		child(argv[1]);
	err = pid < 0 ? -errno : all_follow(pid);
	if (!err && fflush(stdout))
		err = -errno;
	if (err)
		fprintf(stderr, "path: cannot follow the calls: %s\n", strerror(-err));
	return err ? 1 : 0;
}
