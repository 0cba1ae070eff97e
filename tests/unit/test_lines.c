/* SPDX-License-Identifier: BSD-2-Clause */
/* test_lines.c - span lines through writer and reader: ids, parents and traces over block borders,
 * with records missing, deeper than the reader keeps, and in bytes that are no such thing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "counter.h"
#include "file_format.h"
#include "file_helper.h"
#include "span_stack.h"

/* ---- a thread of a program ---- */

#define DEPTH_MAX 64

struct frame {
	uint64_t trace, id; /* of a line its parent */
	uint32_t depth;	    /* of a line; 0: a span */
	uint64_t start;
};

struct app {
	struct made_file f;
	int thread;
	int log, line, spans[3];
	struct frame stack[DEPTH_MAX];
	unsigned cnt;
	uint32_t depth;
	uint64_t next_id;
	FILE *expected; /* of records that were written: kind, trace, span, parent */
	bool drop;	/* the next record is lost on its way */
	uint64_t steady; /* not 0: the counter goes by 1000 at each record */
};

static const uint8_t u64_type[] = { QSLOG_ARG_UINT64 };

static int line_format(struct made_file *f)
{
	struct writer_format wf = { .kind = QSLOG_SITE_CONTEXT, .level = QSLOG_LEVEL_INFO, .line = 9,
				    .file = "src/example.c", .function = "main", .format = "" };
	int id = writer_format_add(f->w, (uint32_t)f->process, &wf);

	assert_true(id >= 0);
	return id;
}

static void app_init(struct app *a, const char *name, uint32_t block_bytes, FILE *expected)
{
	memset(a, 0, sizeof(*a));
	made_file_open(&a->f, name, block_bytes, true);
	a->thread = a->f.thread;
	a->log = made_format(&a->f, "{}", QSLOG_LEVEL_INFO, 1, u64_type);
	a->line = line_format(&a->f);
	a->spans[0] = made_span(&a->f, "one", 1, u64_type);
	a->spans[1] = made_span(&a->f, "two", 0, u64_type);
	a->spans[2] = made_span(&a->f, "three", 0, u64_type);
	a->next_id = 0x7ffffff0;
	a->expected = expected;
}

static void put(struct app *a, int format, uint64_t flags, const uint64_t *slots, unsigned cnt)
{
	uint64_t words[8] = { flags | (uint64_t)(cnt + 2) << QSLOG_RECORD_SIZE_SHIFT, counter_now() };

	if (a->steady)
		words[1] = a->steady += 1000;
	memcpy(words + 2, slots, cnt * 8);
	if (!a->drop)
		assert_int_equal(writer_record(a->f.w, (uint32_t)a->thread, (uint32_t)format, words,
					       (cnt + 2) * 8), 0);
}

static void expect(struct app *a, char kind, uint64_t trace, uint64_t span, uint64_t parent)
{
	if (a->expected && !a->drop)
		fprintf(a->expected, "%c %d %llx %llx<%llx\n", kind, a->thread,
			(unsigned long long)trace, (unsigned long long)span,
			(unsigned long long)parent);
}

static struct frame *top(struct app *a)
{
	return a->cnt ? &a->stack[a->cnt - 1] : NULL;
}

static void line_open(struct app *a, uint64_t trace, uint64_t parent)
{
	const uint64_t slots[4] = { trace, ~trace, parent,
				    1 | (uint64_t)(a->depth + 1) << QSLOG_LINE_DEPTH_SHIFT };

	a->depth++;
	put(a, a->line, 0, slots, 4);
	expect(a, 'B', trace, 0, parent);
	a->stack[a->cnt++] = (struct frame){ trace, parent, a->depth, counter_now() };
}

static void line_close(struct app *a)
{
	struct frame *t = top(a);
	const uint64_t slots[2] = { t->start, a->depth };

	put(a, a->line, QSLOG_RECORD_EXIT, slots, 2);
	expect(a, 'C', t->trace, 0, t->id);
	a->depth--;
	a->cnt--;
}

