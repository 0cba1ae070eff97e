/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.c - a binary heap of readers, ordered by the time of the record or line that each has
 * ready, and by the order of the command line where times are equal. All share one pool of
 * threads; the more files there are, the fewer blocks of each are worked on at a time.
 */
#include "merge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmd.h"
#include "file_format.h"
#include "file_set.h"
#include "parallel.h"
#include "span_times.h"

struct source {
	struct merge *merge;
	struct reader *reader;
	const struct record *record; /* ready to be taken */
	struct reader_run run;	     /* likewise; of this, from the first line on */
	int64_t time_ns;	     /* of the record, or the first line; not before that: */
	bool waits;		     /* nothing has been read yet: it is not its turn */
	struct span_times *times;    /* that of the file before in its set, if there is one */
	bool times_own;		     /* there is none */
	struct merge_file file;
};

struct merge {
	struct source *sources;
	unsigned source_cnt;
	unsigned *heap; /* indexes of sources that have a record */
	unsigned heap_cnt;
	bool started;
	bool taken; /* the record at the top of the heap has been handed out */
	bool renders;
	uint32_t taken_cnt; /* lines of the run at the top */
	struct parallel *parallel;
	struct merge_options options;
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
	if (m->options.damage)
		m->options.damage(m->options.damage_arg, path, offset, what);
	else
		cmd_error("%s: damaged at byte %llu: %s", path, (unsigned long long)offset, what);
}

static bool earlier(const struct merge *m, unsigned a, unsigned b)
{
	int64_t ta = m->sources[a].time_ns, tb = m->sources[b].time_ns;

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
	int n;

	if (source->merge->renders)
		n = reader_next_run(source->reader, &source->run);
	else
		n = reader_next(source->reader, &source->record);
	if (n < 0) {
		source->file.error = n;
		report_error(source->file.path, n);
	} else if (n) {
		source->time_ns = source->merge->renders ? source->run.lines->time_ns :
							   source->record->time_ns;
	}
	return n > 0;
}

/* Each file stays open as long as it is read. */
static void files_limit_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* else opening says what is too many */
	}
}

/* Enough for all threads to have work, and for the caller to find some that is done. */
static uint32_t window(const struct merge *m)
{
	unsigned jobs = parallel_jobs(m->parallel);

	if (jobs == 1)
		return 1;
	return m->source_cnt >= 2 * jobs ? 2 : (2 * jobs + 2) / m->source_cnt + 1;
}

/* --- Times of spans. One that was open when a file was continued in the next one is left there. */

/* That in the name of a file that is complete; 0: none. */
static uint64_t number_in_name(const char *path)
{
	const char *dot = strrchr(path, '/'), *digits;
	uint64_t number;
	char *end;

	for (dot = strchr(dot ? dot : path, '.'); dot; dot = strchr(digits, '.')) {
		digits = dot + 1;
		if (strspn(digits, "0123456789") < FILE_SET_DIGITS)
			continue;
		number = strtoull(digits, &end, 10);
		if (!*end || strcmp(end, ".qslog") == 0)
			return number;
	}
	return 0;
}

static bool identity_read(const char *path, struct file_identity *out)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const bool known = fd >= 0 && file_identity_read(fd, out) == 0;

	if (fd >= 0)
		close(fd);
	if (known && !out->number) /* the first one, that became one of a set later */
		out->number = number_in_name(path);
	return known;
}

static bool continues(const struct file_identity *next, const struct file_identity *before)
{
	return next->in_set && before->in_set && before->continued &&
	       next->number == before->number + 1 &&
	       memcmp(next->set_id, before->set_id, sizeof(next->set_id)) == 0;
}

/* The files of a set are in order (see file_set_paths()). */
static int times_open(struct merge *m)
{
	struct file_identity before = {.in_set = false}, next;
	struct source *source;
	unsigned i;
	int err;

	for (i = 0; i < m->source_cnt; i++) {
		source = &m->sources[i];
		if (!source->reader || !identity_read(source->file.path, &next))
			memset(&next, 0, sizeof(next));
		if (i && source->reader && source[-1].times && continues(&next, &before)) {
			source->times = source[-1].times;
		} else if (source->reader) {
			err = span_times_open(&source->times);
			if (err)
				return err;
			source->times_own = true;
		}
		before = next;
	}
	return 0;
}

static void times_close(struct merge *m)
{
	unsigned i;

	for (i = 0; i < m->source_cnt; i++)
		if (m->sources[i].times_own)
			span_times_close(m->sources[i].times);
}

int merge_open(struct merge **out, char *const *paths, unsigned path_cnt,
	       const struct merge_options *options)
{
	struct merge *m = calloc(1, sizeof(*m));
	int err = -ENOMEM;

	if (!m)
		return err;
	m->options = *options;
	m->options.hint.times_apart = options->hint.times;
	m->sources = calloc(path_cnt ? path_cnt : 1, sizeof(*m->sources));
	m->heap = calloc(path_cnt ? path_cnt : 1, sizeof(*m->heap));
	files_limit_raise();
	if (!m->sources || !m->heap || parallel_open(&m->parallel, options->jobs))
		goto cleanup;
	m->source_cnt = path_cnt;
	for (unsigned i = 0; i < path_cnt; i++) {
		struct source *source = &m->sources[i];

		source->merge = m;
		source->file.path = paths[i];
		source->file.error = options->classic ?
			reader_open_classic(&source->reader, paths[i], on_damage, source) :
			reader_open(&source->reader, paths[i], on_damage, source);
		if (source->file.error) {
			source->reader = NULL;
			report_error(paths[i], source->file.error);
			continue;
		}
		reader_hint(source->reader, &m->options.hint);
		reader_parallel(source->reader, m->parallel, window(m));
	}
	err = m->options.hint.times ? times_open(m) : 0;
	if (err)
		goto cleanup;
	*out = m;
	return 0;

cleanup:
	merge_close(m);
	return err;
}

