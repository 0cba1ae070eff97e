/* SPDX-License-Identifier: BSD-2-Clause */
/* privilege.c - see privilege.h. */
#include "privilege.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

bool privilege_has(int capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &header, data))
		return false;
	return data[capability / 32].effective >> (capability % 32) & 1;
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
