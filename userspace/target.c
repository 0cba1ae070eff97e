/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target.c - who a traced process is, which clock it has, and how its records are understood.
 *
 * One that is named by its id is looked at in /proc. One that comes later is described by the kernel
 * side, in place among its records: it may have ended before anybody can look. It is looked at only
 * where that is needed, and only if it is the same by its time of start.
 */
#include "target.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "counter.h"
#include "privilege.h"
#include "proc_maps.h"
#include "target_priv.h"

#define NS_PER_S 1000000000ull

/* The process of a thread; 0: there is none with this id. */
static pid_t process_of(pid_t tid)
{
	char path[32], status[512], *tgid;
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	len = fread(status, 1, sizeof(status) - 1, file);
	fclose(file);
	status[len] = '\0';
	tgid = strstr(status, "\nTgid:");
	return tgid ? (pid_t)strtol(tgid + 6, NULL, 10) : 0;
}

int target_process_error(pid_t pid, int err, struct why *why)
{
	pid_t process;

	switch (err) {
	case -EINVAL: /* of pidfd_open(2), before 6.14 */
	case -ESRCH:
	case -ENOENT:
		process = process_of(pid);
		if (process > 0 && process != pid)
			return why_set(why, -ESRCH, "%d is a thread of process %d; give the id of "
				       "the process", (int)pid, (int)process);
		return why_set(why, -ESRCH, "no process with id %d (has it ended?)", (int)pid);
	case -EPERM:
	case -EACCES:
		if (privilege_has(CAP_SYS_PTRACE))
			return why_set(why, err, "process %d may not be looked at, in spite of "
				       "CAP_SYS_PTRACE: %s (a security module? is it in another user "
				       "namespace?)", (int)pid, strerror(-err));
		return why_set(why, err,
			       "process %d may not be looked at: %s; it is another user's, or has "
			       "more rights: capability CAP_SYS_PTRACE is missing; run it with sudo",
			       (int)pid, strerror(-err));
	default:
		return why_set(why, err, "cannot look at process %d: %s", (int)pid, strerror(-err));
	}
}

static int thread_look(pid_t tid)
{
	struct proc_maps maps;
	int err = proc_maps_read(&maps, tid);

	if (!err)
		proc_maps_free(&maps);
	return err;
}

bool target_thread_lives(pid_t tid)
{
	return thread_look(tid) == 0;
}

int target_thread_find(struct target *t)
{
	struct proc_thread *threads;
	size_t cnt, i;
	int err;

	t->alive = t->pid;
	err = thread_look(t->pid);
	if (!err || err == -EACCES || err == -EPERM) /* one that may not be looked at has not ended */
		return err;
	err = proc_threads_read(t->pid, &threads, &cnt);
	if (err)
		return err;
	err = -ESRCH;
	for (i = 0; err && i < cnt; i++) {
		if (target_thread_lives(threads[i].tid)) {
			t->alive = threads[i].tid;
			err = 0;
		}
	}
	free(threads);
	return err;
}

static int target_new(struct target **out, const struct target_options *options, pid_t pid)
{
	struct target *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->options = *options;
	t->pid = t->alive = pid;
	t->pidfd = -1;
	t->until = UINT64_MAX;
	err = dynamic_sites_open(&t->dynamic);
	if (err) {
		free(t);
		return err;
	}
	*out = t;
	return 0;
}

int target_open(struct target **out, const struct target_options *options, pid_t pid,
		struct why *why)
{
	struct target *t = NULL;
	int err = target_new(&t, options, pid);

	if (err)
		return err;
	t->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	err = t->pidfd < 0 ? -errno : target_thread_find(t);
	if (!err)
		err = proc_facts_read(&t->facts, t->alive);
	if (!err)
		err = site_resolver_open(&t->resolver, t->alive, options->cache);
	if (err) {
		target_process_error(pid, err, why);
		target_close(t);
		return err;
	}
	site_resolver_files_first(t->resolver);
	*out = t;
	return 0;
}

void target_close(struct target *t)
{
	if (!t)
		return;
	target_links_close(t);
	ingest_process_remove(t->process);
	site_resolver_close(t->resolver);
	dynamic_sites_close(t->dynamic);
	proc_facts_free(&t->facts);
	if (t->pidfd >= 0)
		close(t->pidfd);
	free(t->files);
	free(t->runtimes);
	free(t);
}

/* --- Those of which the kernel side tells */

static void start_set(struct proc_facts *facts, uint64_t start_boottime)
{
	const uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	facts->start_ticks = start_boottime / NS_PER_S * hz +
			     start_boottime % NS_PER_S * hz / NS_PER_S;
	facts->start_time_ns = (uint64_t)(real.tv_sec - boot.tv_sec) * NS_PER_S +
			       (uint64_t)(real.tv_nsec - boot.tv_nsec) + start_boottime;
}