void merge_render(struct merge *m, const struct reader_render *render)
{
	m->renders = true;
	for (unsigned i = 0; i < m->source_cnt; i++) {
		if (m->sources[i].reader)
			reader_render(m->sources[i].reader, render);
	}
}

/* Files are not read before their time comes: many are often parts of one set, one behind the
 * other. */
static void start(struct merge *m)
{
	for (unsigned i = 0; i < m->source_cnt; i++) {
		struct source *source = &m->sources[i];

		if (!source->reader)
			continue;
		source->waits = true;
		if (reader_begin_ns(source->reader, &source->time_ns))
			source->time_ns = INT64_MIN;
		m->heap[m->heap_cnt++] = i;
	}
	for (unsigned i = m->heap_cnt / 2; i > 0; i--)
		sift_down(m, i - 1);
	m->started = true;
}

/* The top of the heap has been used up. */
static void top_advance(struct merge *m)
{
	struct source *source = &m->sources[m->heap[0]];

	source->waits = false;
	/* only now: what it had was valid until this call */
	if (!advance(source)) {
		m->heap[0] = m->heap[--m->heap_cnt];
		if (source->reader && m->source_cnt > 1)
			reader_rest(source->reader);
	}
	if (m->heap_cnt > 1)
		sift_down(m, 0);
}

/* Until what is at the top has something. */
static void top_settle(struct merge *m)
{
	while (m->heap_cnt && m->sources[m->heap[0]].waits)
		top_advance(m);
}

int merge_next(struct merge *m, const struct record **record, unsigned *file)
{
	struct source *source;

	if (!m->started)
		start(m);
	else if (m->taken && m->heap_cnt)
		top_advance(m);
	top_settle(m);
	m->taken = m->heap_cnt > 0;
	if (!m->heap_cnt)
		return 0;
	*file = m->heap[0];
	source = &m->sources[*file];
	*record = source->record;
	if (source->times && reader_times_add(source->reader, source->times)) {
		report_error(source->file.path, -ENOMEM);
		source->file.error = -ENOMEM;
		return 0;
	}
	return 1;
}

/* Drops the lines that were handed out. */
static void run_advance(struct merge *m)
{
	struct source *source = &m->sources[m->heap[0]];
	struct reader_run *run = &source->run;

	if (m->taken_cnt == run->cnt) {
		top_advance(m);
		return;
	}
	run->start = run->lines[m->taken_cnt - 1].end;
	run->lines += m->taken_cnt;
	run->cnt -= m->taken_cnt;
	source->time_ns = run->lines->time_ns;
	sift_down(m, 0);
}

int merge_next_run(struct merge *m, struct reader_run *run, unsigned *file)
{
	uint32_t n = 1, i;
	int64_t limit = INT64_MAX;

	if (!m->started)
		start(m);
	else if (m->taken_cnt && m->heap_cnt)
		run_advance(m);
	top_settle(m);
	m->taken_cnt = 0;
	if (!m->heap_cnt)
		return 0;
	*file = m->heap[0];
	for (i = 1; i < m->heap_cnt && i < 3; i++) {
		int64_t other = m->sources[m->heap[i]].time_ns;

		if (m->heap[i] < *file)
			other--;
		limit = other < limit ? other : limit;
	}
	*run = m->sources[*file].run;
	while (n < run->cnt && run->lines[n].time_ns <= limit)
		n++;
	run->cnt = m->taken_cnt = n;
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

bool merge_trouble(const struct merge *m)
{
	for (unsigned i = 0; i < m->source_cnt; i++) {
		const struct merge_file *file = &m->sources[i].file;

		if (file->error || file->damages || file->totals.blocks_damaged)
			return true;
	}
	return false;
}

const char *merge_host(const struct merge *m, unsigned i)
{
	return m->sources[i].reader ? reader_host(m->sources[i].reader) : "";
}

bool merge_sched(const struct merge *m, bool *any)
{
	bool all = true;

	*any = false;
	for (unsigned i = 0; i < m->source_cnt; i++) {
		struct reader_totals totals;

		if (!m->sources[i].reader)
			continue;
		reader_totals_get(m->sources[i].reader, &totals);
		*any |= totals.has_sched;
		all &= totals.has_sched;
	}
	return all && *any;
}

bool merge_hosts(const struct merge *m)
{
	const char *first = NULL;

	for (unsigned i = 0; i < m->source_cnt; i++) {
		struct reader_totals totals;
		const char *host;

		if (!m->sources[i].reader)
			continue;
		reader_totals_get(m->sources[i].reader, &totals);
		host = merge_host(m, i);
		if ((!*host && totals.counter_kind == FILE_COUNTER_REALTIME) ||
		    (first && strcmp(first, host)))
			return true;
		first = host;
	}
	return false;
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
	times_close(m);
	parallel_close(m->parallel);
	free(m->sources);
	free(m->heap);
	free(m);
}
