/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * times_text.c - see times_text.h. A line is to show at once where the time went: first what the
 * span itself used, then what it waited for, longest first, and for how long a CPU was missing.
 */
#include "times_text.h"

#include "buffer.h"
#include "escape.h"
#include "file_format.h"
#include "record_text.h"

#define REASONS_SHOWN 6u

void cause_reason(struct buffer *out, const struct record_cause *cause)
{
	const char *plain = NULL;

	switch ((enum file_off_why)cause->why) {
	case FILE_OFF_PREEMPTED:
		plain = "preempted";
		break;
	case FILE_OFF_STOPPED:
		plain = "stopped";
		break;
	case FILE_OFF_DEBUGGED:
		plain = "debugger";
		break;
	case FILE_OFF_SLEEP:
	case FILE_OFF_DISK_SLEEP:
		if (cause->syscall < 0) /* nothing else puts it to sleep: see docs/sched.md */
			plain = cause->exiting ? "exit" : "page fault";
		break;
	case FILE_OFF_OTHER:
		plain = "other";
		break;
	}
	if (plain)
		buffer_str(out, plain);
	else if (cause->why > FILE_OFF_OTHER)
		buffer_printf(out, "reason %u", cause->why);
	else
		escape_text(out, cause->syscall_name.bytes, cause->syscall_name.len);
	if (cause->io)
		buffer_str(out, " io");
}

void cause_who(struct buffer *out, const struct record_cause *cause)
{
	switch ((enum file_off_who)cause->who) {
	case FILE_OFF_WHO_HARDIRQ:
		buffer_str(out, "an interrupt");
		break;
	case FILE_OFF_WHO_SOFTIRQ:
		buffer_str(out, "a softirq");
		break;
	case FILE_OFF_WHO_THREAD:
		escape_text(out, cause->who_name.bytes, cause->who_name.len);
		if (cause->who_tid) { /* all idle threads have 0 */
			buffer_char(out, ' ');
			buffer_u64(out, cause->who_tid);
		}
		break;
	case FILE_OFF_WHO_UNKNOWN:
		break;
	}
}

bool cause_same_reason(const struct record_cause *a, const struct record_cause *b)
{
	if (a->why != b->why)
		return false;
	if (a->why != FILE_OFF_SLEEP && a->why != FILE_OFF_DISK_SLEEP)
		return true; /* where it was does not matter */
	return a->io == b->io && a->exiting == b->exiting && a->syscall == b->syscall;
}

/* ", woken by X", " by X" of a preemption. */
static void who_phrase(struct buffer *out, const struct record_cause *cause)
{
	if (cause->who == FILE_OFF_WHO_UNKNOWN)
		return;
	buffer_str(out, cause->why == FILE_OFF_PREEMPTED ? " by " : ", woken by ");
	cause_who(out, cause);
}

/* All waits for the reason of the one at `first`, which is the longest of them. */
static void reason_text(struct buffer *out, const struct record_times *times, uint32_t first)
{
	const struct record_cause *cause = &times->waits[first].cause;
	uint64_t ns = 0, cnt = 0;
	uint32_t i, others = 0;

	for (i = first; i < times->wait_cnt; i++) {
		if (!cause_same_reason(cause, &times->waits[i].cause))
			continue;
		ns += times->waits[i].ns;
		cnt += times->waits[i].cnt;
		others += i != first;
	}
	buffer_str(out, " | ");
	cause_reason(out, cause);
	buffer_char(out, ' ');
	record_duration(out, ns);
	buffer_printf(out, " %llux", (unsigned long long)cnt);
	who_phrase(out, cause);
	if (others && cause->who != FILE_OFF_WHO_UNKNOWN)
		buffer_printf(out, " and %u others", others);
}

void times_text(struct buffer *out, const struct record_times *times)
{
	uint32_t i, k, reasons = 0;

	buffer_str(out, " | cpu ");
	record_duration(out, times->cpu_ns);
	for (i = 0; i < times->wait_cnt; i++) {
		for (k = 0; k < i; k++)
			if (cause_same_reason(&times->waits[k].cause, &times->waits[i].cause))
				break;
		if (k == i && reasons++ < REASONS_SHOWN)
			reason_text(out, times, i);
	}
	if (reasons > REASONS_SHOWN)
		buffer_printf(out, " | %u other reasons", reasons - REASONS_SHOWN);
	if (times->ready_ns) {
		buffer_str(out, " | ready ");
		record_duration(out, times->ready_ns);
	}
	if (times->incomplete)
		buffer_str(out, " | incomplete: scheduler events were lost");
}

