/* SPDX-License-Identifier: BSD-2-Clause */
/* launch.c - ptrace(2) holds the child at exec and, by a breakpoint, at its entry point. */
#include "launch.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "privilege.h"

#if defined(__x86_64__)
#define BREAKPOINT 0xccu
#define BREAKPOINT_MASK 0xffu
#define BREAKPOINT_PC(regs) ((regs).rip)
#define BREAKPOINT_ADVANCE 1 /* the trap reports the address behind it */
#elif defined(__aarch64__)
#define BREAKPOINT 0xd4200000u
#define BREAKPOINT_MASK 0xffffffffu
#define BREAKPOINT_PC(regs) ((regs).pc)
#define BREAKPOINT_ADVANCE 0
#endif

/* Waits until the child stops with `signal`, passing other signals on. */
static int wait_stop(pid_t pid, int signal, struct why *why)
{
	int status, pass;

	for (;;) {
		if (waitpid(pid, &status, __WALL) < 0) {
			if (errno == EINTR)
				continue;
			return why_set(why, -errno, "cannot wait for the started program: %s",
				       strerror(errno));
		}
		if (WIFEXITED(status))
			return why_set(why, -ECHILD, "the program ended with status %d before it "
				       "could be traced", WEXITSTATUS(status));
		if (WIFSIGNALED(status))
			return why_set(why, -ECHILD, "the program was killed by signal %d before it "
				       "could be traced", WTERMSIG(status));
		pass = WSTOPSIG(status);
		if (pass == signal)
			return 0;
		if (ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)pass))
			return why_set(why, -errno, "ptrace: %s", strerror(errno));
	}
}

static void child_run(char *const argv[], int report_fd)
{
	int err = 0;

	privilege_keep_back();
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		err = errno;
	if (!err) {
		execvp(argv[0], argv);
		err = errno;
	}
	(void)!write(report_fd, &err, sizeof(err));
	_exit(127);
}

int launch_start(struct launch *l, char *const argv[], struct why *why)
{
	int report[2], child_err = 0, err;
	ssize_t n;

	if (pipe2(report, O_CLOEXEC))
		return why_set(why, -errno, "pipe: %s", strerror(errno));
	l->pid = fork();
	if (l->pid < 0) {
		err = -errno;
		close(report[0]);
		close(report[1]);
		return why_set(why, err, "fork: %s", strerror(-err));
	}
	if (l->pid == 0)
		child_run(argv, report[1]);
	close(report[1]);
	n = read(report[0], &child_err, sizeof(child_err)); /* 0 bytes once exec has closed it */
	close(report[0]);
	if (n == sizeof(child_err)) {
		waitpid(l->pid, NULL, 0);
		l->pid = 0;
		return why_set(why, -child_err, "cannot execute %s: %s", argv[0],
			       strerror(child_err));
	}
	err = wait_stop(l->pid, SIGTRAP, why); /* exec under PTRACE_TRACEME */
	if (err)
		launch_abort(l);
	return err;
}

static int entry_address(pid_t pid, uint64_t *out)
{
	uint64_t entry[2];
	char path[64];
	int fd, err = -ENOENT;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (read(fd, entry, sizeof(entry)) == (ssize_t)sizeof(entry)) {
		if (entry[0] == AT_ENTRY) {
			*out = entry[1];
			err = 0;
			break;
		}
	}
	close(fd);
	return err;
}

static int pc_set(pid_t pid, uint64_t pc)
{
	struct user_regs_struct regs;
	struct iovec iov = {&regs, sizeof(regs)};

	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov))
		return -errno;
	BREAKPOINT_PC(regs) = pc;
	return ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &iov) ? -errno : 0;
}

int launch_to_entry(struct launch *l, struct why *why)
{
	uint64_t entry = 0;
	long word;
	int err = entry_address(l->pid, &entry);

	if (err)
		return why_set(why, err, "cannot find the entry point of the program: %s",
			       strerror(-err));
	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, l->pid, (void *)entry, NULL);
	if (errno)
		return why_set(why, -errno, "cannot read the program's entry point: %s",
			       strerror(errno));
	if (ptrace(PTRACE_POKETEXT, l->pid, (void *)entry,
		   (void *)(((unsigned long)word & ~(unsigned long)BREAKPOINT_MASK) | BREAKPOINT)) ||
	    ptrace(PTRACE_CONT, l->pid, NULL, NULL))
		return why_set(why, -errno, "cannot run the program to its entry point: %s",
			       strerror(errno));
	err = wait_stop(l->pid, SIGTRAP, why);
	if (err)
		return err;
	if (ptrace(PTRACE_POKETEXT, l->pid, (void *)entry, (void *)word))
		return why_set(why, -errno, "ptrace: %s", strerror(errno));
	err = pc_set(l->pid, entry);
	return err ? why_set(why, err, "ptrace: %s", strerror(-err)) : 0;
}

int launch_release(struct launch *l, struct why *why)
{
	if (ptrace(PTRACE_DETACH, l->pid, NULL, NULL))
		return why_set(why, -errno, "cannot let the program go: %s", strerror(errno));
	return 0;
}

void launch_abort(struct launch *l)
{
	if (l->pid <= 0)
		return;
	kill(l->pid, SIGKILL);
	waitpid(l->pid, NULL, __WALL);
	l->pid = 0;
}
