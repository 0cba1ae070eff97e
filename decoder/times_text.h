/* SPDX-License-Identifier: BSD-2-Clause */
/* times_text.h - the times of spans, and why threads were off the CPU, as text and as JSON. */
#ifndef QSLOG_TIMES_TEXT_H
#define QSLOG_TIMES_TEXT_H

#include "text.h"

/* "futex", "read io", "page fault", "preempted", "stopped" ... */
void cause_reason(struct buffer *out, const struct record_cause *cause);
/* "worker 1234", "an interrupt", "a softirq"; nothing where it is not known. */
void cause_who(struct buffer *out, const struct record_cause *cause);
/* Is it the same reason, whoever woke the thread? */
bool cause_same_reason(const struct record_cause *a, const struct record_cause *b);

/* " | cpu 61.204us | futex 4100.000us 2x, woken by worker 1234 | ready 962.252us | preempted ..." */
void times_text(struct buffer *out, const struct record_times *times);
/* ",\"cpu_ns\":...,\"off_ns\":...,...,\"waits\":[...]" */
void times_json(struct buffer *out, const struct record_times *times);
void waits_json(struct buffer *out, const struct record_wait *waits, uint32_t cnt);

/* The messages of RECORD_OFF and RECORD_OFF_LOST. */
void off_text(struct buffer *out, const struct record *record);
/* ",\"off_ns\":...", the members of such an object. */
void off_json(struct buffer *out, const struct record_off *off);

#endif
