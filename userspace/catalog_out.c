/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * catalog_out.c - numbers and entries for processes, threads and formats. What is added twice gets
 * its first number again: a process by pid and content, a thread by (process, tid, key), a format
 * by its content.
 */
#define XXH_INLINE_ALL
#include "catalog_out.h"

#include <limits.h>
#include <string.h>
#include <xxhash.h>

#include "file_format.h"
#include "varint.h"

/* "2025-04-09 16:09:58.156 " "PID TID " "D " "TAG " "[FILE:LINE FUNCTION] " MESSAGE "\n" */
#define TEXT_DATE_BYTES 24u
#define TEXT_PUNCTUATION_BYTES 9u
#define TEXT_LINE_BYTES 66u /* "-> trace 4bf92f3577b34da6a3ce929d0e0e4736 parent 00f067aa0ba902b7" */

uint8_t *info_extended_put(uint8_t *p, unsigned subtype, uint32_t bytes)
{
	uint32_t length = bytes + 1;

	*p = FILE_ENTRY_INFO << FILE_ENTRY_TYPE_SHIFT | FILE_INFO_EXTENDED << FILE_INFO_TYPE_SHIFT;
	if (length < FILE_INFO_LENGTH_ESCAPE) {
		*p++ |= (uint8_t)length;
	} else {
		*p++ |= FILE_INFO_LENGTH_ESCAPE;
		p = varint_put(p, length);
	}
	*p++ = (uint8_t)subtype;
	return p;
}

static uint8_t *string_put(uint8_t *p, const char *s, size_t len)
{
	p = varint_put(p, len);
	if (len)
		memcpy(p, s, len);
	return p + len;
}

static unsigned decimal_digits(uint64_t v)
{
	unsigned n = 1;

	for (; v >= 10; v /= 10)
		n++;
	return n;
}

/* Makes room for one more pointer. */
static int pointers_grow(void *array, uint32_t cnt, uint32_t *cap)
{
	void **p, **bigger;
	uint32_t more;

	if (cnt < *cap)
		return 0;
	if (cnt >= INT_MAX / 2)
		return -EOVERFLOW;
	more = *cap ? *cap * 2 : 16;
	memcpy(&p, array, sizeof(p));
	bigger = realloc(p, more * sizeof(*p));
	if (!bigger)
		return -ENOMEM;
	memcpy(array, &bigger, sizeof(bigger));
	*cap = more;
	/* cppcheck-suppress memleak ; the array has it */
	return 0;
}

/* Moves a finished body behind the head of an extended info entry. */
static int entry_make(struct out_entry *e, unsigned subtype, const uint8_t *body, uint32_t bytes)
{
	uint8_t *p;

	e->data = malloc(bytes + 12);
	if (!e->data)
		return -ENOMEM;
	p = info_extended_put(e->data, subtype, bytes);
	memcpy(p, body, bytes);
	e->bytes = (uint32_t)(p - e->data) + bytes;
	e->seen = 0;
	return 0;
}

static size_t string_len(const char *s)
{
	return s ? strnlen(s, CATALOG_STRING_BYTES_MAX) : 0;
}

