/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_sample.c - synthetic and real samples in memory, as the records that an application leaves
 * in its arena, and their replay through the writer. What a sample holds is the same each time.
 */
#include "bench_sample.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_util.h"
#include "counter.h"

#define LINE_MAX_BYTES 65536
#define TID 4711

static uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* --- Building */

struct build {
	struct sample *sample;
	uint32_t format_cap, call_cap;
	uint64_t word_cap;
};

static int grow(void *array, uint64_t need, uint64_t cap, size_t size, uint64_t *cap_out)
{
	void **at = array, *grown;

	if (need <= cap)
		return 0;
	cap = need * 2 < 1024 ? 1024 : need * 2;
	grown = realloc(*at, cap * size);
	if (!grown)
		return -ENOMEM;
	*at = grown;
	*cap_out = cap;
	return 0;
}

static int call_begin(struct build *b, uint32_t format)
{
	struct sample *s = b->sample;
	uint64_t cap = b->call_cap;
	int err;

	err = grow(&s->calls, s->call_cnt + 1u, cap, sizeof(*s->calls), &cap);
	if (err)
		return err;
	b->call_cap = (uint32_t)cap;
	s->calls[s->call_cnt].format = format;
	s->calls[s->call_cnt].word_off = s->word_cnt;
	err = grow(&s->words, s->word_cnt + 2, b->word_cap, sizeof(*s->words), &b->word_cap);
	if (!err) {
		s->words[s->word_cnt++] = 0;
		s->words[s->word_cnt++] = 0;
	}
	return err;
}

static int call_slot(struct build *b, uint64_t value)
{
	struct sample *s = b->sample;
	int err = grow(&s->words, s->word_cnt + 1, b->word_cap, sizeof(*s->words), &b->word_cap);

	if (!err)
		s->words[s->word_cnt++] = value;
	return err;
}

static int call_text(struct build *b, const char *text, uint32_t len)
{
	struct sample *s = b->sample;
	const uint64_t words = (len + 7u) / 8;
	int err = call_slot(b, (uint64_t)len | (uint64_t)len << 32);

	if (!err)
		err = grow(&s->words, s->word_cnt + words, b->word_cap, sizeof(*s->words),
			   &b->word_cap);
	if (err || !words)
		return err;
	s->words[s->word_cnt + words - 1] = 0;
	memcpy(&s->words[s->word_cnt], text, len);
	s->word_cnt += words;
	return 0;
}

/* `exit`: leaves a span. */
static void call_end(struct build *b, bool exit)
{
	struct sample *s = b->sample;
	struct sample_call *c = &s->calls[s->call_cnt++];

	c->bytes = (uint32_t)(s->word_cnt - c->word_off) * 8;
	s->words[c->word_off] = (uint64_t)c->bytes << (QSLOG_RECORD_SIZE_SHIFT - 3) |
				(exit ? QSLOG_RECORD_EXIT : 0);
}

static bool same(const struct writer_format *a, const struct writer_format *b)
{
	return a->level == b->level && a->arg_cnt == b->arg_cnt &&
	       memcmp(a->types, b->types, a->arg_cnt) == 0 && strcmp(a->tag, b->tag) == 0 &&
	       strcmp(a->format, b->format) == 0;
}

/* The index of a format with these contents (strings are copied), or a negative errno. */
static int format_of(struct build *b, const struct writer_format *wanted)
{
	struct sample *s = b->sample;
	struct writer_format *f;
	uint64_t cap = b->format_cap;
	uint32_t i;

	for (i = 0; i < s->format_cnt; i++)
		if (same(&s->formats[i], wanted))
			return (int)i;
	if (grow(&s->formats, s->format_cnt + 1u, cap, sizeof(*s->formats), &cap))
		return -ENOMEM;
	b->format_cap = (uint32_t)cap;
	f = &s->formats[s->format_cnt];
	*f = *wanted;
	f->tag = strdup(wanted->tag);
	f->format = strdup(wanted->format);
	f->name = wanted->name ? strdup(wanted->name) : NULL;
	f->file = "replay.c";
	f->function = "replay";
	f->line = 100 + s->format_cnt * 7;
	s->format_cnt++; /* sample_fini() frees what there is */
	return f->tag && f->format && (f->name || !wanted->name) ? (int)i : -ENOMEM;
}

/* --- Synthetic */

enum synthetic { INTS_SPREAD, INTS_COUNT, INTS_MIXED, KIND_C, SPANS, SYNTHETIC_CNT };
static const char *const synthetic_names[] = { "int-random", "int-counting", "ints-mixed",
					       "int-double-string", "spans" };

