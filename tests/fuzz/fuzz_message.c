/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_message.c - formats and values: count of values, per value its type and bytes; what is left
 * is the format.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = { data, size };
	unsigned cnt = fuzz_u8(&input) % (QSLOG_ARGS_MAX + 1), i;
	struct record_value values[QSLOG_ARGS_MAX];
	struct message_key keys[QSLOG_ARGS_MAX];
	struct buffer out = { 0 };
	struct record record = { .kind = RECORD_LOG, .value_cnt = (uint8_t)cnt };
	struct record_format format = { .kind = QSLOG_SITE_LOG, .arg_cnt = (uint8_t)cnt };
	char *copies[QSLOG_ARGS_MAX] = { NULL }, *text;

	memset(values, 0, sizeof(values));
	for (i = 0; i < cnt; i++) {
		struct record_value *v = &values[i];
		unsigned length;

		v->type = fuzz_u8(&input) % QSLOG_ARG_TYPE_COUNT;
		if (v->type != QSLOG_ARG_STR && v->type != QSLOG_ARG_BYTES) {
			v->u = v->type <= QSLOG_ARG_UINT8 ? fuzz_u8(&input) : fuzz_u64(&input);
			continue;
		}
		length = fuzz_u8(&input);
		if (length == 255)
			continue; /* NULL */
		v->len = length < input.size ? length : (uint32_t)input.size;
		v->real_len = v->len + fuzz_u8(&input) % 3;
		v->len = v->len < input.size ? v->len : (uint32_t)input.size;
		copies[i] = malloc(v->len + 1u); /* of this very size: a sanitizer watches its end */
		copies[i] = realloc(copies[i], v->len ? v->len : 1);
		FUZZ_CHECK(copies[i]);
		memcpy(copies[i], input.data, v->len);
		v->bytes = copies[i];
		input.data += v->len;
		input.size -= v->len;
	}
	text = malloc(input.size + 1);
	FUZZ_CHECK(text);
	if (input.size)
		memcpy(text, input.data, input.size);
	text[input.size] = '\0';
	message_format(&out, text, values, cnt);
	FUZZ_CHECK(out.len <= MESSAGE_BYTES_MAX + (8u << 20));
	for (size_t k = 0; k < out.len; k++)
		FUZZ_CHECK((unsigned char)out.data[k] >= ' ' && out.data[k] != 0x7f);
	message_keys(text, cnt, keys);
	memcpy(record.values, values, sizeof(values));
	format.tag = format.file = format.function = format.format = text;
	record.format = &format;
	text_line(&out, &record);
	json_line(&out, &record);
	for (i = 0; i < cnt; i++)
		free(copies[i]);
	free(text);
	buffer_fini(&out);
	return 0;
}
