/* SPDX-License-Identifier: BSD-2-Clause */
/* file_helper.c - see file_helper.h. */
#include "file_helper.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "counter.h"

static char dir[64];

int helper_setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/qslog-unit-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

int helper_teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

const char *helper_dir(void)
{
	return dir;
}

void made_begin(struct made_record *r, uint64_t counter)
{
	r->words[0] = 0x123456789abcu; /* the site: nobody looks at it here */
	r->words[1] = counter;
	r->cnt = 2;
}

void made_slot(struct made_record *r, uint64_t slot)
{
	r->words[r->cnt++] = slot;
}

void made_double(struct made_record *r, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, 8);
	made_slot(r, bits);
}

void made_float(struct made_record *r, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, 4);
	made_slot(r, bits);
}

void made_text(struct made_record *r, const void *data, uint32_t stored, uint32_t real)
{
	uint32_t words = (stored + 7) / 8;

	made_slot(r, (uint64_t)real << 32 | stored);
	if (words) {
		r->words[r->cnt + words - 1] = 0;
		memcpy(&r->words[r->cnt], data, stored);
	}
	r->cnt += words;
}

void made_null(struct made_record *r)
{
	made_slot(r, (uint64_t)QSLOG_STR_NULL << 32);
}

uint32_t made_end(struct made_record *r, bool leaves)
{
	r->words[0] &= QSLOG_RECORD_SITE_MASK;
	r->words[0] |= (uint64_t)r->cnt << QSLOG_RECORD_SIZE_SHIFT;
	if (leaves)
		r->words[0] |= QSLOG_RECORD_EXIT;
	return r->cnt * 8;
}

void made_file_open(struct made_file *f, const char *name, uint32_t block_bytes, bool tail)
{
	struct writer_options options = { .block_bytes = block_bytes, .tail = tail };

	made_file_open_options(f, name, &options);
}

bool made_behind, made_seal_thread;

static unsigned int always_full(void *arg)
{
	(void)arg;
	return 100;
}

void made_file_open_options(struct made_file *f, const char *name, struct writer_options *options)
{
	struct writer_process process = { .pid = 4711, .start_time_ns = 1, .name = "example",
					  .exe = "/usr/bin/example", .command = "example -x" };

	snprintf(f->path, sizeof(f->path), "%s/%s", dir, name);
	snprintf(f->tail, sizeof(f->tail), "%s.tail", f->path);
	options->path = f->path;
	options->seal_thread |= made_seal_thread;
	if (made_behind)
		options->backlog = always_full;
	assert_int_equal(writer_open(&f->w, options), 0);
	f->process = writer_process_add(f->w, &process);
	assert_true(f->process >= 0);
	f->thread = writer_thread_add(f->w, (uint32_t)f->process, 4711, 1, "main");
	assert_true(f->thread >= 0);
}

int made_format(struct made_file *f, const char *format, uint8_t level, unsigned arg_cnt,
		const uint8_t *types)
{
	struct writer_format wf = { .kind = QSLOG_SITE_LOG, .level = level, .line = 38,
				    .arg_cnt = (uint8_t)arg_cnt, .file = "src/example.c",
				    .function = "main", .format = format };
	int id;

	memcpy(wf.types, types, arg_cnt);
	id = writer_format_add(f->w, (uint32_t)f->process, &wf);
	assert_true(id >= 0);
	return id;
}

int made_span(struct made_file *f, const char *name, unsigned arg_cnt, const uint8_t *types)
{
	struct writer_format wf = { .kind = QSLOG_SITE_SPAN, .level = QSLOG_LEVEL_INFO, .line = 7,
				    .arg_cnt = (uint8_t)arg_cnt, .file = "src/example.c",
				    .function = "main", .format = "", .name = name };
	int id;

	memcpy(wf.types, types, arg_cnt);
	id = writer_format_add(f->w, (uint32_t)f->process, &wf);
	assert_true(id >= 0);
	return id;
}

void made_u64(struct made_file *f, int thread, int format, uint64_t counter, uint64_t value)
{
	uint64_t words[3] = { (uint64_t)3 << QSLOG_RECORD_SIZE_SHIFT, counter, value };

	assert_int_equal(writer_record(f->w, (uint32_t)thread, (uint32_t)format, words,
				       sizeof(words)), 0);
}

struct writer_totals made_file_close(struct made_file *f)
{
	struct writer_totals totals;

