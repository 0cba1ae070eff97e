/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.c - log calls out of a text file: how a program without call sites of its own (a binding,
 * a bridge, an interpreter) logs through sites that it registers at run time.
 *
 *     replay FILE.tsv [--rounds N] [--wait]          for qslog-trace to attach to
 *     replay FILE.tsv [--rounds N] --out FILE.qslog  writes the file itself, losing nothing
 *
 * With --wait it begins when a line comes on standard input.
 *
 * A line of FILE.tsv is a call, fields separated by tabs: level (V D I W E F), tag, format,
 * arguments i:INTEGER or s:STRING; \t, \n and \\ stand for tab, newline and backslash. Each distinct
 * (level, tag, format, types) becomes one site.
 */
#include <qslog.h>

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 1000000000ul

struct site {
	struct qslog_site_def def;
	uint8_t types[QSLOG_ARGS_MAX];
	const struct qslog_site *site;
	uint64_t hash;
};

struct call {
	size_t site;
	size_t values; /* index of the first */
};

struct replay {
	char *text; /* the file; tags, formats and strings point into it */
	struct site *sites;
	struct call *calls;
	struct qslog_value *values;
	size_t site_cnt, site_cap, call_cnt, call_cap, value_cnt, value_cap;
	size_t *table; /* hash table of sites: index + 1, 0: empty */
	size_t table_size;
	const char *path, *out;
	unsigned long rounds, lost;
	bool wait;
};

static int fail(const char *what, int err)
{
	fprintf(stderr, "replay: %s: %s\n", what, strerror(-err));
	return err;
}

/* Room for `more` more elements. */
static int room(void *array, size_t element, size_t cnt, size_t more, size_t *cap)
{
	void **at = array, *grown;
	size_t bigger = *cap ? *cap * 2 : 256;

	if (cnt + more <= *cap)
		return 0;
	grown = realloc(*at, bigger * element);
	if (!grown)
		return -ENOMEM;
	*at = grown;
	*cap = bigger;
	return 0;
}

/* --- Sites */

static uint64_t hash_add(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len--)
		hash = (hash ^ *p++) * 0x100000001b3u;
	return hash;
}

static uint64_t site_hash(const struct site *s)
{
	uint64_t hash = hash_add(0xcbf29ce484222325u, &s->def.level, sizeof(s->def.level));

	hash = hash_add(hash, s->def.tag, strlen(s->def.tag) + 1);
	hash = hash_add(hash, s->def.format, strlen(s->def.format) + 1);
	return hash_add(hash, s->types, s->def.arg_cnt);
}

static bool site_equal(const struct site *a, const struct site *b)
{
	return a->hash == b->hash && a->def.level == b->def.level &&
	       a->def.arg_cnt == b->def.arg_cnt &&
	       memcmp(a->types, b->types, a->def.arg_cnt) == 0 &&
	       strcmp(a->def.tag, b->def.tag) == 0 && strcmp(a->def.format, b->def.format) == 0;
}

static size_t *table_slot(const struct replay *r, const struct site *s)
{
	size_t at = (size_t)s->hash & (r->table_size - 1);

	while (r->table[at] && !site_equal(&r->sites[r->table[at] - 1], s))
		at = (at + 1) & (r->table_size - 1);
	return &r->table[at];
}

static int table_grow(struct replay *r)
{
	size_t size = r->table_size ? r->table_size * 2 : 256, i;
	size_t *table = calloc(size, sizeof(*table));

	if (!table)
		return -ENOMEM;
	free(r->table);
	r->table = table;
	r->table_size = size;
	for (i = 0; i < r->site_cnt; i++)
		*table_slot(r, &r->sites[i]) = i + 1;
	return 0;
}

/* Finds the site, or registers it. */
static int site_get(struct replay *r, struct site *s, size_t *index)
{
	size_t *slot;
	int err = 0;

	s->hash = site_hash(s);
	if ((r->site_cnt + 1) * 2 > r->table_size)
		err = table_grow(r);
	if (!err)
		err = room(&r->sites, sizeof(*r->sites), r->site_cnt, 1, &r->site_cap);
	if (err)
		return err;
	slot = table_slot(r, s);
	if (!*slot) {
		s->def.types = s->types;
		s->site = qslog_site_register(&s->def);
		if (!s->site)
			return -errno;
		r->sites[r->site_cnt++] = *s;
		*slot = r->site_cnt;
	}
	*index = *slot - 1;
	return 0;
}

/* --- The file */

static size_t unescape(char *text)
{
	char *from, *to = text;

	for (from = text; *from; from++) {
		if (*from == '\\' && from[1])
			*to++ = *++from == 't' ? '\t' : *from == 'n' ? '\n' : *from;
		else
			*to++ = *from;
	}
	*to = '\0';
	return (size_t)(to - text);
}

static int value_read(char *field, struct qslog_value *value)
{
	char *text = field + 2, *end;

	if ((field[0] != 'i' && field[0] != 's') || field[1] != ':')
		return -EINVAL;
	if (field[0] == 's') {
		value->type = QSLOG_ARG_STR;
		value->str = qslog_bytes(text, unescape(text));
		return 0;
	}
	errno = 0;
	value->type = QSLOG_ARG_INT64;
	value->i = strtoll(text, &end, 10);
	return errno || end == text || *end ? -EINVAL : 0;
}

