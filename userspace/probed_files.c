/* SPDX-License-Identifier: BSD-2-Clause */
/* probed_files.c - see probed_files.h. Few files have probes, so a list will do. */
#include "probed_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_notes.h"

#define PLAIN_MAX 4096u /* files known to have no probes */

/* A file without probes, as it was when it was looked at. */
struct plain_file {
	dev_t dev;
	uint64_t inode;
	off_t bytes;
	struct timespec changed;
};

struct probed_files {
	struct probed_file **files;
	uint32_t cnt, number;
	struct plain_file *plain;
	uint32_t plain_cnt;
};

int probed_files_open(struct probed_files **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void file_free(struct probed_file *file)
{
	if (!file)
		return;
	probe_link_close(file->levels);
	probe_link_close(file->module);
	probe_link_close(file->batch);
	elf_image_close(file->image);
	free(file->path);
	free(file);
}

void probed_files_close(struct probed_files *files)
{
	uint32_t i;

	if (!files)
		return;
	for (i = 0; i < files->cnt; i++)
		file_free(files->files[i]);
	free(files->files);
	free(files->plain);
	free(files);
}

struct probed_file *probed_files_number(const struct probed_files *files, uint32_t number)
{
	uint32_t i;

	for (i = 0; i < files->cnt; i++)
		if (files->files[i]->number == number)
			return files->files[i];
	return NULL;
}

struct probed_file *probed_files_find(const struct probed_files *files, dev_t dev, uint64_t inode)
{
	uint32_t i;

	for (i = 0; i < files->cnt; i++)
		if (files->files[i]->inode == inode && files->files[i]->dev == dev)
			return files->files[i];
	return NULL;
}

/* --- Files without probes */

static struct plain_file *plain_find(const struct probed_files *files, dev_t dev, uint64_t inode)
{
	uint32_t i;

	for (i = 0; i < files->plain_cnt; i++)
		if (files->plain[i].inode == inode && files->plain[i].dev == dev)
			return &files->plain[i];
	return NULL;
}

bool probed_files_plain(const struct probed_files *files, dev_t dev, uint64_t inode, uint64_t bytes)
{
	const struct plain_file *plain = plain_find(files, dev, inode);

	return plain && (uint64_t)plain->bytes == bytes;
}

static bool plain_still(const struct plain_file *plain, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == plain->bytes &&
	       st.st_ctim.tv_sec == plain->changed.tv_sec &&
	       st.st_ctim.tv_nsec == plain->changed.tv_nsec;
}

/* Where there is no memory, it is looked at again the next time. */
static void plain_add(struct probed_files *files, dev_t dev, uint64_t inode, int fd)
{
	struct plain_file *plain = plain_find(files, dev, inode), *grown;
	struct stat st;

	if (fstat(fd, &st))
		return;
	if (!plain) {
		if (files->plain_cnt == PLAIN_MAX)
			files->plain_cnt = 0;
		grown = reallocarray(files->plain, files->plain_cnt + 1, sizeof(*grown));
		if (!grown)
			return;
		files->plain = grown;
		plain = &files->plain[files->plain_cnt++];
	}
	*plain = (struct plain_file){dev, inode, st.st_size, st.st_ctim};
}

/* --- Files with probes */

/* What the file is, and not what became of the attempt to read it. */
static bool useless(int err)
{
	return err == -ENOEXEC || err == -ENOTSUP || err == -EBADMSG || err == -E2BIG;
}

bool probed_files_exhausted(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

static void probes_take(struct probed_file *file, const struct elf_notes *notes)
{
	static const char letters[] = "vdiwef";
	size_t i;

	probe_file_init(&file->probes, notes);
	for (i = 0; i < notes->cnt; i++) {
		const struct elf_probe *probe = &notes->probes[i];
		const char *letter;

		if (!probe->semaphore_vaddr)
			continue;
		if (strcmp(probe->name, "batch") == 0) {
			file->has_runtime = true;
			file->registry = probe->semaphore_vaddr;
		} else if (strncmp(probe->name, "level_", 6) == 0 && probe->name[6] &&
			   !probe->name[7]) {
			letter = strchr(letters, probe->name[6]);
			if (!letter)
				continue;
			file->has_sites = true;
			file->words[letter - letters] = probe->semaphore_vaddr;
		}
	}
	if (file->has_sites)
		file->control = file->words[QSLOG_LEVEL_VERBOSE] -
				QSLOG_WORD_VERBOSE * sizeof(uint16_t);
}

/* Takes a reference to the image. `plain`: even if it has no probes. */
static int file_add(struct probed_files *files, dev_t dev, uint64_t inode, struct elf_image *image,
		    const char *path, bool plain, struct probed_file **out)
{
	struct probed_file *file = calloc(1, sizeof(*file)), **grown;
	struct elf_notes notes;
	int err;

	if (!file)
		return -ENOMEM;
	err = elf_notes_read(elf_image_fd(image), &notes);
	if (!err) {
		probes_take(file, &notes);
		elf_notes_free(&notes);
	} else if (useless(err)) {
		err = 0; /* damaged notes are none */
	}
	if (err || (!plain && !file->has_runtime && !file->has_sites)) {
		file_free(file);
		if (!err)
			plain_add(files, dev, inode, elf_image_fd(image));
		return err;
	}
	file->dev = dev;
	file->inode = inode;
	file->image = elf_image_ref(image);
	file->path = strdup(path);
	grown = reallocarray(files->files, files->cnt + 1, sizeof(*grown));
	if (grown)
		files->files = grown;
	if (!grown || !file->path) {
		file_free(file);
		return -ENOMEM;
	}
	(void)elf_image_code(image, &file->code);
	file->number = ++files->number;
	files->files[files->cnt++] = file;
	*out = file;
	return 0;
}

int probed_files_mapped(struct probed_files *files, pid_t pid, const struct proc_map *map,
			struct probed_file **out, uint64_t *bias)
{
	const struct plain_file *plain;
	struct elf_image *image;
	int fd, err;

	*out = probed_files_find(files, map->dev, map->inode);
	if (*out) {
		err = elf_image_bias((*out)->image, map->start, map->offset, map->end - map->start,
				     bias);
		if (err)
			*out = NULL; /* the program mapped its file once more, for itself */
		return 0;
	}
	fd = proc_map_open(pid, map);
	if (fd < 0) /* it ends at this moment, or the file is out of reach */
		return fd;
	plain = plain_find(files, map->dev, map->inode);
	if (plain && plain_still(plain, fd)) {
		close(fd);
		return 0;
	}
	err = elf_image_open(&image, fd);
	if (useless(err)) {
		plain_add(files, map->dev, map->inode, fd);
		err = 0;
		image = NULL;
	}
	close(fd);
	if (err || !image)
		return err;
	if (elf_image_bias(image, map->start, map->offset, map->end - map->start, bias) == 0)
		err = file_add(files, map->dev, map->inode, image, map->path, false, out);
	elf_image_close(image);
	return err;
}

/* Device and inode as mappings show them; stat(2) may have others (btrfs, overlayfs). */
static int mapped_identity(int fd, dev_t *dev, uint64_t *inode)
{
	const struct proc_map *mine;
	struct proc_maps self;
	void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
	int err;

	if (page == MAP_FAILED)
		return -errno;
	err = proc_maps_read(&self, getpid());
	if (!err) {
		mine = proc_maps_find(&self, (uint64_t)(uintptr_t)page);
		err = mine ? 0 : -ENOENT;
		if (mine) {
			*dev = mine->dev;
			*inode = mine->inode;
		}
		proc_maps_free(&self);
	}
	munmap(page, 1);
	return err;
}

int probed_files_path(struct probed_files *files, const char *path, struct probed_file **out,
		      struct why *why)
{
	struct elf_image *image = NULL;
	uint64_t inode = 0;
	struct stat st;
	dev_t dev = 0;
	int err, fd;

	*out = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return why_set(why, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return why_set(why, -ENOEXEC, "%s is not a program", path);
	}
	err = elf_image_open(&image, fd);
	if (!err)
		err = mapped_identity(fd, &dev, &inode);
	close(fd);
	if (err) {
		elf_image_close(image);
		return why_set(why, err, "%s is not a program whose processes could be traced: %s%s", path,
			       elf_image_strerror(err),
			       err == -ENOEXEC ? " (of a script, give the interpreter)" : "");
	}
	*out = probed_files_find(files, dev, inode);
	if (!*out)
		err = file_add(files, dev, inode, image, path, true, out);
	elf_image_close(image);
	return err ? why_set(why, err, "%s: %s", path, strerror(-err)) : 0;
}

/* --- Attach */

int probed_file_tell(struct probed_file *file, struct kernel *k, struct why *why)
{
	const struct file_entry entry = {
		.registry = file->has_runtime ? file->registry : 0,
		.code = file->code,
		.number = file->number,
		.flags = file->exe ? FILE_EXE : 0,
	};
	int err = kernel_file_add(k, file->dev, file->inode, &entry);

	return err ? why_set(why, err, "cannot tell the kernel about %s: %s", file->path,
			     strerror(-err)) : 0;
}

int probed_file_attach(struct probed_file *file, struct kernel *k, struct why *why)
{
	const struct probe_target all = {.fd = elf_image_fd(file->image), .probes = &file->probes};
	int err = 0;

	if (!file->has_runtime)
		return 0;
	if (!file->batch)
		err = kernel_attach_batch(k, &all, file->number, &file->batch, why);
	if (!err && !file->module)
		err = kernel_attach_module(k, &all, file->number, &file->module, why);
	return err;
}

int probed_file_listen(struct probed_file *file, struct kernel *k, uint8_t level, struct why *why)
{
	const struct probe_target all = {.fd = elf_image_fd(file->image), .probes = &file->probes};

	return !file->has_sites || file->levels ?
		       0 : kernel_attach_levels(k, &all, level, &file->levels, why);
}

void probed_files_mute(struct probed_files *files)
{
	uint32_t i;

	for (i = 0; i < files->cnt; i++) {
		probe_link_close(files->files[i]->levels);
		files->files[i]->levels = NULL;
	}
}