static void json_cause(struct buffer *out, const struct record_cause *cause)
{
	struct buffer reason = { 0 };

	cause_reason(&reason, cause);
	buffer_str(out, "\"reason\":\"");
	if (reason.data)
		escape_json(out, reason.data, reason.len);
	buffer_char(out, '"');
	out->failed |= reason.failed;
	buffer_fini(&reason);
	if (cause->syscall >= 0) {
		buffer_str(out, ",\"syscall\":\"");
		escape_json(out, cause->syscall_name.bytes, cause->syscall_name.len);
		buffer_char(out, '"');
	}
	switch ((enum file_off_who)cause->who) {
	case FILE_OFF_WHO_HARDIRQ:
		buffer_str(out, ",\"by\":\"interrupt\"");
		break;
	case FILE_OFF_WHO_SOFTIRQ:
		buffer_str(out, ",\"by\":\"softirq\"");
		break;
	case FILE_OFF_WHO_THREAD:
		buffer_str(out, ",\"by\":\"thread\",\"by_name\":\"");
		escape_json(out, cause->who_name.bytes, cause->who_name.len);
		buffer_printf(out, "\",\"by_pid\":%u,\"by_tid\":%u", cause->who_pid, cause->who_tid);
		break;
	case FILE_OFF_WHO_UNKNOWN:
		break;
	}
}

static void json_ns(struct buffer *out, const char *key, uint64_t ns)
{
	buffer_str(out, key);
	buffer_u64(out, ns);
}

void waits_json(struct buffer *out, const struct record_wait *waits, uint32_t cnt)
{
	uint32_t i;

	buffer_char(out, '[');
	for (i = 0; i < cnt; i++) {
		buffer_str(out, i ? ",{" : "{");
		json_cause(out, &waits[i].cause);
		json_ns(out, ",\"ns\":", waits[i].ns);
		json_ns(out, ",\"count\":", waits[i].cnt);
		buffer_char(out, '}');
	}
	buffer_char(out, ']');
}

void times_json(struct buffer *out, const struct record_times *times)
{
	json_ns(out, ",\"cpu_ns\":", times->cpu_ns);
	json_ns(out, ",\"off_ns\":", times->off_ns);
	json_ns(out, ",\"blocked_ns\":", times->blocked_ns);
	json_ns(out, ",\"ready_ns\":", times->ready_ns);
	json_ns(out, ",\"preempted_ns\":", times->preempted_ns);
	json_ns(out, ",\"off_count\":", times->off_cnt);
	if (times->incomplete)
		buffer_str(out, ",\"times_incomplete\":true");
	buffer_str(out, ",\"waits\":");
	waits_json(out, times->waits, times->wait_cnt);
}

void off_text(struct buffer *out, const struct record *record)
{
	const struct record_off *off = record->off;

	if (record->kind == RECORD_OFF_LOST) {
		buffer_printf(out, "%llu scheduler events lost in the next ",
			      (unsigned long long)record->lost);
		record_duration(out, record->duration_ns);
		return;
	}
	buffer_str(out, off->open ? "still off the cpu after " : "off the cpu ");
	record_duration(out, off->off_ns);
	buffer_str(out, ": ");
	cause_reason(out, &off->cause);
	who_phrase(out, &off->cause);
	if (off->cause.why != FILE_OFF_PREEMPTED && off->ready_ns) {
		buffer_str(out, ", ready ");
		record_duration(out, off->ready_ns);
	}
	if (!off->open)
		buffer_printf(out, ", to cpu %u", off->cpu);
}

void off_json(struct buffer *out, const struct record_off *off)
{
	json_ns(out, ",\"off_ns\":", off->off_ns);
	json_ns(out, ",\"ready_ns\":", off->ready_ns);
	buffer_printf(out, ",\"cpu\":%u,\"open\":%s,", off->cpu, off->open ? "true" : "false");
	json_cause(out, &off->cause);
}