static void enter(struct app *a, unsigned kind)
{
	const struct frame *t = top(a);
	const uint64_t id = t ? a->next_id++ : 0;
	const uint64_t slots[2] = { id, id };

	put(a, a->spans[kind], id ? QSLOG_RECORD_SPAN_ID : 0, slots + (id == 0),
	    (id != 0) + (kind == 0));
	expect(a, 'E', t ? t->trace : 0, id, t ? t->id : 0);
	if (t)
		a->stack[a->cnt++] = (struct frame){ t->trace, id, 0, counter_now() };
}

static void leave(struct app *a, unsigned kind)
{
	struct frame *t = top(a);
	const uint64_t id = t ? t->id : 0;
	const uint64_t slots[2] = { id, a->steady ? a->steady - 1000 : t ? t->start : counter_now() };

	put(a, a->spans[kind], QSLOG_RECORD_EXIT | (id ? QSLOG_RECORD_SPAN_ID : 0), slots + (id == 0),
	    1 + (id != 0));
	expect(a, 'X', t ? t->trace : 0, id, t ? t[-1].id : 0);
	if (t)
		a->cnt--;
}

static void say(struct app *a)
{
	const struct frame *t = top(a);
	const uint64_t slots[1] = { 7 };

	put(a, a->log, 0, slots, 1);
	expect(a, 'L', t ? t->trace : 0, t ? t->id : 0, t && !t->depth ? t[-1].id : 0);
}

/* ---- what the reader says ---- */

static void read_contexts(const char *path, char **text, size_t *cnt)
{
	const struct record *r;
	struct reader *reader;
	size_t len;
	FILE *out = open_memstream(text, &len);
	int more;

	*cnt = 0;
	assert_non_null(out);
	assert_int_equal(reader_open(&reader, path, NULL, NULL), 0);
	while ((more = reader_next(reader, &r)) == 1) {
		if (r->kind == RECORD_LOSS)
			continue;
		(*cnt)++;
		if (r->context.has_trace)
			assert_int_equal(r->context.trace_low, ~r->context.trace_high);
		else
			assert_int_equal(r->context.trace_high | r->context.trace_low, 0);
		fprintf(out, "%c %u %llx %llx<%llx\n", "LEX?BC"[r->kind], (unsigned)r->thread->key - 1,
			(unsigned long long)r->context.trace_high,
			(unsigned long long)r->context.span_id,
			(unsigned long long)r->context.parent_id);
	}
	assert_int_equal(more, 0);
	reader_close(reader);
	fclose(out);
}

/* As it was written, whatever the size of blocks, whether it is sealed or in the tail. */
static void written_and_read(uint32_t block_bytes, unsigned threads, unsigned seed, bool flush)
{
	static struct app app[4];
	size_t expected_len, cnt;
	char *expected = NULL, *got = NULL;
	FILE *out = open_memstream(&expected, &expected_len);
	unsigned steps, kind[4][DEPTH_MAX], i;

	assert_non_null(out);
	app_init(&app[0], "lines", block_bytes, out);
	for (i = 1; i < threads; i++) {
		app[i] = app[0];
		app[i].next_id += (uint64_t)i << 40;
		app[i].thread = writer_thread_add(app[0].f.w, (uint32_t)app[0].f.process, 5000 + i,
						  i + 1, "");
		assert_true(app[i].thread > 0);
	}
	srand(seed);
	for (steps = 0; steps < 20000; steps++) {
		const unsigned t = (unsigned)rand() / 16 % threads;
		struct app *a = &app[t];
		const bool span_open = a->cnt && !top(a)->depth;

		switch (rand() / 16 % 9) {
		case 0:
			if (a->cnt < DEPTH_MAX / 2)
				line_open(a, (uint64_t)rand() + 1, (uint64_t)rand());
			break;
		case 1:
			if (a->cnt && !span_open)
				line_close(a);
			break;
		case 2:
		case 3:
		case 4:
			if (a->cnt == DEPTH_MAX)
				break;
			kind[t][a->cnt] = (unsigned)rand() % 3;
			enter(a, kind[t][a->cnt]);
			break;
		case 5:
		case 6:
			if (span_open)
				leave(a, kind[t][a->cnt - 1]);
			else if (!a->cnt)
				leave(a, 1);
			break;
		case 7:
			if (a->cnt && rand() % 4 == 0)
				a->next_id += (unsigned)rand() % 1000; /* spans of a filtered tag */
			break;
		default:
			say(a);
		}
		if (flush && steps % 100 == 0)
			assert_int_equal(writer_flush(app[0].f.w), 0);
	}
	fclose(out);
	made_file_close(&app[0].f);
	read_contexts(app[0].f.path, &got, &cnt);
	assert_string_equal(got, expected);
	free(got);
	free(expected);
}

