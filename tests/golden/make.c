/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * make.c - writes golden files with the writer: make FOLDER [NAME...]. See tests/golden/README.md:
 * files that are there stay as they are for ever, this is for new ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counter.h"
#include "file_format.h"
#include "recover.h"
#include "writer.h"

static const char *folder;
static struct writer *w;
static int process, thread;
static uint64_t at; /* counter of the next record */
static uint64_t words[4096];
static uint32_t cnt;

static int must(int result, const char *what)
{
	if (result >= 0)
		return result;
	fprintf(stderr, "make: %s: %s\n", what, strerror(-result));
	exit(1);
}

static bool with_sched; /* the next file has intervals off the CPU */

static void begin(const char *name, uint32_t block_bytes, bool tail)
{
	struct writer_options options = { .block_bytes = block_bytes, .tail = tail,
					  .sched = with_sched };
	struct writer_process p = { .pid = 4711, .start_time_ns = 1767225600000000000u,
				    .name = "example", .exe = "/usr/bin/example",
				    .command = "example --serve 80" };
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.qslog", folder, name);
	options.path = path;
	must(writer_open(&w, &options), path);
	process = must(writer_process_add(w, &p), "process");
	thread = must(writer_thread_add(w, (uint32_t)process, 4711, 1, "main"), "thread");
}

static void end(void)
{
	must(writer_close(w, NULL), "closing");
}

/* Formats: their argument types as letters, in the order of enum qslog_arg_type. */
static int format(uint8_t kind, uint8_t level, const char *types, const char *text, const char *name)
{
	static const char letters[] = "bchufdsipx";
	struct writer_format f = { .kind = kind, .level = level, .line = 38, .tag = "golden",
				   .file = "src/golden file.c", .function = "run",
				   .format = text, .name = name };

	for (; *types; types++)
		f.types[f.arg_cnt++] = (uint8_t)(strchr(letters, *types) - letters);
	return must(writer_format_add(w, (uint32_t)process, &f), text);
}

static int log_format(uint8_t level, const char *types, const char *text)
{
	return format(QSLOG_SITE_LOG, level, types, text, NULL);
}

static void slot(uint64_t v)
{
	words[cnt++] = v;
}

static void slot_double(double v)
{
	memcpy(&words[cnt++], &v, 8);
}

static void slot_float(float v)
{
	words[cnt] = 0;
	memcpy(&words[cnt++], &v, 4);
}

static void slot_text(const void *data, uint32_t stored, uint32_t real)
{
	slot((uint64_t)real << 32 | stored);
	if (stored) {
		words[cnt + (stored - 1) / 8] = 0;
		memcpy(&words[cnt], data, stored);
		cnt += (stored + 7) / 8;
	}
}

static void slot_str(const char *s)
{
	slot_text(s, (uint32_t)strlen(s), (uint32_t)strlen(s));
}

static void record_begin(uint64_t flags)
{
	static const struct timespec pause = { 0, 20000 };

	nanosleep(&pause, NULL);
	at = counter_now();
	words[0] = 0x123456789abcu | flags;
	words[1] = at;
	cnt = 2;
}

static void record_end(int f)
{
	words[0] |= (uint64_t)cnt << QSLOG_RECORD_SIZE_SHIFT;
	must(writer_record(w, (uint32_t)thread, (uint32_t)f, words, cnt * 8), "record");
}

static void put(int f, uint64_t value)
{
	record_begin(0);
	slot(value);
	record_end(f);
}

/* ---- the files ---- */