static int line_read(struct replay *r, char *line)
{
	static const char letters[] = "VDIWEF";
	struct site s = {.def = QSLOG_SITE_DEF_INIT};
	char *level = strsep(&line, "\t"), *tag = strsep(&line, "\t");
	char *format = strsep(&line, "\t"), *field;
	struct call *call;
	int err;

	if (!format || !level[0] || level[1] || !strchr(letters, level[0]))
		return -EINVAL;
	unescape(tag);
	unescape(format);
	s.def.level = (int)(strchr(letters, level[0]) - letters);
	s.def.tag = tag;
	s.def.format = format;
	s.def.file = "replay.c";
	s.def.function = "replay";
	err = room(&r->calls, sizeof(*r->calls), r->call_cnt, 1, &r->call_cap);
	if (!err)
		err = room(&r->values, sizeof(*r->values), r->value_cnt, QSLOG_ARGS_MAX,
			   &r->value_cap);
	if (err)
		return err;
	call = &r->calls[r->call_cnt];
	call->values = r->value_cnt;
	while ((field = strsep(&line, "\t"))) {
		struct qslog_value *value = &r->values[call->values + s.def.arg_cnt];

		if (s.def.arg_cnt == QSLOG_ARGS_MAX)
			return -E2BIG;
		err = value_read(field, value);
		if (err)
			return err;
		s.types[s.def.arg_cnt++] = value->type;
	}
	err = site_get(r, &s, &call->site);
	if (err)
		return err;
	r->value_cnt += s.def.arg_cnt;
	r->call_cnt++;
	return 0;
}

static int text_read(struct replay *r)
{
	size_t len = 0, cap = 0, got;
	FILE *file = fopen(r->path, "re");
	int err;

	if (!file)
		return -errno;
	do {
		err = room(&r->text, 1, len, 65536, &cap);
		got = err ? 0 : fread(r->text + len, 1, cap - len - 1, file);
		len += got;
	} while (got);
	if (!err && ferror(file))
		err = -EIO;
	fclose(file);
	if (!err)
		r->text[len] = '\0';
	if (!err && strlen(r->text) != len)
		err = -EINVAL; /* a NUL in it: no text */
	return err;
}

static int file_read(struct replay *r)
{
	unsigned long number = 0;
	char *rest, *line;
	int err = text_read(r);

	if (err)
		return fail(r->path, err);
	rest = r->text;
	while ((line = strsep(&rest, "\n"))) {
		number++;
		if (!*line && !rest)
			break; /* behind the last newline */
		err = line_read(r, line);
		if (err) {
			fprintf(stderr, "replay: %s:%lu: not a call: %s\n", r->path, number,
				strerror(-err));
			return err;
		}
	}
	return 0;
}

/* --- Replay */

static int call_replay(struct replay *r, const struct call *call)
{
	const struct site *s = &r->sites[call->site];
	int err;

	for (;;) {
		err = qslog_log_values(s->site, &r->values[call->values], s->def.arg_cnt);
		if (err != -ENOSPC)
			return err;
		r->lost++;
		if (!r->out)
			return 0;
		err = qslog_flush(); /* when it returns there is room again */
		if (err)
			return err;
	}
}

static int rounds_replay(struct replay *r)
{
	unsigned long round;
	size_t i;
	int err = 0;

	for (round = 0; !err && round < r->rounds; round++)
		for (i = 0; !err && i < r->call_cnt; i++)
			err = call_replay(r, &r->calls[i]);
	return err;
}

static int collector_start(struct replay *r)
{
	struct qslog_options options = QSLOG_OPTIONS_INIT;
	int err;

	options.path = r->out;
	/* In-process only: as large as can be, so that it hardly ever has to be waited for. */
	options.arena_bytes = QSLOG_ARENA_BYTES_MAX;
	err = qslog_start(&options);
	return err ? fail(r->out, err) : 0;
}

static int options_read(struct replay *r, int argc, char **argv)
{
	static const struct option options[] = {
		{"rounds", required_argument, NULL, 'r'},
		{"out", required_argument, NULL, 'o'},
		{"wait", no_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	char *end = NULL;
	int option;

	r->rounds = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			r->rounds = strtoul(optarg, &end, 10);
			if (end == optarg || *end || !r->rounds || r->rounds > ROUNDS_MAX)
				return -EINVAL;
			break;
		case 'o':
			r->out = optarg;
			break;
		case 'w':
			r->wait = true;
			break;
		default:
			return -EINVAL;
		}
	}
	if (optind + 1 != argc)
		return -EINVAL;
	r->path = argv[optind];
	return 0;
}

static void replay_free(struct replay *r)
{
	free(r->text);
	free(r->sites);
	free(r->calls);
	free(r->values);
	free(r->table);
}

int main(int argc, char **argv)
{
	struct replay r = {0};
	char line[16];
	int err, stop_err = 0;

	if (options_read(&r, argc, argv)) {
		fprintf(stderr, "usage: replay FILE.tsv [--rounds N] [--wait] [--out FILE.qslog]\n");
		return 2;
	}
	err = file_read(&r);
	if (err)
		goto out;
	printf("ready pid=%d\n", (int)getpid());
	fflush(stdout);
	if (r.wait && !fgets(line, sizeof(line), stdin))
		fprintf(stderr, "replay: nothing on standard input, going on\n");
	err = r.out ? collector_start(&r) : 0;
	if (!err) {
		err = rounds_replay(&r);
		if (err)
			fail("replay", err);
		stop_err = r.out ? qslog_stop() : 0;
		if (stop_err)
			fail(r.out, stop_err);
	}
	if (!err && !stop_err)
		printf("replayed calls=%lu sites=%lu full=%lu\n",
		       r.rounds * (unsigned long)r.call_cnt, (unsigned long)r.site_cnt, r.lost);
out:
	replay_free(&r);
	return err || stop_err ? 1 : 0;
}