	assert_int_equal(writer_close(f->w, &totals), 0);
	f->w = NULL;
	return totals;
}

static void value_dump(FILE *out, const struct record_value *v)
{
	uint64_t sum = 0;
	uint32_t i, bits;

	switch ((enum qslog_arg_type)v->type) {
	case QSLOG_ARG_INT64:
		fprintf(out, " i%lld", (long long)v->i);
		return;
	case QSLOG_ARG_FLOAT:
		memcpy(&bits, &v->f, 4);
		fprintf(out, " f%08x", bits);
		return;
	case QSLOG_ARG_DOUBLE:
		fprintf(out, " d%016llx", (unsigned long long)v->u);
		return;
	case QSLOG_ARG_STR:
	case QSLOG_ARG_BYTES:
		if (!v->bytes) {
			fprintf(out, " null");
			return;
		}
		for (i = 0; i < v->len; i++)
			sum = sum * 31 + (uint8_t)v->bytes[i];
		fprintf(out, " s%u/%u:%llx:", v->len, v->real_len, (unsigned long long)sum);
		for (i = 0; i < v->len && i < 8; i++)
			fprintf(out, "%02x", (uint8_t)v->bytes[i]);
		return;
	default:
		fprintf(out, " %u:%llu", v->type, (unsigned long long)v->u);
	}
}

void record_dump(FILE *out, const struct record *r)
{
	static const char kinds[] = "LEXMBC"; /* enum record_kind */
	unsigned i;

	fprintf(out, "%c %u %u %llu", kinds[r->kind], r->thread->process->pid, r->thread->tid,
		(unsigned long long)r->thread->key);
	if (r->kind == RECORD_LOSS) {
		fprintf(out, " lost %llu %u\n", (unsigned long long)r->lost, r->lost_cause);
		return;
	}
	fprintf(out, " %u %s %s:%u %s %s", r->format->level, r->format->tag, r->format->file,
		r->format->line, r->format->function, r->format->format);
	if (r->format->name)
		fprintf(out, " <%s>", r->format->name);
	for (i = 0; i < r->value_cnt; i++)
		value_dump(out, &r->values[i]);
	if (r->context.has_trace)
		fprintf(out, " @%llx:%llx", (unsigned long long)r->context.trace_high,
			(unsigned long long)r->context.trace_low);
	if (r->context.has_trace || r->context.span_id)
		fprintf(out, " %llx<%llx", (unsigned long long)r->context.span_id,
			(unsigned long long)r->context.parent_id);
	fputc('\n', out);
}

static void damage_note(void *arg, const char *path, uint64_t offset, const char *what)
{
	struct read_result *result = arg;

	if (!result->damages++)
		snprintf(result->damage, sizeof(result->damage), "%s at %llu: %s", path,
			 (unsigned long long)offset, what);
}

void file_read(struct read_result *result, const char *path, const struct reader_hint *hint)
{
	const struct record *record;
	struct reader *reader;
	int64_t last = INT64_MIN;
	FILE *out;

	memset(result, 0, sizeof(*result));
	out = open_memstream(&result->lines, &result->lines_len);
	assert_non_null(out);
	result->open_error = reader_open(&reader, path, damage_note, result);
	if (!result->open_error) {
		if (hint)
			reader_hint(reader, hint);
		while ((result->error = reader_next(reader, &record)) == 1) {
			record_dump(out, record);
			result->cnt++;
			result->backwards += record->time_ns < last;
			last = record->time_ns;
		}
		reader_totals_get(reader, &result->totals);
		reader_close(reader);
	}
	assert_int_equal(fclose(out), 0);
}

void read_result_fini(struct read_result *result)
{
	free(result->lines);
	result->lines = NULL;
}

uint8_t *bytes_load(const char *path, size_t *len)
{
	FILE *in = fopen(path, "rb");
	uint8_t *data;
	long size;

	assert_non_null(in);
	assert_int_equal(fseek(in, 0, SEEK_END), 0);
	size = ftell(in);
	assert_true(size >= 0);
	rewind(in);
	data = malloc((size_t)size + 1);
	assert_non_null(data);
	*len = fread(data, 1, (size_t)size, in);
	assert_int_equal(*len, size);
	fclose(in);
	return data;
}

void bytes_store(const char *path, const void *data, size_t len)
{
	FILE *out = fopen(path, "wb");

	assert_non_null(out);
	assert_int_equal(fwrite(data, 1, len, out), len);
	assert_int_equal(fclose(out), 0);
}
