/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.c - a record becomes one JSON object on one line. All keys are there in every object, in
 * the same order; what a record does not have is null (a loss has no site). Spans have "name"
 * as well, a span_exit "duration_ns", a loss "lost" and "cause"; what lies in a span line has
 * "trace_id", and "span_id" and "parent_id" where there are such.
 */
#include <math.h>
#include <string.h>

#include "buffer.h"
#include "decimal.h"
#include "escape.h"
#include "format_spec.h"
#include "message.h"
#include "record_text.h"
#include "times_text.h"
#include "timestamp.h"

static void json_string(struct buffer *out, const char *s)
{
	if (!s) {
		buffer_str(out, "null");
		return;
	}
	buffer_char(out, '"');
	escape_json(out, s, strlen(s));
	buffer_char(out, '"');
}

static void json_real(struct buffer *out, double value, bool single)
{
	char *p;

	if (isnan(value)) {
		buffer_str(out, "\"nan\"");
	} else if (isinf(value)) {
		buffer_str(out, value < 0 ? "\"-inf\"" : "\"inf\"");
	} else {
		if (signbit(value))
			buffer_char(out, '-');
		p = buffer_reserve(out, DECIMAL_SHORTEST_MAX);
		if (p)
			buffer_commit(out, decimal_shortest(p, fabs(value), single, false));
	}
}

/* Text, and what is missing of it, as in text lines. */
static void json_text(struct buffer *out, const struct record_value *v)
{
	size_t shown = v->len;

	if (!v->bytes) {
		buffer_str(out, "null");
		return;
	}
	if (v->real_len > v->len)
		shown -= utf8_cut_tail(v->bytes, shown);
	buffer_char(out, '"');
	escape_json(out, v->bytes, shown);
	if (v->real_len > v->len) {
		buffer_str(out, "\xe2\x80\xa6[+");
		buffer_u64(out, v->real_len - shown);
		buffer_str(out, " bytes]");
	}
	buffer_char(out, '"');
}

static void json_value(struct buffer *out, const struct record_value *v)
{
	char c;

	switch ((enum qslog_arg_type)v->type) {
	case QSLOG_ARG_BOOL:
		buffer_str(out, v->u ? "true" : "false");
		break;
	case QSLOG_ARG_CHAR:
		c = (char)v->u;
		buffer_char(out, '"');
		escape_json(out, &c, 1);
		buffer_char(out, '"');
		break;
	case QSLOG_ARG_UINT8:
	case QSLOG_ARG_UINT64:
		buffer_u64(out, v->u);
		break;
	case QSLOG_ARG_INT64:
		buffer_i64(out, v->i);
		break;
	case QSLOG_ARG_FLOAT:
		json_real(out, (double)v->f, true);
		break;
	case QSLOG_ARG_DOUBLE:
		json_real(out, v->d, false);
		break;
	case QSLOG_ARG_STR:
		json_text(out, v);
		break;
	case QSLOG_ARG_BYTES:
	case QSLOG_ARG_POINTER:
		if (v->type == QSLOG_ARG_BYTES && !v->bytes) {
			buffer_str(out, "null");
			break;
		}
		buffer_char(out, '"');
		format_value_plain(out, v); /* ASCII, but for the mark of what was cut */
		buffer_char(out, '"');
		break;
	case QSLOG_ARG_TYPE_COUNT:
	default:
		buffer_str(out, "null");
		break;
	}
}

static void json_args(struct buffer *out, const struct record *record)
{
	struct message_key keys[QSLOG_ARGS_MAX];
	bool has_values = record->kind == RECORD_LOG || record->kind == RECORD_SPAN_ENTER;
	unsigned cnt = has_values ? record->value_cnt : 0;

	message_keys(record->format ? record->format->format : "", cnt, keys);
	buffer_char(out, '{');
	for (unsigned i = 0; i < cnt && i < QSLOG_ARGS_MAX; i++) {
		buffer_str(out, i ? ",\"" : "\"");
		if (keys[i].name)
			escape_json(out, keys[i].name, keys[i].len);
		else
			buffer_u64(out, i);
		buffer_str(out, "\":");
		json_value(out, &record->values[i]);
	}
	buffer_char(out, '}');
}

static const char *kind_name(enum record_kind kind)
{
	switch (kind) {
	case RECORD_LOG:
		return "log";
	case RECORD_SPAN_ENTER:
		return "span_enter";
	case RECORD_SPAN_EXIT:
		return "span_exit";
	case RECORD_LINE_BEGIN:
		return "line_begin";
	case RECORD_LINE_END:
		return "line_end";
	case RECORD_OFF:
		return "off";
	case RECORD_OFF_LOST:
		return "off_lost";
	case RECORD_LOSS:
		break;
	}
	return "loss";
}

