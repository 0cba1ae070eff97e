/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probed_files.h - the programs and libraries with qslog probes that a session has come across,
 * each once, whichever processes have it mapped; and attaching to all processes that do.
 *
 * A file is held open, so that its inode is not given to another one. What is known of files
 * without probes is that they have none, as long as they have not been changed.
 */
#ifndef QSLOG_PROBED_FILES_H
#define QSLOG_PROBED_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "elf_image.h"
#include "kernel.h"
#include "probe_attach.h"
#include "proc_maps.h"
#include "qslog_abi.h"
#include "why.h"

struct probed_file {
	dev_t dev; /* as /proc/PID/maps has it */
	uint64_t inode;
	uint32_t number; /* never used again */
	bool has_runtime, has_sites;
	bool exe;		 /* --exe: processes are to be traced because they run it */
	uint64_t registry;	 /* addresses in the file: with has_runtime; */
	uint64_t control;	 /* with has_sites; */
	uint64_t words[QSLOG_LEVEL_COUNT]; /* of the levels' semaphores, 0: none */
	uint64_t code;		 /* of the beginning of its code */
	char *path;		 /* as it was found */
	struct elf_image *image;
	struct probe_file probes;
	struct probe_link *batch, *module, *levels; /* in all processes; NULL: not attached */
};

struct probed_files;

int probed_files_open(struct probed_files **out);
/* Detaches. NULL is accepted. */
void probed_files_close(struct probed_files *files);

/* The file behind an executable mapping, and the bias at which it is mapped. 0 with *out NULL: it
 * has no probes, or is no ELF file for us. Errors: nothing is known of it. probed_files_exhausted()
 * says whether other files fare no better, or only this one cannot be reached or read. */
int probed_files_mapped(struct probed_files *files, pid_t pid, const struct proc_map *map,
			struct probed_file **out, uint64_t *bias);
bool probed_files_exhausted(int err);
/* The file at a path. 0; -ENOEXEC: not a program that a process can run; errors of opening it. It is
 * taken in even if it has no probes: its libraries may. */
int probed_files_path(struct probed_files *files, const char *path, struct probed_file **out,
		      struct why *why);
/* One that is known, or NULL. */
struct probed_file *probed_files_number(const struct probed_files *files, uint32_t number);
/* Is it known to have no probes? (It may have been changed since, to one of the same size.) */
bool probed_files_plain(const struct probed_files *files, dev_t dev, uint64_t inode, uint64_t bytes);
struct probed_file *probed_files_find(const struct probed_files *files, dev_t dev, uint64_t inode);

/* Tells the kernel side what it needs to know of the file when a process maps or executes it. */
int probed_file_tell(struct probed_file *file, struct kernel *k, struct why *why);
/* Attaches in all processes, now and later; nothing is done that was done before. */
int probed_file_attach(struct probed_file *file, struct kernel *k, struct why *why);
int probed_file_listen(struct probed_file *file, struct kernel *k, uint8_t level, struct why *why);
/* Levels off in all processes; batches are still taken. */
void probed_files_mute(struct probed_files *files);

#endif
