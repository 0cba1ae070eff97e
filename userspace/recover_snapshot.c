/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover_snapshot.c - see recover.h: what a process in snapshot mode left behind becomes a file, as
 * a dump would have been made of it. It is written beside the place that it gets when it is complete,
 * so that an interrupted recovery can be repeated.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recover.h"
#include "recover_memory.h"
#include "safe_memory.h"
#include "snapshot_path.h"

struct search {
	char path[PATH_MAX]; /* resolved */
	bool starting;
	uid_t owner;
	void (*each)(void *arg, const struct recover_made *made);
	void *arg;
	int found;
	pid_t busy;
};

static int file_write(const struct recover_memory *m, const char *path,
		      struct recover_result *result)
{
	struct writer_options options = {.path = path, .own_by_user = geteuid() == 0,
					 .owner_uid = m->owner, .owner_gid = m->group};
	struct clock_pair pairs[SAFE_PAST];
	struct recover_counts counts = {0};
	struct writer_state state;
	struct writer *writer;
	int err, close_err;

	recover_memory_state(m, &state);
	options.scale = &state.scale;
	options.pairs = pairs;
	options.pair_cnt = safe_past_get(&m->header.past, pairs);
	err = writer_open(&writer, &options);
	if (err)
		return err;
	err = recover_memory_take(m, writer, NULL, NULL, &counts);
	close_err = writer_close(writer, NULL);
	result->memory_used = true;
	result->records = result->from_memory = counts.records;
	result->lost = counts.lost;
	result->damaged = counts.damaged;
	result->unsafe = (uint32_t)m->header.unsafe_cnt;
	return err ? err : close_err;
}

/* *to: where the file is then. */
static int file_make(const struct search *s, const struct recover_memory *m,
		     struct recover_result *result, char to[PATH_MAX])
{
	const bool numbered = strstr(s->path, "%n") != NULL;
	char beside[PATH_MAX + 32], path[PATH_MAX];
	int err;

	err = snapshot_path_expand(s->path, snapshot_path_name(s->path), -1, 0, path);
	if (err)
		return err;
	snprintf(beside, sizeof(beside), "%s.%d.tmp", path, (int)getpid());
	(void)unlink(beside); /* of an earlier process */
	err = file_write(m, beside, result);
	if (!err)
		err = recover_rename(beside, path, s->starting && !numbered, to);
	if (err)
		(void)unlink(beside); /* the first error counts */
	return err;
}

/* The memory is open, and is closed. */
static void memory_use(struct search *s, struct recover_memory *m)
{
	struct recover_made made = {.memory = m->path, .path = ""};
	char to[PATH_MAX];

	made.error = recover_memory_dumped(m);
	if (made.error > 0) {
		made.error = 0;
	} else if (!made.error) {
		made.error = file_make(s, m, &made.result, to);
		made.path = made.error ? "" : to;
	}
	s->found++;
	if (s->each)
		s->each(s->arg, &made);
	recover_memory_close(m, !made.error);
}

static int memory_try(void *arg, const char *path)
{
	struct search *s = arg;
	struct recover_memory m;
	pid_t pid;
	int err = recover_memory_open(&m, path, s->owner, &pid);

	if (err == -EBUSY && m.header.snapshot && strcmp(m.output, s->path) == 0)
		s->busy = pid ? pid : -1;
	if (err)
		return err == -ENOMEM ? err : 0;
	if (m.header.snapshot && strcmp(m.output, s->path) == 0)
		memory_use(s, &m);
	else
		recover_memory_close(&m, false);
	return 0;
}

/* Whose memory may become a file there: in /dev/shm everybody may leave something. */
static uid_t owner_of(const struct search *s)
{
	char folder[PATH_MAX];
	struct stat st;

	snprintf(folder, sizeof(folder), "%.*s", (int)snapshot_path_name(s->path), s->path);
	return s->starting || stat(folder, &st) != 0 ? geteuid() : st.st_uid;
}

int recover_snapshots(const char *path, const char *memory, bool starting,
		      void (*each)(void *arg, const struct recover_made *made), void *arg, pid_t *pid)
{
	struct search s = {.starting = starting, .each = each, .arg = arg};
	struct recover_memory m;
	int err;

	*pid = 0;
	err = snapshot_path_resolve(path, s.path);
	if (err)
		return err;
	s.owner = owner_of(&s);
	if (!memory) {
		err = recover_memory_each(s.path, memory_try, &s);
		if (s.busy > 0)
			*pid = s.busy;
		return err ? err : s.found ? s.found : s.busy ? -EBUSY : 0;
	}
	err = recover_memory_open(&m, memory, s.owner, pid);
	if (err)
		return err;
	if (!m.header.snapshot) {
		recover_memory_close(&m, false);
		return -ESTALE;
	}
	memory_use(&s, &m);
	return s.found;
}
