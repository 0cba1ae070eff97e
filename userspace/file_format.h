/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file_format.h - what is on disk in a .qslog file and in its tail, as C: constants and structs.
 * The specification is docs/format.md; this header and that page say the same, and every struct
 * is asserted to have the size and the offsets of the tables there.
 *
 * All numbers are little-endian. The structs are copied with memcpy, never pointed into a buffer.
 */
#ifndef QSLOG_FILE_FORMAT_H
#define QSLOG_FILE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "qslog files are little-endian and this code does not swap bytes"
#endif

#define FILE_VERSION 1

/* Neither text nor valid UTF-8, and broken by a transfer that touches line ends. */
#define FILE_MAGIC_BYTES 8
#define FILE_BLOCK_MAGIC "\x93QSB\r\n\x1a\xf6"
#define FILE_END_MAGIC "\x93QSE\r\n\x1a\xf6"
#define FILE_TAIL_MAGIC "\x93QST\r\n\x1a\xf6"
#define FILE_FRAME_MAGIC 0xf6524651u /* "QFR\xf6" */

/* Limits: a reader refuses what is beyond them before it allocates anything. */
#define FILE_HEADER_BYTES_MAX 256u
#define FILE_RAW_BYTES_MAX (32u << 20)	 /* of a block, before compression and as stored */
#define FILE_RECORDS_MAX (4u << 20)	 /* in a block, losses included */
#define FILE_ENTRY_BYTES_MAX (1u << 20)	 /* of a format or info entry */
#define FILE_STRING_BYTES_MAX (1u << 20) /* of a string or byte argument */
#define FILE_INDEX_ENTRIES_MAX 65536u	 /* in one index block; further ones are chained */
#define FILE_TICKS_MAX (INT64_C(1) << 62) /* |time| of every record */

enum file_block_kind {
	FILE_BLOCK_HEADER = 0,	/* first block: info entries about the file */
	FILE_BLOCK_ROWS = 1,	/* entries */
	FILE_BLOCK_COLUMNS = 2, /* the same by column: columns_format.h */
	FILE_BLOCK_INDEX = 3
};

/* Do blocks of this kind have records? */
#define FILE_BLOCK_HAS_RECORDS(kind) ((kind) == FILE_BLOCK_ROWS || (kind) == FILE_BLOCK_COLUMNS)

enum file_compression {
	FILE_COMPRESSION_NONE = 0,
	FILE_COMPRESSION_ZSTD = 1
};

#define FILE_MUST_UNDERSTAND_KNOWN 0u /* flags that this version knows */
/* may_ignore flags */
#define FILE_HINT_RECOVERED 1u	    /* appended after the death of the writer (qslog recover) */
#define FILE_HINT_RECOVERED_TAIL 2u /* and has the rows of the tail */
#define FILE_HINT_CONTINUED 4u	    /* of the last index block: another file of the set follows */
#define FILE_HINT_HASTY 8u	    /* rows as they are: their writer had no time to pack them */
#define FILE_LEVEL_MASK_LOSS 0x80u    /* the block has loss entries: never skip it by level */
#define FILE_LEVEL_MASK_OFF 0x40u     /* it has intervals off the CPU, or says that some are missing */
/* Do the times of a header say anything? */
#define FILE_HAS_TIMES(h) ((h)->record_cnt || (h)->lost || (h)->level_mask & FILE_LEVEL_MASK_OFF)

struct file_block_header {
	uint8_t magic[FILE_MAGIC_BYTES];
	uint32_t checksum;	  /* low half of xxh3-64 of bytes 12 to header_bytes */
	uint16_t header_bytes;	  /* this struct; larger in later versions */
	uint8_t version;
	uint8_t kind;		  /* enum file_block_kind */
	uint8_t compression;	  /* enum file_compression */
	uint8_t level_mask;	  /* bit 1 << level of every record, and FILE_LEVEL_MASK_ */
	uint16_t must_understand; /* flags: a reader that does not know one refuses the block */
	uint16_t may_ignore;	  /* flags that a reader may ignore */
	uint16_t reserved;
	uint64_t sequence;	  /* 0 in the first block, then one more in each */
	uint32_t stored_bytes;	  /* of the payload that follows the header */
	uint32_t raw_bytes;	  /* of the payload once decompressed */
	uint64_t payload_hash;	  /* xxh3-64 of the stored payload */
	int64_t time_min;	  /* ticks, of records, losses, intervals; 0 and 0 where there are none */
	int64_t time_max;
	int64_t clock_ticks;	  /* the newest clock pair when the block was written */
	int64_t clock_realtime_ns;
	uint64_t lost;		  /* sum of the block's loss entries */
	uint32_t record_cnt;	  /* without losses */
	uint32_t stream;	  /* 0 */
	uint64_t file_key;	  /* first 8 bytes of the file id, the same in every block */
};

