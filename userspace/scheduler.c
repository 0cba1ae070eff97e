/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scheduler.c - loads the BPF object of --sched and carries its events to the writer.
 *
 * Events have CLOCK_MONOTONIC, records the CPU's counter, so events wait until a pair of both later
 * than theirs has been taken (mono_map.h): first everything is taken out of the ring buffer, then
 * a pair, and then all of it can be written, but for what comes while the kernel slews its clock.
 */
#include "scheduler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "counter.h"
#include "file_format.h"
#include "hash_index.h"
#include "mono_map.h"
#include "sched_event.h"
#include "syscall_names.h"

#include "sched.skel.h"

#define SAME(a, b) _Static_assert((int)(a) == (int)(b), #a)
SAME(SCHED_PREEMPTED, FILE_OFF_PREEMPTED);
SAME(SCHED_SLEEP, FILE_OFF_SLEEP);
SAME(SCHED_DISK_SLEEP, FILE_OFF_DISK_SLEEP);
SAME(SCHED_STOPPED, FILE_OFF_STOPPED);
SAME(SCHED_DEBUGGED, FILE_OFF_DEBUGGED);
SAME(SCHED_OTHER, FILE_OFF_OTHER);
SAME(SCHED_WHO_HARDIRQ, FILE_OFF_WHO_HARDIRQ);
SAME(SCHED_WHO_SOFTIRQ, FILE_OFF_WHO_SOFTIRQ);
SAME(SCHED_WHO_THREAD, FILE_OFF_WHO_THREAD);
SAME(SCHED_IO, FILE_OFF_IO);
SAME(SCHED_EXITING, FILE_OFF_EXITING);
SAME(SCHED_OPEN, FILE_OFF_OPEN);
SAME(SCHED_LOST_RING_FULL, FILE_OFF_LOST_RING_FULL);
SAME(SCHED_LOST_STATE, FILE_OFF_LOST_STATE);

#define LINKS_MAX 8
#define BATCH 256u		/* events that are handed to the writer together */
#define PAIR_NS 5000000u	/* at most so often */
#define HELD_MAX (1u << 20)	/* events that wait; more are written though their time is not certain */
#define UNKNOWN_NS 3000000000u	/* so long they wait for their process to be known */

/* An event, and the writer's index of its process; -1: not known yet. */
struct held {
	struct sched_event event;
	int64_t process;
};

struct scheduler {
	struct scheduler_options options;
	struct sched_bpf *skel;
	struct ring_buffer *ring;
	struct bpf_link *links[LINKS_MAX], *iterator;
	struct mono_map map;
	struct hash_index processes; /* the writer's indexes by number, of those that may have ended */
	struct held *held;
	size_t held_cnt, held_cap;
	uint64_t lost_no_memory; /* of `held` */
	uint64_t lost[SCHED_LOST_COUNT]; /* reported */
	uint64_t lost_ns;		 /* CLOCK_MONOTONIC of the last report */
};

static uint64_t now_ns(void)
{
	return counter_monotonic();
}

/* --- Open */

/* The arguments of sched_switch have been these since 5.18.3. */
static bool switch_as_known(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_type *type = NULL;
	bool known = false;
	int id;

	if (!btf)
		return false;
	id = btf__find_by_name_kind(btf, "btf_trace_sched_switch", BTF_KIND_TYPEDEF);
	if (id > 0)
		type = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type);
	if (type && btf_is_ptr(type))
		type = btf__type_by_id(btf, type->type);
	if (type && btf_is_func_proto(type) && btf_vlen(type) == 5) {
		type = btf__type_by_id(btf, btf_params(type)[4].type);
		known = type && btf_is_int(type);
	}
	btf__free(btf);
	return known;
}

/* By the kernel's own count of interrupts where it lets itself be read, else by marks. */
static int object_load(struct scheduler *s, bool by_marks)
{
	struct bpf_program *marks[6];
	size_t i;
	int err;

	s->skel = sched_bpf__open();
	if (!s->skel)
		return -errno;
	marks[0] = s->skel->progs.on_softirq;
	marks[1] = s->skel->progs.on_softirq_end;
	marks[2] = s->skel->progs.on_irq;
	marks[3] = s->skel->progs.on_irq_end;
	marks[4] = s->skel->progs.on_timer;
	marks[5] = s->skel->progs.on_timer_end;
	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		bpf_program__set_autoload(marks[i], by_marks);
	bpf_program__set_autoload(s->skel->progs.on_waking, !by_marks);
	bpf_program__set_autoload(s->skel->progs.on_waking_marked, by_marks);
	s->skel->rodata->config.wakeup_bytes = s->options.ring_bytes / 4;
	err = bpf_map__set_max_entries(s->skel->maps.events, s->options.ring_bytes);
	if (!err)
		err = bpf_map__reuse_fd(s->skel->maps.procs, s->options.procs_fd);
	if (!err)
		err = sched_bpf__load(s->skel);
	if (err) {
		sched_bpf__destroy(s->skel);
		s->skel = NULL;
	}
	return err;
}

