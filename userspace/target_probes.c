/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target_probes.c - finds qslog's probes in a process and attaches to them.
 *
 * A file with qslog:level_X probes has sites; one with qslog:batch has a copy of the runtime,
 * whose registry is where that probe's semaphore is. Attaching to a level is what switches it on:
 * the kernel counts up the semaphore, which is the word that the sites look at.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proc_maps.h"
#include "target_priv.h"

/* --- Files */

struct target_file *target_file_set(struct target *t, struct probed_file *file, uint64_t bias)
{
	struct target_file *grown;
	unsigned int i;

	for (i = 0; i < t->file_cnt; i++) {
		if (t->files[i].file == file) {
			t->files[i].bias = bias;
			return &t->files[i];
		}
	}
	if (t->file_cnt == TARGET_FILES_MAX)
		return NULL;
	grown = reallocarray(t->files, t->file_cnt + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	t->files = grown;
	t->files[t->file_cnt] = (struct target_file){.file = file, .bias = bias};
	return &t->files[t->file_cnt++];
}

int target_scan(struct target *t, struct why *why)
{
	const struct proc_map **maps_of_files = NULL;
	struct probed_file *file;
	struct proc_maps maps;
	size_t cnt = 0, i;
	uint64_t bias;
	int err = target_hold(t);

	if (!err)
		err = proc_maps_read(&maps, t->alive);
	if (err)
		return target_process_error(t->pid, err, why);
	t->unseen = 0;
	err = proc_maps_files(&maps, &maps_of_files, &cnt);
	for (i = 0; !err && i < cnt; i++) {
		err = probed_files_mapped(t->options.files, t->alive, maps_of_files[i], &file, &bias);
		if (err && !probed_files_exhausted(err)) {
			t->unseen_error = t->unseen++ ? t->unseen_error : err;
			err = 0;
			continue;
		}
		if (!err && file && !target_file_set(t, file, bias))
			err = -ENOSPC;
	}
	free(maps_of_files);
	proc_maps_free(&maps);
	if (err)
		return why_set(why, err, "cannot look at the files of process %d: %s", (int)t->pid,
			       strerror(-err));
	(void)site_resolver_refresh(t->resolver);
	return (int)t->file_cnt;
}

void target_mapped(struct target *t, struct probed_file *file, uint64_t control)
{
	const uint64_t bias = control - file->control;

	if (!file->has_sites)
		return;
	(void)target_file_set(t, file, bias);
	if (site_resolver_image_add(t->resolver, file->dev, file->inode, file->image, bias) == 1 &&
	    t->process)
		ingest_sites_forget(t->process);
}

/* --- Attach */

static struct probe_target probe_target(const struct target *t, const struct probed_file *file)
{
	const struct probe_target where = {
		.fd = elf_image_fd(file->image),
		.tgid = t->pid,
		.alive = t->alive,
		.probes = &file->probes,
	};

	return where;
}

/* Errors are those of a process that ends, or that has spoilt its own memory. */
void target_sites_fetch(struct target *t)
{
	unsigned int i;

	for (i = 0; i < t->file_cnt; i++)
		if (t->files[i].file->has_runtime)
			(void)dynamic_sites_fetch(t->dynamic, t->alive,
						  t->files[i].bias + t->files[i].file->registry);
}

static int runtime_attach(struct target *t, struct target_file *f, struct kernel *k, struct why *why)
{
	const struct probe_target where = probe_target(t, f->file);
	int err = 0;

	if (t->options.everywhere)
		return probed_file_attach(f->file, k, why);
	if (!f->batch)
		err = kernel_attach_batch(k, &where, f->file->number, &f->batch, why);
	if (!err && !f->module)
		err = kernel_attach_module(k, &where, f->file->number, &f->module, why);
	return err;
}

int target_attach(struct target *t, struct kernel *k, struct why *why)
{
	unsigned int i;
	int err;

	if (!t->number) {
		err = kernel_process_add(k, t->pid, t->options.everywhere ? 0 : t->alive,
					 t->options.flags, &t->number, why);
		if (err)
			return err;
	}
	for (i = 0; i < t->file_cnt; i++) {
		struct target_file *f = &t->files[i];

		err = probed_file_tell(f->file, k, why);
		if (!err && f->file->has_runtime) {
			err = kernel_process_registry(k, t->number, f->bias + f->file->registry,
						      f->file->number);
			if (err)
				return why_set(why, err, "process %d has more than %d copies of the "
					       "qslog runtime", (int)t->pid, PROCESS_REGISTRIES_MAX);
			err = runtime_attach(t, f, k, why);
		}
		if (err)
			return err;
	}
	target_sites_fetch(t); /* those that come after the probes were attached say so themselves */
	return 0;
}

/* The kernel must have counted up the word that the sites look at. */
static int level_verify(const struct target *t, const struct target_file *f, unsigned int level,
			struct why *why)
{
	const uint64_t address = f->bias + f->file->words[level];
	uint16_t value = 0;
	int err = process_semaphore_read(t->alive, address, &value);

