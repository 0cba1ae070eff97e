/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * site_read.c - see site_read.h. The strings are collected one after the other in a buffer that has
 * room for the longest ones, then they and the format move into one block. Strings are read up to
 * the next page boundary each time: one may end right before memory that is not there.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "site_read.h"

#define PAGE_BYTES 4096u
#define NO_STRING SIZE_MAX

struct site_text {
	size_t used;
	char bytes[SITE_FORMAT_BYTES_MAX + 1 + 4 * (SITE_STRING_BYTES_MAX + 1)];
};

static ssize_t chunk_read(const struct site_source *source, uint64_t addr, void *buf, size_t len)
{
	size_t to_page_end = PAGE_BYTES - (size_t)(addr % PAGE_BYTES);
	ssize_t n;

	if (len > to_page_end)
		len = to_page_end;
	n = source->read(source->ctx, addr, buf, len);
	return n == 0 || n > (ssize_t)len ? -EFAULT : n;
}

static int exact_read(const struct site_source *source, uint64_t addr, void *buf, size_t len)
{
	char *to = buf;

	if (addr > UINT64_MAX - len)
		return -EFAULT;
	while (len) {
		ssize_t n = chunk_read(source, addr, to, len);

		if (n < 0)
			return (int)n;
		addr += (uint64_t)n;
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Appends the string at `addr` with its NUL to the text; `at` is where it starts there. */
static int string_read(const struct site_source *source, uint64_t addr, size_t max,
		       struct site_text *text, size_t *at)
{
	size_t got = 0;

	*at = text->used;
	while (got < max + 1) {
		char *to = text->bytes + text->used + got;
		const char *nul;
		ssize_t n;

		if (addr > UINT64_MAX - got)
			return -EFAULT;
		n = chunk_read(source, addr + got, to, max + 1 - got);
		if (n < 0)
			return (int)n;
		nul = memchr(to, 0, (size_t)n);
		if (nul) {
			text->used += got + (size_t)(nul - to) + 1;
			return 0;
		}
		got += (size_t)n;
	}
	return -ENAMETOOLONG;
}

/* Everything that can be told without following a pointer. */
static bool site_valid(const struct qslog_site *site)
{
	if (site->magic != QSLOG_SITE_MAGIC || site->kind >= QSLOG_SITE_KIND_COUNT ||
	    site->level >= QSLOG_LEVEL_COUNT || site->arg_cnt > QSLOG_ARGS_MAX)
		return false;
	for (unsigned int i = 0; i < site->arg_cnt; i++) {
		if (site->types[i] >= QSLOG_ARG_TYPE_COUNT)
			return false;
	}
	return true;
}

enum site_string { FORMAT, FILE_NAME, FUNCTION, TAG, NAME, STRING_COUNT };

static const struct {
	size_t member;
	size_t max;
} string_members[STRING_COUNT] = {
	[FORMAT] = { offsetof(struct qslog_site, format), SITE_FORMAT_BYTES_MAX },
	[FILE_NAME] = { offsetof(struct qslog_site, file), SITE_STRING_BYTES_MAX },
	[FUNCTION] = { offsetof(struct qslog_site, function), SITE_STRING_BYTES_MAX },
	[TAG] = { offsetof(struct qslog_site, tag), SITE_STRING_BYTES_MAX },
	[NAME] = { offsetof(struct qslog_site, name), SITE_STRING_BYTES_MAX },
};

static int strings_read(const struct site_source *source, uint64_t addr,
			const struct qslog_site *site, struct site_text *text,
			size_t at[STRING_COUNT])
{
	for (int i = 0; i < STRING_COUNT; i++) {
		uint64_t pointer;
		int err;

		memcpy(&pointer, (const char *)site + string_members[i].member, sizeof(pointer));
		if (source->pointer) {
			err = source->pointer(source->ctx, addr + string_members[i].member, &pointer);
			if (err)
				return err;
		}
		at[i] = NO_STRING;
		if (!pointer)
			continue;
		err = string_read(source, pointer, string_members[i].max, text, &at[i]);
		if (err)
			return err;
	}
	if (at[FILE_NAME] == NO_STRING || at[FUNCTION] == NO_STRING)
		return -EBADMSG;
	/* a span has a name, and no format where it has no fields; a log has no name */
	if (site->kind == QSLOG_SITE_SPAN ? at[NAME] == NO_STRING :
					    at[NAME] != NO_STRING || at[FORMAT] == NO_STRING)
		return -EBADMSG;
	return 0;
}

int site_read(const struct site_source *source, uint64_t addr, struct writer_format **out,
	      size_t *bytes)
{
	const char *strings[STRING_COUNT];
	size_t at[STRING_COUNT];
	struct writer_format *format;
	struct site_text text;
	struct qslog_site site;
	char *copy;
	int err;

	*out = NULL;
	err = exact_read(source, addr, &site, sizeof(site));
	if (err)
		return err;
	if (!site_valid(&site))
		return -EBADMSG;
	text.used = 0;
	err = strings_read(source, addr, &site, &text, at);
	if (err)
		return err;
	*bytes = sizeof(*format) + text.used;
	format = calloc(1, *bytes);
	if (!format)
		return -ENOMEM;
	copy = (char *)(format + 1);
	memcpy(copy, text.bytes, text.used);
	for (int i = 0; i < STRING_COUNT; i++)
		strings[i] = at[i] == NO_STRING ? NULL : copy + at[i];
	format->kind = site.kind;
	format->level = site.level;
	format->arg_cnt = site.arg_cnt;
	memcpy(format->types, site.types, site.arg_cnt);
	format->line = site.line;
	format->format = strings[FORMAT] ? strings[FORMAT] : "";
	format->file = strings[FILE_NAME];
	format->function = strings[FUNCTION];
	format->tag = strings[TAG];
	format->name = strings[NAME];
	*out = format;
	return 0;
}
