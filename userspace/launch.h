/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * launch.h - starts a program and holds it, so that it can be traced from its first record on.
 */
#ifndef QSLOG_LAUNCH_H
#define QSLOG_LAUNCH_H

#include <sys/types.h>

#include "why.h"

struct launch {
	pid_t pid;
};

/* Starts argv[0] (found by PATH) and holds it before its first instruction: only the program
 * itself and the dynamic loader are mapped. -ENOENT, -EACCES, ...: it cannot be executed. */
int launch_start(struct launch *l, char *const argv[], struct why *why);

/* Lets the dynamic loader do its work (constructors of libraries included) and holds the program
 * at its entry point, where all libraries are mapped that it was linked with. */
int launch_to_entry(struct launch *l, struct why *why);

/* Lets it go; it stays a child. */
int launch_release(struct launch *l, struct why *why);

/* Kills a program that is still held, and waits for it. */
void launch_abort(struct launch *l);

#endif
