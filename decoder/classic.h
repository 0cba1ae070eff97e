/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classic.h - the layout of the original format, which has neither blocks nor checksums: what its
 * document says and how it is read here is in docs/classic.md. All numbers are little-endian.
 */
#ifndef QSLOG_CLASSIC_H
#define QSLOG_CLASSIC_H

#define CLASSIC_TYPE_SHIFT 6 /* of an entry's first byte */
enum classic_entry_type {
	CLASSIC_LOG = 0,    /* argc:6; ts diff u16, format id u16, tid u32, arguments */
	CLASSIC_FORMAT = 1, /* level:6; id u16, length u16, "tag file:line function format" */
	CLASSIC_INFO = 2    /* info type:2, length:4; data */
};
#define CLASSIC_LOW_MASK 0x3fu /* argc or level */

#define CLASSIC_INFO_SHIFT 4
#define CLASSIC_LENGTH_MASK 0x0fu
enum classic_info_type {
	CLASSIC_PID = 0, /* u32 */
	CLASSIC_TS = 1	 /* u64, milliseconds since the epoch */
};

#define CLASSIC_LOG_BYTES 9u	/* before the arguments */
#define CLASSIC_FORMAT_BYTES 5u /* before the string */

#define CLASSIC_ARGC_MAX 63u
#define CLASSIC_DIFF_MAX 65535u
#define CLASSIC_IDS 65536u
#define CLASSIC_STR_MAX 65535u

/* High 4 bits of an argument's first byte. */
#define CLASSIC_ARG_SHIFT 4
enum classic_arg_type {
	CLASSIC_BOOL = 0, /* the value is in the low 4 bits */
	CLASSIC_CHAR = 1,
	CLASSIC_UINT8 = 2,
	CLASSIC_UINT64 = 3, /* LEB128 */
	CLASSIC_FLOAT = 4,
	CLASSIC_DOUBLE = 5,
	CLASSIC_STR = 6 /* u16 length, bytes */
};
#define CLASSIC_NEGATIVE 0x08u /* of integers: the complement of the value follows */

#endif
