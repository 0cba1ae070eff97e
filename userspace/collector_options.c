/* SPDX-License-Identifier: BSD-2-Clause */
/* collector_options.c - what qslog_start() is told, by its caller or in the environment. */
#include <qslog.h>

#include "collector_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "collector_snapshot.h"
#include "output_options.h"

#define FLUSH_MS_DEFAULT 100
#define FLUSH_MS_MAX 60000
#define ARENA_BYTES_DEFAULT (1u << 20)
/* of struct qslog_options: in 0.1.0, and before rotation */
#define OPTIONS_BYTES_0 48
#define OPTIONS_BYTES_1 64

_Static_assert((int)QSLOG_SYNC_NONE == (int)WRITER_SYNC_NONE &&
	       (int)QSLOG_SYNC_INTERVAL == (int)WRITER_SYNC_INTERVAL &&
	       (int)QSLOG_SYNC_BLOCK == (int)WRITER_SYNC_BLOCK, "enum qslog_sync");

static int number_read(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || end == text || strchr(text, '-'))
		return -EINVAL;
	if (*end == 'K' || *end == 'k') {
		*out <<= 10;
		end++;
	} else if (*end == 'M' || *end == 'm') {
		*out <<= 20;
		end++;
	}
	return *end || *out < min || *out > max ? -EINVAL : 0;
}

static int nice_read(const char *text, int *out)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	*out = (int)value;
	return errno || end == text || *end || value < -20 || value > 19 ? -EINVAL : 0;
}

static int level_read(const char *text, size_t length)
{
	static const char letters[] = "VDIWEF";
	static const char *const names[] = {"verbose", "debug", "info", "warn",
					    "error", "fatal", "off"};
	int level;

	for (level = 0; level <= QSLOG_LEVEL_COUNT; level++)
		if ((length == 1 && text[0] == letters[level]) ||
		    (length == strlen(names[level]) &&
		     strncasecmp(text, names[level], length) == 0))
			return level;
	return -EINVAL;
}

/* LEVEL, TAG=LEVEL, or several, by commas. Sets those of tags if `set`, and *level where all tags'
 * is among them. */
static int levels_read(const char *text, bool set, int *level)
{
	char tag[QSLOG_LEVEL_TAG_MAX + 2]; /* a * may be behind it */
	size_t length, tag_length;
	const char *equals;
	int found, err;

	for (;; text += length + 1) {
		length = strcspn(text, ",");
		equals = memchr(text, '=', length);
		tag_length = equals ? (size_t)(equals - text) + 1 : 0;
		found = level_read(text + tag_length, length - tag_length);
		if (found < 0 || tag_length == 1 || tag_length > sizeof(tag))
			return -EINVAL;
		if (!equals)
			*level = found;
		if (equals && set) {
			memcpy(tag, text, tag_length - 1);
			tag[tag_length - 1] = '\0';
			err = qslog_set_level(tag, found);
			if (err)
				return err;
		}
		if (!text[length])
			return 0;
	}
}

int collector_levels_set(const struct qslog_options *given, int level)
{
	const char *text = secure_getenv("QSLOG_LEVEL");
	int err = qslog_set_level(NULL, level);

	if (!err && text && (!given || given->level == -1))
		err = levels_read(text, true, &level);
	return err;
}