static void types(void)
{
	static const char zero_inside[] = "zero\0inside";
	int all, text, none, blob;

	begin("types", 0, false);
	all = log_format(QSLOG_LEVEL_DEBUG, "bchufdsipx",
			 "b={} c={} h={} u={} f={} d={} s={} i={i} p={p} x={x}");
	record_begin(0);
	slot(1);
	slot('A');
	slot(200);
	slot(UINT64_MAX);
	slot_float(0.1f);
	slot_double(0.1);
	slot_str("hello");
	slot((uint64_t)-42);
	slot(0x7ffd75c14a98u);
	slot_text("\xde\xad\xbe\xef", 4, 4);
	record_end(all);
	record_begin(0);
	slot(0);
	slot(0xe4);
	slot(0);
	slot(0);
	slot_float(-0.0f);
	slot_double(-0.0);
	slot_str("");
	slot((uint64_t)INT64_MIN);
	slot(0);
	slot_text("", 0, 0);
	record_end(all);
	record_begin(0);
	slot(1);
	slot(0);
	slot(255);
	slot(128);
	slot_float(1e38f * 10.0f);
	slot_double(-1e308 * 10.0);
	slot((uint64_t)QSLOG_STR_NULL << 32);
	slot(INT64_MAX);
	slot(UINT64_MAX);
	slot((uint64_t)QSLOG_STR_NULL << 32);
	record_end(all);
	record_begin(0);
	slot(0);
	slot('\n');
	slot(7);
	slot(127);
	slot_float(3.4028235e38f);
	slot_double(5e-324);
	slot_text("cut he", 6, 5000);
	slot((uint64_t)-1);
	slot(1);
	slot_text(zero_inside, sizeof(zero_inside) - 1, 100000);
	record_end(all);
	text = log_format(QSLOG_LEVEL_INFO, "s", "text {}");
	record_begin(0);
	slot_str("gr\xc3\xbc\xc3\x9f dich, \xe2\x82\xac \xf0\x9f\x8c\x8d \xff\xfe \x1b[31m");
	record_end(text);
	record_begin(0);
	slot_text(zero_inside, sizeof(zero_inside) - 1, sizeof(zero_inside) - 1);
	record_end(text);
	none = log_format(QSLOG_LEVEL_FATAL, "", "no argument, {{braces}}");
	record_begin(0);
	record_end(none);
	blob = log_format(QSLOG_LEVEL_VERBOSE, "uuuuuuuuuuuuuuuu", "sixteen {} {} {}");
	record_begin(0);
	for (unsigned i = 0; i < 16; i++)
		slot((uint64_t)1 << (i * 4));
	record_end(blob);
	end();
}

static void spans(void)
{
	int outer, inner, log;
	uint64_t outer_at, inner_at;

	begin("spans", 0, false);
	outer = format(QSLOG_SITE_SPAN, QSLOG_LEVEL_INFO, "us", "id={id} who={}", "request");
	inner = format(QSLOG_SITE_SPAN, QSLOG_LEVEL_DEBUG, "", "", "query");
	log = log_format(QSLOG_LEVEL_WARN, "i", "result {}");
	for (unsigned i = 0; i < 3; i++) {
		record_begin(0);
		slot(i);
		slot_str("somebody");
		record_end(outer);
		outer_at = at;
		record_begin(0);
		record_end(inner);
		inner_at = at;
		put(log, (uint64_t)-(int64_t)i);
		record_begin(QSLOG_RECORD_EXIT);
		slot(inner_at);
		record_end(inner);
		if (i == 2)
			break; /* the last request is open at the end */
		record_begin(QSLOG_RECORD_EXIT);
		slot(outer_at);
		record_end(outer);
	}
	end();
}

static void line_open(int f, uint64_t trace, uint64_t parent, uint64_t depth, uint64_t again)
{
	record_begin(0);
	slot(trace);
	slot(~trace);
	slot(parent);
	slot(depth << QSLOG_LINE_DEPTH_SHIFT | (again ? QSLOG_LINE_AGAIN : 0) | 1);
	if (again)
		slot(again);
	record_end(f);
}

static void line_close(int f, uint64_t from, uint64_t depth)
{
	record_begin(QSLOG_RECORD_EXIT);
	slot(from);
	slot(depth);
	record_end(f);
}

static uint64_t enter(int f, uint64_t id)
{
	record_begin(id ? QSLOG_RECORD_SPAN_ID : 0);
	if (id)
		slot(id);
	record_end(f);
	return at;
}

