/* SPDX-License-Identifier: BSD-2-Clause */
/* sites_child.c - see sites_child.h */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sites_child.h"

void sites_dir_make(char *dir, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	assert_true((size_t)snprintf(dir, size, "%s/qslog-sites-XXXXXX", tmp ? tmp : "/tmp") < size);
	assert_non_null(mkdtemp(dir));
}

static int shell(const char *format, ...)
{
	char command[4096];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	assert_true(len > 0 && (size_t)len < sizeof(command));
	return system(command);
}

void sites_dir_remove(const char *dir)
{
	assert_int_equal(shell("rm -rf '%s'", dir), 0);
}

bool sites_compile(const char *source, const char *dir, const char *name, const char *flags)
{
	const char *cc = getenv("CC");

	if (!cc || !*cc)
		cc = "cc";
	/* tests run in the top folder; with flags that it does know, a compiler has to succeed */
	if (shell("%s %s -O1 -Iusdt -o '%s/%s' 'tests/fixtures/sites/%s' >'%s/log' 2>&1", cc, flags,
		  dir, name, source, dir) == 0)
		return true;
	if (shell("echo 'int main(void){return 0;}' | %s %s -Werror -xc -o '%s/log.out' - >/dev/null 2>&1",
		  cc, flags, dir) == 0) {
		shell("cat '%s/log' >&2", dir);
		fail_msg("tests/fixtures/sites/%s does not compile with %s", source, flags);
	}
	return false;
}

static void wait_ready(struct sites_child *child)
{
	char line[256];

	while (fgets(line, sizeof(line), child->from)) {
		char name[32];
		unsigned long long addr;

		if (!strcmp(line, "ready\n"))
			return;
		assert_int_equal(sscanf(line, "%31s %llx", name, &addr), 2);
		assert_true(child->address_cnt < SITES_ADDRESSES_MAX);
		strcpy(child->addresses[child->address_cnt].name, name);
		child->addresses[child->address_cnt++].addr = addr;
	}
	fail_msg("the program ended before it was ready");
}

void sites_child_start(struct sites_child *child, const char *dir, const char *name)
{
	char path[4096];
	int to[2], from[2];

	memset(child, 0, sizeof(*child));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (!child->pid) {
		if (dup2(to[0], 0) < 0 || dup2(from[1], 1) < 0)
			_exit(126);
		close(to[0]);
		close(to[1]);
		close(from[0]);
		close(from[1]);
		execl(path, name, "first argument", "second\targument", (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	child->to = fdopen(to[1], "w");
	child->from = fdopen(from[0], "r");
	assert_non_null(child->to);
	assert_non_null(child->from);
	wait_ready(child);
}

void sites_child_tell(struct sites_child *child, const char *verb, const char *dir,
		      const char *name)
{
	assert_true(fprintf(child->to, "%s%s%s%s\n", verb, dir, *dir ? "/" : "", name) > 0);
	assert_int_equal(fflush(child->to), 0);
	wait_ready(child);
}

uint64_t sites_child_address(const struct sites_child *child, const char *name)
{
	for (unsigned int i = child->address_cnt; i-- > 0;) {
		if (!strcmp(child->addresses[i].name, name))
			return child->addresses[i].addr;
	}
	fail_msg("the program did not print %s", name);
	return 0;
}

void sites_child_kill(struct sites_child *child)
{
	if (child->pid <= 0)
		return;
	kill(child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
	fclose(child->to);
	fclose(child->from);
}