/* A number as programs have them: of 1 to 40 bits, the small ones more often, some negative. */
static uint64_t mixed_int(uint64_t *seed)
{
	static const uint8_t bits[] = { 1, 4, 7, 7, 10, 14, 16, 20, 32, 40 };
	const uint64_t r = random_next(seed);
	const uint64_t value = random_next(seed) & ((UINT64_C(1) << bits[r % 10]) - 1);

	return r >> 32 & 15 ? value : 0 - value;
}

static int mixed_call(struct build *b, uint64_t *seed, uint32_t first_format)
{
	const uint32_t which = (uint32_t)(random_next(seed) % 8);
	uint32_t i, cnt = 1 + which % 4;
	int err = call_begin(b, first_format + which);

	for (i = 0; i < cnt && !err; i++)
		err = call_slot(b, mixed_int(seed));
	return err;
}

static int synthetic_formats(struct build *b, enum synthetic kind)
{
	static const char *const mixed[] = {
		"queue length {}", "read {} bytes at {}", "fd {} events {} took {} us",
		"request {} status {} bytes {} after {} us", "retry {}", "page {} of {}",
		"cache hit {} miss {} evicted {}", "thread {} cpu {} wait {} run {}",
	};
	struct writer_format f = { .level = QSLOG_LEVEL_INFO, .tag = "bench", .format = "value {}",
				   .arg_cnt = 1 };
	int i, index = 0;

	switch (kind) {
	case INTS_MIXED:
		memset(f.types, QSLOG_ARG_INT64, 4);
		for (i = 0; i < 8 && index >= 0; i++) {
			f.format = mixed[i];
			f.arg_cnt = (uint8_t)(1 + i % 4);
			index = format_of(b, &f);
		}
		return index < 0 ? index : 0;
	case KIND_C:
		f.format = "int {} double {} string {}";
		f.arg_cnt = 3;
		f.types[0] = QSLOG_ARG_INT64;
		f.types[1] = QSLOG_ARG_DOUBLE;
		f.types[2] = QSLOG_ARG_STR;
		break;
	case SPANS:
		f.kind = QSLOG_SITE_SPAN;
		f.name = "work";
		f.format = "id={}";
		f.types[0] = QSLOG_ARG_UINT64;
		break;
	default:
		f.types[0] = QSLOG_ARG_UINT64;
		break;
	}
	index = format_of(b, &f);
	return index < 0 ? index : 0;
}

static int synthetic_call(struct build *b, enum synthetic kind, uint64_t i, uint64_t *seed)
{
	const double real = (double)(random_next(seed) % 100000) / 100;
	uint64_t bits;
	char text[16];
	int err;

	if (kind == INTS_MIXED) {
		err = mixed_call(b, seed, 0);
	} else {
		err = call_begin(b, 0);
	}
	if (kind == INTS_SPREAD && !err)
		err = call_slot(b, random_next(seed));
	if (kind == INTS_COUNT && !err)
		err = call_slot(b, i);
	if (kind == SPANS && !err) /* leaving: the counter of entering is filled in at replay */
		err = call_slot(b, i % 2 ? 0 : i / 2);
	if (kind == KIND_C && !err) {
		memcpy(&bits, &real, sizeof(bits));
		snprintf(text, sizeof(text), "key-%07u", (unsigned int)(random_next(seed) % 1000));
		err = call_slot(b, random_next(seed) % 5000);
		if (!err)
			err = call_slot(b, bits);
		if (!err)
			err = call_text(b, text, 11);
	}
	if (!err)
		call_end(b, kind == SPANS && i % 2);
	return err;
}

static int synthetic_open(struct build *b, enum synthetic kind, uint32_t calls)
{
	uint64_t seed = 1, i;
	int err = synthetic_formats(b, kind);

	snprintf(b->sample->name, sizeof(b->sample->name), "%s", synthetic_names[kind]);
	for (i = 0; i < calls && !err; i++)
		err = synthetic_call(b, kind, i, &seed);
	return err;
}

/* --- Real */

