/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_proc_maps.c - mappings, the files behind them and the facts of processes: this one,
 * fixtures, and ones in other namespaces, with and without the right to use map_files.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc_facts.h"
#include "proc_maps.h"
#include "site_resolver.h"
#include "sites_child.h"

struct state {
	char dir[256];
	struct sites_child child;
};

static int setup(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	sites_dir_make(s->dir, sizeof(s->dir));
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	sites_child_kill(&s->child);
	sites_dir_remove(s->dir);
	free(s);
	return 0;
}

static void test_snapshot(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct state *s = *state;
	const struct proc_map *map;
	struct proc_maps maps;
	char path[512], *memory;
	struct stat st;
	int fd;

	/* a name that the kernel has to escape, and one that looks as if it were */
	snprintf(path, sizeof(path), "%s/new\nline \\012 (deleted)", s->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 * (off_t)page), 0);
	memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)page);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);

	assert_int_equal(proc_maps_read(&maps, getpid()), 0);
	for (size_t i = 1; i < maps.cnt; i++)
		assert_true(maps.maps[i - 1].end <= maps.maps[i].start);
	map = proc_maps_find(&maps, (uintptr_t)memory + page);
	assert_non_null(map);
	assert_ptr_equal(map, proc_maps_find(&maps, (uintptr_t)memory));
	assert_ptr_equal(map, proc_maps_find(&maps, (uintptr_t)memory + 2 * page - 1));
	assert_ptr_not_equal(map, proc_maps_find(&maps, (uintptr_t)memory + 2 * page));
	assert_ptr_not_equal(map, proc_maps_find(&maps, (uintptr_t)memory - 1));
	assert_int_equal(map->start, (uintptr_t)memory);
	assert_int_equal(map->end, (uintptr_t)memory + 2 * page);
	assert_int_equal(map->offset, page);
	assert_int_equal(map->inode, st.st_ino);
	assert_int_equal(map->perms, PROC_MAP_READ | PROC_MAP_WRITE | PROC_MAP_SHARED);
	fd = proc_map_open(getpid(), map);
	assert_true(fd >= 0);
	close(fd);
	map = proc_maps_find(&maps, (uintptr_t)test_snapshot);
	assert_non_null(map);
	assert_int_equal(map->perms, PROC_MAP_READ | PROC_MAP_EXEC);
	map = proc_maps_find(&maps, (uintptr_t)&st);
	assert_non_null(map);
	assert_int_equal(map->inode, 0);
	assert_string_equal(map->path, "[stack]");
	assert_int_equal(proc_map_open(getpid(), map), -EINVAL);
	assert_null(proc_maps_find(&maps, 0));
	assert_null(proc_maps_find(&maps, UINT64_MAX));
	proc_maps_free(&maps);
	proc_maps_free(&maps);
	proc_maps_free(NULL);
	assert_int_equal(munmap(memory, 2 * page), 0);
}

static void test_read_memory(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint16_t value = 0;
	char buf[64], *memory;

	(void)state;
	memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(munmap(memory + page, page), 0);
	strcpy(memory + page - 8, "at end.");
	assert_int_equal(process_read(getpid(), (uintptr_t)memory + page - 8, buf, 8), 0);
	assert_string_equal(buf, "at end.");
	assert_int_equal(process_read(getpid(), (uintptr_t)memory + page - 8, buf, 9), -EFAULT);
	assert_int_equal(process_read(getpid(), (uintptr_t)memory + page, buf, 1), -EFAULT);
	assert_int_equal(process_read(getpid(), 0, buf, 1), -EFAULT);
	assert_int_equal(process_read(getpid(), UINT64_MAX, buf, 2), -EFAULT);
	assert_int_equal(process_read(getpid(), INT64_MAX, buf, 2), -EFAULT);
	memcpy(memory, "\x34\x12", 2);
	assert_int_equal(process_semaphore_read(getpid(), (uintptr_t)memory, &value), 0);
	assert_int_equal(value, 0x1234);
	assert_int_equal(munmap(memory, page), 0);
}