static char *command_join(const struct process_program *program)
{
	const uint32_t bytes = program->command_bytes < sizeof(program->command) ?
				       program->command_bytes : sizeof(program->command);
	char *text = calloc(1, bytes + 1);
	uint32_t i, len = bytes;

	if (!text)
		return NULL;
	while (len && !program->command[len - 1])
		len--;
	for (i = 0; i < len; i++)
		text[i] = (unsigned char)program->command[i] < ' ' ?
				  program->command[i] ? '?' : ' ' : program->command[i];
	return text;
}

static int facts_set(struct proc_facts *facts, const struct target_birth *birth)
{
	const char *exe = birth->file ? birth->file->path : "", *name;

	facts->pid = birth->pid;
	start_set(facts, birth->event->start_boottime);
	if (birth->parent) {
		facts->exe = strdup(birth->parent->facts.exe);
		facts->name = strdup(birth->parent->facts.name);
		facts->command = strdup(birth->parent->facts.command);
	} else {
		if (!*exe && birth->program)
			exe = birth->program->path;
		name = strrchr(exe, '/');
		facts->exe = strdup(exe);
		facts->name = name && name[1] ? strdup(name + 1) :
						strndup(birth->event->comm, sizeof(birth->event->comm));
		facts->command = birth->program ? command_join(birth->program) : strdup("");
	}
	return facts->exe && facts->name && facts->command ? 0 : -ENOMEM;
}

int target_program(struct target *t, struct probed_file *file, uint64_t start)
{
	const uint64_t bias = start - file->code;
	int err;

	(void)target_file_set(t, file, bias);
	err = site_resolver_image_add(t->resolver, file->dev, file->inode, file->image, bias);
	return err < 0 ? err : 0;
}

/* What it has mapped, as far as that is known without a look at it. */
static int birth_files(struct target *t, const struct target_birth *birth)
{
	unsigned int i;

	if (birth->parent) {
		for (i = 0; i < birth->parent->file_cnt; i++)
			(void)target_file_set(t, birth->parent->files[i].file,
					      birth->parent->files[i].bias);
		dynamic_sites_inherit(t->dynamic, birth->parent->dynamic);
		return site_resolver_images_copy(t->resolver, birth->parent->resolver);
	}
	if (!birth->file)
		return 0;
	return target_program(t, birth->file, birth->event->start);
}

int target_born(struct target **out, const struct target_options *options,
		const struct target_birth *birth)
{
	struct target *t = NULL;
	int err = target_new(&t, options, birth->pid);

	if (err)
		return err;
	t->number = birth->number;
	err = facts_set(&t->facts, birth);
	if (!err)
		err = site_resolver_open_empty(&t->resolver, options->cache);
	if (!err)
		err = birth_files(t, birth);
	if (err) {
		target_close(t);
		return err;
	}
	site_resolver_files_first(t->resolver);
	*out = t;
	return 0;
}

int target_hold(struct target *t)
{
	struct proc_facts facts = {0};
	int err;

	if (t->pidfd >= 0)
		return 0;
	if (t->gone)
		return -ESRCH;
	t->pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
	err = t->pidfd < 0 ? -errno : proc_facts_read(&facts, t->pid);
	if (!err && facts.start_ticks != t->facts.start_ticks)
		err = -ESRCH; /* another one has its id */
	if (!err)
		err = target_thread_find(t);
	if (!err)
		err = site_resolver_process(t->resolver, t->alive);
	if (!err && !target_lives(t))
		err = -ESRCH;
	if (!err && facts.exe[0]) { /* the same, and absolute */
		proc_facts_free(&t->facts);
		t->facts = facts;
		return 0;
	}
	proc_facts_free(&facts);
	if (err && t->pidfd >= 0) {
		close(t->pidfd);
		t->pidfd = -1;
	}
	t->gone = err && err != -EMFILE && err != -ENFILE && err != -ENOMEM;
	return err;
}

/* --- What it is */

pid_t target_pid(const struct target *t)
{
	return t->pid;
}

uint32_t target_number(const struct target *t)
{
	return t->number;
}

void target_number_set(struct target *t, uint32_t number)
{
	t->number = number;
}

int target_pidfd(const struct target *t)
{
	return t->pidfd;
}

bool target_lives(const struct target *t)
{
	struct pollfd poll_fd = {.fd = t->pidfd, .events = POLLIN};

	return t->pidfd >= 0 && poll(&poll_fd, 1, 0) == 0;
}

bool target_current(const struct target *t)
{
	return site_resolver_current(t->resolver);
}

