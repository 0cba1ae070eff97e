/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector_snapshot.h - snapshot mode (a flight recorder): arenas keep the newest records, and a
 * thread sleeps until a dump is wanted. docs/snapshot.md.
 */
#ifndef QSLOG_COLLECTOR_SNAPSHOT_H
#define QSLOG_COLLECTOR_SNAPSHOT_H

#include <stdbool.h>

struct qslog_options;

/* Completes what is about this mode from the environment. 0 or -EINVAL. */
int collector_snapshot_options(struct qslog_options *o);

/* With complete options, one call at a time; errors as those of qslog_start(). */
int collector_snapshot_start(const struct qslog_options *o);
int collector_snapshot_stop(void);
bool collector_snapshot_runs(void); /* in this process */
/* A library with sites is about to go: what they say is kept. */
void collector_snapshot_unload(void);
void collector_snapshot_fork_child(void);

/* A chosen site was executed: a dump, which is not waited for. In signal handlers, too. */
void collector_snapshot_trigger(void);

/* --- collector_chosen.c */

struct qslog_site;

/* "FILE:LINE"; NULL: none. 0 or -EINVAL. */
int collector_chosen_set(const char *text);
/* As qslog_priv_process.site_chosen. */
int collector_chosen(const struct qslog_site *site, int recorded);
/* Others may come to lie where sites were. */
void collector_chosen_forget(void);

/* --- collector_signals.c */

void collector_signals_install(void);
void collector_signals_remove(void);

/*
 * For its handler: has a dump written and waits until that is done, for 10 seconds at most. `first`
 * false: waits only where one is under way. `final`: nothing comes after it. Uses system calls only.
 */
void collector_snapshot_fatal(bool first, bool final);

#endif
