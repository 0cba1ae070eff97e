/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proc_maps.h - the mappings of a process, the files behind them, and reading its memory.
 * (What the process is called, its command line and threads: proc_facts.h.)
 *
 * Works across mount and PID namespaces, and for files that were deleted or replaced since they
 * were mapped. `pid` is as the caller's own PID namespace has it. Errors are negative errnos;
 * -ESRCH: the process is gone (or a zombie, or a kernel thread: it has no memory).
 */
#ifndef QSLOG_PROC_MAPS_H
#define QSLOG_PROC_MAPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "elf_image.h"

enum proc_map_perms {
	PROC_MAP_READ = 1,
	PROC_MAP_WRITE = 2,
	PROC_MAP_EXEC = 4,
	PROC_MAP_SHARED = 8
};

struct proc_map {
	uint64_t start, end; /* [start, end) */
	uint64_t offset;     /* in the file */
	dev_t dev;
	uint64_t inode;	     /* 0: no file behind it */
	unsigned int perms;  /* enum proc_map_perms */
	const char *path;    /* "" if none; not sanitised; may end in " (deleted)" */
};

struct proc_maps {
	struct proc_map *maps; /* sorted by address */
	size_t cnt;
	char *text; /* the paths' memory */
};

/* Snapshot of the mappings. On success `out` owns memory until proc_maps_free(). */
int proc_maps_read(struct proc_maps *out, pid_t pid);

/* The same through an open /proc/PID/maps, which is read from its beginning. Such a descriptor is
 * tied to the memory that the process had when it was opened: -ESRCH after an exec. */
int proc_maps_read_fd(struct proc_maps *out, int fd);

void proc_maps_free(struct proc_maps *maps); /* what it points to; NULL is accepted */

/* The mapping that has the address, or NULL. */
const struct proc_map *proc_maps_find(const struct proc_maps *maps, uint64_t addr);

/*
 * For each distinct file (device and inode) that is mapped executable, its first such mapping, in
 * order of address. `out` is an array of `cnt` pointers into `maps`, to be given to free().
 */
int proc_maps_files(const struct proc_maps *maps, const struct proc_map ***out, size_t *cnt);

/*
 * Opens the file behind a mapping, read only: through /proc/PID/map_files (works for deleted files;
 * needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE), /proc/PID/root/PATH, PATH or /proc/PID/exe, and
 * makes sure that it is the same regular file as the mapped one. Returns a descriptor that the
 * caller closes; -ENOENT: the file cannot be reached (any more); -EINVAL: no file behind it.
 */
int proc_map_open(pid_t pid, const struct proc_map *map);

/*
 * Opens the ELF file behind an executable mapping and tells at which bias it is loaded (address in
 * the process minus address in the file: 0 for a non-PIE program). The caller gives `image` back
 * with elf_image_close(). Errors of proc_map_open(), elf_image_open() and elf_image_bias().
 */
int proc_map_load(pid_t pid, const struct proc_map *map, struct elf_image **image, uint64_t *bias);

/* Reads exactly `len` bytes of the memory of a process: 0, -ESRCH, -EFAULT (not all of it is
 * readable; what `buf` holds is then undefined), -EPERM. */
int process_read(pid_t pid, uint64_t addr, void *buf, size_t len);

/* The value of a USDT semaphore at `addr`: more than 0 while somebody is attached. */
int process_semaphore_read(pid_t pid, uint64_t addr, uint16_t *value);

#endif