struct file_index_header {
	uint64_t previous;    /* offset of the index block before this one, 0: none */
	uint32_t entry_bytes; /* sizeof(struct file_index_entry) or more */
	uint32_t entry_cnt;
	uint64_t records;     /* of the whole file, up to here */
	uint64_t lost;
	uint64_t text_bytes;  /* estimate: the same records as text lines */
};

struct file_index_entry {
	uint64_t offset; /* of the block's header */
	uint64_t sequence;
	int64_t time_min;
	int64_t time_max;
	int64_t clock_ticks;
	int64_t clock_realtime_ns;
	uint64_t lost;
	uint32_t record_cnt;
	uint32_t stored_bytes;
	uint32_t raw_bytes;
	uint8_t kind;
	uint8_t level_mask;
	uint16_t reserved;
};

/* The last bytes of a file that was closed. */
struct file_trailer {
	uint64_t index_offset; /* of the last index block */
	uint64_t file_key;
	uint32_t reserved;
	uint32_t checksum;     /* low half of xxh3-64 of the 20 bytes before */
	uint8_t magic[FILE_MAGIC_BYTES];
};

struct file_tail_header {
	uint8_t magic[FILE_MAGIC_BYTES];
	uint32_t checksum; /* low half of xxh3-64 of bytes 12 to header_bytes */
	uint16_t header_bytes;
	uint8_t version;
	uint8_t reserved;
	uint8_t file_id[16];
	uint64_t sequence; /* of the block that these rows will be sealed in */
};

struct file_frame_header {
	uint32_t magic;
	uint32_t number;   /* 0, 1, ... in the tail */
	uint64_t sequence; /* as in the tail's header */
	int64_t time_min;  /* as in a block header */
	int64_t time_max;
	uint32_t bytes;	   /* rows that follow */
	uint32_t record_cnt;
	uint64_t rows_hash; /* xxh3-64 of the rows */
	uint64_t lost;	   /* as in a block header, and so is level_mask */
	uint8_t level_mask;
	uint8_t reserved[3];
	uint32_t checksum; /* low half of xxh3-64 of the 60 bytes before */
};

/* The top two bits of an entry's first byte. */
enum file_entry_type {
	FILE_ENTRY_LOG = 0,
	FILE_ENTRY_FORMAT = 1,
	FILE_ENTRY_INFO = 2,
	FILE_ENTRY_SPAN = 3
};
#define FILE_ENTRY_TYPE_SHIFT 6
#define FILE_LOG_ID_ESCAPE 63u	/* 6 bits: the format id follows as a varint */
#define FILE_SPAN_OP_SHIFT 4
#define FILE_SPAN_ID_ESCAPE 15u /* 4 bits: likewise */
#define FILE_INFO_TYPE_SHIFT 4
#define FILE_INFO_LENGTH_ESCAPE 15u /* 4 bits: the length follows as a varint */

enum file_span_op {
	FILE_SPAN_ENTER = 0,
	FILE_SPAN_EXIT = 1,
	FILE_SPAN_COMPLETE = 2, /* reserved; varint length and data follow the id */
	FILE_SPAN_CONTEXT = 3	/* no id: enum file_context; varint length and data follow */
};

/* Low 4 bits of a FILE_SPAN_CONTEXT entry. */
enum file_context {
	FILE_CONTEXT_BEGIN = 0,	    /* a span line opens: a record */
	FILE_CONTEXT_END = 1,	    /* and closes: a record */
	FILE_CONTEXT_SPAN_ID = 2,   /* of the span entry that follows */
	FILE_CONTEXT_OPEN_LINE = 3, /* what is open already where a thread appears in a block */
	FILE_CONTEXT_OPEN_SPAN = 4
};
#define FILE_TRACE_ID_BYTES 16
#define FILE_SET_ID_BYTES 16
/* Losses behind which nothing is known of the thread's lines: enum loss_cause. (The application
 * knows of those of cause 0, and says where it is.) */
#define FILE_LOSS_ENDS_LINES(cause) ((cause) >= 1 && (cause) <= 3)
#define FILE_LINE_DEPTH_MAX 0x7fffffffu

enum file_info_type {
	FILE_INFO_PID = 0,    /* u32 */
	FILE_INFO_TIME = 1,   /* i64 ticks, the base of the next difference */
	FILE_INFO_THREAD = 2, /* varint: thread of the entries that follow */
	FILE_INFO_EXTENDED = 3
};

/* First in the data of an extended info entry, a varint. Append only. */
enum file_info_subtype {
	FILE_SUB_CLOCK = 1,
	FILE_SUB_PROCESS = 2,
	FILE_SUB_THREAD = 3,
	FILE_SUB_LOSS = 4,
	FILE_SUB_OFF = 5,	/* intervals in which threads were off the CPU */
	FILE_SUB_OFF_LOST = 6,	/* such are missing */
	FILE_SUB_TICK = 16,
	FILE_SUB_WRITER = 17,
	FILE_SUB_FILE_ID = 18,
	FILE_SUB_HOST = 19,
	FILE_SUB_COUNTER = 20,
	FILE_SUB_SET = 21,
	FILE_SUB_SCHED = 22	/* intervals off the CPU are recorded */
};

