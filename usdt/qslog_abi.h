/* SPDX-License-Identifier: BSD-2-Clause */
/* Only the part of qslog.h that describes the memory of a traced process: for the BPF programs
 * and the tools. (qslog.h has it inside so that an application vendors two files.) */
#ifndef QSLOG_ABI_H
#define QSLOG_ABI_H
#define QSLOG_ABI_ONLY
#include "qslog.h"
#undef QSLOG_ABI_ONLY
#endif
