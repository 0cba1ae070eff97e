/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd_issued.c - the counters of kvd_issued.h in a file: one header line of 64 bytes, then one
 * line per thread. MAP_SHARED makes the kernel keep them when the process is killed.
 */
#define _GNU_SOURCE
#include "kvd_issued.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ISSUED_MAGIC 0x4445555353494451ull /* "QDISSUED", little endian */
#define ISSUED_THREADS_MAX 1024u

struct issued_header {
	_Alignas(64) uint64_t magic;
	uint32_t pid;
	uint32_t threads;
};
_Static_assert(sizeof(struct issued_header) == 64, "as long as a line");

struct issued {
	struct issued_header *header; /* followed by the lines */
	struct issued_line *lines;
	size_t bytes;
};

/* Threads without a line of their own count here, and nobody looks. */
static struct issued_line issued_nowhere;
_Thread_local struct issued_line *issued_own = &issued_nowhere;

int issued_open(struct issued **out, const char *path, uint32_t threads)
{
	int err = 0, fd = -1, flags = MAP_SHARED;
	struct issued *issued;
	void *map;

	if (threads == 0 || threads > ISSUED_THREADS_MAX)
		return -EINVAL;
	issued = calloc(1, sizeof(*issued));
	if (!issued)
		return -ENOMEM;
	issued->bytes = sizeof(struct issued_header) + threads * sizeof(struct issued_line);
	if (path) {
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0) {
			err = -errno;
			goto cleanup;
		}
		/* Space now: a full disk is an error here, not a SIGBUS later. */
		err = -posix_fallocate(fd, 0, (off_t)issued->bytes);
		if (err)
			goto cleanup;
	} else {
		flags |= MAP_ANONYMOUS;
	}
	map = mmap(NULL, issued->bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (map == MAP_FAILED) {
		err = -errno;
		goto cleanup;
	}
	issued->header = map;
	issued->lines = (struct issued_line *)(issued->header + 1);
	issued->header->pid = (uint32_t)getpid();
	issued->header->threads = threads;
	issued->header->magic = ISSUED_MAGIC;
	*out = issued;
	issued = NULL;

cleanup:
	if (fd >= 0)
		close(fd);
	issued_close(issued);
	return err;
}

void issued_close(struct issued *issued)
{
	if (!issued)
		return;
	issued_own = &issued_nowhere;
	if (issued->header)
		munmap(issued->header, issued->bytes);
	free(issued);
}

int issued_thread_begin(struct issued *issued, uint32_t index, const char *name)
{
	struct issued_line *line;

	if (index >= issued->header->threads || strlen(name) >= sizeof(line->name))
		return -EINVAL;
	line = &issued->lines[index];
	strcpy(line->name, name);
	atomic_store(&line->tid, (uint64_t)gettid());
	issued_own = line;
	return -pthread_setname_np(pthread_self(), name);
}

static void issued_print(const struct issued_header *header)
{
	const struct issued_line *lines = (const struct issued_line *)(header + 1);
	uint32_t i;

	for (i = 0; i < header->threads; i++) {
		uint64_t tid = atomic_load(&lines[i].tid);
		uint64_t records = atomic_load_explicit(&lines[i].records, memory_order_acquire);

		if (tid)
			printf("%" PRIu64 " %" PRIu64 " %.15s\n", tid, records, lines[i].name);
	}
}

int issued_show(const char *path)
{
	const struct issued_header *header;
	struct stat st;
	int err = 0;
	void *map;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		err = -errno;
		goto cleanup;
	}
	if (st.st_size < (off_t)sizeof(*header)) {
		err = -EBADMSG;
		goto cleanup;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		err = -errno;
		goto cleanup;
	}
	header = map;
	if (header->magic != ISSUED_MAGIC || header->threads > ISSUED_THREADS_MAX ||
	    (size_t)st.st_size < sizeof(*header) + header->threads * sizeof(struct issued_line))
		err = -EBADMSG;
	else
		issued_print(header);
	munmap(map, (size_t)st.st_size);

cleanup:
	close(fd);
	return err;
}
