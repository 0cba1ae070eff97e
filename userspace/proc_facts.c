/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proc_facts.c - see proc_facts.h. Everything is read through a descriptor of /proc/PID, which
 * never becomes that of another process, so that the facts of two are not mixed.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proc_facts.h"

#define NS_PER_S 1000000000ull
#define DELETED " (deleted)"
#define CUT " ..."

static int proc_error(void)
{
	return errno == ENOENT ? -ESRCH : -errno;
}

/* Up to size - 1 bytes of a file below `dir`, NUL-terminated; returns how many. */
static ssize_t small_file_read(int dir, const char *path, char *buf, size_t size)
{
	size_t used = 0;
	int fd, err = 0;

	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return proc_error();
	while (used < size - 1) {
		ssize_t n = read(fd, buf + used, size - 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close(fd);
	buf[used] = 0;
	return err ? err : (ssize_t)used;
}

static void sanitise(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

/* Field 22 of stat; field 2 is in parentheses and may contain anything. */
static int start_read(int dir, struct proc_facts *out)
{
	struct timespec real, boot;
	char text[1024], *at, *end;
	int64_t boot_ns;
	ssize_t len;
	long hz;

	len = small_file_read(dir, "stat", text, sizeof(text));
	if (len < 0)
		return (int)len;
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++) {
		at = strchr(at, ' ');
		if (at)
			at++;
	}
	if (!at || !isdigit((unsigned char)*at))
		return -EBADMSG;
	errno = 0;
	out->start_ticks = strtoull(at, &end, 10);
	hz = sysconf(_SC_CLK_TCK);
	if (errno || *end != ' ' || hz <= 0)
		return -EBADMSG;
	if (clock_gettime(CLOCK_REALTIME, &real) || clock_gettime(CLOCK_BOOTTIME, &boot))
		return -errno;
	boot_ns = (real.tv_sec - boot.tv_sec) * (int64_t)NS_PER_S + (real.tv_nsec - boot.tv_nsec);
	out->start_time_ns = (uint64_t)boot_ns +
			     out->start_ticks / (uint64_t)hz * NS_PER_S +
			     out->start_ticks % (uint64_t)hz * (NS_PER_S / (uint64_t)hz);
	return 0;
}

/* The kernel appends " (deleted)" to the path of a file that has no name any more. */
static void deleted_strip(int dir, char *exe)
{
	size_t len = strlen(exe), suffix = sizeof(DELETED) - 1;
	struct stat mapped, named;
	char path[PATH_MAX + 8];

	if (len <= suffix || strcmp(exe + len - suffix, DELETED))
		return;
	snprintf(path, sizeof(path), "root%s", exe);
	if (!fstatat(dir, "exe", &mapped, 0) && !fstatat(dir, path, &named, 0) &&
	    mapped.st_dev == named.st_dev && mapped.st_ino == named.st_ino)
		return; /* it is really called so */
	exe[len - suffix] = 0;
}

static int exe_read(int dir, struct proc_facts *out)
{
	char exe[PATH_MAX], comm[64], *slash;
	ssize_t len;

	len = readlinkat(dir, "exe", exe, sizeof(exe));
	if (len == (ssize_t)sizeof(exe))
		return -ENAMETOOLONG;
	/* a kernel thread, a zombie, or not permitted: comm is all there is */
	exe[len < 0 ? 0 : len] = 0;
	deleted_strip(dir, exe);
	slash = strrchr(exe, '/');
	if (slash && slash[1]) {
		sanitise(exe);
		out->name = strdup(slash + 1);
	} else {
		len = small_file_read(dir, "comm", comm, sizeof(comm));
		if (len < 0)
			return (int)len;
		if (len && comm[len - 1] == '\n')
			comm[len - 1] = 0;
		sanitise(comm);
		out->name = strdup(comm);
	}
	out->exe = strdup(exe);
	return out->name && out->exe ? 0 : -ENOMEM;
}

static int command_read(int dir, struct proc_facts *out)
{
	ssize_t len;
	char *text;

	text = malloc(PROC_COMMAND_BYTES_MAX + 2);
	if (!text)
		return -ENOMEM;
	len = small_file_read(dir, "cmdline", text, PROC_COMMAND_BYTES_MAX + 2);
	if (len < 0) {
		free(text);
		return (int)len;
	}
	if (len > (ssize_t)PROC_COMMAND_BYTES_MAX) {
		memcpy(text + PROC_COMMAND_BYTES_MAX - (sizeof(CUT) - 1), CUT, sizeof(CUT));
		len = PROC_COMMAND_BYTES_MAX;
	}
	while (len && !text[len - 1]) /* the terminator, and what setproctitle leaves */
		len--;
	for (ssize_t i = 0; i < len; i++) {
		if (!text[i])
			text[i] = ' ';
	}
	sanitise(text);
	out->command = text;
	return 0;
}

int proc_facts_read(struct proc_facts *out, pid_t pid)
{
	char path[64];
	int dir, err;

	memset(out, 0, sizeof(*out));
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return proc_error();
	out->pid = pid;
	err = start_read(dir, out);
	if (!err)
		err = exe_read(dir, out);
	if (!err)
		err = command_read(dir, out);
	close(dir);
	if (err)
		proc_facts_free(out);
	return err;
}

void proc_facts_free(struct proc_facts *facts)
{
	if (!facts)
		return;
	free(facts->name);
	free(facts->exe);
	free(facts->command);
	memset(facts, 0, sizeof(*facts));
}

/* The last number of the NSpid line is the one in the innermost namespace; kernels without PID
 * namespaces have no such line. */
static pid_t ns_tid_parse(char *status, pid_t tid)
{
	char *line = strstr(status, "\nNSpid:"), *end, *last;
	long value;

	if (!line)
		return tid;
	end = strchr(line + 1, '\n');
	if (end)
		*end = 0;
	last = strrchr(line + 1, '\t');
	value = last ? strtol(last, NULL, 10) : 0;
	return value > 0 && value <= INT_MAX ? (pid_t)value : tid;
}

/* `dir` is /proc/PID/task */
static int thread_read_at(int dir, pid_t tid, struct proc_thread *out)
{
	char path[32], status[8192];
	ssize_t len;

	memset(out, 0, sizeof(*out));
	out->tid = tid;
	snprintf(path, sizeof(path), "%d/comm", (int)tid);
	len = small_file_read(dir, path, out->name, sizeof(out->name));
	if (len < 0)
		return (int)len;
	if (len && out->name[len - 1] == '\n')
		out->name[len - 1] = 0;
	sanitise(out->name);
	snprintf(path, sizeof(path), "%d/status", (int)tid);
	len = small_file_read(dir, path, status, sizeof(status));
	if (len < 0)
		return (int)len;
	out->ns_tid = ns_tid_parse(status, tid);
	return 0;
}

static int task_open(pid_t pid)
{
	char path[64];
	int dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? proc_error() : dir;
}

int proc_thread_read(pid_t pid, pid_t tid, struct proc_thread *out)
{
	int dir, err;

	dir = task_open(pid);
	if (dir < 0)
		return dir;
	err = thread_read_at(dir, tid, out);
	close(dir);
	return err;
}

int proc_threads_read(pid_t pid, struct proc_thread **out, size_t *cnt)
{
	struct proc_thread *threads = NULL;
	struct dirent *entry;
	size_t room = 0, found = 0;
	DIR *tasks;
	int dir, err;

	*out = NULL;
	*cnt = 0;
	dir = task_open(pid);
	if (dir < 0)
		return dir;
	tasks = fdopendir(dir);
	if (!tasks) {
		err = -errno;
		close(dir);
		return err;
	}
	while (errno = 0, (entry = readdir(tasks))) {
		long tid = strtol(entry->d_name, NULL, 10);

		if (tid <= 0)
			continue; /* "." and ".." */
		if (found == room) {
			struct proc_thread *grown;

			room = room ? room * 2 : 16;
			grown = reallocarray(threads, room, sizeof(*grown));
			err = -ENOMEM;
			if (!grown)
				goto cleanup;
			threads = grown;
		}
		err = thread_read_at(dir, (pid_t)tid, &threads[found]);
		if (err && err != -ESRCH)
			goto cleanup;
		if (!err)
			found++;
	}
	err = -errno;
	if (err == -ENOENT)
		err = -ESRCH;
	if (!err && !found)
		err = -ESRCH;
	if (err)
		goto cleanup;
	*out = threads;
	*cnt = found;
	threads = NULL;
cleanup:
	closedir(tasks);
	free(threads);
	return err;
}
