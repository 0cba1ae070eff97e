/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.c - a record becomes one line of text:
 *   2025-04-09 16:09:58.156 32638 32638 D example [qslogExample.cpp:38 main] message
 * Everything that came out of a process or a file is escaped on the way, so that one record is
 * one line and nothing that a terminal would obey.
 */
#include <string.h>

#include "buffer.h"
#include "digits.h"
#include "escape.h"
#include "record_text.h"
#include "times_text.h"
#include "timestamp.h"
#include "writer.h"

char level_letter(uint8_t level)
{
	return level < QSLOG_LEVEL_COUNT ? "VDIWEF"[level] : '?';
}

const char *loss_cause_name(uint8_t cause)
{
	switch ((enum loss_cause)cause) {
	case LOSS_ARENA_FULL:
		return "arena full";
	case LOSS_RING_FULL:
		return "ring full";
	case LOSS_UNREADABLE:
		return "memory unreadable";
	case LOSS_DAMAGED:
		return "damaged in the process";
	case LOSS_NO_ARENA:
		return "no arena";
	case LOSS_UNKNOWN_SITE:
		return "unknown site";
	case LOSS_UNWRITTEN:
		return "not written";
	case LOSS_CAUSE_COUNT:
		break;
	}
	return "unknown cause";
}

const char *record_tag(const struct record *record)
{
	if (!record->format)
		return record->kind == RECORD_OFF ? "sched" : "qslog";
	if (record->format->tag && *record->format->tag)
		return record->format->tag;
	if (record->thread && record->thread->process && record->thread->process->name &&
	    *record->thread->process->name)
		return record->thread->process->name;
	return "-";
}

const char *record_host(const struct record *record)
{
	const struct record_process *process = record->thread ? record->thread->process : NULL;

	return process && process->host && *process->host ? process->host : "-";
}

uint8_t record_level(const struct record *record)
{
	if (record->kind == RECORD_OFF)
		return QSLOG_LEVEL_VERBOSE;
	return record->format ? record->format->level : QSLOG_LEVEL_WARN;
}

static void escape_str(struct buffer *out, const char *s)
{
	escape_text(out, s, strlen(s));
}

void record_duration(struct buffer *out, uint64_t ns)
{
	char *p = buffer_reserve(out, DIGITS_U64_MAX + 6);

	if (!p)
		return;
	p = digits_u64(p, ns / 1000);
	*p++ = '.';
	p = digits_fixed(p, ns % 1000, 3);
	*p++ = 'u';
	*p++ = 's';
	buffer_commit(out, p);
}

static void loss_message(struct buffer *out, const struct record *record)
{
	buffer_u64(out, record->lost);
	buffer_str(out, record->lost == 1 ? " record lost: " : " records lost: ");
	buffer_str(out, loss_cause_name(record->lost_cause));
}

static void hex_u64(struct buffer *out, uint64_t v)
{
	char *p = buffer_reserve(out, 16);
	int shift;

	if (!p)
		return;
	for (shift = 60; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[v >> shift & 15];
	buffer_commit(out, p);
}

void record_trace_id(struct buffer *out, const struct record_context *context)
{
	hex_u64(out, context->trace_high);
	hex_u64(out, context->trace_low);
}

void record_span_id(struct buffer *out, uint64_t id)
{
	hex_u64(out, id);
}

static void line_message(struct buffer *out, const struct record *record)
{
	const struct record_context *c = &record->context;

	buffer_str(out, record->kind == RECORD_LINE_BEGIN ? "-> trace " : "<- trace ");
	if (c->has_trace)
		record_trace_id(out, c);
	else
		buffer_char(out, '?'); /* its beginning was lost */
	if (record->kind == RECORD_LINE_END) {
		if (record->duration_ns) {
			buffer_char(out, ' ');
			record_duration(out, record->duration_ns);
		}
	} else if (c->parent_id) {
		buffer_str(out, " parent ");
		record_span_id(out, c->parent_id);
	}
}

void record_message(struct buffer *out, const struct record *record)
{
	const struct record_format *f = record->format;
	const char *name = f && f->name ? f->name : "-";

	if (record->kind == RECORD_OFF || record->kind == RECORD_OFF_LOST) {
		off_text(out, record);
	} else if (record->kind == RECORD_LOSS || !f) {
		loss_message(out, record);
	} else if (record->kind == RECORD_LOG) {
		message_format(out, f->format, record->values, record->value_cnt);
	} else if (record->kind == RECORD_LINE_BEGIN || record->kind == RECORD_LINE_END) {
		line_message(out, record);
	} else if (record->kind == RECORD_SPAN_ENTER) {
		buffer_str(out, "-> ");
		escape_str(out, name);
		if ((f->format && *f->format) || record->value_cnt) {
			buffer_char(out, ' ');
			message_format(out, f->format, record->values, record->value_cnt);
		}
	} else {
		buffer_str(out, "<- ");
		escape_str(out, name);
		buffer_char(out, ' ');
		record_duration(out, record->duration_ns);
		if (record->times)
			times_text(out, record->times);
	}
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* [qslogExample.cpp:38 main] */
static void site(struct buffer *out, const struct record_format *f)
{
	if (!f) {
		buffer_str(out, " [-:0 -] ");
		return;
	}
	buffer_bytes(out, " [", 2);
	escape_str(out, f->file && *f->file ? base_name(f->file) : "-");
	buffer_char(out, ':');
	buffer_u64(out, f->line);
	buffer_char(out, ' ');
	escape_str(out, f->function && *f->function ? f->function : "-");
	buffer_bytes(out, "] ", 2);
}

void text_line_time(struct buffer *out, const struct record *record, bool host)
{
	const struct record_thread *thread = record->thread;
	char *p = buffer_reserve(out, TIMESTAMP_LOCAL_LEN + 1);

	if (!p)
		return;
	timestamp_local(p, record->time_ns);
	p += TIMESTAMP_LOCAL_LEN;
	*p++ = ' ';
	buffer_commit(out, p);
	if (host) {
		escape_str(out, record_host(record));
		buffer_char(out, ' ');
	}
	p = buffer_reserve(out, 2 * DIGITS_U64_MAX + 8);
	if (!p)
		return;
	p = digits_u64(p, thread && thread->process ? thread->process->pid : 0);
	*p++ = ' ';
	p = digits_u64(p, thread ? thread->tid : 0);
	*p++ = ' ';
	buffer_commit(out, p);
}

void text_line_site(struct buffer *out, const struct record *record)
{
	buffer_char(out, level_letter(record_level(record)));
	buffer_char(out, ' ');
	escape_str(out, record_tag(record));
	site(out, record->format);
}

void text_line(struct buffer *out, const struct record *record)
{
	text_line_time(out, record, false);
	text_line_site(out, record);
	record_message(out, record);
	buffer_char(out, '\n');
}