int catalog_out_process(struct catalog_out *c, const struct writer_process *process)
{
	size_t name_len = string_len(process->name), exe_len = string_len(process->exe);
	size_t command_len = string_len(process->command), host_len = string_len(process->host);
	struct out_process *new = NULL;
	struct hash_index_walk walk;
	uint8_t *buffer, *body, *p, index[VARINT_BYTES_MAX];
	uint64_t hash;
	size_t n;
	uint32_t i;
	int err;

	buffer = malloc(name_len + exe_len + command_len + host_len + 8 * VARINT_BYTES_MAX);
	if (!buffer)
		return -ENOMEM;
	body = buffer + VARINT_BYTES_MAX; /* the index goes before it, once it is known */
	p = varint_put(body, process->pid);
	p = varint_put(p, process->start_time_ns);
	p = string_put(p, process->name, name_len);
	p = string_put(p, process->exe, exe_len);
	p = string_put(p, process->command, command_len);
	if (host_len)
		p = string_put(p, process->host, host_len);
	hash = XXH3_64bits(body, (size_t)(p - body));
	for (i = hash_index_first(&c->process_by_entry, hash, &walk); i != HASH_INDEX_NONE;
	     i = hash_index_next(&c->process_by_entry, &walk)) {
		if (c->processes[i]->pid == process->pid) {
			free(buffer);
			return (int)i;
		}
	}
	err = -ENOMEM;
	new = calloc(1, sizeof(*new));
	if (!new)
		goto fail;
	new->pid = process->pid;
	new->name = strndup(process->name ? process->name : "", CATALOG_STRING_BYTES_MAX);
	if (!new->name)
		goto fail;
	n = (size_t)(varint_put(index, c->process_cnt) - index);
	body -= n;
	memcpy(body, index, n);
	err = entry_make(&new->entry, FILE_SUB_PROCESS, body, (uint32_t)(p - body));
	if (!err)
		err = pointers_grow(&c->processes, c->process_cnt, &c->process_cap);
	if (!err)
		err = hash_index_add(&c->process_by_entry, hash, c->process_cnt);
	if (err)
		goto fail;
	free(buffer);
	c->processes[c->process_cnt] = new;
	return (int)c->process_cnt++;
fail:
	if (new) {
		free(new->entry.data);
		free(new->name);
	}
	free(new);
	free(buffer);
	return err;
}

static int thread_entry(const struct out_thread *t, uint32_t index, const char *name,
			struct out_entry *entry)
{
	size_t len = string_len(name);
	uint8_t *body, *p;
	int err;

	body = malloc(len + 5 * VARINT_BYTES_MAX);
	if (!body)
		return -ENOMEM;
	p = varint_put(body, index);
	p = varint_put(p, t->process);
	p = varint_put(p, t->tid);
	p = varint_put(p, t->key);
	p = string_put(p, name, len);
	err = entry_make(entry, FILE_SUB_THREAD, body, (uint32_t)(p - body));
	free(body);
	return err;
}

/* The thread is known; it may have got another name since. */
static int thread_rename(struct out_thread *t, uint32_t index, const char *name)
{
	struct out_entry entry;
	int err;

	if (!name || !*name)
		return (int)index;
	err = thread_entry(t, index, name, &entry);
	if (err)
		return err;
	if (entry.bytes == t->entry.bytes && memcmp(entry.data, t->entry.data, entry.bytes) == 0) {
		free(entry.data);
		return (int)index;
	}
	free(t->entry.data);
	t->entry.data = entry.data;
	t->entry.bytes = entry.bytes;
	/* a block that already has the old name keeps it: its record counts hang on `seen` */
	return (int)index;
}

static uint64_t thread_hash(uint32_t process, uint32_t tid, uint64_t key)
{
	const uint64_t identity[2] = { (uint64_t)process << 32 | tid, key };

	return XXH3_64bits(identity, sizeof(identity));
}

static struct out_thread *thread_make(struct catalog_out *c, uint32_t number, uint32_t process,
				      uint32_t tid, uint64_t key, const char *name, int *err)
{
	struct out_thread *new = calloc(1, sizeof(*new));

	*err = -ENOMEM;
	if (!new)
		return NULL;
	new->process = process;
	new->tid = tid;
	new->key = key;
	new->text_bytes = decimal_digits(c->processes[process]->pid) + decimal_digits(tid) + 2;
	*err = thread_entry(new, number, name, &new->entry);
	if (!*err)
		return new;
	free(new);
	return NULL;
}

int catalog_out_thread(struct catalog_out *c, uint32_t process, uint32_t tid, uint64_t key,
		       const char *name)
{
	uint64_t hash = thread_hash(process, tid, key);
	struct hash_index_walk walk;
	struct out_thread *new;
	uint32_t i;
	int err;

	if (process >= c->process_cnt)
		return -EINVAL;
	for (i = hash_index_first(&c->thread_by_key, hash, &walk); i != HASH_INDEX_NONE;
	     i = hash_index_next(&c->thread_by_key, &walk)) {
		struct out_thread *t = c->threads[i];

		if (t->process == process && t->tid == tid && t->key == key)
			return thread_rename(t, i, name);
	}
	new = thread_make(c, c->thread_cnt, process, tid, key, name, &err);
	if (!new)
		return err;
	err = pointers_grow(&c->threads, c->thread_cnt, &c->thread_cap);
	if (!err)
		err = hash_index_add(&c->thread_by_key, hash, c->thread_cnt);
	if (err) {
		free(new->entry.data);
		free(new);
		return err;
	}
	c->threads[c->thread_cnt] = new;
	return (int)c->thread_cnt++;
}

