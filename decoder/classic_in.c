/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classic_in.c - see classic_in.h. Entries are taken one by one from a window over the file that holds
 * at least the longest entry there can be. Formats, processes and threads are kept to the end, as
 * who has got a record may point to them; how much that may be is bounded.
 */
#include "classic_in.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "classic_entry.h"
#include "hash_index.h"

#define WINDOW_BYTES (8u << 20) /* 63 strings of 65,535 bytes, twice */
#define SPARE_BYTES 65536u /* so that the end of a small file is seen */
#define ENTRY_BYTES_MAX (CLASSIC_LOG_BYTES + CLASSIC_ARGC_MAX * (3u + CLASSIC_STR_MAX))
#define KEPT_BYTES_MAX ((size_t)256 << 20)
#define HASH_BYTES 48u /* what comes with each process and thread: a pointer and hash slots */
#define MS_MAX (INT64_MAX / 1000000)

struct kept {
	struct kept *next;
	char bytes[];
};

struct classic_format {
	struct record_format format;
	struct record_format many; /* for records with more arguments than struct record holds */
};

struct classic_in {
	int fd;
	char *path;
	uint64_t size, offset; /* of what `data` begins with */
	uint8_t *data;
	size_t bytes, at, window; /* window: room at `data` */
	bool ended, damaged;
	reader_damage_fn *damage;
	void *damage_arg;
	uint64_t damages;
	struct kept *kept;
	size_t kept_bytes;
	int64_t last_ts; /* milliseconds */
	struct record_process *process; /* the current one */
	struct record_process **processes;
	uint32_t process_cnt, process_cap;
	struct record_thread **threads;
	uint32_t thread_cnt, thread_cap;
	struct hash_index by_pid, by_tid; /* the latter by pid << 32 | tid */
	struct classic_format *formats[CLASSIC_IDS];
	uint32_t format_cnt;
	struct record_value values[CLASSIC_ARGC_MAX];
	struct buffer text;
	struct record record;
	struct reader_totals totals;
};

/* ---- what is kept ---- */

static void *keep(struct classic_in *in, size_t bytes)
{
	struct kept *k;

	if (bytes > KEPT_BYTES_MAX - in->kept_bytes) {
		errno = E2BIG;
		return NULL;
	}
	k = calloc(1, sizeof(*k) + bytes);
	if (!k) {
		errno = ENOMEM;
		return NULL;
	}
	in->kept_bytes += sizeof(*k) + bytes;
	k->next = in->kept;
	in->kept = k;
	return k->bytes;
}

/* Room for one more pointer. */
static int pointers_room(void *array, uint32_t cnt, uint32_t *cap)
{
	uint32_t more = *cap ? *cap * 2 : 64;
	void **p, **bigger;

	if (cnt < *cap)
		return 0;
	memcpy(&p, array, sizeof(p));
	bigger = reallocarray(p, more, sizeof(*p));
	if (!bigger)
		return -ENOMEM;
	memcpy(array, &bigger, sizeof(bigger));
	*cap = more;
	/* cppcheck-suppress memleak ; the array has it */
	return 0;
}

static int process_set(struct classic_in *in, uint32_t pid)
{
	struct hash_index_walk walk;
	uint32_t i = hash_index_first(&in->by_pid, pid, &walk);
	struct record_process *p;

	if (i == HASH_INDEX_NONE) {
		int err = pointers_room(&in->processes, in->process_cnt, &in->process_cap);

		p = err ? NULL : keep(in, sizeof(*p) + HASH_BYTES);
		if (!p)
			return err ? err : -errno;
		if (hash_index_add(&in->by_pid, pid, in->process_cnt))
			return -ENOMEM;
		p->pid = pid;
		p->name = p->exe = p->command = p->host = "";
		i = in->process_cnt++;
		in->processes[i] = p;
	}
	in->process = in->processes[i];
	return 0;
}

static int thread_find(struct classic_in *in, uint32_t tid, const struct record_thread **out)
{
	uint64_t key = (uint64_t)in->process->pid << 32 | tid;
	struct hash_index_walk walk;
	uint32_t i = hash_index_first(&in->by_tid, key, &walk);
	struct record_thread *t;

	if (i == HASH_INDEX_NONE) {
		int err = pointers_room(&in->threads, in->thread_cnt, &in->thread_cap);

		t = err ? NULL : keep(in, sizeof(*t) + HASH_BYTES);
		if (!t)
			return err ? err : -errno;
		if (hash_index_add(&in->by_tid, key, in->thread_cnt))
			return -ENOMEM;
		t->process = in->process;
		t->tid = tid;
		t->key = tid;
		t->name = "";
		i = in->thread_cnt++;
		in->threads[i] = t;
	}
	*out = in->threads[i];
	return 0;
}

