/* SPDX-License-Identifier: BSD-2-Clause */
/* uprobe_multi.c - see uprobe_multi.h. The layout is that of union bpf_attr in <linux/bpf.h>. */
#include "uprobe_multi.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

/* What BPF_LINK_CREATE takes for this kind. */
struct multi_attr {
	uint32_t program_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, semaphores, cookies;
	uint32_t cnt, multi_flags, pid, pad;
};

int uprobe_multi_attach(int program_fd, const char *path, pid_t tgid, const uint64_t *offsets,
			const uint64_t *semaphores, const uint64_t *cookies, uint32_t cnt)
{
	struct multi_attr attr;
	long fd;

	memset(&attr, 0, sizeof(attr));
	attr.program_fd = (uint32_t)program_fd;
	attr.attach_type = UPROBE_MULTI_ATTACH_TYPE;
	attr.path = (uintptr_t)path;
	attr.offsets = (uintptr_t)offsets;
	attr.semaphores = (uintptr_t)semaphores;
	attr.cookies = (uintptr_t)cookies;
	attr.cnt = cnt;
	attr.pid = (uint32_t)tgid;
	fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : (int)fd; /* close-on-exec, as all of BPF's */
}

int uprobe_multi_probe(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = (enum bpf_attach_type)UPROBE_MULTI_ATTACH_TYPE);
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	const uint64_t offset = 0;
	int program, any, filtered;

	program = bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", nothing, 2, &options);
	if (program < 0)
		return program == -EPERM || program == -EACCES ? -EPERM : -ENOTSUP;
	/* A folder is no file to attach to, which only a kernel that knows such links finds out; and
	 * those that filter by process refuse a negative id before they look at the file. */
	any = uprobe_multi_attach(program, "/", 0, &offset, NULL, NULL, 1);
	filtered = uprobe_multi_attach(program, "/", -1, &offset, NULL, NULL, 1);
	close(program);
	if (any != -EBADF)
		return -ENOTSUP;
	return filtered == -EINVAL ? 0 : -EINTR;
}
