/* SPDX-License-Identifier: BSD-2-Clause */
/* privilege.h - the capabilities of this process, and which it takes. */
#ifndef QSLOG_PRIVILEGE_H
#define QSLOG_PRIVILEGE_H

#include <stdbool.h>

/* Is the capability (CAP_... of <linux/capability.h>) in the effective set? */
bool privilege_has(int capability);

/* Those that CAP_SYS_ADMIN includes. */
bool privilege_bpf(void);
bool privilege_perfmon(void);

/* In a child: what it executes does not inherit the tracer's ambient capabilities. */
void privilege_keep_back(void);

#endif
