/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector_signals.c - fatal signals in snapshot mode. The handler asks for a dump and waits for it,
 * then puts back what was installed before and sends the signal to the thread once more, with its
 * siginfo as it was: it arrives when the handler returns, at the instruction that was interrupted,
 * so that handlers and core dumps find everything as if nobody had been in between.
 *
 * Everything here is async-signal-safe, but for installing.
 */
#include "collector_snapshot.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* SIGTRAP is how arm64 traps; debuggers see it before. */
static struct fatal {
	int number;
	int installed;
	int fired;
	long passed; /* the last thread that was handed on */
	struct sigaction before;
} fatals[] = {{.number = SIGSEGV}, {.number = SIGBUS},	{.number = SIGILL}, {.number = SIGFPE},
	      {.number = SIGABRT}, {.number = SIGTRAP}, {.number = SIGSYS}};

#define FATAL_CNT (sizeof(fatals) / sizeof(fatals[0]))

static struct fatal *fatal_find(int number)
{
	size_t i;

	for (i = 0; i < FATAL_CNT - 1 && fatals[i].number != number; i++)
		;
	return &fatals[i];
}

/* What was before may be a handler that calls this one, for ever: the second time it is the end. */
static void pass_on(struct fatal *f, siginfo_t *info)
{
	const struct sigaction end = {.sa_handler = SIG_DFL};
	const long tid = syscall(SYS_gettid);
	const long last = __atomic_exchange_n(&f->passed, tid, __ATOMIC_ACQ_REL);

	if (sigaction(f->number, last == tid ? &end : &f->before, NULL) != 0)
		return;
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, f->number, info) == 0)
		return;
	/* forbidden: a fault comes again by itself */
	if (info->si_code <= 0)
		syscall(SYS_tgkill, getpid(), tid, f->number);
}

static void fatal_handle(int number, siginfo_t *info, void *context)
{
	struct fatal *f = fatal_find(number);
	const int saved_errno = errno;

	(void)context;
	if (collector_snapshot_runs())
		collector_snapshot_fatal(!__atomic_exchange_n(&f->fired, 1, __ATOMIC_ACQ_REL),
					 f->before.sa_handler == SIG_DFL);
	pass_on(f, info);
	errno = saved_errno;
}

void collector_signals_install(void)
{
	struct sigaction action = {.sa_sigaction = fatal_handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction now;
	size_t i;

	sigfillset(&action.sa_mask);
	for (i = 0; i < FATAL_CNT; i++) {
		struct fatal *f = &fatals[i];

		f->installed = 0;
		__atomic_store_n(&f->fired, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&f->passed, 0, __ATOMIC_RELEASE);
		if (sigaction(f->number, NULL, &now) != 0 || now.sa_handler == SIG_IGN)
			continue;
		/* It may be there already, in a forked child or behind a later handler that was removed */
		if (now.sa_sigaction != fatal_handle)
			f->before = now;
		f->installed = sigaction(f->number, &action, NULL) == 0;
	}
}

/* Where somebody has put another handler in front of it, which may call it, it stays. */
void collector_signals_remove(void)
{
	struct sigaction now;
	size_t i;

	for (i = 0; i < FATAL_CNT; i++) {
		struct fatal *f = &fatals[i];

		if (f->installed && sigaction(f->number, NULL, &now) == 0 &&
		    now.sa_sigaction == fatal_handle)
			(void)sigaction(f->number, &f->before, NULL); /* nothing to be done about it */
		f->installed = 0;
	}
}