/* \t, \n and \\ in place; the new length. */
static uint32_t unescape(char *text)
{
	char *from = text, *to = text;

	while (*from) {
		if (*from == '\\' && from[1]) {
			from++;
			*to++ = *from == 't' ? '\t' : *from == 'n' ? '\n' : *from;
			from++;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return (uint32_t)(to - text);
}

static int real_call(struct build *b, char *line)
{
	static const char letters[] = "VDIWEF";
	char *fields[3 + QSLOG_ARGS_MAX], *rest = line, *end;
	struct writer_format f = { .kind = QSLOG_SITE_LOG };
	unsigned int cnt = 0, i;
	int err, index;

	line[strcspn(line, "\r\n")] = '\0';
	while (rest && cnt < sizeof(fields) / sizeof(fields[0]))
		fields[cnt++] = strsep(&rest, "\t");
	if (rest || cnt < 3 || !fields[0][0] || fields[0][1] || !strchr(letters, fields[0][0]))
		return -EBADMSG;
	f.level = (uint8_t)(strchr(letters, fields[0][0]) - letters);
	unescape(fields[1]);
	unescape(fields[2]);
	f.tag = fields[1];
	f.format = fields[2];
	f.arg_cnt = (uint8_t)(cnt - 3);
	for (i = 3; i < cnt; i++) {
		if ((fields[i][0] != 'i' && fields[i][0] != 's') || fields[i][1] != ':')
			return -EBADMSG;
		f.types[i - 3] = fields[i][0] == 'i' ? QSLOG_ARG_INT64 : QSLOG_ARG_STR;
	}
	index = format_of(b, &f);
	if (index < 0)
		return index;
	err = call_begin(b, (uint32_t)index);
	for (i = 3; i < cnt && !err; i++) {
		if (fields[i][0] == 's') {
			err = call_text(b, fields[i] + 2, unescape(fields[i] + 2));
			continue;
		}
		errno = 0;
		err = call_slot(b, (uint64_t)strtoll(fields[i] + 2, &end, 10));
		if (errno || end == fields[i] + 2 || *end)
			return -EBADMSG;
	}
	if (!err)
		call_end(b, false);
	return err;
}

static int real_open(struct build *b, const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	char *line = malloc(LINE_MAX_BYTES);
	FILE *file = fopen(path, "re");
	unsigned int number = 0;
	int err = 0;

	snprintf(b->sample->name, sizeof(b->sample->name), "%.*s", (int)strcspn(name, "."), name);
	if (!line || !file) {
		err = line ? -errno : -ENOMEM;
		goto out;
	}
	while (!err && fgets(line, LINE_MAX_BYTES, file)) {
		number++;
		err = real_call(b, line);
	}
	if (!err && ferror(file))
		err = -EIO;
	if (!err && !b->sample->call_cnt)
		err = -ENODATA;
	if (err == -EBADMSG)
		fprintf(stderr, "bench: %s:%u is not a call\n", path, number);
out:
	if (file)
		fclose(file);
	free(line);
	return err;
}

/* --- The list */

static int is_tsv(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".tsv") == 0;
}

int sample_list_open(struct sample_list *list, const char *dir)
{
	struct dirent **entries;
	int i, cnt, err = 0;

	memset(list, 0, sizeof(*list));
	list->cnt = SYNTHETIC_CNT;
	if (!dir || !*dir)
		return 0;
	cnt = scandir(dir, &entries, is_tsv, alphasort);
	if (cnt < 0)
		return -errno;
	list->paths = calloc((size_t)cnt + 1, sizeof(*list->paths));
	for (i = 0; i < cnt; i++) {
		if (list->paths &&
		    asprintf(&list->paths[list->real_cnt], "%s/%s", dir, entries[i]->d_name) >= 0)
			list->real_cnt++;
		else
			err = -ENOMEM;
		free(entries[i]);
	}
	free(entries);
	if (!err && !cnt)
		err = -ENOENT;
	list->cnt += list->real_cnt;
	if (err)
		sample_list_fini(list);
	return err;
}

void sample_list_fini(struct sample_list *list)
{
	uint32_t i;

	for (i = 0; i < list->real_cnt; i++)
		free(list->paths[i]);
	free(list->paths);
	memset(list, 0, sizeof(*list));
}

int sample_open(struct sample *s, const struct sample_list *list, uint32_t n, uint32_t calls)
{
	struct build b = { .sample = s };
	int err;

	memset(s, 0, sizeof(*s));
	if (n < SYNTHETIC_CNT)
		err = synthetic_open(&b, (enum synthetic)n, calls);
	else
		err = real_open(&b, list->paths[n - SYNTHETIC_CNT]);
	if (err)
		sample_fini(s);
	return err;
}

void sample_fini(struct sample *s)
{
	uint32_t i;

	for (i = 0; i < s->format_cnt; i++) {
		free((char *)s->formats[i].tag);
		free((char *)s->formats[i].format);
		free((char *)s->formats[i].name);
	}
	free(s->formats);
	free(s->calls);
	free(s->words);
	s->formats = NULL;
	s->calls = NULL;
	s->words = NULL;
	s->format_cnt = s->call_cnt = 0;
}