static int object_attach(struct scheduler *s, struct why *why)
{
	struct bpf_program *program;
	size_t cnt = 0;
	int err;

	bpf_object__for_each_program(program, s->skel->obj) {
		if (!bpf_program__autoload(program))
			continue;
		if (program == s->skel->progs.open_task) {
			s->iterator = bpf_program__attach_iter(program, NULL);
			err = s->iterator ? 0 : -errno;
		} else {
			s->links[cnt] = bpf_program__attach(program);
			err = s->links[cnt++] ? 0 : -errno;
		}
		if (err)
			return why_set(why, err, "--sched: cannot attach to the scheduler (%s): %s",
				       bpf_program__name(program), strerror(-err));
	}
	return 0;
}

/* -1: nobody knows the process. */
static int64_t process_of(struct scheduler *s, uint32_t number)
{
	const int process = s->options.process(s->options.arg, number);
	struct hash_index_walk walk;
	const uint32_t before = hash_index_first(&s->processes, number, &walk);

	if (process < 0)
		return before == HASH_INDEX_NONE ? -1 : (int64_t)before;
	if (before == HASH_INDEX_NONE)
		(void)hash_index_add(&s->processes, number, (uint32_t)process); /* or not */
	return process;
}

static int event_received(void *arg, void *data, size_t bytes)
{
	struct scheduler *s = arg;
	const struct sched_event *event = data;
	size_t cap = s->held_cap ? s->held_cap * 2 : 1024;
	struct held *held;

	if (bytes < sizeof(*event))
		return 0; /* the BPF side never does that */
	if (s->held_cnt == s->held_cap) {
		held = realloc(s->held, cap * sizeof(*held));
		if (!held) {
			s->lost_no_memory++;
			return 0;
		}
		s->held = held;
		s->held_cap = cap;
	}
	s->held[s->held_cnt++] = (struct held){*event, process_of(s, event->process)};
	return 0;
}

int scheduler_open(struct scheduler **out, const struct scheduler_options *options, struct why *why)
{
	struct scheduler *s = calloc(1, sizeof(*s));
	int err;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->options = *options;
	if (!switch_as_known()) {
		err = why_set(why, -ENOTSUP, "--sched needs kernel 5.19 or later with BTF: this one's "
			      "tracepoint sched_switch has other arguments");
		goto fail;
	}
	err = object_load(s, false);
	if (err)
		err = object_load(s, true);
	if (err) {
		why_set(why, err, "--sched: the kernel refused the BPF programs: %s (-vv shows what "
			"it says)", strerror(-err));
		goto fail;
	}
	s->ring = ring_buffer__new(bpf_map__fd(s->skel->maps.events), event_received, s, NULL);
	if (!s->ring) {
		err = -errno;
		why_set(why, err, "--sched: cannot map the ring buffer: %s", strerror(-err));
		goto fail;
	}
	err = mono_map_take(&s->map);
	s->lost_ns = now_ns();
	if (!err)
		err = object_attach(s, why);
	if (err)
		goto fail;
	*out = s;
	return 0;
fail:
	scheduler_close(s);
	return err;
}

void scheduler_close(struct scheduler *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < LINKS_MAX; i++)
		bpf_link__destroy(s->links[i]);
	bpf_link__destroy(s->iterator);
	ring_buffer__free(s->ring);
	sched_bpf__destroy(s->skel);
	mono_map_fini(&s->map);
	hash_index_fini(&s->processes);
	free(s->held);
	free(s);
}

/* --- Events */

int scheduler_epoll_fd(const struct scheduler *s)
{
	return ring_buffer__epoll_fd(s->ring);
}

static uint64_t counter_at(const struct scheduler *s, const struct writer *w, uint64_t ns)
{
	return writer_counter_kind(w) == FILE_COUNTER_MONOTONIC ? ns :
								  mono_map_counter(&s->map, ns);
}

/* What the strings of an event need, as long as it has not been written. */
struct off_text {
	char comm[SCHED_COMM_BYTES + 1];
	char syscall[32];
};

static void off_from_event(const struct scheduler *s, const struct writer *w, const struct held *held,
			   struct writer_off *off, struct off_text *text)
{
	const struct sched_event *e = &held->event;

	memcpy(text->comm, e->who_comm, SCHED_COMM_BYTES);
	text->comm[SCHED_COMM_BYTES] = '\0';
	snprintf(text->syscall, sizeof(text->syscall), "%s",
		 e->syscall < 0 ? "" : syscall_name(e->syscall));
	*off = (struct writer_off){
		.process = (uint32_t)held->process,
		.tid = e->tid,
		.off = counter_at(s, w, e->off_ns),
		.on = counter_at(s, w, e->on_ns),
		.syscall = e->syscall,
		.syscall_name = text->syscall,
		.cpu = e->cpu,
		.why = e->why,
		.who = e->who_flags & SCHED_WHO_MASK,
		.flags = e->who_flags >> SCHED_FLAGS_SHIFT,
		.who_pid = e->who_tgid,
		.who_tid = e->who_tid,
		.who_name = text->comm,
	};
	off->ready = e->ready_ns ? counter_at(s, w, e->ready_ns) : off->off;
}