static void test_facts(void **state)
{
	struct state *s = *state;
	struct proc_facts facts;
	struct timespec now;
	char path[512];
	pid_t pid;

	/* the exe's name counts, not what the program calls itself; control characters go */
	assert_true(sites_compile("prog.c", s->dir, "a\tprogram (deleted)", "-fPIE -pie"));
	sites_child_start(&s->child, s->dir, "a\tprogram (deleted)");
	pid = s->child.pid;
	assert_int_equal(proc_facts_read(&facts, pid), 0);
	assert_int_equal(facts.pid, pid);
	assert_string_equal(facts.name, "a?program (deleted)");
	snprintf(path, sizeof(path), "%s/a?program (deleted)", s->dir);
	assert_string_equal(facts.exe, path);
	assert_string_equal(facts.command, "a?program (deleted) first argument second?argument");
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
	/* the tick is 10 ms, and started before now */
	assert_true(facts.start_time_ns <= (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec);
	assert_true(facts.start_time_ns > ((uint64_t)now.tv_sec - 3600) * 1000000000ull);
	assert_true(facts.start_ticks > 0);
	proc_facts_free(&facts);

	snprintf(path, sizeof(path), "%s/a\tprogram (deleted)", s->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(proc_facts_read(&facts, pid), 0);
	assert_string_equal(facts.name, "a?program (deleted)");
	proc_facts_free(&facts);

	sites_child_kill(&s->child);
	assert_int_equal(proc_facts_read(&facts, pid), -ESRCH);
	assert_null(facts.name);
	proc_facts_free(&facts);
	proc_facts_free(NULL);
}

/* A command line of any length is kept to its limit, visibly. */
static void test_long_command(void **state)
{
	struct state *s = *state;
	char path[512], *text;
	struct proc_facts facts;
	FILE *script;

	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	snprintf(path, sizeof(path), "%s/long", s->dir);
	script = fopen(path, "w");
	assert_non_null(script);
	assert_true(fprintf(script, "#!/bin/sh\nexec '%s/prog' $(seq 10000)\n", s->dir) > 0);
	assert_int_equal(fclose(script), 0);
	assert_int_equal(chmod(path, 0700), 0);
	sites_child_start(&s->child, s->dir, "long");
	assert_int_equal(proc_facts_read(&facts, s->child.pid), 0);
	assert_int_equal(strlen(facts.command), PROC_COMMAND_BYTES_MAX);
	text = facts.command + PROC_COMMAND_BYTES_MAX - 4;
	assert_string_equal(text, " ...");
	assert_non_null(strstr(facts.command, "/prog 1 2 3 4"));
	proc_facts_free(&facts);
}

static void test_threads(void **state)
{
	struct proc_thread one, *threads;
	size_t cnt, found = 0;
	char was[16];

	(void)state;
	assert_int_equal(prctl(PR_GET_NAME, was), 0);
	assert_int_equal(prctl(PR_SET_NAME, "a\nname\n\033[1m"), 0);
	assert_int_equal(proc_threads_read(getpid(), &threads, &cnt), 0);
	for (size_t i = 0; i < cnt; i++) {
		if (threads[i].tid != gettid())
			continue;
		assert_string_equal(threads[i].name, "a?name??[1m");
		found++;
	}
	assert_int_equal(found, 1);
	free(threads);
	assert_int_equal(proc_thread_read(getpid(), gettid(), &one), 0);
	assert_string_equal(one.name, "a?name??[1m");
	assert_int_equal(prctl(PR_SET_NAME, was), 0);
	assert_int_equal(proc_thread_read(getpid(), 0x7ffffff0, &one), -ESRCH);
	assert_int_equal(proc_threads_read(0x7ffffff0, &threads, &cnt), -ESRCH);
	assert_null(threads);
}

/* ---- other namespaces ---- */

/* With CAP_SYS_PTRACE only, /proc/PID/map_files cannot be used; returns whether that is so now. */
static bool map_files_allow(bool allow)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	const uint32_t low = 1u << CAP_SYS_ADMIN, high = 1u << (CAP_CHECKPOINT_RESTORE - 32);

	if (syscall(SYS_capget, &head, data))
		return false;
	if (allow) {
		data[0].effective |= data[0].permitted & low;
		data[1].effective |= data[1].permitted & high;
	} else {
		data[0].effective &= ~low;
		data[1].effective &= ~high;
	}
	return !syscall(SYS_capset, &head, data);
}

/* Starts the fixture in namespaces of its own, from a filesystem that nobody else sees: `prepare`
 * makes m/PROGRAM out of $D/prog. False: not possible here. */
static bool start_apart(struct state *s, const char *prepare, const char *program, pid_t *pid)
{
	char path[512], children[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/apart", s->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fprintf(file,
			    "#!/bin/sh\nD='%s'\nexec unshare -m -p --fork --kill-child sh -ec \""
			    "mkdir '$D/m'; mount -t tmpfs tmpfs '$D/m'; cd '$D/m'; %s; "
			    "exec '$D/m/%s'\"\n",
			    s->dir, prepare, program) > 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0700), 0);
	if (geteuid()) {
		print_message("making namespaces needs root\n");
		return false;
	}
	sites_child_start(&s->child, s->dir, "apart");
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", s->child.pid, s->child.pid);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(children, sizeof(children), file));
	fclose(file);
	*pid = atoi(children);
	assert_true(*pid > 0);
	return true;
}

