/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * process.h - what the BPF programs and the tracer say to each other about processes: which files
 * make a process one that is to be traced, where its registries are, and what happens to it.
 *
 * A "process" has a number that is never used again: process ids are, and one that executes another
 * program goes on under a new number.
 */
#ifndef QSLOG_PROCESS_H
#define QSLOG_PROCESS_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#include <stdint.h>
#endif

#define PROCESS_REGISTRIES_MAX 8     /* copies of the runtime in one process */
#define PROCESS_COMMAND_BYTES 1024   /* of its command line, as the event of its beginning has it */
#define PROCESS_PATH_BYTES 256
#define PROCESS_NAME_BYTES 64 /* of a program's name in its folder; longer ones are cut off */
#define PROCESS_NO_FILE 0xffffffffu

enum process_flag {
	PROCESS_FOLLOW = 1, /* -f: its children, and what it executes, are to be traced too */
	PROCESS_EXE = 2,    /* --exe: because of its program; children that do not execute another, too */
	PROCESS_SHARED = 4, /* it is still in its parent's memory (vfork), until it executes */
	PROCESS_HELD = 8    /* its program is not known: it was stopped (SIGSTOP) before its first
			     * instruction, and the tracer lets it go */
};

/* Where the registries of a process are, by the process's number. */
struct process_registries {
	struct {
		__u64 address; /* 0: none */
		__u32 file;    /* number of the file */
		__u32 ended;   /* 1: it has said that it may be unloaded */
	} slot[PROCESS_REGISTRIES_MAX];
};

/* A file with probes, as the kernel's own structures name it. */
struct file_key {
	__u64 inode;
	__u64 dev; /* major << 20 | minor */
};

/* A program without probes, as it was when the tracer looked at it: inode numbers are used again. */
struct plain_key {
	struct file_key file;
	__u64 bytes;
	__u32 generation;
	__u32 pad;
};

enum file_flag {
	FILE_EXE = 1 /* --exe: who executes it is to be traced */
};

struct file_entry {
	__u64 registry; /* address in the file; 0: it has no runtime */
	__u64 code;	/* address of its first executable segment */
	__u32 number;
	__u32 flags; /* enum file_flag */
};

/* --exe: the name of a program, which another file may come to have. */
struct exe_name {
	__u64 folder; /* inode; names of two file systems that are alike are looked at once in vain */
	char name[PROCESS_NAME_BYTES]; /* zeros behind it */
};

enum process_what {
	PROCESS_FORKED = 0,   /* there is a new one, in a copy of the memory of `parent` */
	PROCESS_EXECUTED = 1, /* there is a new one, that begins with a program */
	PROCESS_ENDED = 2,    /* nothing comes of it any more */
	PROCESS_REPLACED = 3, /* likewise: it has executed another program */
	PROCESS_MAPPED = 4    /* a program or library that has sites was loaded: `start` is where its
			       * struct qslog_control is */
};

/* Data of a chunk of entry CHUNK_PROCESS; chunk->process says which. */
struct process_event {
	__u32 what; /* enum process_what */
	__u32 parent;
	__u64 start_boottime; /* nanoseconds */
	__u64 start;	      /* MAPPED; EXECUTED: where the program's code begins */
	__u64 counter;	      /* MAPPED: timestamp counter, no record of it is older */
	struct plain_key key; /* MAPPED: its file only; EXECUTED */
	__u32 file;	      /* EXECUTED: number of the program; MAPPED: of the file with the runtime;
			       * PROCESS_NO_FILE: not known */
	__u32 flags;	      /* enum process_flag */
	/* ENDED, REPLACED: see struct proc_entry */
	__u64 no_arena, untracked;
	__u32 unreadable;
	__u32 pad;
	char comm[16];
};

/* Behind it with EXECUTED. */
struct process_program {
	char path[PROCESS_PATH_BYTES];	     /* as it was given; NUL-terminated */
	char command[PROCESS_COMMAND_BYTES]; /* arguments, each with its NUL */
	__u32 command_bytes;
	__u32 pad;
};

#endif