static void leave(int f, uint64_t id, uint64_t from)
{
	record_begin(QSLOG_RECORD_EXIT | (id ? QSLOG_RECORD_SPAN_ID : 0));
	if (id)
		slot(id);
	slot(from);
	record_end(f);
}

static void context(void)
{
	const uint64_t trace = 0x4bf92f3577b34da6u, far = 0xb7ad6b7169203331u;
	uint64_t line_at, outer_at, inner_at;
	int line, span, other, log, second;

	begin("context", 4096, false);
	line = format(QSLOG_SITE_CONTEXT, QSLOG_LEVEL_INFO, "", "", NULL);
	span = format(QSLOG_SITE_SPAN, QSLOG_LEVEL_INFO, "", "", "handle");
	other = format(QSLOG_SITE_SPAN, QSLOG_LEVEL_INFO, "", "", "store");
	log = log_format(QSLOG_LEVEL_INFO, "u", "step {}");
	second = must(writer_thread_add(w, (uint32_t)process, 4712, 2, "second"), "thread");
	put(log, 0);
	line_open(line, trace, far, 1, 0);
	line_at = at;
	put(log, 1);
	outer_at = enter(span, 1000); /* the first id is said, the next ones count up */
	put(log, 2);
	inner_at = enter(other, 1001);
	put(log, 3);
	/* a line inside, without a parent of its own; then back */
	line_open(line, trace + 1, 0, 2, 0);
	enter(span, 0xffffffffffffff00u);
	put(log, 4);
	line_close(line, 0, 2);
	put(log, 5);
	/* enough of another thread to begin new blocks while all this is open */
	thread = second;
	for (unsigned i = 0; i < 450; i++)
		put(log, i * 0x9e3779b97f4a7c15u);
	thread = process; /* number 0: the first thread */
	put(log, 6);
	leave(other, 1001, inner_at);
	enter(other, 1002);
	/* records are lost; the program says where it is */
	must(writer_loss(w, (uint32_t)thread, LOSS_ARENA_FULL, 2), "loss");
	line_open(line, trace, far, 1, 1000);
	put(log, 7);
	line_open(line, trace, far, 1, 77); /* in a span that nobody saw */
	put(log, 8);
	leave(span, 1000, outer_at);
	line_close(line, line_at, 1);
	put(log, 9);
	line_open(line, trace, far, 1, 0);
	enter(span, 5);
	must(writer_loss(w, (uint32_t)thread, LOSS_RING_FULL, 40), "loss");
	put(log, 10); /* nothing is known of lines any more */
	enter(span, 0);
	line_close(line, line_at, 1);
	end();
}

/* Each way of leaving the CPU and of coming back, in the time of one span and outside of it. */
static void sched(void)
{
	struct writer_off offs[10];
	uint64_t enter, now, part;
	int f, g, i;

	with_sched = true;
	begin("sched", 0, false);
	f = format(QSLOG_SITE_SPAN, 2, "", "", "work");
	g = log_format(2, "i", "behind {}");
	record_begin(0);
	enter = at;
	record_end(f);
	nanosleep(&(const struct timespec){ 0, 5000000 }, NULL);
	now = counter_now();
	part = (now - enter) / 12;
	for (i = 0; i < 10; i++)
		offs[i] = (struct writer_off){
			.process = (uint32_t)process, .tid = i == 7 ? 4712 : 4711,
			.off = enter + part * (uint64_t)(i + 1), .ready = enter + part * (uint64_t)(i + 1) + part / 3,
			.on = enter + part * (uint64_t)(i + 1) + part / 2,
			.syscall = -1, .syscall_name = "", .cpu = (uint16_t)(i % 3 ? i : 300), .who_name = "",
			.why = (uint8_t)(i % (FILE_OFF_OTHER + 1)), .who = (uint8_t)(i % 4),
		};
	offs[1].syscall = 230, offs[1].syscall_name = "clock_nanosleep";
	offs[2].flags = FILE_OFF_IO;
	offs[3].who_pid = 99, offs[3].who_tid = 100, offs[3].who_name = "hel\x1b per";
	offs[4].syscall = 230, offs[4].syscall_name = "clock_nanosleep";
	offs[7].syscall = 0, offs[7].syscall_name = "read", offs[7].flags = FILE_OFF_EXITING;
	offs[7].who_pid = 99, offs[7].who_tid = 100, offs[7].who_name = "hel\x1b per";
	offs[9].flags = FILE_OFF_OPEN;
	must(writer_off(w, offs, 10), "intervals");
	must(writer_off_lost(w, enter, now, FILE_OFF_LOST_RING_FULL, 7), "what is missing of them");
	record_begin(QSLOG_RECORD_EXIT);
	slot(enter);
	record_end(f);
	put(g, 1);
	end();
	with_sched = false;
}

