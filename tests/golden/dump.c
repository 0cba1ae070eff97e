/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dump.c - everything that the reader says of a file, one line per record and nothing rounded, in a
 * form that tests/golden/qslog_reader.py prints as well: dump FILE. Bytes of strings that are not
 * printable ASCII, blanks and backslashes are \xNN.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file_format.h"
#include "reader.h"

/* Threads and formats are said once, before the first record that has them, and numbered. */
struct said {
	char **texts;
	unsigned cnt;
};
static struct said threads, formats;

static void text(FILE *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c > ' ' && c < 0x7f && c != '\\' && c != '"')
			fputc(c, out);
		else
			fprintf(out, "\\x%02x", c);
	}
}

static void string(FILE *out, const char *s)
{
	fputs(" \"", out);
	text(out, s ? s : "", s ? strlen(s) : 0);
	fputc('"', out);
}

static unsigned say(struct said *said, const char *what, char *words)
{
	unsigned i;

	for (i = 0; i < said->cnt; i++) {
		if (!strcmp(said->texts[i], words)) {
			free(words);
			return i;
		}
	}
	printf("%s %u: %s\n", what, i, words);
	said->texts = realloc(said->texts, (said->cnt + 1) * sizeof(*said->texts));
	if (!said->texts)
		abort();
	said->texts[said->cnt++] = words;
	return i;
}

static unsigned thread(const struct record_thread *t)
{
	char *words;
	size_t len;
	FILE *out = open_memstream(&words, &len);

	fprintf(out, "%u %u %llu", t->process->pid, t->tid, (unsigned long long)t->key);
	string(out, t->name);
	string(out, t->process->name);
	string(out, t->process->exe);
	string(out, t->process->command);
	fclose(out);
	return say(&threads, "thread", words);
}

static unsigned format(const struct record_format *f)
{
	char *words;
	size_t len;
	FILE *out = open_memstream(&words, &len);

	fprintf(out, "level=%u kind=%u line=%u hash=%016llx", f->level, f->kind, f->line,
		(unsigned long long)f->hash);
	string(out, f->tag);
	string(out, f->file);
	string(out, f->function);
	string(out, f->format);
	string(out, f->name);
	fclose(out);
	return say(&formats, "format", words);
}

static void value(const struct record_value *v)
{
	static const char *const names[] = { "bool", "char", "u8",  "u64", "f32",
					     "f64",  "str",  "i64", "ptr", "bytes" };
	uint32_t bits;

	printf(" %s:", names[v->type]);
	switch ((enum qslog_arg_type)v->type) {
	case QSLOG_ARG_INT64:
		printf("%lld", (long long)v->i);
		break;
	case QSLOG_ARG_FLOAT:
		memcpy(&bits, &v->f, 4);
		printf("%08x", bits);
		break;
	case QSLOG_ARG_DOUBLE:
		printf("%016llx", (unsigned long long)v->u);
		break;
	case QSLOG_ARG_STR:
	case QSLOG_ARG_BYTES:
		if (!v->bytes) {
			printf("null");
			break;
		}
		printf("%u/%u:\"", v->len, v->real_len);
		text(stdout, v->bytes, v->len);
		putchar('"');
		break;
	default:
		printf("%llu", (unsigned long long)v->u);
	}
}

static void name(const struct record_name *n)
{
	fputs(" \"", stdout);
	text(stdout, n->bytes, n->len);
	putchar('"');
}

static void off(const struct record *r)
{
	const struct record_cause *c = &r->off->cause;

	printf("off %lld pid=%u tid=%u ns=%llu ready=%llu cpu=%u why=%u who=%u io=%d exiting=%d open=%d",
	       (long long)r->time_ns, r->thread->process->pid, r->thread->tid,
	       (unsigned long long)r->off->off_ns, (unsigned long long)r->off->ready_ns, r->off->cpu,
	       c->why, c->who, c->io, c->exiting, r->off->open);
	if (c->syscall >= 0) {
		printf(" syscall=%d", c->syscall);
		name(&c->syscall_name);
	}
	if (c->who == FILE_OFF_WHO_THREAD) {
		printf(" by=%u/%u", c->who_pid, c->who_tid);
		name(&c->who_name);
	}
	putchar('\n');
}

static void line(const struct record *r)
{
	static const char *const kinds[] = { "log", "enter", "exit", "loss", "line", "line_end" };
	unsigned in, of;

	if (r->kind == RECORD_OFF) {
		off(r);
		return;
	}
	if (r->kind == RECORD_OFF_LOST) {
		printf("off_lost %lld ns=%llu cause=%u lost=%llu\n", (long long)r->time_ns,
		       (unsigned long long)r->duration_ns, r->lost_cause,
		       (unsigned long long)r->lost);
		return;
	}
	in = thread(r->thread);
	of = r->format ? format(r->format) : 0;
	printf("%s %lld %u", kinds[r->kind], (long long)r->time_ns, in);
	if (r->kind == RECORD_LOSS)
		printf(" cause=%u lost=%llu", r->lost_cause, (unsigned long long)r->lost);
	else
		printf(" %u", of);
	if (r->kind == RECORD_SPAN_EXIT || r->kind == RECORD_LINE_END)
		printf(" duration=%llu", (unsigned long long)r->duration_ns);
	for (unsigned i = 0; i < r->value_cnt; i++)
		value(&r->values[i]);
	if (r->context.has_trace)
		printf(" trace=%016llx%016llx flags=%u", (unsigned long long)r->context.trace_high,
		       (unsigned long long)r->context.trace_low, r->context.trace_flags);
	if (r->context.span_id)
		printf(" span=%016llx", (unsigned long long)r->context.span_id);
	if (r->context.parent_id)
		printf(" parent=%016llx", (unsigned long long)r->context.parent_id);
	putchar('\n');
}

static void damage(void *arg, const char *path, uint64_t offset, const char *what)
{
	int *damaged = arg;

	*damaged = 1;
	fprintf(stderr, "%s: %llu: %s\n", path, (unsigned long long)offset, what);
}

int main(int argc, char **argv)
{
	const struct reader_hint hint = { .times = true }; /* intervals off the CPU, too */
	struct reader_totals totals;
	const struct record *record;
	struct reader *reader;
	int damaged = 0, ret;

	if (argc != 2)
		return 2;
	ret = reader_open(&reader, argv[1], damage, &damaged);
	if (ret == -EBADMSG || ret == -EPROTONOSUPPORT) {
		printf("refused: %s\n", ret == -EBADMSG ? "no such file" : "of a later version");
		return 0;
	}
	if (ret) {
		fprintf(stderr, "dump: %s: %s\n", argv[1], strerror(-ret));
		return 1;
	}
	reader_hint(reader, &hint);
	while ((ret = reader_next(reader, &record)) == 1)
		line(record);
	reader_totals_get(reader, &totals);
	printf("end: records=%llu lost=%llu damaged=%d closed=%d tail=%d\n",
	       (unsigned long long)totals.records, (unsigned long long)totals.lost, damaged,
	       totals.has_index, totals.has_tail);
	reader_close(reader);
	for (unsigned i = 0; i < threads.cnt; i++)
		free(threads.texts[i]);
	for (unsigned i = 0; i < formats.cnt; i++)
		free(formats.texts[i]);
	free(threads.texts);
	free(formats.texts);
	return ret ? 1 : 0;
}