static bool format_valid(const struct writer_format *f)
{
	unsigned i;

	if (f->kind >= QSLOG_SITE_KIND_COUNT || f->level >= QSLOG_LEVEL_COUNT ||
	    f->arg_cnt > QSLOG_ARGS_MAX || !f->file || !f->function || !f->format)
		return false;
	for (i = 0; i < f->arg_cnt; i++) {
		if (f->types[i] >= QSLOG_ARG_TYPE_COUNT)
			return false;
	}
	return f->kind != QSLOG_SITE_SPAN || f->name;
}

int catalog_out_reserve(struct catalog_out *c, uint32_t thread_cnt, uint32_t format_cnt)
{
	if (c->thread_cnt || c->format_cnt || thread_cnt > INT_MAX / 2 || format_cnt > INT_MAX / 2)
		return -EINVAL;
	c->threads = calloc((size_t)thread_cnt + 1, sizeof(struct out_thread *));
	c->formats = calloc((size_t)format_cnt + 1, sizeof(struct out_format *));
	if (!c->threads || !c->formats)
		return -ENOMEM;
	c->thread_cnt = thread_cnt;
	c->thread_cap = thread_cnt + 1;
	c->format_cnt = format_cnt;
	c->format_cap = format_cnt + 1;
	return 0;
}

int catalog_out_thread_at(struct catalog_out *c, uint32_t number, uint32_t process, uint32_t tid,
			  uint64_t key, const char *name)
{
	struct out_thread *new;
	int err;

	if (number >= c->thread_cnt || c->threads[number] || process >= c->process_cnt)
		return -EINVAL;
	new = thread_make(c, number, process, tid, key, name, &err);
	if (!new)
		return err;
	err = hash_index_add(&c->thread_by_key, thread_hash(process, tid, key), number);
	if (err) {
		free(new->entry.data);
		free(new);
		return err;
	}
	c->threads[number] = new;
	return 0;
}

/* Length of a format without its placeholders. */
static uint32_t literal_bytes(const char *s)
{
	uint32_t n = 0;

	for (; *s; s++) {
		if (s[0] == '{' && s[1] == '{') {
			s++;
			n++;
		} else if (s[0] == '{') {
			while (s[1] && *s != '}')
				s++;
		} else {
			n++;
		}
	}
	return n;
}

static uint32_t format_text_bytes(const struct writer_format *f, const char *tag)
{
	const char *base = strrchr(f->file, '/');
	size_t n = TEXT_DATE_BYTES + TEXT_PUNCTUATION_BYTES;

	n += strlen(tag) + strlen(base ? base + 1 : f->file) + decimal_digits(f->line);
	n += strlen(f->function) + literal_bytes(f->format);
	if (f->kind == QSLOG_SITE_SPAN)
		n += strlen(f->name) + 4;
	if (f->kind == QSLOG_SITE_CONTEXT)
		n += TEXT_LINE_BYTES;
	return (uint32_t)n;
}

static uint8_t strings_count(const struct writer_format *f)
{
	uint8_t cnt = 0;
	unsigned i;

	for (i = 0; i < f->arg_cnt; i++)
		cnt += f->types[i] == QSLOG_ARG_STR || f->types[i] == QSLOG_ARG_BYTES;
	return cnt;
}

static bool is_plain(const struct writer_format *f)
{
	return f->kind == QSLOG_SITE_LOG && !strings_count(f) &&
	       !memchr(f->types, QSLOG_ARG_BOOL, f->arg_cnt);
}

