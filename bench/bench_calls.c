/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_calls.c - the calls that are measured, each in a loop of its own, and their floors. */
#define QSLOG_TAG "bench"
#include <qslog.h>

#include "bench_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench_util.h"

#define RING_SLACK 4096 /* the last record may go over the end */
#define TEXT_CNT 16

/* Not const and not static, so that no length is known to the compiler; aligned, so that nothing
 * that is written shares a line with it. */
char call_texts[TEXT_CNT][16] __attribute__((aligned(64))) = {
	"alpha-01234", "bravo-01234", "charl-01234", "delta-01234", "echoe-01234", "foxtr-01234",
	"golfg-01234", "hotel-01234", "india-01234", "julie-01234", "kilok-01234", "limal-01234",
	"mikem-01234", "novem-01234", "oscar-01234", "papap-01234",
};

/* A thread's own, so that floors of several threads share no line either. */
static __thread char *ring;
static __thread uint64_t ring_mask;

int calls_floor_ring(uint64_t bytes)
{
	void *fresh = NULL;

	if (ring && bytes == ring_mask + 1)
		return 0;
	if (bytes & (bytes - 1))
		return -EINVAL;
	if (bytes && posix_memalign(&fresh, 4096, bytes + RING_SLACK))
		return -ENOMEM;
	if (fresh)
		memset(fresh, 0, bytes + RING_SLACK);
	free(ring);
	ring = fresh;
	ring_mask = bytes - 1;
	return 0;
}

#define CALL_A_DO(v) QSLOGI("nothing to say")
#define CALL_B_DO(v) QSLOGI("value {}", v)
#define CALL_C_DO(v)                                                                               \
	QSLOGI("int {} double {} string {}", (int)(v), (double)(int)(v) * 0.5,                     \
	       &call_texts[(v) % TEXT_CNT][0])
#define CALL_SPAN_DO(v)                                                                            \
	do {                                                                                       \
		QSLOG_SPAN("work", "id={}", v);                                                    \
		BENCH_BARRIER();                                                                   \
	} while (0)
#define CALL_NOTHING_DO(v) BENCH_BARRIER()

#define CALL_LOOPS(name, call)                                                                     \
	static __attribute__((noinline)) uint64_t run_##name(uint64_t cnt, struct call_values *c)  \
	{                                                                                          \
		const uint64_t step = c->step, begin = bench_ticks();                              \
		uint64_t v = c->value, i;                                                          \
                                                                                                   \
		for (i = 0; i < cnt; i++, v += step) {                                             \
			BENCH_KEEP(v);                                                             \
			call(v);                                                                   \
		}                                                                                  \
		c->value = v;                                                                      \
		return bench_ticks() - begin;                                                      \
	}                                                                                          \
	static __attribute__((noinline)) void each_##name(uint32_t cnt, struct call_values *c,     \
							  uint32_t *ticks)                         \
	{                                                                                          \
		const uint64_t step = c->step;                                                     \
		uint64_t v = c->value;                                                             \
		uint32_t i;                                                                        \
                                                                                                   \
		for (i = 0; i < cnt; i++, v += step) {                                             \
			uint64_t begin;                                                            \
                                                                                                   \
			BENCH_KEEP(v);                                                             \
			begin = bench_ticks();                                                     \
			call(v);                                                                   \
			ticks[i] = (uint32_t)(bench_ticks() - begin);                              \
		}                                                                                  \
		c->value = v;                                                                      \
	}

CALL_LOOPS(a, CALL_A_DO)
CALL_LOOPS(b, CALL_B_DO)
CALL_LOOPS(c, CALL_C_DO)
CALL_LOOPS(span, CALL_SPAN_DO)
CALL_LOOPS(nothing, CALL_NOTHING_DO)

/* The ring is passed by value: a global would be loaded anew at each record. */
static uint64_t *floor_header(char *base, uint64_t mask, uint64_t *pos, uint64_t bytes)
{
	uint64_t *words = (uint64_t *)(base + (*pos & mask));

	words[0] = (uint64_t)(uintptr_t)call_texts + (bytes << 45);
	words[1] = qslog_priv_counter();
	*pos += bytes;
	return words + 2;
}

static void floor_text(uint64_t *words, const char *text)
{
	memcpy(words, text, 16);
}

