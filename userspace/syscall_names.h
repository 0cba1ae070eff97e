/* SPDX-License-Identifier: BSD-2-Clause */
/* syscall_names.h - the system calls of this machine by number. */
#ifndef QSLOG_SYSCALL_NAMES_H
#define QSLOG_SYSCALL_NAMES_H

/* "futex"; "syscall 471" for one that is newer than the headers (valid until the next call). */
const char *syscall_name(int number);

#endif
