/* SPDX-License-Identifier: BSD-2-Clause */
/* syscall_names.c - a table that the Makefile makes from <asm/unistd.h>. */
#include "syscall_names.h"

#include <stdio.h>
#include <sys/syscall.h>

static const char *const names[] = {
#define SYSCALL(name) [__NR_##name] = #name,
#include "syscall_table.h"
};

const char *syscall_name(int number)
{
	static char unknown[32];

	if (number >= 0 && (unsigned)number < sizeof(names) / sizeof(names[0]) && names[number])
		return names[number];
	snprintf(unknown, sizeof(unknown), "syscall %d", number);
	return unknown;
}
