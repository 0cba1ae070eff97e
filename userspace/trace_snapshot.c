/* SPDX-License-Identifier: BSD-2-Clause */
/* trace_snapshot.c - see trace_snapshot.h. */
#include "trace_snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "snapshot_path.h"

void trace_snapshot_note(struct trace_snapshot *sn)
{
	struct clock_pair pair;

	if (clock_pair_take(&sn->scale, &pair) == 0)
		safe_past_add(&sn->past, &pair);
}

int trace_snapshot_open(struct trace_snapshot *sn, const char *pattern, pid_t pid,
			uint32_t counter_kind)
{
	int err;

	memset(sn, 0, sizeof(*sn));
	sn->pattern = pattern;
	sn->pid = pid;
	sn->number = 1;
	err = clock_scale_init(&sn->scale, counter_kind);
	if (!err)
		trace_snapshot_note(sn);
	return err;
}

int trace_snapshot_begin(struct trace_snapshot *sn, struct trace_output *output)
{
	int err = snapshot_path_expand(sn->pattern, 0, (int)sn->pid, sn->number, sn->path);

	if (err)
		return err;
	snprintf(sn->beside, sizeof(sn->beside), "%s.%d.tmp", sn->path, (int)getpid());
	trace_snapshot_note(sn);
	output->path = sn->beside;
	output->dump = true;
	output->scale = &sn->scale;
	output->pairs = sn->pairs;
	output->pair_cnt = safe_past_get(&sn->past, sn->pairs);
	return 0;
}

int trace_snapshot_end(struct trace_snapshot *sn, int err, const struct writer_totals *totals)
{
	unsigned int cause;

	if (!err && rename(sn->beside, sn->path))
		err = -errno;
	if (err) {
		(void)unlink(sn->beside);
		return err;
	}
	sn->number++;
	sn->totals.records += totals->records;
	sn->totals.lost += totals->lost;
	for (cause = 0; cause < LOSS_CAUSE_COUNT; cause++)
		sn->totals.lost_by[cause] += totals->lost_by[cause];
	sn->totals.file_bytes += totals->file_bytes;
	sn->totals.text_bytes += totals->text_bytes;
	return 0;
}
