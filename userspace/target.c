/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target.c - finds qslog's probes in a process and attaches to them.
 *
 * A file with qslog:level_X probes has sites; one with qslog:batch has a copy of the runtime,
 * whose registry is where that probe's semaphore is. Attaching to a level is what switches it on:
 * the kernel counts up the semaphore, which is the word that the sites look at.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "counter.h"
#include "dynamic_sites.h"
#include "elf_notes.h"
#include "kernel.h"
#include "privilege.h"
#include "proc_maps.h"
#include "site_resolver.h"

#define FILES_MAX 256

/* A mapped file with qslog probes. */
struct target_file {
	dev_t dev;
	uint64_t inode;
	bool has_runtime, has_sites;
	uint64_t registry;			 /* address in the process, with has_runtime */
	uint64_t words[QSLOG_LEVEL_COUNT];	 /* addresses of the levels' semaphores */
	int fd;					 /* open, to attach to; the file may be deleted */
	struct probe_file probes;
	struct probe_link *batch, *record, *levels;
};

struct target {
	pid_t pid;
	/* A thread that lives: the process is looked at and attached to through it. The main thread,
	 * as long as that has not ended before the others. */
	pid_t alive;
	int pidfd;
	struct proc_facts facts;
	struct site_resolver *resolver;
	struct dynamic_sites *dynamic; /* registered at run time */
	struct ingest_process *process;
	struct target_file *files;
	unsigned int file_cnt, registry_cnt;
	struct {
		dev_t dev;
		uint64_t inode;
	} *seen; /* files looked at already */
	size_t seen_cnt;
	uint32_t counter_kind; /* enum file_counter_kind; 0: not known yet */
	uint64_t since; /* counter at which the file begins */
};

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

static int process_error(pid_t pid, int err, struct why *why)
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

static bool thread_lives(pid_t tid)
{
	struct proc_maps maps;

	if (proc_maps_read(&maps, tid))
		return false;
	proc_maps_free(&maps);
	return true;
}

static int thread_find(struct target *t)
{
	struct proc_thread *threads;
	size_t cnt, i;
	int err;

	t->alive = t->pid;
	if (thread_lives(t->pid))
		return 0;
	err = proc_threads_read(t->pid, &threads, &cnt);
	if (err)
		return err;
	err = -ESRCH;
	for (i = 0; err && i < cnt; i++) {
		if (thread_lives(threads[i].tid)) {
			t->alive = threads[i].tid;
			err = 0;
		}
	}
	free(threads);
	return err;
}

int target_open(struct target **out, pid_t pid, struct why *why)
{
	struct target *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->pid = pid;
	t->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (t->pidfd < 0) {
		err = process_error(pid, -errno, why);
		goto fail;
	}
	err = thread_find(t);
	if (!err)
		err = proc_facts_read(&t->facts, t->alive);
	if (!err)
		err = site_resolver_open(&t->resolver, t->alive, NULL);
	if (!err)
		err = dynamic_sites_open(&t->dynamic);
	if (err) {
		process_error(pid, err, why);
		goto fail;
	}
	*out = t;
	return 0;
fail:
	target_close(t);
	return err;
}

void target_mute(struct target *t)
{
	unsigned int i;

	for (i = 0; i < t->file_cnt; i++) {
		probe_link_close(t->files[i].record);
		probe_link_close(t->files[i].levels);
		t->files[i].record = t->files[i].levels = NULL;
	}
}

void target_close(struct target *t)
{
	unsigned int i;

	if (!t)
		return;
	target_mute(t);
	for (i = 0; i < t->file_cnt; i++) {
		probe_link_close(t->files[i].batch);
		close(t->files[i].fd);
	}
	ingest_process_remove(t->process);
	site_resolver_close(t->resolver);
	dynamic_sites_close(t->dynamic);
	proc_facts_free(&t->facts);
	if (t->pidfd >= 0)
		close(t->pidfd);
	free(t->files);
	free(t->seen);
	free(t);
}

pid_t target_pid(const struct target *t)
{
	return t->pid;
}

int target_pidfd(const struct target *t)
{
	return t->pidfd;
}

