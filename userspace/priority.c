/* SPDX-License-Identifier: BSD-2-Clause */
/* priority.c - see priority.h. */
#include "priority.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STAT_BYTES 512u
#define ANCESTORS_MAX 64u

static ssize_t text_read(const char *path, char *text, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, bytes - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n;
}

/* False: there is no such process any more. */
static bool family_read(pid_t pid, pid_t *parent, pid_t *session)
{
	char path[32], text[STAT_BYTES];
	const char *behind;
	int group;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (text_read(path, text, sizeof(text)) <= 0)
		return false;
	behind = strrchr(text, ')'); /* a name may have anything */
	return behind && sscanf(behind + 1, " %*c %d %d %d", parent, &group, session) == 3;
}

/* Has this process's session nothing but it and what it was started from? */
static bool session_is_mine(void)
{
	pid_t ancestors[ANCESTORS_MAX], pid = getpid(), parent, session;
	const pid_t mine = getsid(0);
	struct dirent *entry;
	unsigned int cnt = 0, i;
	bool alone = true;
	DIR *proc;

	while (cnt < ANCESTORS_MAX && pid > 0 && family_read(pid, &parent, &session)) {
		ancestors[cnt++] = pid;
		pid = parent;
	}
	proc = opendir("/proc");
	while (proc && alone && (entry = readdir(proc))) {
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid <= 0 || !family_read(pid, &parent, &session) || session != mine)
			continue;
		for (i = 0; i < cnt && ancestors[i] != pid; i++)
			;
		alone = i < cnt;
	}
	if (proc)
		closedir(proc);
	return proc && alone;
}

bool priority_groups(void)
{
	char text[16];

	return text_read("/proc/sys/kernel/sched_autogroup_enabled", text, sizeof(text)) > 0 &&
	       text[0] == '1';
}

static int group_write(int fd, int value)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", value);

	return write(fd, text, (size_t)n) == n ? 0 : -errno;
}

bool priority_set(struct priority *p, int nice_value)
{
	char text[64];
	const char *value;

	p->group = -1;
	if (setpriority(PRIO_PROCESS, 0, nice_value) || nice_value >= 0 || !priority_groups())
		return true;
	if (text_read("/proc/self/autogroup", text, sizeof(text)) <= 0)
		return true;
	value = strstr(text, "nice ");
	p->group_nice = value ? (int)strtol(value + 5, NULL, 10) : 0;
	if (p->group_nice <= nice_value)
		return true;
	if (!session_is_mine())
		return false;
	p->group = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
	if (p->group >= 0 && group_write(p->group, nice_value)) {
		close(p->group);
		p->group = -1;
		return false;
	}
	return true;
}

void priority_give_back(struct priority *p)
{
	if (p->group < 0)
		return;
	(void)group_write(p->group, p->group_nice);
	close(p->group);
	p->group = -1;
}