static void losses(void)
{
	int log;

	begin("losses", 0, false);
	log = log_format(QSLOG_LEVEL_ERROR, "u", "value {}");
	for (unsigned cause = 0; cause < LOSS_CAUSE_COUNT; cause++) {
		put(log, cause);
		must(writer_loss(w, (uint32_t)thread, (enum loss_cause)cause,
				 (uint64_t)1 << (9 * cause)), "loss");
	}
	end();
}

static void threads(void)
{
	struct writer_process other = { .pid = 99, .start_time_ns = 0, .name = "other",
					.exe = "", .command = "" };
	uint64_t skew = 0;
	int log, second, third, p;

	begin("threads", 4096, false);
	log = log_format(QSLOG_LEVEL_INFO, "us", "n={n} {}");
	second = must(writer_thread_add(w, (uint32_t)process, 4712, 2, "worker"), "thread");
	p = must(writer_process_add(w, &other), "process");
	third = must(writer_thread_add(w, (uint32_t)p, 99, 1, ""), "thread");
	for (unsigned i = 0; i < 400; i++) {
		thread = i % 50 < 10 ? 0 : i % 50 < 30 ? second : third;
		if (i == 200)
			must(writer_thread_add(w, (uint32_t)process, 4712, 2, "worker, renamed"),
			     "thread");
		if (i % 50 == 10)
			skew = 20000000; /* threads are behind each other */
		if (i % 50 == 30)
			skew = 0;
		record_begin(0);
		words[1] -= skew;
		slot(i);
		slot_text("0123456789abcdefghij", i % 21, i % 21);
		record_end(log);
	}
	end();
}

static void formats(void)
{
	char text[64];
	int ids[300];

	begin("formats", 4096, false);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "format number %u: {}", i);
		ids[i] = i % 3 ? log_format((uint8_t)(i % QSLOG_LEVEL_COUNT), "u", text) :
				 format(QSLOG_SITE_SPAN, QSLOG_LEVEL_INFO, "u", text, "numbered");
	}
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 300; i++)
			put(ids[i], i);
	}
	end();
}