/* Events that go to the writer together. */
struct batch {
	struct writer_off offs[BATCH];
	struct off_text texts[BATCH];
	uint32_t cnt;
	int err; /* the first */
};

static void batch_write(struct batch *batch, struct writer *w)
{
	int err = writer_off(w, batch->offs, batch->cnt);

	batch->err = batch->err ? batch->err : err;
	batch->cnt = 0;
}

/* Is its time certain? */
static bool ripe(const struct scheduler *s, const struct writer *w, const struct held *h)
{
	return writer_counter_kind(w) == FILE_COUNTER_MONOTONIC || s->held_cnt > HELD_MAX ||
	       mono_map_settled(&s->map, h->event.on_ns);
}

/* Of what is held, all that can be written; `last`: there will be no other time. */
static int held_write(struct scheduler *s, struct writer *w, bool last)
{
	struct batch batch = {.cnt = 0, .err = 0};
	const uint64_t now = now_ns();
	size_t i, kept = 0;

	if (s->map.cnt < 2)
		return 0;
	for (i = 0; i < s->held_cnt; i++) {
		struct held *h = &s->held[i];

		if (h->process < 0)
			h->process = process_of(s, h->event.process);
		/* The kernel side may know of a process before the session does, or of one that turns
		 * out to have nothing to trace. */
		if (!last && (!ripe(s, w, h) ||
			      (h->process < 0 && now - h->event.on_ns < UNKNOWN_NS))) {
			s->held[kept++] = *h;
		} else if (h->process >= 0) {
			off_from_event(s, w, h, &batch.offs[batch.cnt], &batch.texts[batch.cnt]);
			if (++batch.cnt == BATCH)
				batch_write(&batch, w);
		}
	}
	s->held_cnt = kept;
	batch_write(&batch, w);
	return batch.err;
}

static void lost_read(const struct scheduler *s, uint64_t counts[SCHED_LOST_COUNT])
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	uint64_t *values;
	uint32_t cause;

	memcpy(counts, s->lost, sizeof(s->lost));
	values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	for (cause = 0; values && cause < SCHED_LOST_COUNT; cause++) {
		if (bpf_map__lookup_elem(s->skel->maps.lost, &cause, sizeof(cause), values,
					 (size_t)cpus * sizeof(*values), 0))
			continue;
		counts[cause] = cause == SCHED_LOST_STATE ? s->lost_no_memory : 0;
		for (cpu = 0; cpu < cpus; cpu++)
			counts[cause] += values[cpu];
	}
	free(values);
}

/* What has been lost since the last time. */
static int lost_report(struct scheduler *s, struct writer *w)
{
	uint64_t counts[SCHED_LOST_COUNT], now = now_ns(), from, to;
	uint32_t cause;
	int err = 0, write_err;

	lost_read(s, counts);
	for (cause = 0; cause < SCHED_LOST_COUNT; cause++) {
		if (counts[cause] == s->lost[cause])
			continue;
		from = counter_at(s, w, s->lost_ns);
		to = counter_at(s, w, now);
		write_err = writer_off_lost(w, from, to, cause, counts[cause] - s->lost[cause]);
		err = err ? err : write_err;
		s->lost[cause] = counts[cause];
	}
	s->lost_ns = now;
	return err;
}

int scheduler_consume(struct scheduler *s, struct writer *w)
{
	const struct mono_pair *last = &s->map.pairs[s->map.cnt - 1];
	int err, write_err;

	err = ring_buffer__consume(s->ring);
	if (err < 0)
		return err;
	if (now_ns() - last->ns >= PAIR_NS) {
		err = mono_map_take(&s->map);
		if (err)
			return err;
	}
	err = held_write(s, w, false);
	write_err = s->map.cnt >= 2 ? lost_report(s, w) : 0;
	return err ? err : write_err;
}

/* Threads that are off the CPU now. */
static int open_take(struct scheduler *s)
{
	char nothing[64];
	ssize_t n;
	int fd = bpf_iter_create(bpf_link__fd(s->iterator)), err = 0;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, nothing, sizeof(nothing));
	} while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	if (n < 0)
		err = -errno;
	close(fd);
	return err;
}

int scheduler_finish(struct scheduler *s, struct writer *w)
{
	size_t i;
	int err, write_err;

	for (i = 0; i < LINKS_MAX; i++) {
		bpf_link__destroy(s->links[i]);
		s->links[i] = NULL;
	}
	err = ring_buffer__consume(s->ring); /* room for those that are off */
	if (err >= 0)
		err = open_take(s);
	if (!err)
		err = ring_buffer__consume(s->ring);
	if (err >= 0)
		err = mono_map_take(&s->map);
	write_err = held_write(s, w, true);
	err = err < 0 ? err : write_err;
	write_err = s->map.cnt >= 2 ? lost_report(s, w) : 0;
	return err ? err : write_err;
}