static void one_block(void **state)
{
	(void)state;
	written_and_read(0, 1, 1, false);
	written_and_read(0, 4, 2, false);
}

static void many_blocks(void **state)
{
	unsigned seed;

	(void)state;
	for (seed = 0; seed < 5; seed++) {
		written_and_read(4096, 1, seed, false);
		written_and_read(4096, 4, seed, true);
	}
}

/* The rows as they go to a live view: in pieces, each with what it changes. */
struct live {
	struct rows_decoder *decoder;
	FILE *out;
};

static void live_record(void *arg, const struct record *r)
{
	struct live *live = arg;

	if (r->kind != RECORD_LOSS)
		fprintf(live->out, "%c %llx %llx<%llx\n", "LEX?BC"[r->kind],
			(unsigned long long)r->context.trace_high,
			(unsigned long long)r->context.span_id,
			(unsigned long long)r->context.parent_id);
}

static void live_rows(void *arg, const void *data, uint32_t bytes)
{
	struct live *live = arg;

	assert_int_equal(rows_decoder_feed(live->decoder, data, bytes, live_record, live), 0);
}

static void frame_by_frame(void **state)
{
	struct live live;
	char *text = NULL;
	struct app a;
	size_t len;
	unsigned i;

	(void)state;
	live.out = open_memstream(&text, &len);
	assert_non_null(live.out);
	assert_int_equal(rows_decoder_open(&live.decoder), 0);
	app_init(&a, "live", 0, NULL);
	writer_tap(a.f.w, live_rows, &live);
	line_open(&a, 5, 6);
	enter(&a, 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(writer_flush(a.f.w), 0);
		say(&a);
	}
	leave(&a, 0);
	assert_int_equal(writer_flush(a.f.w), 0);
	line_close(&a);
	say(&a);
	made_file_close(&a.f);
	rows_decoder_close(live.decoder);
	fclose(live.out);
	assert_string_equal(text, "B 5 0<6\nE 5 7ffffff0<6\nL 5 7ffffff0<6\nL 5 7ffffff0<6\n"
				  "L 5 7ffffff0<6\nX 5 7ffffff0<6\nC 5 0<6\nL 0 0<0\n");
	free(text);
}

/* Ids cost nothing as long as they count up: a span in a line is as small as one outside. */
static void bytes_count(void *arg, const void *data, uint32_t bytes)
{
	(void)data;
	*(uint64_t *)arg += bytes;
}

static void small(void **state)
{
	uint64_t bytes[2] = { 0, 0 };
	struct app a;
	unsigned i, n;

	(void)state;
	for (i = 0; i < 2; i++) {
		app_init(&a, "small", 0, NULL);
		writer_tap(a.f.w, bytes_count, &bytes[i]);
		a.steady = counter_now();
		if (i)
			line_open(&a, 1, 2);
		for (n = 0; n < 20000; n++) {
			enter(&a, 1);
			leave(&a, 1);
		}
		if (i)
			line_close(&a);
		made_file_close(&a.f);
	}
	assert_in_range(bytes[0], 40000 * 4, 40000 * 6);
	assert_in_range(bytes[1], bytes[0], bytes[0] + 200); /* the line, and its format */
}

/* ---- records that are missing ---- */

static void expect_lines(struct app *a, const char *lines)
{
	char *got = NULL;
	size_t cnt;

	made_file_close(&a->f);
	read_contexts(a->f.path, &got, &cnt);
	assert_string_equal(got, lines);
	free(got);
}

/* Ids come from the records themselves, so they are right whatever is missing. */
static void entering_is_missing(void **state)
{
	struct app a;

	(void)state;
	app_init(&a, "no-enter", 0, NULL);
	line_open(&a, 5, 6);
	a.drop = true;
	enter(&a, 1);
	a.drop = false;
	enter(&a, 2);
	leave(&a, 2);
	leave(&a, 1);
	say(&a);
	expect_lines(&a, "B 0 5 0<6\nE 0 5 7ffffff1<6\nX 0 5 7ffffff1<6\nX 0 5 7ffffff0<0\nL 0 5 6<0\n");
}

