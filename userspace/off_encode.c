/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * off_encode.c - threads, system calls and wakers are few in an entry, and said once in it; later
 * intervals refer to them by their place among those before.
 */
#include "off_encode.h"

#include <string.h>

#include "varint.h"

#define COMM_BYTES_MAX 64u
#define INTERVAL_BYTES_MAX (1u + 12 * VARINT_BYTES_MAX + 2 * (COMM_BYTES_MAX + 1))

struct names {
	const struct writer_off *of[FILE_OFF_NAMES_MAX];
	uint32_t cnt;
};

struct off_names {
	struct names threads, syscalls, whos;
};

static bool same_thread(const struct writer_off *a, const struct writer_off *b)
{
	return a->tid == b->tid && a->process == b->process;
}

static bool same_syscall(const struct writer_off *a, const struct writer_off *b)
{
	return a->syscall == b->syscall;
}

static bool same_who(const struct writer_off *a, const struct writer_off *b)
{
	return a->who_tid == b->who_tid && a->who_pid == b->who_pid &&
	       !strcmp(a->who_name, b->who_name);
}

/* The place of the one that `off` has; cnt where it is new. */
static uint32_t name_find(const struct names *n, const struct writer_off *off,
			  bool (*same)(const struct writer_off *, const struct writer_off *))
{
	uint32_t i;

	for (i = n->cnt; i-- > 0;)
		if (same(n->of[i], off))
			return i;
	return n->cnt;
}

static bool names_full(const struct off_names *n)
{
	return n->threads.cnt == FILE_OFF_NAMES_MAX || n->syscalls.cnt == FILE_OFF_NAMES_MAX ||
	       n->whos.cnt == FILE_OFF_NAMES_MAX;
}

static uint8_t *text_put(uint8_t *p, const char *text)
{
	size_t len = strnlen(text, COMM_BYTES_MAX);

	p = varint_put(p, len);
	memcpy(p, text, len);
	return p + len;
}

static uint8_t *thread_put(uint8_t *p, struct names *n, const struct writer_off *off)
{
	uint32_t i = name_find(n, off, same_thread);

	p = varint_put(p, i);
	if (i < n->cnt)
		return p;
	n->of[n->cnt++] = off;
	return varint_put(varint_put(p, off->process), off->tid);
}

static uint8_t *syscall_put(uint8_t *p, struct names *n, const struct writer_off *off)
{
	uint32_t i;

	if (off->syscall < 0)
		return varint_put(p, 0);
	i = name_find(n, off, same_syscall);
	p = varint_put(p, i + 1);
	if (i < n->cnt)
		return p;
	n->of[n->cnt++] = off;
	return text_put(varint_put(p, (uint64_t)off->syscall), off->syscall_name);
}

static uint8_t *who_put(uint8_t *p, struct names *n, const struct writer_off *off)
{
	uint32_t i;

	if (off->who != FILE_OFF_WHO_THREAD)
		return p;
	i = name_find(n, off, same_who);
	p = varint_put(p, i);
	if (i < n->cnt)
		return p;
	n->of[n->cnt++] = off;
	return text_put(varint_put(varint_put(p, off->who_pid), off->who_tid), off->who_name);
}

static uint64_t difference(int64_t from, int64_t to)
{
	return to > from ? (uint64_t)to - (uint64_t)from : 0;
}

uint32_t off_encode(struct off_entry *e, const struct clock_scale *scale,
		    const struct writer_off *offs, uint32_t cnt)
{
	struct off_names names;
	int64_t last = 0;
	uint8_t *p = e->data;
	uint32_t i;

	names.threads.cnt = names.syscalls.cnt = names.whos.cnt = 0;
	for (i = 0; i < cnt && !names_full(&names) &&
		    (size_t)(p - e->data) <= OFF_ENTRY_BYTES_MAX - INTERVAL_BYTES_MAX; i++) {
		const struct writer_off *off = &offs[i];
		const int64_t on = clock_ticks(scale, off->on);

		*p++ = (uint8_t)(off->why | off->who << FILE_OFF_WHO_SHIFT |
				 off->flags << FILE_OFF_FLAGS_SHIFT);
		p = thread_put(p, &names.threads, off);
		p = zigzag_put(p, on - last);
		p = varint_put(p, difference(clock_ticks(scale, off->off), on));
		if (off->why != FILE_OFF_PREEMPTED)
			p = varint_put(p, difference(clock_ticks(scale, off->ready), on));
		p = varint_put(p, off->cpu);
		p = syscall_put(p, &names.syscalls, off);
		p = who_put(p, &names.whos, off);
		e->time_min = i && e->time_min < on ? e->time_min : on;
		e->time_max = i && e->time_max > on ? e->time_max : on;
		last = on;
	}
	e->bytes = (uint32_t)(p - e->data);
	e->cnt = i;
	return i;
}

uint32_t off_lost_encode(uint8_t data[64], int64_t from, int64_t to, unsigned cause, uint64_t count)
{
	uint8_t *p = zigzag_put(data, from);

	p = varint_put(p, difference(from, to));
	p = varint_put(p, cause);
	return (uint32_t)(varint_put(p, count) - data);
}
