/* SPDX-License-Identifier: BSD-2-Clause */
/* sites_child.h - compiles and runs the programs of tests/fixtures/sites for tests. Whatever goes
 * wrong here fails the test. */
#ifndef SITES_CHILD_H
#define SITES_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define SITES_ADDRESSES_MAX 64

struct sites_child {
	pid_t pid;
	FILE *to, *from;
	struct {
		char name[32];
		uint64_t addr;
	} addresses[SITES_ADDRESSES_MAX]; /* what it printed; later ones win */
	unsigned int address_cnt;
};

/* A directory for what a test makes; removed with everything in it. */
void sites_dir_make(char *dir, size_t size);
void sites_dir_remove(const char *dir);

/* Compiles tests/fixtures/sites/SOURCE to DIR/NAME; false: the compiler does not know `flags`. */
bool sites_compile(const char *source, const char *dir, const char *name, const char *flags);

/* Starts DIR/NAME and waits until it is ready. */
void sites_child_start(struct sites_child *child, const char *dir, const char *name);

/* Sends a line (see prog.c) and waits until it has been done. */
void sites_child_tell(struct sites_child *child, const char *verb, const char *dir,
		      const char *name);
uint64_t sites_child_address(const struct sites_child *child, const char *name);

/* Ends with SIGKILL; nothing of the process is left afterwards. May be called again. */
void sites_child_kill(struct sites_child *child);

#endif