#define FLOOR_A_DO(v) (void)floor_header(base, mask, &pos, 16)
#define FLOOR_B_DO(v) floor_header(base, mask, &pos, 24)[0] = (v)
#define FLOOR_C_DO(v)                                                                              \
	do {                                                                                       \
		const double real = (double)(int)(v) * 0.5;                                        \
		uint64_t *words = floor_header(base, mask, &pos, 56);                                          \
                                                                                                   \
		words[0] = (uint64_t)(int)(v);                                                     \
		memcpy(&words[1], &real, 8);                                                       \
		words[2] = UINT64_C(11) | UINT64_C(11) << 32;                                      \
		floor_text(words + 3, call_texts[(v) % TEXT_CNT]);                                 \
	} while (0)
#define FLOOR_SPAN_DO(v)                                                                           \
	do {                                                                                       \
		uint64_t *enter = floor_header(base, mask, &pos, 24), *leave;                                  \
                                                                                                   \
		enter[0] = (v);                                                                    \
		BENCH_BARRIER();                                                                   \
		leave = floor_header(base, mask, &pos, 24);                                                    \
		leave[0] = enter[-1];                                                              \
	} while (0)

#define FLOOR_LOOP(name, call)                                                                     \
	static __attribute__((noinline)) uint64_t floor_##name(uint64_t cnt,                       \
							       struct call_values *c)              \
	{                                                                                          \
		const uint64_t step = c->step, begin = bench_ticks();                              \
		const uint64_t mask = ring_mask;                                                   \
		char *const base = ring;                                                           \
		uint64_t v = c->value, pos = 0, i;                                                 \
                                                                                                   \
		for (i = 0; i < cnt; i++, v += step) {                                             \
			BENCH_KEEP(v);                                                             \
			call(v);                                                                   \
			BENCH_BARRIER();                                                           \
		}                                                                                  \
		return bench_ticks() - begin;                                                      \
	}

FLOOR_LOOP(a, FLOOR_A_DO)
FLOOR_LOOP(b, FLOOR_B_DO)
FLOOR_LOOP(c, FLOOR_C_DO)
FLOOR_LOOP(span, FLOOR_SPAN_DO)

uint64_t calls_counter(uint64_t cnt)
{
	const uint64_t begin = bench_ticks();
	uint64_t now, i;

	for (i = 0; i < cnt; i++) {
		now = qslog_priv_counter();
		BENCH_KEEP(now);
	}
	return bench_ticks() - begin;
}

static const struct {
	const char *name;
	unsigned int records, bytes;
	uint64_t (*run)(uint64_t cnt, struct call_values *c);
	uint64_t (*floor)(uint64_t cnt, struct call_values *c);
	void (*each)(uint32_t cnt, struct call_values *c, uint32_t *ticks);
} kinds[CALL_KIND_CNT + 1] = {
	[CALL_A] = { "a", 1, 16, run_a, floor_a, each_a },
	[CALL_B] = { "b", 1, 24, run_b, floor_b, each_b },
	[CALL_C] = { "c", 1, 56, run_c, floor_c, each_c },
	[CALL_SPAN] = { "span", 2, 48, run_span, floor_span, each_span },
	[CALL_KIND_CNT] = { "nothing", 0, 0, run_nothing, run_nothing, each_nothing },
};

const char *call_kind_name(enum call_kind kind)
{
	return kinds[kind].name;
}

unsigned int call_records(enum call_kind kind)
{
	return kinds[kind].records;
}

unsigned int call_bytes(enum call_kind kind)
{
	return kinds[kind].bytes;
}

uint64_t calls_run(enum call_kind kind, uint64_t cnt, struct call_values *values)
{
	return kinds[kind].run(cnt, values);
}

/* Does not move the values on: a floor issues nothing. */
uint64_t calls_floor_on(enum call_kind kind, uint64_t cnt, struct call_values *values)
{
	return kinds[kind].floor(cnt, values);
}

uint64_t calls_floor_off(uint64_t cnt, struct call_values *values)
{
	struct call_values copy = *values;

	return run_nothing(cnt, &copy);
}

void calls_each(enum call_kind kind, uint32_t cnt, struct call_values *values, uint32_t *ticks)
{
	kinds[kind].each(cnt, values, ticks);
}

int calls_heard(void)
{
	return qslog_priv_listeners(QSLOG_LEVEL_INFO) != 0;
}