static void leaving_is_missing(void **state)
{
	struct app a;

	(void)state;
	app_init(&a, "no-exit", 0, NULL);
	line_open(&a, 5, 6);
	enter(&a, 1);
	enter(&a, 2);
	a.drop = true;
	leave(&a, 2);
	a.drop = false;
	leave(&a, 1); /* and with it what is still in it */
	say(&a);
	expect_lines(&a, "B 0 5 0<6\nE 0 5 7ffffff0<6\nE 0 5 7ffffff1<7ffffff0\nX 0 5 7ffffff0<6\n"
			 "L 0 5 6<0\n");
}

/* Depths say which lines are still open. */
static void closing_is_missing(void **state)
{
	struct app a;

	(void)state;
	app_init(&a, "no-close", 0, NULL);
	line_open(&a, 1, 1);
	line_open(&a, 2, 2);
	a.drop = true;
	line_close(&a);
	a.drop = false;
	line_open(&a, 3, 3);
	say(&a);
	line_close(&a);
	say(&a);
	line_open(&a, 4, 4);
	a.drop = true;
	line_close(&a);
	a.drop = false;
	line_close(&a); /* the outer one */
	say(&a);
	line_open(&a, 5, 5);
	a.drop = true;
	line_close(&a);
	a.drop = false;
	enter(&a, 1); /* in a line it would have an id */
	say(&a);
	expect_lines(&a, "B 0 1 0<1\nB 0 2 0<2\nB 0 3 0<3\nL 0 3 3<0\nC 0 3 0<3\nL 0 1 1<0\n"
			 "B 0 4 0<4\nC 0 1 0<1\nL 0 0 0<0\nB 0 5 0<5\nE 0 5 0<5\nL 0 0 0<0\n");
}

/* The application tells of an open line anew: its innermost span is in the fifth slot. */
static void line_again(struct app *a, uint32_t depth, uint64_t trace, uint64_t parent,
		       uint64_t innermost)
{
	const uint64_t slots[5] = { trace, ~trace, parent,
				    1 | QSLOG_LINE_AGAIN | (uint64_t)depth << QSLOG_LINE_DEPTH_SHIFT,
				    innermost };

	put(a, a->line, 0, slots, 5);
}

static void told_again(void **state)
{
	struct app a;

	(void)state;
	app_init(&a, "again", 4096, NULL);
	line_open(&a, 1, 1);
	enter(&a, 1); /* 7ffffff0 */
	a.drop = true;
	enter(&a, 1); /* 7ffffff1 */
	a.drop = false;
	line_again(&a, 1, 1, 1, 0x7ffffff1);
	assert_int_equal(writer_flush(a.f.w), 0);
	say(&a);
	leave(&a, 1);
	say(&a);
	enter(&a, 1); /* 7ffffff2 */
	a.drop = true;
	leave(&a, 1);
	a.drop = false;
	line_again(&a, 1, 1, 1, 0x7ffffff0);
	say(&a);
	a.drop = true;
	leave(&a, 1);
	a.drop = false;
	line_again(&a, 1, 1, 1, 1); /* no span is open */
	say(&a);
	line_close(&a);
	/* to those who do not know it, it opens */
	line_again(&a, 2, 9, 0x77, 0x99);
	say(&a);
	line_again(&a, 2, 9, 0x77, 0x77);
	say(&a);
	line_again(&a, 1, 8, 0, 0); /* the outer one of it, and its end */
	say(&a);
	expect_lines(&a, "B 0 1 0<1\nE 0 1 7ffffff0<1\nB 0 1 0<1\nL 0 1 7ffffff1<7ffffff0\n"
			 "X 0 1 7ffffff1<7ffffff0\nL 0 1 7ffffff0<1\nE 0 1 7ffffff2<7ffffff0\n"
			 "B 0 1 0<1\nL 0 1 7ffffff0<1\nB 0 1 0<1\nL 0 1 1<0\nC 0 1 0<1\n"
			 "B 0 9 0<77\nL 0 9 99<77\nB 0 9 0<77\nL 0 9 77<0\nB 0 8 0<0\nL 0 8 0<0\n");
}

