/* SPDX-License-Identifier: BSD-2-Clause */
/* why.h - the reason of a failure in words, handed up to the command line, which prints it once:
 * what failed, on what, why, what to do. */
#ifndef QSLOG_WHY_H
#define QSLOG_WHY_H

struct why {
	char text[1024];
};

/* Sets the text, unless a lower layer has done so already (the innermost knows best), and returns
 * `err`, so that it can be used in a return statement. `why` may be NULL. */
int why_set(struct why *why, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