static void apart_check(struct state *s, pid_t pid)
{
	const struct writer_format *format;
	struct site_resolver *resolvers[2];
	struct site_resolver_stats stats;
	struct proc_thread thread;
	struct proc_facts facts;

	for (int i = 0; i < 2; i++) {
		if (i)
			assert_true(map_files_allow(false));
		assert_int_equal(site_resolver_open(&resolvers[i], pid, NULL), 0);
		site_resolver_stats_get(resolvers[i], &stats);
		assert_int_equal(stats.files_error, 0);
		assert_int_equal(stats.files_missing, 0);
	}
	assert_true(map_files_allow(true));
	assert_int_equal(proc_facts_read(&facts, pid), 0);
	assert_string_equal(facts.name, "prog");
	proc_facts_free(&facts);
	assert_int_equal(proc_thread_read(pid, pid, &thread), 0);
	assert_int_equal(thread.tid, pid);
	assert_int_equal(thread.ns_tid, 1);
	assert_string_equal(thread.name, "prog");
	sites_child_kill(&s->child); /* and with it the namespace */
	for (int i = 0; i < 2; i++) {
		uint64_t addr = sites_child_address(&s->child, "plain");

		/* the memory is gone when the kernel is done with the process: any answer is right */
		assert_int_equal(site_resolver_get(resolvers[i], addr, &format), 0);
		assert_string_equal(format->format, "accepted {fd} from {peer}");
		site_resolver_close(resolvers[i]);
	}
}

static void test_namespaces(void **state)
{
	struct state *s = *state;
	pid_t pid;

	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	if (!start_apart(s, "cp '$D/prog' prog", "prog", &pid))
		skip();
	apart_check(s, pid);
}

/* A lower layer on another filesystem: stat gives another device than the mapping shows. */
static void test_overlay(void **state)
{
	struct state *s = *state;
	FILE *list;
	char line[64];
	bool known = false;
	pid_t pid;

	list = fopen("/proc/filesystems", "r");
	assert_non_null(list);
	while (fgets(line, sizeof(line), list))
		known |= !strcmp(line, "nodev\toverlay\n");
	fclose(list);
	if (!known) {
		print_message("this kernel has no overlayfs\n");
		skip();
	}
	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	if (!start_apart(s, "mkdir l b o; cp '$D/prog' l/prog; mount -t tmpfs tmpfs b; mkdir b/u b/w; "
			    "mount -t overlay overlay -o lowerdir=l,upperdir=b/u,workdir=b/w o",
			 "o/prog", &pid))
		skip();
	apart_check(s, pid);
}

/* Something else in the place of a mapped file is not taken for it, nor even opened if special. */
static void test_replaced(void **state)
{
	struct state *s = *state;
	const struct proc_map *map;
	struct proc_maps maps;
	char path[512];
	int fd;

	assert_true(sites_compile("prog.c", s->dir, "prog", "-fPIE -pie"));
	assert_true(sites_compile("lib.c", s->dir, "lib.so", "-fPIC -shared"));
	sites_child_start(&s->child, s->dir, "prog");
	sites_child_tell(&s->child, "+", s->dir, "lib.so");
	assert_int_equal(proc_maps_read(&maps, s->child.pid), 0);
	map = proc_maps_find(&maps, sites_child_address(&s->child, "lib_log"));
	assert_non_null(map);
	snprintf(path, sizeof(path), "%s/lib.so", s->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* opening it for reading would wait for ever */
	if (map_files_allow(false)) {
		fd = proc_map_open(s->child.pid, map);
		assert_true(map_files_allow(true));
		assert_true(fd == -EPERM || fd == -EACCES || fd == -ENOENT);
		assert_int_equal(unlink(path), 0);
		assert_true(sites_compile("lib.c", s->dir, "lib.so", "-fPIC -shared"));
		assert_true(map_files_allow(false));
		fd = proc_map_open(s->child.pid, map);
		assert_true(map_files_allow(true));
		assert_true(fd == -EPERM || fd == -EACCES || fd == -ENOENT);
	}
	if (!geteuid()) {
		fd = proc_map_open(s->child.pid, map);
		assert_true(fd >= 0);
		close(fd);
	}
	proc_maps_free(&maps);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_snapshot),
		cmocka_unit_test(test_read_memory),
		TEST(test_facts),
		TEST(test_long_command),
		cmocka_unit_test(test_threads),
		TEST(test_namespaces),
		TEST(test_overlay),
		TEST(test_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