/* Why a thread left the CPU. Append only, as all that follows. */
enum file_off_why {
	FILE_OFF_PREEMPTED = 0, /* it could have gone on: another thread got the CPU */
	FILE_OFF_SLEEP = 1,	/* it waited, interruptibly */
	FILE_OFF_DISK_SLEEP = 2, /* or not */
	FILE_OFF_STOPPED = 3,	/* by a signal */
	FILE_OFF_DEBUGGED = 4,	/* by a debugger */
	FILE_OFF_OTHER = 5
};

/* Who woke it, or took the CPU. */
enum file_off_who {
	FILE_OFF_WHO_UNKNOWN = 0,
	FILE_OFF_WHO_HARDIRQ = 1,
	FILE_OFF_WHO_SOFTIRQ = 2,
	FILE_OFF_WHO_THREAD = 3
};

enum file_off_flag {
	FILE_OFF_IO = 1,      /* it waited for a block device */
	FILE_OFF_EXITING = 2, /* it was ending */
	FILE_OFF_OPEN = 4     /* it did not come back before the recording ended */
};

/* The first byte of an interval. */
#define FILE_OFF_WHY_MASK 7u
#define FILE_OFF_WHO_SHIFT 3
#define FILE_OFF_WHO_MASK 3u
#define FILE_OFF_FLAGS_SHIFT 5
#define FILE_OFF_FLAGS_ALL 7u
#define FILE_OFF_NAMES_MAX 64u /* threads, system calls, wakers in one entry: each at most so many */

enum file_off_lost_cause {
	FILE_OFF_LOST_RING_FULL = 0, /* no room between kernel and tracer */
	FILE_OFF_LOST_STATE = 1,     /* the kernel had no memory for a thread's state */
	FILE_OFF_LOST_UNWRITTEN = 2, /* the output could not be written */
	FILE_OFF_LOST_CAUSE_COUNT = 3
};

enum file_counter_kind {
	FILE_COUNTER_TSC = 1,
	FILE_COUNTER_CNTVCT = 2,
	FILE_COUNTER_MONOTONIC = 3,
	FILE_COUNTER_REALTIME = 4 /* times of records from other files */
};

/* Does a checksum or hash in a file fit what is there? Every reader asks here. In a build for fuzzing
 * (the macro is libFuzzer's) it always does: what is behind it would never be reached else. */
static inline bool file_hash_fits(uint64_t stored, uint64_t computed)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)stored;
	(void)computed;
	return true;
#else
	return stored == computed;
#endif
}

#define FILE_ASSERT_OFFSET(type, member, off) \
	_Static_assert(offsetof(struct type, member) == (off), #type "." #member)
_Static_assert(sizeof(struct file_block_header) == 104, "block header");
FILE_ASSERT_OFFSET(file_block_header, checksum, 8);
FILE_ASSERT_OFFSET(file_block_header, header_bytes, 12);
FILE_ASSERT_OFFSET(file_block_header, kind, 15);
FILE_ASSERT_OFFSET(file_block_header, must_understand, 18);
FILE_ASSERT_OFFSET(file_block_header, sequence, 24);
FILE_ASSERT_OFFSET(file_block_header, stored_bytes, 32);
FILE_ASSERT_OFFSET(file_block_header, payload_hash, 40);
FILE_ASSERT_OFFSET(file_block_header, time_min, 48);
FILE_ASSERT_OFFSET(file_block_header, clock_ticks, 64);
FILE_ASSERT_OFFSET(file_block_header, lost, 80);
FILE_ASSERT_OFFSET(file_block_header, record_cnt, 88);
FILE_ASSERT_OFFSET(file_block_header, file_key, 96);
_Static_assert(sizeof(struct file_index_header) == 40, "index header");
_Static_assert(sizeof(struct file_index_entry) == 72, "index entry");
FILE_ASSERT_OFFSET(file_index_entry, lost, 48);
FILE_ASSERT_OFFSET(file_index_entry, kind, 68);
_Static_assert(sizeof(struct file_trailer) == 32, "trailer");
FILE_ASSERT_OFFSET(file_trailer, checksum, 20);
FILE_ASSERT_OFFSET(file_trailer, magic, 24);
_Static_assert(sizeof(struct file_tail_header) == 40, "tail header");
FILE_ASSERT_OFFSET(file_tail_header, file_id, 16);
FILE_ASSERT_OFFSET(file_tail_header, sequence, 32);
_Static_assert(sizeof(struct file_frame_header) == 64, "frame header");
FILE_ASSERT_OFFSET(file_frame_header, bytes, 32);
FILE_ASSERT_OFFSET(file_frame_header, rows_hash, 40);
FILE_ASSERT_OFFSET(file_frame_header, lost, 48);
FILE_ASSERT_OFFSET(file_frame_header, checksum, 60);

#endif
