/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * vmlinux.h - the kernel's types, as far as the BPF programs use them. Made by
 * scripts/vmlinux-min.sh from vmlinux/types.list: change that, not this file.
 */
#ifndef __VMLINUX_H__ /* by this name libbpf's headers know it */
#define __VMLINUX_H__

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef signed char __s8;

typedef unsigned char __u8;

typedef short int __s16;

typedef short unsigned int __u16;

typedef int __s32;

typedef unsigned int __u32;

typedef long long int __s64;

typedef long long unsigned int __u64;

typedef __s32 s32;

typedef __s64 s64;

typedef __u8 u8;

typedef __u16 u16;

typedef __u32 u32;

typedef __u64 u64;

typedef _Bool bool;

typedef long unsigned int __kernel_ulong_t;

typedef __kernel_ulong_t __kernel_size_t;

typedef __kernel_size_t size_t;

typedef int __kernel_pid_t;

typedef __kernel_pid_t pid_t;

typedef __u16 __be16;

typedef __u32 __be32;

typedef __u32 __wsum;

typedef long unsigned int uintptr_t;

typedef __s8 s8;

typedef s8 int8_t;

typedef u8 uint8_t;

typedef __s16 s16;

typedef s16 int16_t;

typedef u16 uint16_t;

typedef s32 int32_t;

typedef u32 uint32_t;

typedef s64 int64_t;

typedef u64 uint64_t;

typedef struct {
	int counter;
} atomic_t;

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
	BPF_F_LOCK = 4,
};

enum {
	BPF_F_NO_PREALLOC = 1,
	BPF_F_RDONLY_PROG = 128,
	BPF_F_WRONLY_PROG = 256,
	BPF_F_MMAPABLE = 1024,
};

enum {
	BPF_F_INDEX_MASK = 4294967295ULL,
	BPF_F_CURRENT_CPU = 4294967295ULL,
};

enum {
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
};

enum {
	BPF_RB_AVAIL_DATA = 0,
	BPF_RB_RING_SIZE = 1,
	BPF_RB_CONS_POS = 2,
	BPF_RB_PROD_POS = 3,
};

enum {
	BPF_RINGBUF_BUSY_BIT = 2147483648,
	BPF_RINGBUF_DISCARD_BIT = 1073741824,
	BPF_RINGBUF_HDR_SZ = 8,
};

enum {
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1,
};

#include "registers.h"

typedef u32 __kernel_dev_t;

typedef __kernel_dev_t dev_t;

struct super_block {
	dev_t s_dev;
};

typedef long long int __kernel_loff_t;

typedef __kernel_loff_t loff_t;

struct inode {
	struct super_block *i_sb;
	long unsigned int i_ino;
	u32 i_generation;
	loff_t i_size;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	const struct qstr d_name;
	struct inode *d_inode;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct inode *f_inode;
	const struct path f_path;
};

struct mm_struct {
	long unsigned int start_code;
	long unsigned int arg_start;
	long unsigned int arg_end;
	struct file *exe_file;
};

struct vm_area_struct {
	struct file *vm_file;
};

struct linux_binprm {
	const char *filename;
};

struct seq_file;

enum pid_type {
	PIDTYPE_PGID = 2,
	PIDTYPE_SID = 3,
	PIDTYPE_MAX = 4,
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[0];
};

struct signal_struct {
	atomic_t live;
	struct pid *pids[4];
	unsigned int flags;
	int group_exit_code;
};

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	int exit_state;
	int exit_code;
	unsigned int in_iowait: 1;
	pid_t pid;
	pid_t tgid;
	struct pid *thread_pid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	u64 start_time;
	u64 start_boottime;
	char comm[16];
	struct signal_struct *signal;
	struct mm_struct *mm;
};

struct kernel_siginfo {
	int si_signo;
	int si_code;
};

typedef void __signalfn_t(int);

typedef __signalfn_t *__sighandler_t;

struct sigaction {
	__sighandler_t sa_handler;
	long unsigned int sa_flags;
};

struct k_sigaction {
	struct sigaction sa;
};

struct bpf_pidns_info {
	__u32 pid;
	__u32 tgid;
};

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct trace_event_raw_sys_enter {
	long int id;
	long unsigned int args[6];
};

#pragma clang attribute pop

#endif
