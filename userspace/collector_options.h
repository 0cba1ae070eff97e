/* SPDX-License-Identifier: BSD-2-Clause */
/* collector_options.h - the options of in-process mode, complete. */
#ifndef QSLOG_COLLECTOR_OPTIONS_H
#define QSLOG_COLLECTOR_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#include "writer.h"

struct qslog_options;

struct collector_output {
	struct writer_rotation rotation;
	bool rotates; /* something of it is set */
	enum writer_sync sync;
	enum writer_compress compress; /* QSLOG_COMPRESS=fast|default|max */
	int nice; /* of the collector's thread, QSLOG_NICE=-20..19 */
	bool nice_set;
};

/* Options, then environment, then defaults; `given` may be NULL. `path` gets the output with %p as the
 * pid. 0; -EINVAL; -ENAMETOOLONG. */
int collector_options_complete(struct qslog_options *o, struct collector_output *output,
			       const struct qslog_options *given, char path[PATH_MAX]);
/* The levels of all tags and of those that the environment names, where it is to be asked. */
int collector_levels_set(const struct qslog_options *given, int level);

#endif
