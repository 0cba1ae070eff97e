/* SPDX-License-Identifier: BSD-2-Clause */
/* privilege.c - see privilege.h. */
#include "privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sets of capabilities, a bit each. */
struct sets {
	uint64_t effective, permitted;
};

static int sets_get(struct sets *out)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &header, data))
		return -errno;
	out->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	out->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	return 0;
}

static int sets_put(const struct sets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof(data));
	data[0].effective = (uint32_t)sets->effective;
	data[0].permitted = (uint32_t)sets->permitted;
	data[1].effective = (uint32_t)(sets->effective >> 32);
	data[1].permitted = (uint32_t)(sets->permitted >> 32);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

bool privilege_has(int capability)
{
	struct sets sets;

	return sets_get(&sets) == 0 && sets.effective >> capability & 1;
}

bool privilege_bpf(void)
{
	return privilege_has(CAP_BPF) || privilege_has(CAP_SYS_ADMIN);
}

bool privilege_perfmon(void)
{
	return privilege_has(CAP_PERFMON) || privilege_has(CAP_SYS_ADMIN);
}

void privilege_keep_back(void)
{
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

int privilege_user_find(struct privilege_user *user, const char *name, struct why *why)
{
	const struct passwd *entry;

	errno = 0;
	entry = getpwnam(name);
	if (!entry)
		return why_set(why, errno ? -errno : -ENOENT, "--drop-privs: there is no user %s%s%s", name,
			       errno ? ": " : "", errno ? strerror(errno) : "");
	if (!entry->pw_uid)
		return why_set(why, -EINVAL, "--drop-privs %s: that is root; name a user with fewer "
			       "rights", name);
	user->name = name;
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	return 0;
}

/* The ids; capabilities stay permitted, and none is effective. */
static int ids_take(const struct privilege_user *user)
{
	int capability;

	/* What an execve could give; without CAP_SETPCAP no_new_privs has to do. */
	for (capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		(void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
	privilege_keep_back();
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -errno;
	if (getuid() == user->uid && geteuid() == user->uid) /* needs no CAP_SETGID then */
		return 0;
	if (initgroups(user->name, user->gid) || setresgid(user->gid, user->gid, user->gid) ||
	    setresuid(user->uid, user->uid, user->uid))
		return -errno;
	return 0;
}

int privilege_drop(const struct privilege_user *user, const struct privilege_need *needs,
		   unsigned int cnt, struct why *why)
{
	struct sets sets;
	unsigned int i;
	int err = ids_take(user);

	if (err)
		return why_set(why, err, "--drop-privs: cannot become user %s: %s (capabilities "
			       "CAP_SETUID and CAP_SETGID are needed)", user->name, strerror(-err));
	err = sets_get(&sets);
	sets.effective = 0;
	for (i = 0; !err && i < cnt; i++) {
		err = sets_put(&sets);
		if (!err && (!needs[i].works || !needs[i].works(needs[i].arg)))
			sets.effective |= sets.permitted & UINT64_C(1) << needs[i].capability;
	}
	sets.permitted = sets.effective;
	if (!err)
		err = sets_put(&sets);
	if (!err && (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
		err = -errno;
	if (err)
		return why_set(why, err, "--drop-privs: cannot give up capabilities: %s",
			       strerror(-err));
	if (setuid(0) == 0 || geteuid() != user->uid)
		return why_set(why, -EPERM, "--drop-privs: root could be had back");
	return 0;
}