/* "tag file:line function format": the line ends at the first ":digits " behind the first blank. */
static void format_split(struct record_format *f, char *s)
{
	char *blank = strchr(s, ' '), *p, *digits, *end;

	f->tag = f->file = f->function = "";
	f->format = s;
	for (p = blank ? strchr(blank + 1, ':') : NULL; p; p = strchr(p + 1, ':')) {
		digits = p + 1;
		end = digits + strspn(digits, "0123456789");
		if (end == digits || end - digits > 9 || *end != ' ')
			continue;
		*blank = *p = *end = '\0';
		f->tag = s;
		f->file = blank + 1;
		f->line = (uint32_t)strtoul(digits, NULL, 10);
		f->function = end + 1;
		end = strchr(end + 1, ' ');
		f->format = end ? end + 1 : "";
		if (end)
			*end = '\0';
		return;
	}
}

static void damage(struct classic_in *in, const char *what)
{
	in->damages++;
	if (in->damage)
		in->damage(in->damage_arg, in->path, in->offset + in->at, what);
}

static struct classic_format *format_keep(struct classic_in *in, const void *text, size_t bytes)
{
	struct classic_format *f = keep(in, sizeof(*f) + bytes + 1);
	char *s = (char *)(f + 1), *nul;

	if (!f)
		return NULL;
	memcpy(s, text, bytes);
	while ((nul = memchr(s, 0, bytes))) /* C strings from here on */
		*nul = ' ';
	f->format.kind = QSLOG_SITE_LOG;
	f->format.id = in->format_cnt++;
	format_split(&f->format, s);
	f->many = f->format;
	f->many.id = in->format_cnt++;
	f->many.format = "{}";
	return f;
}

static int format_set(struct classic_in *in, const struct classic_entry *e)
{
	struct classic_format *f = format_keep(in, e->body, e->body_bytes);

	if (!f)
		return -errno;
	f->format.level = f->many.level = e->low;
	if (e->low >= QSLOG_LEVEL_COUNT) {
		damage(in, "a format of an unknown level, which is taken for fatal");
		f->format.level = f->many.level = QSLOG_LEVEL_FATAL;
	}
	in->formats[e->id] = f;
	return 0;
}

/* ---- records ---- */

/* Where the first `cnt` placeholders of a format end; its end, where it has no more. */
static const char *placeholders_end(const char *s, unsigned cnt)
{
	for (; *s; s++) {
		if ((*s == '{' || *s == '}') && s[1] == *s) {
			s++;
		} else if (*s == '{') {
			if (!cnt--)
				return s;
			s += strcspn(s, "}");
			if (!*s)
				return s;
		}
	}
	return s;
}

/* More values than a record holds: the message is made here, from the format in pieces. */
static int many_values(struct classic_in *in, const struct classic_format *f, unsigned cnt)
{
	const char *s = f->format.format, *end;
	unsigned done = 0, n;
	char *piece;

	in->text.len = 0;
	for (; done < cnt || *s; s = end) {
		n = cnt - done < QSLOG_ARGS_MAX ? cnt - done : QSLOG_ARGS_MAX;
		end = cnt - done > QSLOG_ARGS_MAX ? placeholders_end(s, n) : s + strlen(s);
		piece = strndup(s, (size_t)(end - s));
		if (!piece)
			return -ENOMEM;
		message_format(&in->text, piece, in->values + done, n);
		free(piece);
		done += n;
	}
	if (in->text.failed)
		return -ENOMEM;
	in->record.format = &f->many;
	in->record.value_cnt = 1;
	in->record.values[0] = (struct record_value){ .type = QSLOG_ARG_STR };
	in->record.values[0].len = in->record.values[0].real_len = (uint32_t)in->text.len;
	in->record.values[0].bytes = in->text.data ? in->text.data : "";
	return 0;
}

static int record_make(struct classic_in *in, const struct classic_entry *e)
{
	struct record *r = &in->record;
	struct classic_format *f = in->formats[e->id];
	int64_t ms;
	int err;

	if (!f) {
		char text[64];

		snprintf(text, sizeof(text), "- -:0 - format %u was not introduced", e->id);
		damage(in, "a format that was not introduced");
		f = format_keep(in, text, strlen(text));
		if (!f)
			return -errno;
		f->format.level = f->many.level = QSLOG_LEVEL_INFO;
		in->formats[e->id] = f; /* said once */
	}
	if (!in->process) {
		err = process_set(in, 0);
		if (err)
			return err;
	}
	err = thread_find(in, e->tid, &r->thread);
	if (err)
		return err;
	ms = in->last_ts + e->diff;
	if (ms > MS_MAX || ms < -MS_MAX) {
		damage(in, "a time out of range");
		ms = 0;
	}
	r->kind = RECORD_LOG;
	r->time_ns = ms * 1000000;
	r->format = &f->format;
	if (e->low > QSLOG_ARGS_MAX)
		return many_values(in, f, e->low);
	r->value_cnt = e->low;
	memcpy(r->values, in->values, e->low * sizeof(r->values[0]));
	return 0;
}