/* Behind losses of which the application knows nothing, nothing is claimed. */
static void lost_on_the_way(void **state)
{
	struct app a;

	(void)state;
	app_init(&a, "lost", 4096, NULL);
	line_open(&a, 1, 1);
	enter(&a, 1);
	assert_int_equal(writer_loss(a.f.w, (uint32_t)a.thread, LOSS_ARENA_FULL, 3), 0);
	say(&a);
	assert_int_equal(writer_loss(a.f.w, (uint32_t)a.thread, LOSS_RING_FULL, 3), 0);
	say(&a);
	enter(&a, 1);
	leave(&a, 1);
	line_close(&a);
	line_open(&a, 2, 2);
	say(&a);
	expect_lines(&a, "B 0 1 0<1\nE 0 1 7ffffff0<1\nL 0 1 7ffffff0<1\nL 0 0 0<0\n"
			 "E 0 0 7ffffff1<0\nX 0 0 7ffffff1<0\nC 0 0 0<0\nB 0 2 0<2\nL 0 2 2<0\n");
}

/* ---- limits ---- */

static void spans_beyond_the_limit(void **state)
{
	const unsigned deep = SPAN_STACK_MAX + 500;
	uint64_t ids[SPAN_STACK_MAX + 500], slots[2];
	const struct record *r;
	struct reader *reader;
	unsigned i, entered = 0, left = 0;
	struct app a;

	(void)state;
	app_init(&a, "deep", 4096, NULL);
	line_open(&a, 1, 1);
	for (i = 0; i < deep; i++) {
		ids[i] = 0x1000 + 3 * i;
		put(&a, a.spans[1], QSLOG_RECORD_SPAN_ID, &ids[i], 1);
	}
	for (i = deep; i-- > 0;) {
		slots[0] = ids[i];
		slots[1] = counter_now();
		put(&a, a.spans[1], QSLOG_RECORD_SPAN_ID | QSLOG_RECORD_EXIT, slots, 2);
	}
	say(&a);
	made_file_close(&a.f);
	assert_int_equal(reader_open(&reader, a.f.path, NULL, NULL), 0);
	while (reader_next(reader, &r) == 1) {
		assert_true(r->context.has_trace); /* the line is known all the time */
		if (r->kind == RECORD_SPAN_ENTER) {
			assert_int_equal(r->context.span_id, ids[entered]);
			if (entered && entered < SPAN_STACK_MAX)
				assert_int_equal(r->context.parent_id, ids[entered - 1]);
			entered++;
		} else if (r->kind == RECORD_SPAN_EXIT) {
			left++;
			assert_int_equal(r->context.span_id, ids[deep - left]);
		} else if (r->kind == RECORD_LOG) {
			assert_int_equal(r->context.span_id, 1);
		}
	}
	reader_close(reader);
	assert_int_equal(entered, deep);
	assert_int_equal(left, deep);
}

static void lines_beyond_the_limit(void **state)
{
	const struct record *r;
	struct reader *reader;
	unsigned i, opened = 0, logs = 0;
	uint64_t trace = 0;
	struct app a;

	(void)state;
	app_init(&a, "deep-lines", 4096, NULL);
	for (i = 1; i <= SPAN_STACK_MAX + 100; i++) {
		line_open(&a, i, i);
		a.cnt = 0;
		say(&a);
	}
	for (; i-- > 1;) {
		a.stack[0] = (struct frame){ .depth = i, .start = counter_now() };
		a.cnt = 1;
		a.depth = i;
		line_close(&a);
		say(&a);
	}
	made_file_close(&a.f);
	assert_int_equal(reader_open(&reader, a.f.path, NULL, NULL), 0);
	while (reader_next(reader, &r) == 1) {
		if (r->kind == RECORD_LINE_BEGIN) {
			trace = ++opened;
		} else if (r->kind == RECORD_LINE_END) {
			trace--;
		} else {
			/* right, or not known: never another one's */
			assert_int_equal(r->context.trace_high,
					 trace <= SPAN_STACK_MAX ? trace : 0);
			logs++;
		}
	}
	reader_close(reader);
	assert_int_equal(opened, SPAN_STACK_MAX + 100);
	assert_int_equal(logs, 2 * (SPAN_STACK_MAX + 100));
}

/* ---- what is no such thing ---- */

