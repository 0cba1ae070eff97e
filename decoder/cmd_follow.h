/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_follow.h - qslog cat --follow. */
#ifndef QSLOG_CMD_FOLLOW_H
#define QSLOG_CMD_FOLLOW_H

#include "cmd_input.h"
#include "output.h"

/* Until the writer has closed the output. Returns an enum cmd_exit. */
int cmd_follow(const struct cmd_input *input, const struct reader_render *render,
	       struct output *out);

#endif
