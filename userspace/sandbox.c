/* SPDX-License-Identifier: BSD-2-Clause */
/* sandbox.c - see sandbox.h. Names that an architecture does not have are passed over by
 * libseccomp; system calls of other architectures (32 bit) kill the process. */
#include "sandbox.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const int never[] = {
	/* programs and processes (threads: see clone_deny) */
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork),
	/* other processes */
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise), SCMP_SYS(kcmp),
	SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(move_pages), SCMP_SYS(migrate_pages),
	/* the net */
	SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen),
	SCMP_SYS(accept), SCMP_SYS(accept4),
	/* ids, namespaces, mounts */
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid),
	SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setgroups), SCMP_SYS(setfsuid),
	SCMP_SYS(setfsgid), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(chroot),
	SCMP_SYS(pivot_root), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(fsopen), SCMP_SYS(fsmount),
	SCMP_SYS(fsconfig), SCMP_SYS(fspick), SCMP_SYS(move_mount), SCMP_SYS(open_tree),
	SCMP_SYS(mount_setattr), SCMP_SYS(open_by_handle_at), SCMP_SYS(mknod), SCMP_SYS(mknodat),
	/* the system */
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff),
	SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(sethostname), SCMP_SYS(setdomainname),
	SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(adjtimex), SCMP_SYS(clock_adjtime),
	SCMP_SYS(iopl), SCMP_SYS(ioperm), SCMP_SYS(modify_ldt), SCMP_SYS(personality),
	SCMP_SYS(syslog), SCMP_SYS(vhangup), SCMP_SYS(nfsservctl),
	/* large and not used */
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl), SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(userfaultfd),
	SCMP_SYS(fanotify_init), SCMP_SYS(memfd_secret),
};

/* Of bpf(2), once nothing is loaded any more: maps that are there, links and iterators stay. */
static const int bpf_never[] = {
	BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_OBJ_PIN, BPF_OBJ_GET, BPF_PROG_ATTACH, BPF_PROG_DETACH,
	BPF_PROG_TEST_RUN, BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID, BPF_BTF_GET_FD_BY_ID,
	BPF_LINK_GET_FD_BY_ID, BPF_RAW_TRACEPOINT_OPEN, BPF_BTF_LOAD, BPF_TASK_FD_QUERY,
	BPF_ENABLE_STATS, BPF_PROG_BIND_MAP, BPF_LINK_UPDATE,
};

#define CNT(array) (sizeof(array) / sizeof((array)[0]))

static int rules_add(scmp_filter_ctx filter, bool dropped, bool continues)
{
	const uint32_t deny = SCMP_ACT_ERRNO(EPERM);
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < CNT(never); i++)
		err = seccomp_rule_add(filter, deny, never[i], 0);
	if (!err)
		err = continues ? seccomp_rule_add(filter, deny, SCMP_SYS(pidfd_send_signal), 1,
						   SCMP_A1(SCMP_CMP_NE, SIGCONT, 0)) :
				  seccomp_rule_add(filter, deny, SCMP_SYS(pidfd_send_signal), 0);
	/* Threads may be started, processes not. libc tries the older call where clone3 is not there,
	 * whose flags a filter can see. */
	if (!err)
		err = seccomp_rule_add(filter, deny, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* abort() sends a signal to itself */
	if (!err)
		err = seccomp_rule_add(filter, deny, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid(), 0));
	if (!err) /* limits of others */
		err = seccomp_rule_add(filter, deny, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0, 0));
	if (!err && dropped)
		err = seccomp_rule_add(filter, deny, SCMP_SYS(perf_event_open), 0);
	for (i = 0; !err && dropped && i < CNT(bpf_never); i++)
		err = seccomp_rule_add(filter, deny, SCMP_SYS(bpf), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)bpf_never[i], 0));
	return err;
}

int sandbox_enter(bool dropped, bool continues, struct why *why)
{
	scmp_filter_ctx filter;
	int err = -ENOMEM;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		return -ENOTSUP;
	filter = seccomp_init(SCMP_ACT_ALLOW);
	if (filter) {
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
		if (!err)
			err = rules_add(filter, dropped, continues);
		if (!err)
			err = seccomp_load(filter); /* sets no_new_privs */
		seccomp_release(filter);
	}
	return err ? why_set(why, err, "cannot set up the tracer's seccomp filter: %s",
			     strerror(-err)) : 0;
}
