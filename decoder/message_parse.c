/* SPDX-License-Identifier: BSD-2-Clause */
/* message_parse.c - see message_parse.h. */
#include "message_parse.h"

#include <errno.h>

bool message_placeholder(struct message_placeholder *ph, const char *s, const char *end)
{
	unsigned depth = 1;
	const char *p;

	*ph = (struct message_placeholder){ .id = s };
	for (p = s; p < end; p++) {
		if (*p == '{') {
			depth++;
		} else if (*p == '}' && --depth == 0) {
			break;
		} else if (*p == ':' && !ph->spec) {
			ph->spec = p + 1;
		}
	}
	if (p == end)
		return false;
	ph->id_len = (size_t)((ph->spec ? ph->spec - 1 : p) - s);
	ph->spec_len = ph->spec ? (size_t)(p - ph->spec) : 0;
	ph->end = p + 1;
	return true;
}

bool message_is_name(const char *id, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = id[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
			      (unsigned char)c >= 0x80;

		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '.' || c == '-')))
			return false;
	}
	return len > 0;
}

int message_value(struct message_values *v, const char *id, size_t len)
{
	unsigned index = 0;

	if (len && id[0] >= '0' && id[0] <= '9') {
		for (size_t i = 0; i < len; i++) {
			if (id[i] < '0' || id[i] > '9')
				return -EINVAL;
			index = index * 10 + (unsigned)(id[i] - '0');
			if (index > QSLOG_ARGS_MAX)
				return -ENOENT;
		}
	} else if (len == 0 || message_is_name(id, len)) {
		index = v->next;
		if (index < v->cnt)
			v->next++;
	} else {
		return -EINVAL;
	}
	if (index >= v->cnt)
		return -ENOENT;
	v->used |= 1u << index;
	return (int)index;
}