/* A writer that is killed with two frames in the tail, behind a block. */
static void killed(const char *name, unsigned records)
{
	int log, status;
	pid_t pid = fork();

	if (!pid) {
		begin(name, 4096, true);
		log = log_format(QSLOG_LEVEL_INFO, "us", "n={} {}");
		for (unsigned i = 0; i < records; i++) {
			record_begin(0);
			slot(i);
			slot_str("so that a block is full soon");
			record_end(log);
			if (i + 30 == records || i + 1 == records) {
				must(writer_loss(w, (uint32_t)thread, LOSS_ARENA_FULL, 7), "loss");
				must(writer_flush(w), "flush");
			}
		}
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		exit(1);
}

static void tail(void)
{
	killed("tail", 200);
}

static void unclosed(void)
{
	char path[512];

	killed("unclosed", 200);
	snprintf(path, sizeof(path), "%s/unclosed.qslog.tail", folder);
	unlink(path);
}

static void recovered(void)
{
	struct recover_result result;
	char path[512];

	killed("recovered", 200);
	snprintf(path, sizeof(path), "%s/recovered.qslog", folder);
	must(recover_file(path, NULL, &result), path);
}

/* What columns are good at: whatever kind of stream a writer may choose for it. */
static void columns(void)
{
	static const char *const methods[] = { "GET", "PUT", "HEAD", "DELETE" };
	int request, inner, ints, reals, texts, second;
	uint64_t request_at, inner_at, x = 88172645463325252u;
	char text[96];

	begin("columns", 32768, false);
	second = must(writer_thread_add(w, (uint32_t)process, 4712, 2, "worker"), "thread");
	request = format(QSLOG_SITE_SPAN, QSLOG_LEVEL_INFO, "us", "id={id} {}", "request");
	inner = format(QSLOG_SITE_SPAN, QSLOG_LEVEL_DEBUG, "", "", "inner");
	ints = log_format(QSLOG_LEVEL_INFO, "uuiibchp", "{} {} {} {} {} {} {} {}");
	reals = log_format(QSLOG_LEVEL_WARN, "ddff", "{} {} {} {}");
	texts = log_format(QSLOG_LEVEL_ERROR, "ssx", "{} {} {}");
	for (uint64_t i = 0; i < 220; i++) {
		thread = i % 7 < 4 ? 0 : second;
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		record_begin(0);
		slot(1000000 + i);
		slot_str(methods[i % 4]);
		record_end(request);
		request_at = at;
		record_begin(0);
		record_end(inner);
		inner_at = at;
		record_begin(0);
		slot(i * 4096);
		slot(i * 4096 + x % 50); /* near the one before */
		slot((uint64_t)-(int64_t)(i % 3));
		slot(i % 50 ? 7 : x); /* nearly always the same */
		slot(i & 1);
		slot('a' + i % 26);
		slot(i % 200);
		slot(0x7f0000000000u + x % 6 * 0x10000001); /* some of few */
		record_end(ints);
		record_begin(0);
		slot_double((double)(x % 100000) / 100);
		slot_double(i % 20 ? (double)i / 8 : 1e300);
		slot_float((float)(i % 37) / 10);
		slot_float(i % 30 ? 0.5f : -0.0f);
		record_end(reals);
		record_begin(0);
		snprintf(text, sizeof(text), "/var/lib/blk_%llu/part-%05llu id %08llx", (unsigned long long)(x % 40 * 7919),
			 (unsigned long long)i, (unsigned long long)(x & 0xffffffff));
		slot_str(text);
		if (i % 9 == 0)
			slot((uint64_t)QSLOG_STR_NULL << 32);
		else
			slot_text(text, (uint32_t)(i % 9), (uint32_t)(i % 9 + i % 2 * 100));
		slot_text(&x, 8, 8);
		record_end(texts);
		record_begin(QSLOG_RECORD_EXIT);
		slot(inner_at);
		record_end(inner);
		if (i % 40 == 39)
			must(writer_loss(w, (uint32_t)thread, LOSS_ARENA_FULL, i), "loss");
		record_begin(QSLOG_RECORD_EXIT);
		slot(request_at);
		record_end(request);
	}
	end();
}

static void empty(void)
{
	begin("empty", 0, false);
	end();
}

static const struct {
	const char *name;
	void (*make)(void);
} files[] = {
	{ "types", types },	{ "spans", spans },	  { "context", context },
	{ "losses", losses },	{ "threads", threads },	  { "formats", formats },
	{ "tail", tail },	{ "unclosed", unclosed }, { "recovered", recovered },
	{ "columns", columns },	{ "empty", empty },	  { "sched", sched },
};

int main(int argc, char **argv)
{
	bool known = argc == 2;

	if (argc < 2) {
		fprintf(stderr, "usage: make FOLDER [NAME...]\n");
		return 2;
	}
	folder = argv[1];
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		bool wanted = argc == 2;

		for (int k = 2; k < argc; k++)
			wanted = wanted || !strcmp(argv[k], files[i].name);
		if (wanted)
			files[i].make();
		known = known || wanted;
	}
	return known ? 0 : 2;
}
