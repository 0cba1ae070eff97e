/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.c - a binary heap of readers, ordered by the time of the record that each has ready, and
 * by the order of the command line where times are equal.
 */
#include "merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

struct source {
	struct merge *merge;
	struct reader *reader;
	const struct record *record; /* ready to be taken */
	struct merge_file file;
};

struct merge {
	struct source *sources;
	unsigned source_cnt;
	unsigned *heap; /* indexes of sources that have a record */
	unsigned heap_cnt;
	bool started;
	bool taken; /* the record at the top of the heap has been handed out */
	reader_damage_fn *damage;
	void *damage_arg;
};

static void report_error(const char *path, int err)
{
	if (err == -EBADMSG)
		cmd_error("%s: not a qslog file", path);
	else if (err == -EPROTONOSUPPORT)
		cmd_error("%s: written by a later version of qslog; use a newer one to read it",
			  path);
	else
		cmd_error("%s: %s", path, strerror(-err));
}

static void on_damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	struct source *source = arg;
	struct merge *m = source->merge;

	source->file.damages++;
	if (m->damage)
		m->damage(m->damage_arg, path, offset, what);
	else
		cmd_error("%s: damaged at byte %llu: %s", path, (unsigned long long)offset, what);
}

static bool earlier(const struct merge *m, unsigned a, unsigned b)
{
	int64_t ta = m->sources[a].record->time_ns, tb = m->sources[b].record->time_ns;

	return ta != tb ? ta < tb : a < b;
}

static void sift_down(struct merge *m, unsigned at)
{
	unsigned child, moved = m->heap[at];

	while ((child = 2 * at + 1) < m->heap_cnt) {
		if (child + 1 < m->heap_cnt && earlier(m, m->heap[child + 1], m->heap[child]))
			child++;
		if (!earlier(m, m->heap[child], moved))
			break;
		m->heap[at] = m->heap[child];
		at = child;
	}
	m->heap[at] = moved;
}

/* False: the source has no more. */
static bool advance(struct source *source)
{
	int n = reader_next(source->reader, &source->record);

	if (n < 0) {
		source->file.error = n;
		report_error(source->file.path, n);
	}
	return n > 0;
}

int merge_open(struct merge **out, char *const *paths, unsigned path_cnt,
	       const struct reader_hint *hint, reader_damage_fn *damage, void *damage_arg)
{
	struct merge *m = calloc(1, sizeof(*m));
	int err = -ENOMEM;

	if (!m)
		return err;
	m->damage = damage;
	m->damage_arg = damage_arg;
	m->sources = calloc(path_cnt ? path_cnt : 1, sizeof(*m->sources));
	m->heap = calloc(path_cnt ? path_cnt : 1, sizeof(*m->heap));
	if (!m->sources || !m->heap)
		goto cleanup;
	m->source_cnt = path_cnt;
	for (unsigned i = 0; i < path_cnt; i++) {
		struct source *source = &m->sources[i];

		source->merge = m;
		source->file.path = paths[i];
		source->file.error = reader_open(&source->reader, paths[i], on_damage, source);
		if (source->file.error) {
			source->reader = NULL;
			report_error(paths[i], source->file.error);
		} else if (hint) {
			reader_hint(source->reader, hint);
		}
	}
	*out = m;
	return 0;

cleanup:
	merge_close(m);
	return err;
}

static void start(struct merge *m)
{
	for (unsigned i = 0; i < m->source_cnt; i++) {
		if (m->sources[i].reader && advance(&m->sources[i]))
			m->heap[m->heap_cnt++] = i;
	}
	for (unsigned i = m->heap_cnt / 2; i > 0; i--)
		sift_down(m, i - 1);
	m->started = true;
}

int merge_next(struct merge *m, const struct record **record, unsigned *file)
{
	if (!m->started) {
		start(m);
	} else if (m->taken && m->heap_cnt) {
		/* only now: the record was valid until this call */
		if (!advance(&m->sources[m->heap[0]]))
			m->heap[0] = m->heap[--m->heap_cnt];
		if (m->heap_cnt > 1)
			sift_down(m, 0);
	}
	m->taken = m->heap_cnt > 0;
	if (!m->heap_cnt)
		return 0;
	*file = m->heap[0];
	*record = m->sources[*file].record;
	return 1;
}

int merge_finish(struct merge *m)
{
	bool failed = false, damaged = false;

	for (unsigned i = 0; i < m->source_cnt; i++) {
		struct source *source = &m->sources[i];
		struct merge_file *file = &source->file;

		if (source->reader)
			reader_totals_get(source->reader, &file->totals);
		if (file->error == -EBADMSG)
			damaged = true;
		else if (file->error)
			failed = true;
		else if (file->damages || file->totals.blocks_damaged || !file->totals.has_index)
			damaged = true;
	}
	return failed ? CMD_FAILURE : damaged ? CMD_DAMAGED : CMD_OK;
}

unsigned merge_file_cnt(const struct merge *m)
{
	return m->source_cnt;
}

const struct merge_file *merge_file(const struct merge *m, unsigned i)
{
	return &m->sources[i].file;
}

void merge_close(struct merge *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < m->source_cnt; i++)
		reader_close(m->sources[i].reader);
	free(m->sources);
	free(m->heap);
	free(m);
}