bool target_lives(const struct target *t)
{
	struct pollfd poll_fd = {.fd = t->pidfd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 0;
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
		if (t->files[i].has_runtime)
			err = process_semaphore_read(t->alive, t->files[i].registry, &value);
	return err != -EPERM && err != -EACCES;
}

/* --- Files */

static void file_probes(struct target_file *file, const struct elf_notes *notes, uint64_t bias)
{
	static const char letters[] = "vdiwef";
	size_t i;

	probe_file_init(&file->probes, notes);
	for (i = 0; i < notes->cnt; i++) {
		const struct elf_probe *probe = &notes->probes[i];
		const char *letter;

		if (strcmp(probe->name, "batch") == 0 && probe->semaphore_vaddr) {
			file->has_runtime = true;
			file->registry = bias + probe->semaphore_vaddr;
		} else if (strncmp(probe->name, "level_", 6) == 0 && probe->name[6] &&
			   !probe->name[7] && probe->semaphore_vaddr) {
			letter = strchr(letters, probe->name[6]);
			if (letter) {
				file->has_sites = true;
				file->words[letter - letters] = bias + probe->semaphore_vaddr;
			}
		}
	}
}

static int file_add(struct target *t, const struct proc_map *map, const struct elf_image *image,
		    const struct elf_notes *notes, uint64_t bias)
{
	struct target_file *grown, file;

	memset(&file, 0, sizeof(file));
	file_probes(&file, notes, bias);
	if (!file.has_runtime && !file.has_sites)
		return 0;
	if (t->file_cnt == FILES_MAX)
		return -ENOSPC;
	grown = realloc(t->files, (t->file_cnt + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	t->files = grown;
	file.dev = map->dev;
	file.inode = map->inode;
	file.fd = fcntl(elf_image_fd(image), F_DUPFD_CLOEXEC, 0);
	if (file.fd < 0)
		return -errno;
	t->files[t->file_cnt++] = file;
	return 0;
}

static bool file_seen(const struct target *t, const struct proc_map *map)
{
	size_t i;

	for (i = 0; i < t->seen_cnt; i++)
		if (t->seen[i].dev == map->dev && t->seen[i].inode == map->inode)
			return true;
	return false;
}

static int file_scan(struct target *t, const struct proc_map *map)
{
	struct elf_notes notes = {NULL, 0};
	struct elf_image *image;
	void *grown;
	uint64_t bias;
	int err;

	if (file_seen(t, map))
		return 0;
	grown = realloc(t->seen, (t->seen_cnt + 1) * sizeof(*t->seen));
	if (!grown)
		return -ENOMEM;
	t->seen = grown;
	t->seen[t->seen_cnt].dev = map->dev;
	t->seen[t->seen_cnt++].inode = map->inode;
	err = proc_map_load(t->alive, map, &image, &bias);
	if (err)
		return 0; /* not an ELF file, or not one that a loader maps: no sites in it */
	err = elf_notes_read(elf_image_fd(image), &notes);
	if (!err)
		err = file_add(t, map, image, &notes, bias);
	else
		err = 0; /* damaged notes */
	elf_notes_free(&notes);
	elf_image_close(image);
	return err;
}

int target_scan(struct target *t, struct why *why)
{
	const struct proc_map **files = NULL;
	struct proc_maps maps;
	size_t cnt = 0, i;
	int err;

	err = proc_maps_read(&maps, t->alive);
	if (err)
		return process_error(t->pid, err, why);
	err = proc_maps_files(&maps, &files, &cnt);
	for (i = 0; !err && i < cnt; i++)
		err = file_scan(t, files[i]);
	free(files);
	proc_maps_free(&maps);
	if (err)
		return why_set(why, err, "cannot look at the files of process %d: %s", (int)t->pid,
			       strerror(-err));
	(void)site_resolver_refresh(t->resolver);
	return (int)t->file_cnt;
}

/* --- Attach */

static struct probe_target probe_target(const struct target *t, const struct target_file *file)
{
	const struct probe_target where = {
		.fd = file->fd, .tgid = t->pid, .alive = t->alive, .probes = &file->probes,
	};

	return where;
}

/* Errors are those of a process that ends, or that has spoilt its own memory. */
void target_sites_fetch(struct target *t)
{
	unsigned int i;

	for (i = 0; i < t->file_cnt; i++)
		if (t->files[i].has_runtime)
			(void)dynamic_sites_fetch(t->dynamic, t->alive, t->files[i].registry);
}

int target_attach(struct target *t, struct kernel *k, struct why *why)
{
	uint64_t registries[PROC_REGISTRIES_MAX];
	unsigned int i, cnt = 0;
	int err;

	for (i = 0; i < t->file_cnt; i++) {
		if (!t->files[i].has_runtime)
			continue;
		if (cnt == PROC_REGISTRIES_MAX)
			return why_set(why, -E2BIG, "process %d has more than %d copies of the qslog "
				       "runtime", (int)t->pid, PROC_REGISTRIES_MAX);
		registries[cnt++] = t->files[i].registry;
	}
	if (cnt > t->registry_cnt) {
		err = kernel_process_add(k, t->pid, t->alive, registries, cnt, why);
		if (err)
			return err;
		t->registry_cnt = cnt;
	}
	for (i = 0, cnt = 0; i < t->file_cnt; i++) {
		struct target_file *file = &t->files[i];

		if (!file->has_runtime)
			continue;
		if (!file->batch) {
			const struct probe_target where = probe_target(t, file);

			err = kernel_attach_batch(k, &where, cnt, &file->batch, why);
			if (err)
				return err;
		}
		cnt++;
	}
	target_sites_fetch(t); /* those that come after the probes were attached say so themselves */
	return 0;
}

/* The kernel must have counted up the word that the sites look at. */
static int level_verify(const struct target *t, const struct target_file *file, unsigned int level,
			struct why *why)
{
	uint16_t value = 0;
	int err = process_semaphore_read(t->alive, file->words[level], &value);

	if (err)
		return process_error(t->pid, err, why);
	if (!(value & QSLOG_WORD_TRACERS))
		return why_set(why, -EIO, "attached to process %d, but its semaphore for level %c, at "
			       "%#llx, stays 0: nothing would be recorded", (int)t->pid,
			       "VDIWEF"[level], (unsigned long long)file->words[level]);
	return 0;
}

int target_listen(struct target *t, struct kernel *k, uint8_t level_min, struct why *why)
{
	unsigned int i, level;
	int err;

	for (i = 0; i < t->file_cnt; i++) {
		struct target_file *file = &t->files[i];
		const struct probe_target where = probe_target(t, file);

		if (!file->has_sites || file->levels)
			continue;
		err = kernel_attach_levels(k, &where, level_min, &file->levels, why);
		if (!err)
			err = kernel_attach_record(k, &where, &file->record, why);
		for (level = level_min; !err && level < QSLOG_LEVEL_COUNT; level++)
			if (file->words[level])
				err = level_verify(t, file, level, why);
		if (err)
			return err;
	}
	return 0;
}

/* An old link is kept where there is no new one. */
static void link_replace(struct probe_link **link, struct probe_link *old)
{
	if (*link)
		probe_link_close(old);
	else
		*link = old;
}

/* The new links come before the old ones go, so that the levels stay on. */
int target_follow(struct target *t, struct kernel *k, uint8_t level, struct why *why)
{
	struct target_file *old;
	unsigned int i;
	int err;

	if (thread_lives(t->alive))
		return 0;
	err = thread_find(t);
	if (err)
		return err;
	old = malloc(t->file_cnt * sizeof(*old));
	if (!old)
		return -ENOMEM;
	memcpy(old, t->files, t->file_cnt * sizeof(*old));
	for (i = 0; i < t->file_cnt; i++) {
		t->files[i].batch = NULL;
		t->files[i].record = t->files[i].levels = NULL;
	}
	t->registry_cnt = 0; /* says the kernel through which thread */
	err = target_attach(t, k, why);
	if (!err)
		err = target_listen(t, k, level, why);
	for (i = 0; i < t->file_cnt; i++) {
		link_replace(&t->files[i].batch, old[i].batch);
		link_replace(&t->files[i].levels, old[i].levels);
		link_replace(&t->files[i].record, old[i].record);
	}
	free(old);
	return err;
}

void target_counts_get(const struct target *t, struct target_counts *out)
{
	unsigned int i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < t->file_cnt; i++) {
		out->files++;
		out->probes += probe_link_cnt(t->files[i].batch) +
			       probe_link_cnt(t->files[i].record) +
			       probe_link_cnt(t->files[i].levels);
	}
}

/* --- Time */

int target_clock(const struct target *t, enum qslog_clock *clock, struct why *why)
{
	struct qslog_registry registry;
	int err = -EAGAIN, read_err;
	unsigned int i;

	for (i = 0; i < t->file_cnt; i++) {
		if (!t->files[i].has_runtime)
			continue;
		read_err = process_read(t->alive, t->files[i].registry, &registry, sizeof(registry));
		if (read_err)
			return process_error(t->pid, read_err, why);
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

void target_counter_set(struct target *t, uint32_t kind)
{
	t->counter_kind = kind;
}

uint64_t target_counter(const struct target *t)
{
	return t->counter_kind ? counter_read(t->counter_kind) : 0;
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
		if (site_resolver_refresh(t->resolver) < 0)
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
	int index = writer_process_add(writer, &process);

	if (index < 0)
		return index;
	t->since = target_counter(t);
	return ingest_process_add(ingest, (uint32_t)index, t->facts.name, t->since, &source,
				  &t->process);
}

void target_window_begin(struct target *t)
{
	t->since = target_counter(t);
	ingest_process_window(t->process, t->since, UINT64_MAX);
}

void target_window_end(struct target *t)
{
	ingest_process_window(t->process, t->since,
			      t->counter_kind ? target_counter(t) : UINT64_MAX);
}