const struct proc_facts *target_facts(const struct target *t)
{
	return &t->facts;
}

struct ingest_process *target_ingest_process(const struct target *t)
{
	return t->process;
}

bool target_readable(const struct target *t)
{
	struct proc_maps maps;
	uint16_t value;
	unsigned int i;
	int err = proc_maps_read(&maps, t->alive);

	if (!err)
		proc_maps_free(&maps);
	for (i = 0; !err && i < t->file_cnt; i++)
		if (t->files[i].file->has_runtime)
			err = process_semaphore_read(t->alive, t->files[i].bias +
						     t->files[i].file->registry, &value);
	return err != -EPERM && err != -EACCES;
}

uint32_t target_runtime(struct target *t, uint32_t file, uint32_t instance)
{
	struct target_runtime *grown;
	unsigned int i;

	for (i = t->runtime_cnt; i-- > 0;)
		if (t->runtimes[i].file == file && t->runtimes[i].instance == instance)
			return i;
	/* Only a process that forges its memory comes here; it spoils its own records. */
	if (t->runtime_cnt == TARGET_RUNTIMES_MAX)
		return t->runtime_cnt - 1;
	grown = reallocarray(t->runtimes, t->runtime_cnt + 1, sizeof(*grown));
	if (!grown)
		return t->runtime_cnt;
	t->runtimes = grown;
	t->runtimes[t->runtime_cnt] = (struct target_runtime){file, instance};
	return t->runtime_cnt++;
}

/* --- Time */

int target_clock(const struct target *t, enum qslog_clock *clock, struct why *why)
{
	struct qslog_registry registry;
	int err = -EAGAIN, read_err;
	unsigned int i;

	for (i = 0; i < t->file_cnt; i++) {
		if (!t->files[i].file->has_runtime)
			continue;
		read_err = process_read(t->alive, t->files[i].bias + t->files[i].file->registry,
					&registry, sizeof(registry));
		if (read_err)
			return target_process_error(t->pid, read_err, why);
		if (registry.magic != QSLOG_REGISTRY_MAGIC)
			continue;
		if (!err && registry.clock != *clock)
			return why_set(why, -ENOTSUP, "process %d has two copies of the qslog "
				       "runtime, of which one takes its times from the CPU's counter "
				       "and one from CLOCK_MONOTONIC; start it with QSLOG_CLOCK=tsc or "
				       "QSLOG_CLOCK=monotonic", (int)t->pid);
		*clock = registry.clock;
		err = 0;
	}
	return err;
}

/* --- Ingest */

static int target_site(void *arg, uint64_t address, struct writer_format *out)
{
	struct target *t = arg;
	const struct writer_format *format;
	int err = dynamic_sites_get(t->dynamic, address, &format);

	if (err)
		err = site_resolver_get(t->resolver, address, &format);
	if (err) {
		/* Loaded since the last look? */
		if (target_hold(t) || site_resolver_refresh(t->resolver) < 0)
			return err;
		err = site_resolver_get(t->resolver, address, &format);
	}
	if (!err)
		*out = *format;
	return err;
}

static void target_define(void *arg, uint64_t address, const void *memory, uint32_t bytes)
{
	struct target *t = arg;

	(void)dynamic_sites_define(t->dynamic, address, memory, bytes);
}

static void target_thread_name(void *arg, uint32_t tid, char name[32])
{
	struct target *t = arg;
	struct proc_thread thread;

	if (proc_thread_read(t->pid, (pid_t)tid, &thread) == 0)
		memcpy(name, thread.name, sizeof(thread.name));
}

int target_ingest(struct target *t, struct writer *writer, struct ingest *ingest)
{
	const struct ingest_source source = {
		.arg = t,
		.pid = (uint32_t)t->pid,
		.site = target_site,
		.define = target_define,
		.thread_name = target_thread_name,
	};
	const struct writer_process process = {
		.pid = (uint32_t)t->pid,
		.start_time_ns = t->facts.start_time_ns,
		.name = t->facts.name,
		.exe = t->facts.exe,
		.command = t->facts.command,
	};
	int err, index = writer_process_add(writer, &process);

	if (index < 0)
		return index;
	err = ingest_process_add(ingest, (uint32_t)index, t->facts.name, t->since, &source,
				 &t->process);
	if (!err)
		ingest_process_window(t->process, t->since, t->until);
	return err;
}

void target_ingest_end(struct target *t)
{
	ingest_process_remove(t->process);
	t->process = NULL;
}

void target_window(struct target *t, uint64_t since, uint64_t until)
{
	t->since = since;
	t->until = until;
	if (t->process)
		ingest_process_window(t->process, since, until);
}
