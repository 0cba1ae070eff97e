/* SPDX-License-Identifier: BSD-2-Clause */
/* filter.c - the options about which records a command takes. What they mean: filter_match.c. */
#include "filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmd.h"
#include "timestamp.h"

const char filter_help[] =
	"  -l, --level LEVEL   this level and those above: V D I W E F (or verbose ... fatal)\n"
	"  -t, --tag TAG       this tag, or shell pattern (net*); repeatable\n"
	"      --tid N         this thread; repeatable\n"
	"      --since T       from T on\n"
	"      --until T       up to T, which is included: all of the day, minute, second or\n"
	"                      fraction that T names\n"
	"      --grep RE       messages that match the POSIX extended regular expression\n"
	"      --ignore-case   in --grep, letters of either case are the same\n"
	"      --site FILE[:LINE]  this place in the source; repeatable\n"
	"T is \"2025-04-09 16:09:58.156\" (local; also without seconds or time), RFC 3339\n"
	"(2025-04-09T14:09:58Z, ...+02:00), HH:MM[:SS] today, -10s, -5m, -2h, -1d before now,\n"
	"or @SECONDS since the epoch.\n";

static int parse_level(const char *text)
{
	static const char *const names[] = { "verbose", "debug", "info",
					     "warn",	"error", "fatal" };

	for (int i = 0; i < QSLOG_LEVEL_COUNT; i++) {
		if (!strcasecmp(text, names[i]) ||
		    (text[0] && !text[1] && (text[0] & ~0x20) == level_letter((uint8_t)i)))
			return i;
	}
	return strcasecmp(text, "warning") ? -EINVAL : QSLOG_LEVEL_WARN;
}

static int parse_u32(const char *text, const char *end, uint32_t *value)
{
	uint64_t v = 0;

	if (text == end)
		return -EINVAL;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		v = v * 10 + (uint64_t)(*text - '0');
		if (v > UINT32_MAX)
			return -EINVAL;
	}
	*value = (uint32_t)v;
	return 0;
}

/* Room for one more element at the end of the array at *data. */
static void *array_add(void *data, unsigned *cnt, size_t size)
{
	void **array = data, *bigger = reallocarray(*array, *cnt + 1u, size);

	if (!bigger)
		return NULL;
	*array = bigger;
	return (char *)bigger + (*cnt)++ * size;
}

static int add_tag(struct filter *f, const char *tag)
{
	const char **slot = array_add(&f->tags, &f->tag_cnt, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	*slot = tag;
	return 0;
}

static int add_tid(struct filter *f, const char *text)
{
	uint32_t tid, *slot;

	if (parse_u32(text, text + strlen(text), &tid)) {
		cmd_error("--tid %s: not a thread id", text);
		return -EINVAL;
	}
	slot = array_add(&f->tids, &f->tid_cnt, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = tid;
	return 0;
}

static int add_site(struct filter *f, const char *text)
{
	const char *end = text + strlen(text), *colon = strrchr(text, ':');
	struct filter_site site = { .file = text }, *slot;

	if (colon && (parse_u32(colon + 1, end, &site.line) || !site.line)) {
		cmd_error("--site %s: FILE:LINE expected", text);
		return -EINVAL;
	}
	site.file_len = (size_t)((colon ? colon : end) - text);
	if (!site.file_len) {
		cmd_error("--site %s: FILE:LINE expected", text);
		return -EINVAL;
	}
	slot = array_add(&f->sites, &f->site_cnt, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = site;
	return 0;
}

static int set_time(struct filter *f, bool until, const char *text)
{
	int64_t first, last;

	if (timestamp_parse(text, cmd_now_ns(), &first, &last)) {
		cmd_error("--%s %s: not a time (try \"2025-04-09 16:09:58\", 16:09 or -5m)",
			  until ? "until" : "since", text);
		return -EINVAL;
	}
	if (until) {
		f->has_until = true;
		f->until_ns = last;
	} else {
		f->has_since = true;
		f->since_ns = first;
	}
	return 0;
}

int filter_option(struct filter *f, int option, const char *argument)
{
	int level;

	switch (option) {
	case 'l':
		level = parse_level(argument);
		if (level < 0) {
			cmd_error("--level %s: V, D, I, W, E or F expected", argument);
			return -EINVAL;
		}
		f->level_min = (uint8_t)level;
		return 0;
	case 't':
		return add_tag(f, argument);
	case FILTER_TID:
		return add_tid(f, argument);
	case FILTER_SINCE:
	case FILTER_UNTIL:
		return set_time(f, option == FILTER_UNTIL, argument);
	case FILTER_GREP:
		if (f->grep) {
			cmd_error("--grep is given twice; use one with (a|b)");
			return -EINVAL;
		}
		f->grep = argument;
		return 0;
	case FILTER_IGNORE_CASE:
		f->grep_fold = true;
		return 0;
	case FILTER_SITE:
		return add_site(f, argument);
	default:
		return -ENOENT;
	}
}

int filter_ready(struct filter *f)
{
	regex_t compiled;
	char why[256];
	int err;

	if (!f->grep)
		return 0;
	err = regcomp(&compiled, f->grep, REG_EXTENDED | REG_NOSUB);
	if (err) {
		regerror(err, &compiled, why, sizeof(why));
		cmd_error("--grep %s: %s", f->grep, why);
		return -EINVAL;
	}
	regfree(&compiled);
	needle_find(&f->needle, f->grep, f->grep_fold);
	return 0;
}

void filter_hint(const struct filter *f, struct reader_hint *hint)
{
	*hint = (struct reader_hint){ 0 };
	if (f->level_min)
		hint->level_mask = ((1u << QSLOG_LEVEL_COUNT) - 1) & ~((1u << f->level_min) - 1);
	if (f->has_since)
		hint->since_ns = f->since_ns;
	if (f->has_until)
		hint->until_ns = f->until_ns;
}

void filter_fini(struct filter *f)
{
	if (!f)
		return;
	free(f->tags);
	free(f->tids);
	free(f->sites);
	memset(f, 0, sizeof(*f));
}
