/* SPDX-License-Identifier: BSD-2-Clause */
/* doctor.h - qslog-trace --check: what this kernel and these capabilities can and cannot do. */
#ifndef QSLOG_DOCTOR_H
#define QSLOG_DOCTOR_H

#include <stdbool.h>

/* Prints a line per feature, and what to do about those that are missing, to standard output. True:
 * kernel mode works here. `libbpf_messages`: on standard error. */
bool doctor_run(bool libbpf_messages);

#endif