static void records_refused(void **state)
{
	struct app a;
	uint64_t w[8] = { 0 };
	size_t cnt;
	char *got = NULL;

	(void)state;
	app_init(&a, "refused", 0, NULL);
#define REFUSED(format, words)                                                                     \
	(w[1] = counter_now(), assert_int_equal(writer_record(a.f.w, (uint32_t)a.thread,           \
							      (uint32_t)(format), w, (words) * 8), \
						-EBADMSG))
	w[5] = 1ull << QSLOG_LINE_DEPTH_SHIFT;
	REFUSED(a.line, 5);
	REFUSED(a.line, 7);
	w[0] = QSLOG_RECORD_SPAN_ID;
	REFUSED(a.line, 6);
	REFUSED(a.log, 4);	/* a log has no id */
	REFUSED(a.spans[1], 2); /* no slot, no id */
	w[2] = 0;
	REFUSED(a.spans[1], 3); /* 0 is no id */
	w[0] = QSLOG_RECORD_EXIT;
	REFUSED(a.line, 3);
	w[3] = 0;
	REFUSED(a.line, 4); /* a line of depth 0 */
	w[3] = 1ull << 40;
	REFUSED(a.line, 4);
	w[0] = 0;
	w[5] = 0;
	REFUSED(a.line, 6);
	w[5] = ~0ull;
	REFUSED(a.line, 6);
#undef REFUSED
	line_open(&a, 1, 2); /* nothing of it stays behind */
	made_file_close(&a.f);
	read_contexts(a.f.path, &got, &cnt);
	assert_string_equal(got, "B 0 1 0<2\n");
	free(got);
}

struct rows {
	uint8_t data[65536];
	uint32_t bytes;
};

static void rows_keep(void *arg, const void *data, uint32_t bytes)
{
	struct rows *rows = arg;

	assert_true(rows->bytes + bytes <= sizeof(rows->data));
	memcpy(rows->data + rows->bytes, data, bytes);
	rows->bytes += bytes;
}

static void count_record(void *arg, const struct record *r)
{
	(void)r;
	++*(unsigned *)arg;
}

/* Cut anywhere or with any byte changed: it ends, and says so or not. */
static void rows_damaged(void **state)
{
	static struct rows rows;
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, 0xf0, 0xf3, 0xf4 };
	struct rows_decoder *d;
	uint32_t i, v;
	struct app a;
	unsigned cnt;

	(void)state;
	rows.bytes = 0;
	app_init(&a, "damaged", 0, NULL);
	writer_tap(a.f.w, rows_keep, &rows);
	line_open(&a, 1, 2);
	enter(&a, 0);
	line_open(&a, 3, 4);
	a.next_id += 1000;
	enter(&a, 1);
	say(&a);
	made_file_close(&a.f);
	assert_true(rows.bytes > 100);
	for (i = 0; i < rows.bytes; i++) {
		for (v = 0; v <= sizeof(values); v++) {
			uint32_t bytes = v < sizeof(values) ? rows.bytes : i;
			uint8_t *copy = malloc(bytes ? bytes : 1); /* for a sanitizer */
			int err;

			assert_non_null(copy);
			memcpy(copy, rows.data, bytes);
			if (v < sizeof(values))
				copy[i] = values[v];
			cnt = 0;
			assert_int_equal(rows_decoder_open(&d), 0);
			err = rows_decoder_feed(d, copy, bytes, count_record, &cnt);
			assert_true(err == 0 || err == -EBADMSG);
			assert_true(cnt <= rows.bytes);
			rows_decoder_close(d);
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_block),
		cmocka_unit_test(many_blocks),
		cmocka_unit_test(frame_by_frame),
		cmocka_unit_test(small),
		cmocka_unit_test(entering_is_missing),
		cmocka_unit_test(leaving_is_missing),
		cmocka_unit_test(closing_is_missing),
		cmocka_unit_test(told_again),
		cmocka_unit_test(lost_on_the_way),
		cmocka_unit_test(spans_beyond_the_limit),
		cmocka_unit_test(lines_beyond_the_limit),
		cmocka_unit_test(records_refused),
		cmocka_unit_test(rows_damaged),
	};

	return cmocka_run_group_tests_name("lines", tests, helper_setup, helper_teardown);
}