/* 0, or -EINVAL. */
static int output_complete(struct collector_output *out, const struct qslog_options *o)
{
	const char *text;

	memset(out, 0, sizeof(*out));
	out->rotation.bytes = o->rotate_bytes;
	text = o->rotate_bytes ? NULL : secure_getenv("QSLOG_ROTATE_SIZE");
	if (text && output_size_parse(text, &out->rotation.bytes))
		return -EINVAL;
	out->rotation.seconds = o->rotate_seconds;
	text = o->rotate_seconds ? NULL : secure_getenv("QSLOG_ROTATE_TIME");
	if (text && output_time_parse(text, &out->rotation.seconds))
		return -EINVAL;
	out->rotation.records = o->rotate_records;
	text = o->rotate_records ? NULL : secure_getenv("QSLOG_ROTATE_COUNT");
	if (text && output_count_parse(text, &out->rotation.records))
		return -EINVAL;
	out->rotation.max_files = o->max_files;
	text = o->max_files ? NULL : secure_getenv("QSLOG_MAX_FILES");
	if (text && output_files_parse(text, &out->rotation.max_files))
		return -EINVAL;
	out->sync = (enum writer_sync)o->sync;
	text = o->sync == -1 ? secure_getenv("QSLOG_SYNC") : NULL;
	if (o->sync == -1)
		out->sync = WRITER_SYNC_NONE;
	if (text && output_sync_parse(text, &out->sync))
		return -EINVAL;
	out->compress = WRITER_COMPRESS_FAST; /* the memory is the program's */
	text = secure_getenv("QSLOG_COMPRESS");
	if (text && output_compress_parse(text, &out->compress))
		return -EINVAL;
	text = secure_getenv("QSLOG_NICE");
	out->nice_set = text;
	if (text && nice_read(text, &out->nice))
		return -EINVAL;
	out->rotates = out->rotation.bytes || out->rotation.seconds || out->rotation.records ||
		       out->rotation.max_files;
	return (out->rotation.bytes && out->rotation.bytes < WRITER_ROTATE_BYTES_MIN) ||
			       out->rotation.seconds > ROTATE_SECONDS_MAX ||
			       out->rotation.max_files > MAX_FILES_MAX || o->sync < -1 ||
			       o->sync > QSLOG_SYNC_BLOCK ?
		       -EINVAL :
		       0;
}

int collector_options_complete(struct qslog_options *o, struct collector_output *output,
			       const struct qslog_options *given, char path[PATH_MAX])
{
	const char *text, *percent;
	uint64_t number;
	int len;

	*o = (struct qslog_options)QSLOG_OPTIONS_INIT;
	if (given) {
		if (given->size != sizeof(*given) && given->size != OPTIONS_BYTES_0 &&
		    given->size != OPTIONS_BYTES_1)
			return -EINVAL;
		memcpy(o, given, given->size);
	}
	if (!o->path)
		o->path = secure_getenv("QSLOG_FILE");
	if (!o->path || !*o->path)
		return -EINVAL;
	if (o->level == -1) {
		text = secure_getenv("QSLOG_LEVEL");
		o->level = QSLOG_LEVEL_VERBOSE;
		if (text && levels_read(text, false, &o->level))
			return -EINVAL;
	}
	if (o->level < 0 || o->level > QSLOG_LEVEL_COUNT)
		return -EINVAL;
	if (!o->flush_ms) {
		text = secure_getenv("QSLOG_FLUSH_MS");
		number = FLUSH_MS_DEFAULT;
		if (text && number_read(text, 1, FLUSH_MS_MAX, &number))
			return -EINVAL;
		o->flush_ms = (unsigned int)number;
	}
	if (o->flush_ms > FLUSH_MS_MAX)
		return -EINVAL;
	if (!o->arena_bytes) {
		text = secure_getenv("QSLOG_ARENA_SIZE");
		number = ARENA_BYTES_DEFAULT;
		if (text && number_read(text, QSLOG_ARENA_BYTES_MIN, QSLOG_ARENA_BYTES_MAX, &number))
			return -EINVAL;
		o->arena_bytes = number;
	}
	if (o->arena_bytes < QSLOG_ARENA_BYTES_MIN || o->arena_bytes > QSLOG_ARENA_BYTES_MAX ||
	    (o->arena_bytes & (o->arena_bytes - 1)))
		return -EINVAL;
	if (o->on_full == -1) {
		text = secure_getenv("QSLOG_ON_FULL");
		o->on_full = QSLOG_ON_FULL_DROP;
		if (text && strcmp(text, "block") == 0)
			o->on_full = QSLOG_ON_FULL_BLOCK;
		else if (text && strcmp(text, "drop") != 0)
			return -EINVAL;
	}
	if (o->on_full != QSLOG_ON_FULL_DROP && o->on_full != QSLOG_ON_FULL_BLOCK)
		return -EINVAL;
	if (collector_snapshot_options(o) || output_complete(output, o))
		return -EINVAL;
	percent = strstr(o->path, "%p");
	if (percent)
		len = snprintf(path, PATH_MAX, "%.*s%d%s", (int)(percent - o->path), o->path,
			       (int)getpid(), percent + 2);
	else
		len = snprintf(path, PATH_MAX, "%s", o->path);
	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}