	if (err)
		return target_process_error(t->pid, err, why);
	if (!(value & QSLOG_WORD_TRACERS))
		return why_set(why, -EIO, "attached to process %d, but its semaphore for level %c, at "
			       "%#llx, stays 0: nothing would be recorded", (int)t->pid,
			       "VDIWEF"[level], (unsigned long long)address);
	return 0;
}

int target_listen(struct target *t, struct kernel *k, uint8_t level_min, struct why *why)
{
	unsigned int i, level;
	int err;

	for (i = 0; i < t->file_cnt; i++) {
		struct target_file *f = &t->files[i];
		const struct probe_target where = probe_target(t, f->file);

		if (!f->file->has_sites || f->levels || (t->options.everywhere && f->file->levels))
			continue;
		err = t->options.everywhere ?
			      probed_file_listen(f->file, k, level_min, why) :
			      kernel_attach_levels(k, &where, level_min, &f->levels, why);
		for (level = level_min; !err && level < QSLOG_LEVEL_COUNT; level++)
			if (f->file->words[level])
				err = level_verify(t, f, level, why);
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

	if (t->options.everywhere || target_thread_lives(t->alive))
		return 0;
	err = target_thread_find(t);
	if (err)
		return err;
	old = calloc(t->file_cnt + 1, sizeof(*old));
	if (!old)
		return -ENOMEM;
	memcpy(old, t->files, t->file_cnt * sizeof(*old));
	for (i = 0; i < t->file_cnt; i++)
		t->files[i].batch = t->files[i].module = t->files[i].levels = NULL;
	/* The kernel is told through which thread. */
	err = kernel_process_add(k, t->pid, t->alive, t->options.flags, &t->number, why);
	if (!err)
		err = target_attach(t, k, why);
	if (!err)
		err = target_listen(t, k, level, why);
	for (i = 0; i < t->file_cnt; i++) {
		link_replace(&t->files[i].batch, old[i].batch);
		link_replace(&t->files[i].module, old[i].module);
		link_replace(&t->files[i].levels, old[i].levels);
	}
	free(old);
	return err;
}

void target_mute(struct target *t)
{
	unsigned int i;

	for (i = 0; i < t->file_cnt; i++) {
		probe_link_close(t->files[i].levels);
		t->files[i].levels = NULL;
	}
}

void target_links_close(struct target *t)
{
	unsigned int i;

	target_mute(t);
	for (i = 0; i < t->file_cnt; i++) {
		probe_link_close(t->files[i].module);
		probe_link_close(t->files[i].batch);
	}
}

void target_counts_get(const struct target *t, struct target_counts *out)
{
	unsigned int i;

	memset(out, 0, sizeof(*out));
	out->unseen = t->unseen;
	out->unseen_error = t->unseen_error;
	for (i = 0; i < t->file_cnt; i++) {
		const struct target_file *f = &t->files[i];

		out->files++;
		out->probes += probe_link_cnt(f->batch ? f->batch : f->file->batch) +
			       probe_link_cnt(f->levels ? f->levels : f->file->levels);
	}
}