/* Encodes everything behind the length: hash, kind, types, line, strings. */
static int format_content(const struct writer_format *f, const char *tag, uint8_t **out,
			  uint32_t *bytes, uint64_t *hash)
{
	const char *strings[5] = { tag, f->file, f->function, f->format,
				   f->kind == QSLOG_SITE_SPAN ? f->name : "" };
	size_t total = 0, len[5], i;
	uint8_t *data, *p;

	for (i = 0; i < 5; i++) {
		len[i] = strlen(strings[i]);
		if (len[i] > FILE_ENTRY_BYTES_MAX)
			return -E2BIG;
		total += len[i];
	}
	total += 8 + 2 + QSLOG_ARGS_MAX + 6 * VARINT_BYTES_MAX;
	if (total > FILE_ENTRY_BYTES_MAX)
		return -E2BIG;
	data = malloc(total);
	if (!data)
		return -ENOMEM;
	p = data + 8;
	*p++ = f->kind;
	*p++ = f->arg_cnt;
	memcpy(p, f->types, f->arg_cnt);
	p += f->arg_cnt;
	p = varint_put(p, f->line);
	for (i = 0; i < 5; i++)
		p = string_put(p, strings[i], len[i]);
	*bytes = (uint32_t)(p - data);
	*hash = XXH3_64bits_withSeed(data + 8, *bytes - 8, f->level);
	memcpy(data, hash, 8);
	*out = data;
	return 0;
}

/* Entries of the same content differ in nothing but the id: content is their last part. */
static bool format_same(const struct out_format *f, uint8_t level, const uint8_t *content,
			uint32_t bytes)
{
	return f->level == level && f->entry.bytes > bytes &&
	       memcmp(f->entry.data + f->entry.bytes - bytes, content, bytes) == 0;
}

int catalog_out_format(struct catalog_out *c, uint32_t process, const struct writer_format *format)
{
	struct out_format *new = NULL;
	struct hash_index_walk walk;
	uint8_t *content, *p;
	const char *tag;
	uint32_t bytes, i;
	uint64_t hash;
	int err;

	if (process >= c->process_cnt || !format_valid(format))
		return -EINVAL;
	tag = format->tag ? format->tag : c->processes[process]->name;
	err = format_content(format, tag, &content, &bytes, &hash);
	if (err)
		return err;
	for (i = hash_index_first(&c->format_by_hash, hash, &walk); i != HASH_INDEX_NONE;
	     i = hash_index_next(&c->format_by_hash, &walk)) {
		if (format_same(c->formats[i], format->level, content, bytes)) {
			free(content);
			return (int)i;
		}
	}
	err = -ENOMEM;
	new = calloc(1, sizeof(*new));
	if (!new)
		goto fail;
	new->hash = hash;
	new->id = c->format_cnt;
	new->kind = format->kind;
	new->level = format->level;
	new->arg_cnt = format->arg_cnt;
	memcpy(new->types, format->types, format->arg_cnt);
	new->string_cnt = strings_count(format);
	new->plain = is_plain(format);
	new->text_bytes = format_text_bytes(format, tag);
	new->entry.data = malloc(bytes + 1 + 2 * VARINT_BYTES_MAX);
	if (!new->entry.data)
		goto fail;
	p = new->entry.data;
	*p++ = (uint8_t)(FILE_ENTRY_FORMAT << FILE_ENTRY_TYPE_SHIFT | format->level);
	p = varint_put(p, new->id);
	p = varint_put(p, bytes);
	memcpy(p, content, bytes);
	new->entry.bytes = (uint32_t)(p - new->entry.data) + bytes;
	err = pointers_grow(&c->formats, c->format_cnt, &c->format_cap);
	if (!err)
		err = hash_index_add(&c->format_by_hash, hash, c->format_cnt);
	if (err)
		goto fail;
	free(content);
	c->formats[c->format_cnt] = new;
	return (int)c->format_cnt++;
fail:
	if (new)
		free(new->entry.data);
	free(new);
	free(content);
	return err;
}

void catalog_out_fini(struct catalog_out *c)
{
	uint32_t i;

	for (i = 0; i < c->process_cnt; i++) {
		free(c->processes[i]->entry.data);
		free(c->processes[i]->name);
		free(c->processes[i]);
	}
	for (i = 0; i < c->thread_cnt; i++) {
		if (c->threads[i]) {
			free(c->threads[i]->entry.data);
			free(c->threads[i]->spans.entries);
		}
		free(c->threads[i]);
	}
	for (i = 0; i < c->format_cnt; i++) {
		if (c->formats[i])
			free(c->formats[i]->entry.data);
		free(c->formats[i]);
	}
	free(c->processes);
	free(c->threads);
	free(c->formats);
	hash_index_fini(&c->process_by_entry);
	hash_index_fini(&c->thread_by_key);
	hash_index_fini(&c->format_by_hash);
}