static void json_id(struct buffer *out, const char *key, uint64_t id)
{
	if (!id)
		return;
	buffer_str(out, key);
	record_span_id(out, id);
	buffer_char(out, '"');
}

static void json_context(struct buffer *out, const struct record_context *context)
{
	if (!context->has_trace)
		return;
	buffer_str(out, ",\"trace_id\":\"");
	record_trace_id(out, context);
	buffer_char(out, '"');
	json_id(out, ",\"span_id\":\"", context->span_id);
	json_id(out, ",\"parent_id\":\"", context->parent_id);
}

/* Escapes for JSON what record_message() appended at `start`; mostly there is nothing to do. */
static void json_message(struct buffer *out, const struct record *record)
{
	struct buffer copy = { 0 };
	size_t start, len;

	buffer_char(out, '"');
	start = out->len;
	record_message(out, record);
	len = out->len - start;
	if (!out->failed && escape_plain_len(out->data + start, len, '"', '\\') < len) {
		buffer_bytes(&copy, out->data + start, len);
		out->len = start;
		if (copy.failed)
			out->failed = true;
		else
			escape_json(out, copy.data, len);
		buffer_fini(&copy);
	}
	buffer_char(out, '"');
}

/* From "level" to "kind". */
static void json_site(struct buffer *out, const struct record *record)
{
	const struct record_format *f = record->format;

	buffer_str(out, ",\"level\":\"");
	buffer_char(out, level_letter(record_level(record)));
	buffer_str(out, "\",\"tag\":");
	json_string(out, record_tag(record));
	buffer_str(out, ",\"file\":");
	json_string(out, f ? f->file : NULL);
	buffer_str(out, ",\"line\":");
	if (f)
		buffer_u64(out, f->line);
	else
		buffer_str(out, "null");
	buffer_str(out, ",\"function\":");
	json_string(out, f ? f->function : NULL);
	buffer_str(out, ",\"kind\":\"");
	buffer_str(out, kind_name(record->kind));
	buffer_char(out, '"');
}

void json_line_host(struct buffer *out, const struct record *record, bool host)
{
	const struct record_thread *thread = record->thread;
	const struct record_process *process = thread ? thread->process : NULL;
	bool span = record->kind == RECORD_SPAN_ENTER || record->kind == RECORD_SPAN_EXIT;

	buffer_str(out, "{\"time\":\"");
	timestamp_utc(out, record->time_ns);
	buffer_str(out, "\",\"time_ns\":");
	buffer_i64(out, record->time_ns);
	if (host) {
		buffer_str(out, ",\"host\":");
		json_string(out, record_host(record));
	}
	buffer_str(out, ",\"pid\":");
	buffer_u64(out, process ? process->pid : 0);
	buffer_str(out, ",\"tid\":");
	buffer_u64(out, thread ? thread->tid : 0);
	buffer_str(out, ",\"thread\":");
	json_string(out, thread && thread->name ? thread->name : "");
	json_site(out, record);
	if (span && record->format) {
		buffer_str(out, ",\"name\":");
		json_string(out, record->format->name);
	}
	json_context(out, &record->context);
	if (record->kind == RECORD_SPAN_EXIT ||
	    (record->kind == RECORD_LINE_END && record->duration_ns)) {
		buffer_str(out, ",\"duration_ns\":");
		buffer_u64(out, record->duration_ns);
	} else if (record->kind == RECORD_LOSS) {
		buffer_str(out, ",\"lost\":");
		buffer_u64(out, record->lost);
		buffer_str(out, ",\"cause\":");
		json_string(out, loss_cause_name(record->lost_cause));
	} else if (record->kind == RECORD_OFF_LOST) {
		buffer_str(out, ",\"lost\":");
		buffer_u64(out, record->lost);
	} else if (record->kind == RECORD_OFF) {
		off_json(out, record->off);
	}
	if (record->times)
		times_json(out, record->times);
	buffer_str(out, ",\"message\":");
	json_message(out, record);
	buffer_str(out, ",\"format\":");
	json_string(out, record->format ? record->format->format : NULL);
	buffer_str(out, ",\"args\":");
	json_args(out, record);
	buffer_str(out, "}\n");
}

void json_line(struct buffer *out, const struct record *record)
{
	json_line_host(out, record, false);
}