/* ---- reading ---- */

/* More of the file into the window. False: there is no more. */
static int window_fill(struct classic_in *in)
{
	memmove(in->data, in->data + in->at, in->bytes - in->at);
	in->offset += in->at;
	in->bytes -= in->at;
	in->at = 0;
	while (in->bytes < in->window && !in->ended) {
		ssize_t n = pread(in->fd, in->data + in->bytes, in->window - in->bytes,
				  (off_t)(in->offset + in->bytes));

		if (n < 0 && errno != EINTR)
			return -errno;
		in->ended = n == 0;
		in->bytes += n > 0 ? (size_t)n : 0;
	}
	in->totals.read_bytes = in->offset + in->bytes;
	return 0;
}

static const char *info_set(struct classic_in *in, const struct classic_entry *e, int *err)
{
	switch (e->low >> CLASSIC_INFO_SHIFT) {
	case CLASSIC_PID:
		*err = process_set(in, classic_u32(e->body));
		return NULL;
	case CLASSIC_TS:
		if (classic_ts(e) > MS_MAX - (int64_t)CLASSIC_DIFF_MAX || classic_ts(e) < -MS_MAX)
			return "a timestamp out of range";
		in->last_ts = classic_ts(e);
		return NULL;
	default:
		return NULL; /* of a later version: its length is known */
	}
}

/* What cannot be read is the end of the file. 0, or -ENOMEM. */
static int stop(struct classic_in *in, const char *what, int err)
{
	if (err == -E2BIG)
		what = "more formats and threads than are kept";
	else if (err)
		return err;
	damage(in, what);
	in->damaged = true;
	return 0;
}

int classic_in_next(struct classic_in *in, const struct record **record)
{
	while (!in->damaged) {
		const char *what;
		struct classic_entry e;
		int err = 0;

		if (!in->ended && in->bytes - in->at < ENTRY_BYTES_MAX)
			err = window_fill(in);
		if (err)
			return err;
		if (in->at == in->bytes)
			return 0;
		what = classic_entry_take(&e, in->data + in->at, in->bytes - in->at, in->values);
		if (!what && !e.bytes)
			what = "the file ends within an entry";
		if (!what && e.type == CLASSIC_INFO)
			what = info_set(in, &e, &err);
		else if (!what)
			err = e.type == CLASSIC_FORMAT ? format_set(in, &e) : record_make(in, &e);
		if (what || err)
			return stop(in, what, err);
		in->at += e.bytes;
		if (e.type != CLASSIC_LOG)
			continue;
		in->totals.records++;
		*record = &in->record;
		return 1;
	}
	return 0;
}

int classic_in_open(struct classic_in **out, const char *path, reader_damage_fn *damage_fn, void *arg)
{
	struct classic_in *in = calloc(1, sizeof(*in));
	struct stat st;
	int err = 0;

	*out = NULL;
	if (!in)
		return -ENOMEM;
	in->damage = damage_fn;
	in->damage_arg = arg;
	in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (in->fd < 0 || fstat(in->fd, &st) != 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = S_ISDIR(st.st_mode) ? -EISDIR : -ESPIPE;
	else
		in->size = (uint64_t)st.st_size;
	if (!err) {
		in->path = strdup(path);
		in->window = in->size < WINDOW_BYTES / 2 ? (size_t)in->size + SPARE_BYTES :
							   WINDOW_BYTES;
		in->data = malloc(in->window);
		err = in->path && in->data ? 0 : -ENOMEM;
	}
	if (err) {
		classic_in_close(in);
		return err;
	}
	*out = in;
	return 0;
}

void classic_in_totals(const struct classic_in *in, struct reader_totals *out)
{
	*out = in->totals;
	out->file_bytes = in->size;
	out->blocks_damaged = in->damages;
	out->is_classic = true;
	out->has_index = true; /* there is none to miss: a file ends behind any entry */
}

void classic_in_close(struct classic_in *in)
{
	struct kept *next;

	if (!in)
		return;
	if (in->fd >= 0)
		close(in->fd);
	for (struct kept *k = in->kept; k; k = next) {
		next = k->next;
		free(k);
	}
	free(in->processes);
	free(in->threads);
	hash_index_fini(&in->by_pid);
	hash_index_fini(&in->by_tid);
	buffer_fini(&in->text);
	free(in->path);
	free(in->data);
	free(in);
}
