// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_push.c - what a tracer finds in the arena of a thread that hits qslog:batch at a stop. The probe is
 * made a breakpoint, and the handler looks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <qslog.h>

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

extern struct qslog_registry qslog_priv_registry __attribute__((visibility("hidden")));
void qslog_priv_batch_probe(const void *arena, uint64_t key, uint64_t from, uint64_t to, uint64_t records)
	__attribute__((visibility("hidden")));

#if defined(__x86_64__)

#define BREAKPOINT 0xcc

static struct {
	unsigned int hits, reserved;
	uint64_t head, records, waiting_most;
} seen;

static void batch_hit(int sig, siginfo_t *info, void *context)
{
	const greg_t *regs = ((const ucontext_t *)context)->uc_mcontext.gregs;
	const struct qslog_arena *arena = (const struct qslog_arena *)(uintptr_t)regs[REG_RDI];
	const uint64_t from = (uint64_t)regs[REG_RDX], to = (uint64_t)regs[REG_RCX];

	(void)sig;
	(void)info;
	seen.hits++;
	seen.reserved += arena->reserve != arena->head || to != arena->head;
	seen.head = to;
	seen.records = (uint64_t)regs[REG_R8];
	if (arena->reserve - from > seen.waiting_most)
		seen.waiting_most = arena->reserve - from;
}

static void breakpoint_set(void)
{
	struct sigaction action;
	unsigned char *probe;
	uintptr_t page;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = batch_hit;
	action.sa_flags = SA_SIGINFO;
	assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
	probe = (unsigned char *)(uintptr_t)qslog_priv_batch_probe;
	page = (uintptr_t)probe & ~(uintptr_t)4095;
	assert_int_equal(mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	assert_int_equal(*probe, 0x90); /* a nop of one byte: the next instruction follows */
	*probe = BREAKPOINT;
}

/* A record that has been reserved, and not been written, overwrites nothing: all that lies before it can
 * be taken. Two records of nearly half a ring each lie there at the most, one that is not yet pushed
 * and one that nobody was free to take. */
static void nothing_reserved(void **state)
{
	static char text[131000];
	int i;

	(void)state;
	breakpoint_set();
	qslog_priv_registry.batch_semaphore = 1;
	qslog_priv_control.words[QSLOG_WORD_INFO] = 1;
	memset(text, 'm', sizeof(text));
	for (i = 0; i < 40; i++) {
		QSLOGI("{}", i);
		QSLOGI("{}", qslog_strn(text, sizeof(text)));
	}
	qslog_priv_control.words[QSLOG_WORD_INFO] = 0;
	qslog_priv_registry.batch_semaphore = 0;
	assert_true(seen.hits >= 39);
	assert_int_equal(seen.reserved, 0);
	assert_true(seen.records >= 78);
	assert_true(seen.waiting_most < QSLOG_ARENA_BYTES_DEFAULT / 2 + 4096);
}

#else
static void nothing_reserved(void **state)
{
	(void)state; /* the same code; the breakpoint is x86-64's */
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_reserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
