/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege.h - the capabilities of this process, and giving up what is not needed any more.
 *
 * --drop-privs USER, once everything is attached: the process takes the user's ids and groups, and
 * of its capabilities keeps only those without which something fails that is still to be done; it
 * is asked (struct privilege_need), not guessed. no_new_privs is set, so that nothing comes back.
 */
#ifndef QSLOG_PRIVILEGE_H
#define QSLOG_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "why.h"

/* Is the capability (CAP_... of <linux/capability.h>) in the effective set? */
bool privilege_has(int capability);

/* Those that CAP_SYS_ADMIN includes. */
bool privilege_bpf(void);
bool privilege_perfmon(void);

/* In a child: what it executes does not inherit the tracer's ambient capabilities. */
void privilege_keep_back(void);

struct privilege_user {
	const char *name; /* the caller's */
	uid_t uid;
	gid_t gid;
};

/* -ENOENT: no such user; root is refused with -EINVAL. */
int privilege_user_find(struct privilege_user *user, const char *name, struct why *why);

/* A capability is kept where `works` is NULL, or says that it does not work without. */
struct privilege_need {
	int capability;
	bool (*works)(void *arg);
	void *arg;
};

/* Other threads than the calling one have no capabilities at all afterwards. */
int privilege_drop(const struct privilege_user *user, const struct privilege_need *needs,
		   unsigned int cnt, struct why *why);

#endif
