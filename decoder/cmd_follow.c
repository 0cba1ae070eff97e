/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmd_follow.c - see cmd_follow.h. What has come at once is put into the order of time, as threads are not
 * in order in a file; the order of a thread stays.
 */
#include "cmd_follow.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "follow.h"

#define THREADS 256u	   /* places in a table, a power of two; beyond half of it lines stay as they come */
#define GATHERED_MAX (64u << 20) /* of lines that wait for being sorted */

struct line {
	int64_t key;
	uint32_t number; /* in the order of writing */
	uint32_t start, end;
};

struct following {
	const struct reader_render *render;
	void *context;
	struct output *out;
	struct buffer text;
	struct line *lines;
	uint32_t cnt, cap;
	struct {
		bool used;
		uint32_t pid, tid;
		uint64_t thread_key;
		int64_t key;
	} threads[THREADS];
	unsigned int thread_cnt;
	int err;
};

static void threads_forget(struct following *f)
{
	memset(f->threads, 0, sizeof(f->threads));
	f->thread_cnt = 0;
}

/* The time, but never less than that of the thread's line before, which may be in another file. */
static int64_t key_of(struct following *f, const struct record *record)
{
	const struct record_thread *t = record->thread;
	const uint32_t pid = t->process->pid;
	unsigned int i = (unsigned int)(t->key * 2654435761u ^ t->tid * 40503u ^ pid) % THREADS;

	while (f->threads[i].used && (f->threads[i].pid != pid || f->threads[i].tid != t->tid ||
				      f->threads[i].thread_key != t->key))
		i = (i + 1) % THREADS;
	if (!f->threads[i].used) {
		if (f->thread_cnt == THREADS / 2)
			return INT64_MIN;
		f->thread_cnt++;
		f->threads[i].used = true;
		f->threads[i].pid = pid;
		f->threads[i].tid = t->tid;
		f->threads[i].thread_key = t->key;
		f->threads[i].key = record->time_ns;
	}
	if (f->threads[i].key < record->time_ns)
		f->threads[i].key = record->time_ns;
	return f->threads[i].key;
}

static int line_compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int lines_write(struct following *f)
{
	uint32_t i;
	int err = f->text.failed ? -ENOMEM : 0;

	if (f->cnt)
		qsort(f->lines, f->cnt, sizeof(*f->lines), line_compare);
	for (i = 0; i < f->cnt && !err; i++) {
		buffer_bytes(&f->out->buffer, f->text.data + f->lines[i].start,
			     f->lines[i].end - f->lines[i].start);
		err = output_more(f->out);
	}
	f->cnt = 0;
	f->text.len = 0;
	threads_forget(f);
	return err ? err : output_flush(f->out);
}

static void record_take(void *arg, const struct record *record)
{
	struct following *f = arg;
	const size_t start = f->text.len;
	struct line *line;
	int64_t key;

	if (f->err)
		return;
	f->render->record(f->context, &f->text, record);
	if (f->text.len == start)
		return;
	if (f->cnt == f->cap) {
		uint32_t cap = f->cap ? f->cap * 2 : 4096;
		struct line *lines = reallocarray(f->lines, cap, sizeof(*lines));

		if (!lines) {
			f->err = -ENOMEM;
			return;
		}
		f->lines = lines;
		f->cap = cap;
	}
	key = key_of(f, record);
	if (key == INT64_MIN) { /* too many threads: what is there goes first */
		const size_t bytes = f->text.len - start;

		f->text.len = start;
		f->err = lines_write(f);
		memmove(f->text.data, f->text.data + start, bytes);
		f->text.len = bytes;
		key = key_of(f, record);
		line = &f->lines[0];
		*line = (struct line){ key, 0, 0, (uint32_t)bytes };
		f->cnt = 1;
		return;
	}
	line = &f->lines[f->cnt];
	*line = (struct line){ key, f->cnt, (uint32_t)start, (uint32_t)f->text.len };
	f->cnt++;
	if (f->text.len > GATHERED_MAX)
		f->err = lines_write(f);
}

static void damage_say(void *arg, const char *path, uint64_t offset, const char *what)
{
	(void)arg;
	cmd_error("%s: damaged at byte %llu: %s", path, (unsigned long long)offset, what);
}

/* Nobody reads standard output any more. */
static bool reader_gone(const struct output *out)
{
	struct pollfd p = { .fd = out->fd };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLHUP);
}

static int failed(const char *path, int err)
{
	if (err == -EBADMSG)
		cmd_error("%s: not a qslog file", path);
	else if (err == -EPROTONOSUPPORT)
		cmd_error("%s: written by a later version of qslog; use a newer one to read it", path);
	else
		cmd_error("%s: %s", path, strerror(-err));
	return err == -EBADMSG ? CMD_DAMAGED : CMD_FAILURE;
}

int cmd_follow(const struct cmd_input *input, const struct reader_render *render,
	       struct output *out)
{
	struct following f = { .render = render, .out = out };
	const char *path = input->paths[0];
	struct follow_totals totals;
	struct follow *follow = NULL;
	int state, err, status;

	if (input->path_cnt > 1) {
		cmd_error("--follow: one FILE only (of a rotated set, its name without a number)");
		return CMD_USAGE;
	}
	f.context = render->open(render->arg);
	err = f.context ? follow_open(&follow, path, record_take, damage_say, &f) : -ENOMEM;
	if (err) {
		status = failed(path, err);
		goto cleanup;
	}
	do {
		state = follow_step(follow);
		err = f.err ? f.err : lines_write(&f);
		if (!err && state == FOLLOW_MORE && reader_gone(out))
			err = -EPIPE;
		if (!err && state == FOLLOW_MORE)
			(void)follow_wait(follow, -1); /* an interruption: look at once */
	} while (!err && state == FOLLOW_MORE);
	follow_totals_get(follow, &totals);
	status = output_finish(out, err);
	if (!err && state < 0)
		status = failed(path, state);
	else if (status == CMD_OK && totals.damages)
		status = CMD_DAMAGED;
cleanup:
	if (f.context)
		render->close(render->arg, f.context);
	follow_close(follow);
	buffer_fini(&f.text);
	free(f.lines);
	return status;
}
