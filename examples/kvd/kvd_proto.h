/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kvd_proto.h - the server's language: a subset of memcached's text protocol, without flags and
 * expiry times. Lines end with \r\n (or \n), values are counted and may hold any byte.
 *
 *     GET key                        VALUE len \r\n value \r\n, or NOT_FOUND
 *     SET key len \r\n value \r\n    STORED
 *     DEL key                        DELETED, or NOT_FOUND
 *     STATS                          STAT name value, one per line, then END
 *     QUIT                           the server closes the connection
 *     anything else                  ERROR reason
 *
 * Requests may be pipelined; answers come in the order of the requests. A key is 1 to 250 bytes
 * without spaces and control characters.
 *
 * Reading a request takes two steps. proto_frame() finds out where the request ends, which is
 * all that can be done while it is still arriving. proto_parse() then checks it.
 */
#ifndef KVD_PROTO_H
#define KVD_PROTO_H

#include <stddef.h>

#define PROTO_LINE_MAX 512u /* request line, line end included */
#define PROTO_KEY_MAX 250u

enum proto_op { PROTO_GET, PROTO_SET, PROTO_DEL, PROTO_STATS, PROTO_QUIT };

struct proto_slice {
	const char *data;
	size_t len;
};

/* All slices point into the connection's input. */
struct proto_frame {
	struct proto_slice op, key, size; /* words of the line as they came; "-" where missing */
	unsigned words;                   /* in the line; more than 3 are counted, not kept */
	size_t bytes;                     /* of the input, to be consumed afterwards */
	struct proto_slice value;         /* SET: the value and its two bytes of line end */
	size_t skip; /* SET of a value that is too large: this many bytes follow, not wanted */
};

struct proto_request {
	enum proto_op op;
	struct proto_slice key, value;
};

/* 1: *f is a whole request; 0: more input is needed; -EMSGSIZE: the line is too long; -EBADMSG: the
 * length of a value makes no sense, so nobody knows where the next request begins. */
int proto_frame(const char *data, size_t len, size_t value_max, struct proto_frame *f);

/* 0; -EINVAL: the client gets *why, the connection goes on; -EBADMSG: it gets *why and is closed. */
int proto_parse(const struct proto_frame *f, struct proto_request *request, const char **why);

#endif
