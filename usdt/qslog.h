/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qslog.h - log lines and spans that cost nanoseconds, always compiled in.
 *
 *     #define QSLOG_TAG "net"             // before the include; default: the program's name
 *     #include <qslog.h>
 *
 *     QSLOGI("accepted {fd} from {peer}", fd, addr);
 *     {
 *             QSLOG_SPAN("handle", "id={}", id);   // until the end of the scope
 *             ...
 *     }
 *
 * Build: cc -Iusdt app.c usdt/qslog_runtime.c (traceable by `qslog-trace -p PID`), or link
 * libqslog, which can also write the file in-process (qslog_start(), or QSLOG_FILE=app.qslog).
 *
 * Cost: while nobody listens, one load and one branch; arguments are not evaluated. While
 * somebody listens, one counter read and the stores of the raw arguments into the thread's own
 * memory: no lock, no atomic read-modify-write, no allocation, no system call, no formatting.
 * About once per 32 KiB of records a cold function runs, which may trap into an attached tracer.
 *
 * Formatting is the decoder's job: formats are fmt's ("{}", "{:x}", "{:>8}", "{name:.3f}", "{{").
 * Arguments, up to 16: every C integer type, bool, char, float, double, object pointers,
 * C strings (NULL is allowed), qslog_strn(pointer, length), qslog_bytes(pointer, length).
 *
 * Threads: every macro and function may be called from any thread at any time. Signals: the log
 * and span macros may be used in signal handlers, also in one that interrupted another record.
 * errno is preserved. Nothing here prints, exits or allocates with malloc.
 *
 * Order of this file: what crosses to the tracer (ABI), the API, the internals of the hot path.
 */
#ifndef QSLOG_ABI_DEFINED
#define QSLOG_ABI_DEFINED

/* ---------------------------------------------------------------------------------------------
 * ABI: the memory that a tracer reads. Fixed width, append only. QSLOG_ABI_ONLY ends here; the
 * BPF programs, whose types come from vmlinux.h, define it (see qslog_abi.h).
 */
#ifndef QSLOG_ABI_ONLY
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
#include <type_traits>
#endif
#endif

#define QSLOG_ABI_VERSION 1u
#define QSLOG_REGISTRY_MAGIC 0x52475351u /* "QSGR" */
#define QSLOG_ARENA_MAGIC 0x52415351u	 /* "QSAR" */
#define QSLOG_SITE_MAGIC 0x54495351u	 /* "QSIT" */

#define QSLOG_ARGS_MAX 16
#define QSLOG_BATCH_BYTES 32768u	/* an owner stops at least this often, to mark and push */
#define QSLOG_ARENA_HEADER_BYTES 4096u	/* the ring starts this far after struct qslog_arena */
#define QSLOG_ARENA_BYTES_DEFAULT 262144u /* with a collector: 1 MiB, since that may have to wait for a CPU */
#define QSLOG_ARENA_BYTES_MIN 262144u
#define QSLOG_ARENA_BYTES_MAX 67108864u
#define QSLOG_RECORD_BYTES_MAX 131064u	/* longer strings are cut, and say so */
#define QSLOG_MARKS 16			/* power of two */

enum qslog_level {
	QSLOG_LEVEL_VERBOSE = 0,
	QSLOG_LEVEL_DEBUG = 1,
	QSLOG_LEVEL_INFO = 2,
	QSLOG_LEVEL_WARN = 3,
	QSLOG_LEVEL_ERROR = 4,
	QSLOG_LEVEL_FATAL = 5,
	QSLOG_LEVEL_COUNT = 6
};

/* The first seven are those of the original file format. In a record each argument takes one
 * 64-bit slot; strings and bytes are followed by their data, padded with zeros to 8 bytes. */
enum qslog_arg_type {
	QSLOG_ARG_BOOL = 0,    /* 0 or 1 */
	QSLOG_ARG_CHAR = 1,    /* one byte */
	QSLOG_ARG_UINT8 = 2,
	QSLOG_ARG_UINT64 = 3,  /* unsigned integers of every other width */
	QSLOG_ARG_FLOAT = 4,   /* low half of the slot: binary32 */
	QSLOG_ARG_DOUBLE = 5,  /* binary64 */
	QSLOG_ARG_STR = 6,     /* slot: low half stored length, high half real length */
	QSLOG_ARG_INT64 = 7,   /* signed integers of every width, sign extended */
	QSLOG_ARG_POINTER = 8,
	QSLOG_ARG_BYTES = 9,   /* as STR */
	QSLOG_ARG_TYPE_COUNT = 10
};

/* The high half of a STR/BYTES slot of a NULL pointer; the low half is 0. */
#define QSLOG_STR_NULL 0xffffffffu

enum qslog_site_kind {
	QSLOG_SITE_LOG = 0,
	QSLOG_SITE_SPAN = 1,
	QSLOG_SITE_CONTEXT = 2, /* opens and closes a span line */
	QSLOG_SITE_KIND_COUNT = 3
};

/* One log or span call in the source. Pointers are to NUL-terminated strings in the process. */
struct qslog_site {
	uint32_t magic;	  /* QSLOG_SITE_MAGIC */
	uint8_t kind;	  /* enum qslog_site_kind */
	uint8_t level;	  /* enum qslog_level */
	uint8_t arg_cnt;  /* <= QSLOG_ARGS_MAX */
	uint8_t flags;	  /* 0 */
	uint32_t line;
	uint32_t reserved;
	const char *format;
	const char *file;
	const char *function;
	const char *tag;  /* NULL: the program's name */
	const char *name; /* of a span; NULL in a log site */
	uint8_t types[24]; /* enum qslog_arg_type, arg_cnt of them */
};

/*
 * A record is a 16-byte header and the arguments:
 *   word 0  bits 0-47 address of the site, bits 48-61 size of the record / 8 (header included),
 *           bit 62 set where the first slot is the id of the span,
 *           bit 63 set in the record that leaves a span or closes a span line
 *   word 1  timestamp counter: see enum qslog_clock
 * A record that leaves a span has one slot (behind the id, if there is one): the timestamp counter
 * of the record that entered it.
 *
 * Of a site of kind QSLOG_SITE_CONTEXT: the record that opens a line has four slots: high and low
 * half of the trace id, id of the parent span, and enum qslog_line_bits; with QSLOG_LINE_AGAIN a
 * fifth: id of the span that is innermost now, of the parent if none is open in the line. The one that closes it has
 * two: the timestamp counter of the record that opened it (0: none did), and how many lines were
 * open on the thread, this one included. Opening or closing a line closes all that are deeper, and
 * opening one that one at the same depth.
 *
 * Where the address is 0 it is no record but a definition, which no count includes: word 2 is the
 * address of a site that was registered at run time, and the rest is the memory there: struct
 * qslog_site and its strings, to which the pointers in it point. It is in a tracer's hands before
 * the site can be used.
 */
#define QSLOG_RECORD_HEADER_BYTES 16u
#define QSLOG_RECORD_SITE_MASK 0x0000ffffffffffffull
#define QSLOG_RECORD_SIZE_SHIFT 48
#define QSLOG_RECORD_SIZE_MASK 0x3fffull
#define QSLOG_RECORD_SPAN_ID (1ull << 62)
#define QSLOG_RECORD_EXIT (1ull << 63)

enum qslog_line_bits {
	QSLOG_LINE_FLAGS = 0xff,     /* trace flags of W3C trace context */
	/* The line was open already: somebody began to listen meanwhile, or records were dropped. */
	QSLOG_LINE_AGAIN = 0x100,
	QSLOG_LINE_DEPTH_SHIFT = 32 /* lines that are open on the thread, this one included */
};

/* What the timestamp counter is: one for all records of a process. The runtime decides before the
 * first one: the CPU's, unless that is not invariant; or as QSLOG_CLOCK=tsc|monotonic in the
 * environment says. See docs/time.md. */
enum qslog_clock {
	QSLOG_CLOCK_COUNTER = 0,  /* the CPU's: TSC on x86-64, cntvct_el0 on arm64 */
	QSLOG_CLOCK_MONOTONIC = 1 /* clock_gettime(CLOCK_MONOTONIC), in nanoseconds */
};

/* The owner was here, between two records: `records` had been written when the position was `pos`. */
struct qslog_mark {
	uint64_t pos;
	uint64_t records;
};

enum qslog_arena_state {
	QSLOG_ARENA_FREE = 0,	/* in no thread's hands; may have records that nobody took yet */
	QSLOG_ARENA_LIVE = 1,	/* a thread writes it */
	QSLOG_ARENA_ENDED = 2	/* its thread has ended; not to be reused before it is drained */
};

/*
 * A thread's own memory for records. When the thread has ended another may take it over, under a
 * new key. Positions and counts go on over all lives of the arena and never wrap; the byte at position p is at ring[p & mask], and the ring is mapped twice in a row.
 * [x, head) is committed; [head, reserve) is being written. A reader copies, then reads `reserve`
 * again: what lies before reserve - (mask + 1) may have been overwritten meanwhile.
 */
struct qslog_arena {
	/* written by the owner at every record */
	uint64_t reserve;
	uint64_t head;
	uint64_t limit;	   /* where a record begins here or later, the owner stops: to mark, push or drop;
			    * 0 with QSLOG_CLOCK_MONOTONIC */
	uint64_t records;  /* committed */
	uint64_t mask;	   /* ring bytes - 1 */
	uint64_t dropped;  /* records that found no room */
	uint64_t delta;	   /* what makes a position an address, from the last stop to the limit */
	uint64_t clock_limit; /* with QSLOG_CLOCK_MONOTONIC, never 0: where it stops; else 0 */
	/* written by the owner at stops */
	uint64_t key;	   /* unique in the process, never reused; 0 while the arena changes hands */
	uint32_t magic;	   /* QSLOG_ARENA_MAGIC */
	uint32_t state;	   /* enum qslog_arena_state */
	uint32_t tid;	   /* as gettid() says in the process */
	uint32_t index;	   /* in the registry's table */
	uint64_t pushed;   /* position at the last hit of qslog:batch */
	uint64_t mark_cnt; /* marks ever set; the newest is marks[(mark_cnt - 1) % QSLOG_MARKS] */
	uint64_t ended_ns; /* CLOCK_MONOTONIC at which the state became ENDED */
	uint64_t next;	   /* address of the next in the queue of ended arenas, 0: none */
	uint64_t pad1;
	/* written by the in-process collector */
	uint64_t collected; /* everything before this position may be overwritten */
	uint64_t pad2[7];
	struct qslog_mark marks[QSLOG_MARKS];
	/* where the life of `key` began, and that of the key before it ended */
	uint64_t born;
	uint64_t born_records;
	uint64_t born_dropped;
	uint64_t last_key; /* 0: none */
	uint64_t last_born;
	uint32_t last_tid;
	uint32_t instance; /* of the runtime whose arena it is: a library that has one of its own may
			    * be unloaded and loaded again */
};

/* All arenas of a process. The USDT semaphore of qslog:batch is its first member, so that the
 * probe's ELF note says where the registry is. */
struct qslog_registry {
	uint16_t batch_semaphore;
	uint16_t clock;	      /* enum qslog_clock; of no meaning while magic is 0 */
	uint32_t magic;	      /* QSLOG_REGISTRY_MAGIC once initialised, 0 before */
	uint32_t abi_version; /* QSLOG_ABI_VERSION */
	uint32_t pid;
	uint64_t table;	      /* address of struct qslog_arena *[table_max] */
	uint32_t table_max;
	uint32_t arena_cnt;   /* entries in use: only ever grows */
	uint64_t key_next;
	uint64_t lost;	      /* records of threads that could get no arena */
	uint64_t site_slabs;  /* address of the newest struct qslog_site_slab, 0: none */
	uint64_t site_cnt;    /* sites registered at run time: only ever grows */
};

/*
 * Sites that were registered at run time, one behind the other: a uint64_t that says how many
 * bytes there are up to the next one, struct qslog_site, its strings. What lies before `used` never
 * changes, and is never freed.
 */
#define QSLOG_SITE_SLAB_MAGIC 0x4c535351u /* "QSSL" */
#define QSLOG_SITE_SLAB_BYTES 65536u
struct qslog_site_slab {
	uint32_t magic; /* QSLOG_SITE_SLAB_MAGIC */
	uint32_t bytes; /* QSLOG_SITE_SLAB_BYTES */
	uint64_t used;	/* bytes, this header included; a multiple of 8 */
	uint64_t next;	/* address of the one that was filled before this one, 0: none */
};

/*
 * Who listens: one word per level, which is the USDT semaphore of qslog:level_v ... qslog:level_f
 * and of which the in-process collector owns the bit QSLOG_WORD_COLLECTOR, and one word that is
 * the semaphore of qslog:record. They are laid out so that one load reads a level's word together
 * with that of qslog:record, which has to be a single one: tools such as bpftrace count up the
 * semaphore of a probe's first location only.
 */
#define QSLOG_WORD_COLLECTOR 0x4000u
/* Set together with the collector's: it does not want all sites of the level (qslog_set_level()).
 * Not bit 15: to the kernel a semaphore is a signed number, and must not be negative. */
#define QSLOG_WORD_ASK 0x2000u
#define QSLOG_WORD_TRACERS (QSLOG_WORD_ASK - 1)
enum qslog_word {
	QSLOG_WORD_VERBOSE = 0,
	QSLOG_WORD_FATAL = 1,
	QSLOG_WORD_DEBUG = 2,
	QSLOG_WORD_RECORD = 3,
	QSLOG_WORD_INFO = 4,
	QSLOG_WORD_WARN = 5,
	QSLOG_WORD_ERROR = 6,
	QSLOG_WORD_COUNT = 8
};

/* One per program or shared library that has sites. */
struct qslog_control {
	uint16_t words[QSLOG_WORD_COUNT]; /* index: enum qslog_word */
	struct qslog_control *next;	  /* the runtime's list of them */
	void (*record_probe)(void);	  /* qslog:record */
	uint64_t reserved[4];
};

#define QSLOG_ABI_ASSERT(cond, name) typedef char qslog_abi_assert_##name[(cond) ? 1 : -1]
#define QSLOG_ABI_OFFSET(type, member, off) \
	QSLOG_ABI_ASSERT(__builtin_offsetof(struct type, member) == (off), type##_##member)
QSLOG_ABI_ASSERT(QSLOG_RECORD_BYTES_MAX == QSLOG_RECORD_SIZE_MASK * 8, record_bytes_max);
QSLOG_ABI_ASSERT(sizeof(struct qslog_site) == 80, site_size);
QSLOG_ABI_OFFSET(qslog_site, format, 16);
QSLOG_ABI_OFFSET(qslog_site, types, 56);
QSLOG_ABI_OFFSET(qslog_arena, clock_limit, 56);
QSLOG_ABI_OFFSET(qslog_arena, key, 64);
QSLOG_ABI_OFFSET(qslog_arena, collected, 128);
QSLOG_ABI_OFFSET(qslog_arena, marks, 192);
QSLOG_ABI_OFFSET(qslog_arena, born, 448);
QSLOG_ABI_ASSERT(sizeof(struct qslog_arena) == 496, arena_size);
QSLOG_ABI_ASSERT(sizeof(struct qslog_registry) == 64, registry_size);
QSLOG_ABI_OFFSET(qslog_registry, site_slabs, 48);
QSLOG_ABI_ASSERT(sizeof(struct qslog_site_slab) == 24, site_slab_size);
QSLOG_ABI_ASSERT(sizeof(struct qslog_control) == 64, control_size);

#endif /* QSLOG_ABI_DEFINED */

#if !defined(QSLOG_ABI_ONLY) && !defined(QSLOG_H)
#define QSLOG_H

#include <errno.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------
 * API: logs. Levels verbose, debug, info, warn, error, fatal (fatal does not end the program).
 * The format is a string literal, the arguments are evaluated once, and only while somebody
 * listens at the level. The _TAG variants take the tag, a string literal, first.
 */
#define QSLOGV(...) QSLOG_PRIV_LOG(QSLOG_LEVEL_VERBOSE, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGD(...) QSLOG_PRIV_LOG(QSLOG_LEVEL_DEBUG, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGI(...) QSLOG_PRIV_LOG(QSLOG_LEVEL_INFO, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGW(...) QSLOG_PRIV_LOG(QSLOG_LEVEL_WARN, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGE(...) QSLOG_PRIV_LOG(QSLOG_LEVEL_ERROR, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGF(...) QSLOG_PRIV_LOG(QSLOG_LEVEL_FATAL, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGV_TAG(tag, ...) QSLOG_PRIV_LOG(QSLOG_LEVEL_VERBOSE, "" tag, __VA_ARGS__)
#define QSLOGD_TAG(tag, ...) QSLOG_PRIV_LOG(QSLOG_LEVEL_DEBUG, "" tag, __VA_ARGS__)
#define QSLOGI_TAG(tag, ...) QSLOG_PRIV_LOG(QSLOG_LEVEL_INFO, "" tag, __VA_ARGS__)
#define QSLOGW_TAG(tag, ...) QSLOG_PRIV_LOG(QSLOG_LEVEL_WARN, "" tag, __VA_ARGS__)
#define QSLOGE_TAG(tag, ...) QSLOG_PRIV_LOG(QSLOG_LEVEL_ERROR, "" tag, __VA_ARGS__)
#define QSLOGF_TAG(tag, ...) QSLOG_PRIV_LOG(QSLOG_LEVEL_FATAL, "" tag, __VA_ARGS__)

/* One call in `n` (> 0) is recorded, the first one included; counted per site over all threads,
 * about exactly. At most `per_second` (> 0) calls of the site are recorded in a second; how many
 * were left out is recorded by the next call that is not. */
#define QSLOGV_EVERY_N(n, ...) QSLOG_PRIV_EVERY_N(QSLOG_LEVEL_VERBOSE, n, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGD_EVERY_N(n, ...) QSLOG_PRIV_EVERY_N(QSLOG_LEVEL_DEBUG, n, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGI_EVERY_N(n, ...) QSLOG_PRIV_EVERY_N(QSLOG_LEVEL_INFO, n, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGW_EVERY_N(n, ...) QSLOG_PRIV_EVERY_N(QSLOG_LEVEL_WARN, n, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGE_EVERY_N(n, ...) QSLOG_PRIV_EVERY_N(QSLOG_LEVEL_ERROR, n, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGF_EVERY_N(n, ...) QSLOG_PRIV_EVERY_N(QSLOG_LEVEL_FATAL, n, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGV_LIMIT(per_second, ...) QSLOG_PRIV_LIMIT(QSLOG_LEVEL_VERBOSE, per_second, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGD_LIMIT(per_second, ...) QSLOG_PRIV_LIMIT(QSLOG_LEVEL_DEBUG, per_second, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGI_LIMIT(per_second, ...) QSLOG_PRIV_LIMIT(QSLOG_LEVEL_INFO, per_second, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGW_LIMIT(per_second, ...) QSLOG_PRIV_LIMIT(QSLOG_LEVEL_WARN, per_second, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGE_LIMIT(per_second, ...) QSLOG_PRIV_LIMIT(QSLOG_LEVEL_ERROR, per_second, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)
#define QSLOGF_LIMIT(per_second, ...) QSLOG_PRIV_LIMIT(QSLOG_LEVEL_FATAL, per_second, QSLOG_PRIV_FILE_TAG, __VA_ARGS__)

/* QSLOG_MIN_LEVEL (an enum qslog_level by its name, or its number; defined before the include): sites
 * below it leave neither code nor data, whether the compiler optimises or not.
 * QSLOG_DISABLE: none does, and where only macros are used the runtime need not be linked.
 * Arguments are compiled all the same. (Of QSLOG_SPAN_BEGIN the variable is left, and its end.) */
#ifndef QSLOG_MIN_LEVEL
#define QSLOG_MIN_LEVEL QSLOG_LEVEL_VERBOSE
#endif

/* An argument of `len` bytes that needs no NUL: text, and bytes that are not text (shown in hex).
 * `data` may be NULL. More than fits a record (QSLOG_RECORD_BYTES_MAX) is cut, and the cut shown. */
struct qslog_str {
	const char *data;
	size_t len;
};
struct qslog_blob {
	const void *data;
	size_t len;
};
static inline struct qslog_str qslog_strn(const char *data, size_t len)
{
	struct qslog_str s;

	s.data = data;
	s.len = len;
	return s;
}
static inline struct qslog_blob qslog_bytes(const void *data, size_t len)
{
	struct qslog_blob b;

	b.data = data;
	b.len = len;
	return b;
}

/* ---------------------------------------------------------------------------------------------
 * API: spans, on one thread, of level QSLOG_SPAN_LEVEL (default: info; an enum qslog_level).
 *
 *     QSLOG_SPAN("name");                        to the end of the scope
 *     QSLOG_SPAN("name", "id={}", id);           with arguments, as in a log
 *     QSLOG_SPAN_BEGIN(s, "name", "id={}", id);  declares struct qslog_span s
 *     QSLOG_SPAN_END(s);                         a second end does nothing
 *
 * Entering and leaving are both written, so that a span that is open when the program dies is in
 * the file. A span that was entered while nobody listened leaves no record.
 */
struct qslog_span {
	const struct qslog_site *site;
	uint64_t start;	 /* timestamp counter; 0: not recorded; 1: not recorded, but has an id */
	uint64_t id;	 /* of a span in a line (see below); else 0 */
	uint64_t parent; /* innermost when it was entered; of no meaning where id is 0 */
};

#ifndef QSLOG_SPAN_LEVEL
#define QSLOG_SPAN_LEVEL QSLOG_LEVEL_INFO
#endif

#define QSLOG_SPAN(...) QSLOG_PRIV_SPAN_SCOPED(__COUNTER__, __VA_ARGS__)
#define QSLOG_SPAN_BEGIN(var, ...) QSLOG_PRIV_SPAN_NAMED(var, __VA_ARGS__)
#define QSLOG_SPAN_END(var) qslog_span_end(&(var))

/* ---------------------------------------------------------------------------------------------
 * API: trace context: spans that belong to a trace, over threads, processes and services.
 *
 *     struct qslog_context context;
 *     if (qslog_traceparent_parse(header, &context))
 *             context.trace = qslog_trace_id_new(), context.span = 0, context.flags = 1;
 *     QSLOG_LOCAL_PARENT(&context);              opens a span line, to the end of the scope
 *     QSLOG_SPAN("handle", "id={}", id);         spans and logs in it belong to the trace
 *
 *     qslog_context_get(&context);               in the same scope: for another thread, or
 *     qslog_traceparent_format(&context, text);  for the next service
 *
 * A line belongs to one thread. Spans in it have ids, and parents by nesting; the parent of the
 * outermost is context.span. Lines nest; they and the spans in them end in reverse order of their
 * beginning. While nobody listens a line and its spans record nothing, but ids are taken and
 * handed on all the same: what other services see does not depend on it. So with QSLOG_DISABLE
 * (spans take no ids then, the line's own context is handed on, and the runtime is needed).
 * What begins to listen amid a line is told of it at the line's next span.
 *
 * Cost: of a line, two calls; of a span in it, some instructions for its id; of a span outside of
 * any line, one more load; of a log, nothing.
 */
struct qslog_trace_id {
	uint64_t high, low; /* both 0: none */
};
struct qslog_context {
	struct qslog_trace_id trace;
	uint64_t span; /* parent of what follows; 0: none */
	uint8_t flags; /* trace flags of W3C trace context: QSLOG_TRACE_SAMPLED, ... */
};
#define QSLOG_TRACE_SAMPLED 0x01u
#define QSLOG_TRACE_RANDOM 0x02u

#define QSLOG_LOCAL_PARENT(context) QSLOG_PRIV_LINE_SCOPED(__COUNTER__, context)

/* By hand, on one thread. The context is copied; NULL, or a trace id of 0, begins a new trace. */
struct qslog_local_parent;
static inline struct qslog_local_parent qslog_set_local_parent(const struct qslog_context *context);
/* Closes the line, and with it those opened in it; a second time does nothing. */
static inline void qslog_local_parent_end(struct qslog_local_parent *parent);

/* Trace id and flags of the calling thread's innermost line, id of its innermost open span. 0;
 * -ENOENT outside of any line (*out is as it was); -EINVAL: NULL. In signal handlers too. */
int qslog_context_get(struct qslog_context *out);

/* New ids: unique in the process, never 0, and unpredictable in that their origin is (getrandom(2)).
 * A forked child begins anew. In signal handlers too. */
struct qslog_trace_id qslog_trace_id_new(void);
uint64_t qslog_span_id_new(void);

/* The traceparent header of W3C trace context. `text` is NUL-terminated and without blanks around
 * it. 0; -EINVAL: malformed, an id of 0, version ff (*out is as it was), or NULL. Of later versions,
 * what version 00 defines is taken. */
int qslog_traceparent_parse(const char *text, struct qslog_context *out);
/* Version 00, with NUL. Flags that it does not define are left out. Neither may be NULL. */
#define QSLOG_TRACEPARENT_BYTES 56
void qslog_traceparent_format(const struct qslog_context *context, char out[QSLOG_TRACEPARENT_BYTES]);

/* ---------------------------------------------------------------------------------------------
 * API: sites defined at run time, for bindings and for bridges from other loggers, which have no
 * call site in C. Register a site once, keep the pointer, log through it as often as needed:
 *
 *     struct qslog_site_def def = QSLOG_SITE_DEF_INIT;
 *     const uint8_t types[] = {QSLOG_ARG_STR, QSLOG_ARG_INT64};
 *     def.level = QSLOG_LEVEL_WARN;
 *     def.format = "{user} waited {ms} ms";
 *     def.types = types;
 *     def.arg_cnt = 2;
 *     const struct qslog_site *site = qslog_site_register(&def);
 *
 *     struct qslog_value values[2];
 *     values[0].type = QSLOG_ARG_STR;   values[0].str = qslog_bytes(name, name_len);
 *     values[1].type = QSLOG_ARG_INT64; values[1].i = ms;
 *     err = qslog_log_values(site, values, 2);
 */
#define QSLOG_SITE_FORMAT_MAX 4096 /* bytes of a format, without its NUL */
#define QSLOG_SITE_STRING_MAX 1024 /* bytes of any other string of a site */

struct qslog_site_def {
	size_t size;		/* sizeof(struct qslog_site_def): set by QSLOG_SITE_DEF_INIT */
	int kind;		/* enum qslog_site_kind */
	int level;		/* enum qslog_level */
	uint32_t line;		/* 0: unknown */
	const char *tag;	/* NULL: the program's name */
	const char *file;	/* NULL: unknown, as "" */
	const char *function;	/* NULL: unknown, as "" */
	const char *format;	/* of a log; NULL in a span that has no arguments */
	const char *name;	/* of a span; NULL in a log */
	unsigned int arg_cnt;	/* <= QSLOG_ARGS_MAX */
	const uint8_t *types;	/* enum qslog_arg_type, arg_cnt of them */
};
#define QSLOG_SITE_DEF_INIT                                                                         \
	{sizeof(struct qslog_site_def), QSLOG_SITE_LOG, QSLOG_LEVEL_INFO, 0, NULL, NULL, NULL,      \
	 NULL, NULL, 0, NULL}

/* The site; everything that `def` points to is copied. It is never freed, and equal definitions
 * make several sites. NULL with errno EINVAL: out of range, longer than the maxima above, or a
 * string missing; ENOMEM. From any thread; not for signal handlers. Takes some microseconds. */
const struct qslog_site *qslog_site_register(const struct qslog_site_def *def);

/* The value of one argument. */
struct qslog_value {
	uint8_t type; /* enum qslog_arg_type */
	union {
		uint64_t u; /* BOOL (not 0: true), CHAR, UINT8, UINT64, POINTER */
		int64_t i;  /* INT64 */
		float f;    /* FLOAT */
		double d;   /* DOUBLE */
		struct qslog_blob str; /* STR, BYTES: qslog_bytes(data, len) */
	};
};
QSLOG_ABI_ASSERT(sizeof(struct qslog_value) == 24, value_size);

/* Does anybody listen at the site's level? Saves preparing values for nobody. */
static inline int qslog_site_enabled(const struct qslog_site *site);

/* Logs through a site of kind log. 0, also while nobody listens; -EINVAL: no site (NULL), or not
 * the kind, count and types that it was registered with (looked at only while somebody listens);
 * -ENOSPC: dropped, and counted. In signal handlers too, and errno is preserved. */
static inline int qslog_log_values(const struct qslog_site *site, const struct qslog_value *values,
				   unsigned int cnt);

/* Enters a span through a site of kind span; left by qslog_span_end() on the same thread. Where
 * the values do not fit the site, nothing is recorded and the `site` of the result is NULL. */
static inline struct qslog_span qslog_span_enter(const struct qslog_site *site,
						 const struct qslog_value *values, unsigned int cnt);
/* Leaves it; a second time does nothing. Also for QSLOG_SPAN_BEGIN. */
static inline __attribute__((always_inline)) void qslog_span_end(struct qslog_span *span);

/* ---------------------------------------------------------------------------------------------
 * API: the process.
 */
struct qslog_stats {
	uint64_t recorded; /* records committed by all threads since the start of the process */
	uint64_t lost;	   /* records that found no room, or no arena */
	uint64_t arenas;   /* that exist now */
	uint64_t bytes;	   /* of records committed */
	uint64_t memory;   /* bytes of all arenas: never more, however much is recorded */
};
/* Sums over all threads, live and ended; a record that is being written may or may not count. NULL
 * does nothing. */
void qslog_stats_get(struct qslog_stats *stats);

/* Longest tag, and how many, that qslog_set_level() takes. */
#define QSLOG_LEVEL_TAG_MAX 63
#define QSLOG_LEVEL_TAGS_MAX 64
/* The lowest level that in-process mode records, from now on: of all tags (`tag` NULL), or of one,
 * for which it then holds in place of that. A tag that ends in * stands for all that begin so; of
 * several that fit, the longest is taken. QSLOG_LEVEL_COUNT: nothing is recorded; -1: a tag's own
 * level is forgotten. Before qslog_start() too, whose options say anew what holds for all tags, and
 * also what QSLOG_LEVEL says, as in QSLOG_LEVEL=warn,net=debug,db*=off. What a tracer records is
 * what it asks for (qslog-trace -l, -t); while one asks for more, that is in the file of in-process
 * mode as well. Sites at a level that some tags record and others do not cost the latter a call.
 * 0; -EINVAL: a level out of range, an empty tag, or one longer than QSLOG_LEVEL_TAG_MAX; -ENOSPC:
 * too many tags. From any thread; not for signal handlers. */
int qslog_set_level(const char *tag, int level);

/* Hands over what has been recorded so far: pushes the calling thread's records to attached
 * tracers; with the in-process collector running, returns when the records that any thread had
 * committed before the call are in the file (readable by others). 0, or a negative errno of the
 * file. Not for signal handlers. */
int qslog_flush(void);

/*
 * Before the calling thread enters a sandbox. A thread's first record and its end make system calls,
 * whoever listens by then; docs/safety.md lists all that recording makes, and when. This takes the
 * memory for its records now. Flags, which replace those of an earlier call:
 *
 * QSLOG_THREAD_NO_SYSCALLS  its records make none from here on: it neither wakes the in-process
 *                           collector, which comes by after flush_ms at the latest, nor waits for room
 *                           (QSLOG_ON_FULL_BLOCK): what finds none is dropped and counted.
 * QSLOG_THREAD_NO_COUNTER   nor do they read the CPU's counter: their times are those of
 *                           CLOCK_MONOTONIC_COARSE, in steps of 1 to 10 ms, from the vDSO. The call
 *                           takes 10 ms then.
 *
 * SECCOMP_MODE_STRICT needs both: on x86-64 it takes the TSC away as well (kernel/seccomp.c:
 * disable_TSC()), and reading it is SIGSEGV. 0; -EINVAL: unknown flags; -ENOMEM; -ENOTSUP: there is no
 * vDSO. Not for signal handlers.
 */
#define QSLOG_THREAD_NO_SYSCALLS 1u
#define QSLOG_THREAD_NO_COUNTER 2u
int qslog_thread_prepare(unsigned int flags);

/*
 * In-process mode, in libqslog only: a collector thread writes the file.
 *
 *     struct qslog_options o = QSLOG_OPTIONS_INIT;
 *     o.path = "app.qslog";
 *     int err = qslog_start(&o);
 *
 * QSLOG_FILE=app.qslog in the environment starts it before main() without a call, and
 * QSLOG_COMPRESS=fast|default|max says how much memory and time small files may take (fast).
 * QSLOG_NICE=N gives the collector's thread another nice value than the thread had that started it, as far as that
 * is allowed (docs/losses.md). At exit() the collector is stopped after everything is written.
 *
 * A record whose call has returned survives the death of the process (SIGKILL, SIGSEGV, _exit, but
 * not of the machine): while the collector runs, the memory of threads that log for the first time
 * is a file /dev/shm/qslog-UID-PID-RANDOM, or beside the output where that is not possible;
 * `qslog recover app.qslog` adds what is missing from it. It is reserved as a whole (arena_bytes per
 * thread), up to three quarters of the file system and 512 MiB; threads beyond that, and those that
 * had logged before qslog_start(), have ordinary memory, whose last records die with the process
 * (QSLOG_DEBUG=1 says how many). A clean stop removes the file; one that was left behind stays
 * until it is recovered (`qslog recover` lists them) or deleted. QSLOG_CRASH_SAFE=0: do without.
 *
 * An output that is there already is overwritten if it was closed. If it was not, its writer died:
 * it is recovered and becomes app.qslog.1, or the next number that is free.
 *
 * Rotation: with one of rotate_bytes, rotate_seconds, rotate_records and max_files, or when qslog_rotate()
 * is called, app.qslog becomes app.000001.qslog, app.000002.qslog, ... as it is completed; app.qslog is the
 * one being written, also after a crash in the midst of it. Then an output that is there already is
 * kept, with the next number. No file is longer than rotate_bytes, but by what is in one block; files
 * without records are not rotated. max_files removes the oldest of these, and nothing else.
 * `qslog cat app.qslog` reads all of them.
 *
 * Snapshot mode (a flight recorder): nobody takes the records out of the threads' memory, which
 * keeps the newest arena_bytes of each thread. Nothing is written, and no thread waits or drops
 * anything, until a dump: qslog_snapshot_dump(), a chosen place in the source, a fatal signal.
 *
 *     o.path = "app.%n.qslog";
 *     o.snapshot = 1;
 *     err = qslog_start(&o);
 *     ...
 *     err = qslog_snapshot_dump(NULL);
 *
 * A dump is a whole file with what all threads still had: of each, every record from the oldest that
 * is whole up to the moment of the dump. Of a thread that has filled it that is at least nine tenths
 * of arena_bytes less 160 KiB; less of one that overwrites it faster than it is copied.
 * What had been overwritten before counts as no loss. Records of threads that have ended are there
 * as long as no other thread has needed the memory: at least those of the last 16.
 *
 * In `path`, and in that of a dump, every %p is the pid and every %n the number of the dump, from 1;
 * a dump without %n replaces the one before. A relative `path` is taken from the folder that was
 * current at qslog_start(). The file appears when it is complete.
 *
 * SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP and SIGSYS, unless ignored when qslog_start() was
 * called (or with snapshot_signals 0), write a dump, once each, while the thread waits, 10 seconds at
 * most; then what was installed before gets the signal, as it was sent: its handler, or a core dump.
 * A handler that is installed later replaces this: call qslog_start() behind that. A thread whose
 * stack has overflowed needs an alternate one (sigaltstack(2)). However the process dies, what its
 * threads had recorded remains in /dev/shm as above, until `qslog recover PATH`, or the next start
 * with this path, which makes PATH.1, or the next number that is free, of it; a dump that was written
 * for a fatal signal takes its place.
 *
 * qslog_stop(), and with it exit(), ends the mode without a dump. A forked child is not in it.
 */
struct qslog_options {
	/* sizeof(struct qslog_options): set by QSLOG_OPTIONS_INIT. Members are only ever added at the
	 * end, and the sizes of earlier versions are understood: the rest is as from that macro. */
	size_t size;
	const char *path;     /* output; NULL: QSLOG_FILE */
	int level;	      /* as of qslog_set_level(NULL, level); -1: QSLOG_LEVEL, else verbose */
	unsigned int flush_ms; /* 1..60000; 0: QSLOG_FLUSH_MS, else 100 */
	size_t arena_bytes;   /* per thread, power of two, 256 KiB..64 MiB; 0: QSLOG_ARENA_SIZE, else 1 MiB */
	int on_full;	      /* enum qslog_on_full; -1: QSLOG_ON_FULL=drop|block, else drop */
	/* 0.1.0 ends here: 48 bytes. Snapshot mode: */
	const char *snapshot_site; /* dumps when it is executed: "FILE:LINE", FILE as in the source or
				    * what it ends with ("net/peer.c:42"); NULL: QSLOG_SNAPSHOT_SITE,
				    * else none */
	int snapshot;	      /* 1: on, 0: off; -1: QSLOG_SNAPSHOT=0|1, else off */
	int snapshot_signals; /* 1: fatal signals dump, 0: not; -1: QSLOG_SNAPSHOT_SIGNALS=0|1, else 1 */
	/* Rotation. In the environment, sizes and counts may end with K, M, G or T, times with s, m, h or d. */
	unsigned long long rotate_bytes;   /* 64 KiB..2^60; 0: QSLOG_ROTATE_SIZE, else no limit */
	unsigned long long rotate_records; /* 0: QSLOG_ROTATE_COUNT, else no limit */
	unsigned int rotate_seconds;	   /* 1..31536000; 0: QSLOG_ROTATE_TIME, else no limit */
	unsigned int max_files; /* 1..1000000, the one being written included; 0: QSLOG_MAX_FILES, else all */
	int sync;	      /* enum qslog_sync; -1: QSLOG_SYNC=none|interval|block, else none */
};
#define QSLOG_OPTIONS_INIT {sizeof(struct qslog_options), NULL, -1, 0, 0, -1, NULL, -1, -1, 0, 0, 0, 0, -1}

/* When what the collector has written is on the disk, should the machine die. */
enum qslog_sync {
	QSLOG_SYNC_NONE = 0,	 /* when the kernel likes */
	QSLOG_SYNC_INTERVAL = 1, /* at the latest a second later */
	QSLOG_SYNC_BLOCK = 2	 /* whole blocks at once; what is not in one yet when the kernel likes */
};

/* What a thread does that writes faster than the collector takes. (A tracer is never waited for.) */
enum qslog_on_full {
	QSLOG_ON_FULL_DROP = 0, /* the new record is dropped and counted */
	QSLOG_ON_FULL_BLOCK = 1 /* the thread waits; in a signal handler amid a record it drops */
};

/* NULL: environment, then defaults. 0; -EINVAL: an option out of range or no path; -EALREADY: it
 * runs already; -EBUSY: another process writes the file (a %p in the path is the pid); else the -errno of the output file or of the thread. */
int qslog_start(const struct qslog_options *options);
/* Stops recording, writes what is left, closes the file. 0; -ESRCH: not running; else the first
 * -errno of the output file. Other threads may go on logging: from then on it is off. */
int qslog_stop(void);

/* Completes the output and begins another one under its name, at once (see above). 0; -ESRCH: not
 * running; -ESPIPE: it is no regular file; else the -errno why it goes on as it was. Records of before
 * the call are in the file that is completed. Not for signal handlers. errno is preserved. */
int qslog_rotate(void);

/*
 * In snapshot mode: writes a dump, and returns when it is there. Other threads go on recording
 * meanwhile; what they had committed before the call is in it, unless they overwrite it while it is
 * being copied. `path` NULL: that of qslog_start(); else relative to the current folder. 0; -ESRCH: not
 * in snapshot mode; -EINVAL: an empty path; -EISDIR, -ELOOP, -ESPIPE: there is a folder, a symbolic
 * link, or something else that is no file; -EBUSY: another process writes it; -ENAMETOOLONG; else the
 * -errno of writing (ENOENT, EACCES, ENOSPC, ...), and what was at the path before is still there.
 * From any thread, which waits for its turn; not for signal handlers. errno is preserved.
 */
int qslog_snapshot_dump(const char *path);

/* ---------------------------------------------------------------------------------------------
 * Internals: what the macros expand to. Nothing below is for direct use.
 */
extern struct qslog_control qslog_priv_control __attribute__((visibility("hidden")));
extern __thread struct qslog_arena *qslog_priv_arena __attribute__((tls_model("initial-exec")));

/* The thread's innermost line. */
struct qslog_priv_line {
	struct qslog_context context;  /* span: id of the innermost open one, else the parent */
	uint64_t parent;
	const struct qslog_site *site;
	const volatile uint16_t *word; /* of who listens to lines; NULL: nobody can */
	uint32_t depth;		       /* lines that are open; 0: none */
	uint16_t announced; /* what *word was when the line was recorded; 0: it was not */
};
struct qslog_priv_local {
	struct qslog_priv_line line;
	uint64_t id_next; /* see qslog_priv_id_next() */
};
extern __thread struct qslog_priv_local qslog_priv_local __attribute__((tls_model("initial-exec")));

struct qslog_local_parent {
	struct qslog_priv_line outer;
	uint64_t start; /* timestamp counter; 0: not recorded */
	uint32_t depth; /* 0: closed */
};
/* `site` NULL: one without a place in the source; `control` NULL, listeners 0: not recorded. */
void qslog_priv_line_begin(struct qslog_local_parent *parent, const struct qslog_control *control,
			   const struct qslog_site *site, enum qslog_level level,
			   const struct qslog_context *context, uint64_t listeners);
void qslog_priv_line_end(struct qslog_local_parent *parent, const struct qslog_control *control,
			 uint64_t listeners);
struct qslog_priv_nest {
	uint64_t id, parent;
};
/* In a line, a span becomes the innermost, whether it is recorded or not. Where what was recorded of
 * the line is not all any more, the line is told of anew. */
struct qslog_priv_nest qslog_priv_span_nest(void);
/* Leaves a span of a line: the line's innermost is the one that was so before. */
void qslog_priv_span_leave(uint64_t id, uint64_t parent);
void qslog_priv_span_exit_write(const struct qslog_control *control, const struct qslog_site *site,
				uint64_t start, uint64_t id);
uint64_t qslog_priv_id_refill(void) __attribute__((cold));

struct qslog_priv_slot {
	struct qslog_arena *arena; /* NULL: the record is dropped */
	uint64_t start;
};
/* The cold half of a reservation that went past the limit. It puts the counter into the record as
 * well: with QSLOG_CLOCK_MONOTONIC every record comes here. */
struct qslog_priv_slot qslog_priv_reserve_slow(struct qslog_arena *arena, uint64_t start,
					       uint64_t bytes) __attribute__((cold));
/* The counter as records have it. For what is not on the way of every record. */
uint64_t qslog_priv_counter_slow(void) __attribute__((cold));
/* That of publishing: of a record that was written amid another, amid which others were, or that
 * somebody wants to be told of. */
void qslog_priv_publish_slow(struct qslog_arena *arena, uint64_t begin) __attribute__((cold));
/* Is the site to be recorded? If qslog:record is wanted, the thread's next record fires it. */
int qslog_priv_ask(const struct qslog_control *control, const struct qslog_site *site)
	__attribute__((cold));
/* Writes the record of a site that was registered at run time. `id`: of a span, 0: none. 0, and
 * the counter that was recorded; -EINVAL, -ENOSPC. */
int qslog_priv_values_write(const struct qslog_site *site, enum qslog_site_kind kind, uint64_t id,
			    const struct qslog_value *values, unsigned int cnt, uint64_t *counter);
void qslog_priv_module_add(struct qslog_control *control, void (*record_probe)(void));
void qslog_priv_module_remove(struct qslog_control *control);

#define QSLOG_PRIV_INLINE static inline __attribute__((always_inline))
#define QSLOG_PRIV_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define QSLOG_PRIV_CAT2(a, b) a##b
#define QSLOG_PRIV_CAT(a, b) QSLOG_PRIV_CAT2(a, b)
#ifdef QSLOG_TAG
#define QSLOG_PRIV_FILE_TAG "" QSLOG_TAG
#else
#define QSLOG_PRIV_FILE_TAG ((const char *)0)
#endif

/* --- The control words, the probes that only carry a semaphore, and qslog:record: once per
 * program or shared library (a COMDAT group), so that no access goes through a copy relocation
 * and "off" is one load. The notes are those of systemtap's <sys/sdt.h> (version 3); a probe is a
 * one-byte (arm64: one-instruction) nop, as uprobes need. */
#if defined(__x86_64__)
#define QSLOG_PRIV_RECORD_ARGS "8@%rdi 8@%rsi -4@%edx -4@%ecx 8@%r8 4@%r9d"
#elif defined(__aarch64__)
#define QSLOG_PRIV_RECORD_ARGS "8@x0 8@x1 -4@x2 -4@x3 8@x4 4@x5"
#else
#error "qslog: x86-64 and arm64 only"
#endif

#ifndef QSLOG_DISABLE
/* The guard is for link-time optimisation, which puts several files' assembly into one. */
__asm__(".ifndef qslog_priv_control\n"
	".macro qslog_priv_probe name, offset, args\n"
	"qslog_priv_probe_\\name: nop\n"
	".pushsection .note.stapsdt,\"?\",\"note\"\n"
	".balign 4\n"
	".4byte 992f-991f, 994f-993f, 3\n"
	"991: .asciz \"stapsdt\"\n"
	"992: .balign 4\n"
	"993: .8byte qslog_priv_probe_\\name, _.stapsdt.base, qslog_priv_control+\\offset\n"
	".asciz \"qslog\"\n"
	".asciz \"\\name\"\n"
	".asciz \"\\args\"\n"
	"994: .balign 4\n"
	".popsection\n"
	".endm\n"
	".pushsection .text.qslog_probes,\"axG\",%progbits,qslog_priv_control,comdat\n"
	".balign 16\n"
	"qslog_priv_probe level_v, 0\n"
	"qslog_priv_probe level_f, 2\n"
	"qslog_priv_probe level_d, 4\n"
	"qslog_priv_probe level_i, 8\n"
	"qslog_priv_probe level_w, 10\n"
	"qslog_priv_probe level_e, 12\n"
	".globl qslog_priv_record\n"
	".hidden qslog_priv_record\n"
	".type qslog_priv_record, %function\n"
	"qslog_priv_record:\n"
	"qslog_priv_probe record, 6, \"" QSLOG_PRIV_RECORD_ARGS "\"\n"
	"ret\n"
	".size qslog_priv_record, .-qslog_priv_record\n"
	".popsection\n"
	".purgem qslog_priv_probe\n"
	".pushsection .probes,\"awG\",%progbits,qslog_priv_control,comdat\n"
	".balign 64\n"
	".globl qslog_priv_control\n"
	".hidden qslog_priv_control\n"
	".type qslog_priv_control, %object\n"
	".size qslog_priv_control, 64\n"
	"qslog_priv_control: .zero 64\n"
	".popsection\n"
	".pushsection .init_array,\"awG\",%init_array,qslog_priv_control,comdat\n"
	".balign 8\n"
	".8byte qslog_priv_module_init\n"
	".popsection\n"
	".pushsection .fini_array,\"awG\",%fini_array,qslog_priv_control,comdat\n"
	".balign 8\n"
	".8byte qslog_priv_module_fini\n"
	".popsection\n"
	".endif\n");
/* What lets readers of notes undo prelinking; systemtap's header makes the same one. */
__asm__(".ifndef _.stapsdt.base\n"
	".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
	".weak _.stapsdt.base\n"
	".hidden _.stapsdt.base\n"
	"_.stapsdt.base: .space 1\n"
	".size _.stapsdt.base, 1\n"
	".popsection\n"
	".endif\n");

void qslog_priv_record(void) __attribute__((visibility("hidden")));

/* Weak and hidden: one per program or library, called through the arrays above. */
void qslog_priv_module_init(void) __attribute__((weak, visibility("hidden"), used, cold));
void qslog_priv_module_init(void)
{
	qslog_priv_module_add(&qslog_priv_control, qslog_priv_record);
}
void qslog_priv_module_fini(void) __attribute__((weak, visibility("hidden"), used, cold));
void qslog_priv_module_fini(void)
{
	qslog_priv_module_remove(&qslog_priv_control);
}

#endif /* QSLOG_DISABLE */

/* --- Who listens: not 0 if anybody does at the level; the word of qslog:record is part of it.
 * With a constant level this is one load (and, at four of the levels, a mask). */
typedef uint64_t qslog_priv_window64 __attribute__((aligned(2), may_alias));
typedef uint32_t qslog_priv_window32 __attribute__((aligned(2), may_alias));

QSLOG_PRIV_INLINE uint64_t qslog_priv_listeners(enum qslog_level level)
{
	const uint16_t *words = qslog_priv_control.words;
	const volatile qslog_priv_window64 *low =
		(const volatile qslog_priv_window64 *)(const void *)&words[QSLOG_WORD_VERBOSE];
	const volatile qslog_priv_window64 *high =
		(const volatile qslog_priv_window64 *)(const void *)&words[QSLOG_WORD_RECORD];

	switch (level) {
	case QSLOG_LEVEL_VERBOSE:
		return *low & 0xffff00000000ffffull;
	case QSLOG_LEVEL_FATAL:
		return *low & 0xffff0000ffff0000ull;
	case QSLOG_LEVEL_DEBUG:
		return *(const volatile qslog_priv_window32 *)(const void *)&words[QSLOG_WORD_DEBUG];
	case QSLOG_LEVEL_INFO:
		return *(const volatile qslog_priv_window32 *)(const void *)&words[QSLOG_WORD_RECORD];
	case QSLOG_LEVEL_WARN:
		return *high & 0x0000ffff0000ffffull;
	case QSLOG_LEVEL_ERROR:
		return *high & 0xffff00000000ffffull;
	case QSLOG_LEVEL_COUNT:
		break;
	}
	return 0;
}

/* From what qslog_priv_listeners() gave: is the site to be recorded? Nearly always it is, and this
 * is one test. Otherwise the collector may not want the site, or somebody wants qslog:record, which
 * the stop of the record to come sees to. */
QSLOG_PRIV_INLINE int qslog_priv_agreed(const struct qslog_control *control,
					const struct qslog_site *site, enum qslog_level level,
					uint64_t listeners)
{
	const uint64_t special =
		level == QSLOG_LEVEL_VERBOSE ? 0xffffull << 48 | QSLOG_WORD_ASK :
		level == QSLOG_LEVEL_FATAL   ? 0xffffull << 48 | QSLOG_WORD_ASK << 16 :
		level == QSLOG_LEVEL_DEBUG   ? 0xffffull << 16 | QSLOG_WORD_ASK :
		level == QSLOG_LEVEL_INFO    ? 0xffffull | QSLOG_WORD_ASK << 16 :
		level == QSLOG_LEVEL_WARN    ? 0xffffull | (uint64_t)QSLOG_WORD_ASK << 32 :
					       0xffffull | (uint64_t)QSLOG_WORD_ASK << 48;

	return __builtin_expect((listeners & special) == 0, 1) || qslog_priv_ask(control, site);
}

/* Of the CPU, whichever clock the process has. */
static inline uint64_t qslog_priv_counter(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	uint64_t value;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
	return value;
#endif
}

/* Reserves in a way that a signal handler of the same thread cannot break: one instruction on
 * x86-64, without lock prefix; an exclusive pair or LDADD on arm64. */
static inline uint64_t qslog_priv_reserve_add(uint64_t *reserve, uint64_t bytes)
{
#if defined(__x86_64__)
	__asm__ volatile("xaddq %0, %1" : "+r"(bytes), "+m"(*reserve) : : "memory", "cc");
	return bytes;
#else
	return __atomic_fetch_add(reserve, bytes, __ATOMIC_RELAXED);
#endif
}
static inline void qslog_priv_count_one(uint64_t *records)
{
#if defined(__x86_64__)
	__asm__ volatile("incq %0" : "+m"(*records) : : "memory", "cc");
#else
	__atomic_fetch_add(records, 1, __ATOMIC_RELAXED);
#endif
}

/* A record being written. */
struct qslog_priv_record {
	struct qslog_arena *arena;
	uint64_t begin; /* position */
	uint64_t counter;
	uint64_t *words;
};

typedef uint32_t qslog_priv_part32 __attribute__((may_alias));
typedef uint16_t qslog_priv_part16 __attribute__((may_alias));
typedef uint8_t qslog_priv_part8 __attribute__((may_alias));

/* Word 0. Addresses have no more than 48 bits; where it can be, the rest is one byte. */
QSLOG_PRIV_INLINE void qslog_priv_put_header(uint64_t *words, const struct qslog_site *site,
					     uint64_t flags, uint64_t bytes)
{
	const uint64_t high = flags >> QSLOG_RECORD_SIZE_SHIFT | bytes / 8;

	words[0] = (uint64_t)(uintptr_t)site;
	if (__builtin_constant_p(high <= 0xff) && high <= 0xff)
		((qslog_priv_part8 *)words)[6] = (uint8_t)high;
	else
		((qslog_priv_part16 *)words)[3] = (uint16_t)high;
}

/* Word 1: the counter, in the parts in which the CPU gives it, and which are to stay in its
 * registers: from the CPU; from the record at `delta` + `start`, in a way that has nothing in common
 * with what follows, so that nothing of that is put in front of both; into a record (the whole is
 * returned). */
struct qslog_priv_now {
#if defined(__x86_64__)
	uint32_t low, high;
#else
	uint64_t whole;
#endif
};
#if defined(__x86_64__)
QSLOG_PRIV_INLINE void qslog_priv_now_read(struct qslog_priv_now *now)
{
	__asm__ volatile("rdtsc" : "=a"(now->low), "=d"(now->high));
}
QSLOG_PRIV_INLINE void qslog_priv_now_get(struct qslog_priv_now *now, uint64_t delta, uint64_t start)
{
	__asm__("movl 8(%2,%3), %0\n\tmovl 12(%2,%3), %1"
		: "=&a"(now->low), "=&d"(now->high)
		: "r"(delta), "r"(start)
		: "memory");
}
QSLOG_PRIV_INLINE uint64_t qslog_priv_now_put(const struct qslog_priv_now *now, uint64_t *words)
{
	((qslog_priv_part32 *)words)[2] = now->low;
	((qslog_priv_part32 *)words)[3] = now->high;
	return (uint64_t)now->high << 32 | now->low;
}
#else
QSLOG_PRIV_INLINE void qslog_priv_now_read(struct qslog_priv_now *now)
{
	now->whole = qslog_priv_counter();
}
QSLOG_PRIV_INLINE void qslog_priv_now_get(struct qslog_priv_now *now, uint64_t delta, uint64_t start)
{
	__asm__("add %0, %1, %2\n\tldr %0, [%0, #8]"
		: "=&r"(now->whole)
		: "r"(delta), "r"(start)
		: "memory");
}
QSLOG_PRIV_INLINE uint64_t qslog_priv_now_put(const struct qslog_priv_now *now, uint64_t *words)
{
	return words[1] = now->whole;
}
#endif

/* Room for `bytes` (a multiple of 8, <= QSLOG_RECORD_BYTES_MAX); 0: dropped and counted. The limit
 * leaves room for what begins in front of it and has no more than QSLOG_PRIV_SLACK bytes. */
#define QSLOG_PRIV_SLACK 256u
QSLOG_PRIV_INLINE int qslog_priv_record_open(struct qslog_priv_record *r, const struct qslog_site *site,
					 uint64_t flags, uint64_t bytes)
{
	struct qslog_arena *arena = qslog_priv_arena;
	uint64_t start = qslog_priv_reserve_add(&arena->reserve, bytes);
	const uint64_t reach = __builtin_constant_p(bytes <= QSLOG_PRIV_SLACK) &&
					       bytes <= QSLOG_PRIV_SLACK ? 0 : bytes;
	struct qslog_priv_now now;

	if (QSLOG_PRIV_UNLIKELY(start + reach >= arena->limit)) {
		struct qslog_priv_slot slot = qslog_priv_reserve_slow(arena, start, bytes);

		arena = slot.arena;
		start = slot.start;
		if (!arena)
			return 0;
		qslog_priv_now_get(&now, arena->delta, start);
	} else {
		qslog_priv_now_read(&now);
	}
	r->words = (uint64_t *)(uintptr_t)(arena->delta + start);
	qslog_priv_put_header(r->words, site, flags, bytes);
	r->counter = qslog_priv_now_put(&now, r->words);
	r->arena = arena;
	r->begin = start;
	return 1;
}

/*
 * Publishes the record, and with it those that signal handlers wrote meanwhile behind it: a
 * handler that interrupted a record sees head before its own start and leaves publishing to the
 * interrupted one, which looks again whether something was reserved after it read.
 */
QSLOG_PRIV_INLINE void qslog_priv_record_publish(const struct qslog_priv_record *r)
{
	struct qslog_arena *arena = r->arena;
	uint64_t reserved;

	__asm__ volatile("" : : : "memory"); /* what follows reads anew what handlers may write */
	if (__builtin_expect(arena->head == r->begin, 1)) {
		reserved = arena->reserve;
		__atomic_store_n(&arena->head, reserved, __ATOMIC_RELEASE);
		__asm__ volatile("" : : : "memory");
		if (__builtin_expect(arena->reserve == reserved, 1))
			return;
	}
	qslog_priv_publish_slow(arena, r->begin);
}
QSLOG_PRIV_INLINE void qslog_priv_record_commit(const struct qslog_priv_record *r)
{
	qslog_priv_count_one(&r->arena->records);
	qslog_priv_record_publish(r);
}

/* --- Ids of spans: a thread has a block of them, in which it counts. In a spent block, and before
 * the first, the bit is set, so that a signal handler sees it too that comes before the refill. */
#define QSLOG_PRIV_ID_SPENT 0x80000u
QSLOG_PRIV_INLINE uint64_t qslog_priv_id_next(void)
{
	uint64_t id = qslog_priv_reserve_add(&qslog_priv_local.id_next, 1);

	return QSLOG_PRIV_UNLIKELY(id & QSLOG_PRIV_ID_SPENT) ? qslog_priv_id_refill() : id;
}

/* What was recorded of the line is not all any more. */
#define QSLOG_PRIV_STALE 0xffffu /* as `announced`: more than can listen */
static inline void qslog_priv_line_stale(void)
{
	if (qslog_priv_local.line.announced)
		qslog_priv_local.line.announced = QSLOG_PRIV_STALE;
}

#define QSLOG_PRIV_UNRECORDED 1u /* as `start` of a span */

/* May a span of the line be recorded? After qslog_priv_span_nest(). */
QSLOG_PRIV_INLINE int qslog_priv_span_recordable(void)
{
	return qslog_priv_local.line.announced != QSLOG_PRIV_STALE;
}

/* --- How many arguments a format takes; -1: not known ("{0}", or in C more than nine). C++ counts
 * while it compiles; in C the optimiser folds this for a literal, and what it cannot fold is not
 * checked. */
#ifdef __cplusplus
} /* extern "C" */
constexpr int qslog_priv_placeholders(const char *f)
{
	int cnt = 0;

	for (; *f; f++) {
		if (*f != '{')
			continue;
		if (f[1] >= '0' && f[1] <= '9')
			return -1;
		if (f[1] == '{')
			f++;
		else
			cnt++;
	}
	return cnt;
}
extern "C" {
#define QSLOG_PRIV_CHECK(format, cnt)                                                               \
	static_assert(qslog_priv_placeholders(format) == -1 ||                                      \
			      qslog_priv_placeholders(format) == (cnt),                             \
		      "qslog: the format has another number of placeholders than there are "       \
		      "arguments")
#elif defined(__OPTIMIZE__)
void qslog_priv_placeholder_mismatch(void)
	__attribute__((error("qslog: the format has another number of placeholders than there are "
			     "arguments")));
/* Without branches, so that nothing of it is left where only little is folded (gcc -Og); more steps
 * would make the compiler inline less of what records. */
#define QSLOG_PRIV_PLACEHOLDER_STEP                                                                 \
	f += __builtin_strcspn(f, "{");                                                             \
	open = f[0] != '\0';                                                                        \
	f += open;                                                                                  \
	unknown |= open & ((unsigned char)(f[0] - '0') <= 9);                                       \
	cnt += open & (f[0] != '{');                                                                \
	f += open & (f[0] == '{');
QSLOG_PRIV_INLINE int qslog_priv_placeholders(const char *f)
{
	int cnt = 0, unknown = 0, open;

	QSLOG_PRIV_PLACEHOLDER_STEP QSLOG_PRIV_PLACEHOLDER_STEP QSLOG_PRIV_PLACEHOLDER_STEP
	QSLOG_PRIV_PLACEHOLDER_STEP QSLOG_PRIV_PLACEHOLDER_STEP QSLOG_PRIV_PLACEHOLDER_STEP
	QSLOG_PRIV_PLACEHOLDER_STEP QSLOG_PRIV_PLACEHOLDER_STEP QSLOG_PRIV_PLACEHOLDER_STEP
	return cnt | -(unknown | (f[0] != '\0'));
}
#define QSLOG_PRIV_CHECK(format, cnt)                                                               \
	do {                                                                                        \
		const int qslog_priv_takes = qslog_priv_placeholders(format);                       \
		if (__builtin_constant_p(qslog_priv_takes) && qslog_priv_takes >= 0 &&              \
		    qslog_priv_takes != (cnt))                                                      \
			qslog_priv_placeholder_mismatch();                                          \
	} while (0)
#else
#define QSLOG_PRIV_CHECK(format, cnt) ((void)0)
#endif

/* --- At most so many a second. */
struct qslog_priv_limit {
	uint64_t second; /* of CLOCK_MONOTONIC */
	uint64_t left_out;
	uint32_t passed; /* in that second */
};
int qslog_priv_limit_pass(struct qslog_priv_limit *limit, uint32_t per_second, uint64_t *left_out);

/* --- Arguments: captured once as a slot (and, for strings, data), then sized, then stored. */
struct qslog_priv_text {
	const void *data;
	uint64_t slot;	/* low half stored length, high half real length */
	uint64_t extra; /* bytes behind the slot: the stored length, rounded up */
};

#ifndef __cplusplus
static inline uint64_t qslog_priv_take_bool(_Bool v) { return v; }
#endif
static inline uint64_t qslog_priv_take_char(char v) { return (unsigned char)v; }
static inline uint64_t qslog_priv_take_i(long long v) { return (uint64_t)v; }
static inline uint64_t qslog_priv_take_u(unsigned long long v) { return v; }
static inline uint64_t qslog_priv_take_pointer(const volatile void *v) { return (uint64_t)(uintptr_t)v; }
static inline uint64_t qslog_priv_take_float(float v)
{
	uint32_t bits;

	__builtin_memcpy(&bits, &v, sizeof(bits));
	return bits;
}
static inline uint64_t qslog_priv_take_double(long double wide)
{
	double v = (double)wide;
	uint64_t bits;

	__builtin_memcpy(&bits, &v, sizeof(bits));
	return bits;
}
/* Where the size of a record hangs on a value, that delays the next reading of the counter: on Intel
 * whatever takes more than some 14 cycles in front of it does. On a branch that was predicted it does
 * not, so that sizes of short texts are found by branches. */
#define QSLOG_PRIV_BRANCH() __asm__ volatile("") /* no conditional move of this */
static inline struct qslog_priv_text qslog_priv_take_text(const void *data, size_t len)
{
	struct qslog_priv_text t;
	uint64_t real;

	t.data = data;
	if (!data) {
		t.slot = (uint64_t)QSLOG_STR_NULL << 32;
		t.extra = 0;
		return t;
	}
	real = len < QSLOG_STR_NULL ? len : QSLOG_STR_NULL - 1;
	t.slot = real | real << 32;
	t.extra = (real + 7) & ~7ull;
	if (t.extra == 8)
		QSLOG_PRIV_BRANCH();
	else if (t.extra == 16)
		QSLOG_PRIV_BRANCH();
	return t;
}
#ifdef __SANITIZE_ADDRESS__
#define QSLOG_PRIV_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QSLOG_PRIV_ASAN 1
#endif
#endif
/* The length of short strings without a call. Aligned loads do not leave the page; of what they read
 * beside the string nothing is looked at. */
#if defined(__x86_64__) && !defined(QSLOG_PRIV_ASAN)
QSLOG_PRIV_INLINE unsigned int qslog_priv_zeros16(const char *at)
{
	unsigned int mask;

	__asm__ volatile("pxor %%xmm0, %%xmm0\n\tpcmpeqb (%1), %%xmm0\n\tpmovmskb %%xmm0, %0"
			 : "=r"(mask)
			 : "r"(at)
			 : "xmm0", "memory");
	return mask;
}
static __attribute__((noinline, unused)) struct qslog_priv_text qslog_priv_take_longer(const char *v)
{
	const uint64_t into = (uintptr_t)v & 15;
	const unsigned int mask = qslog_priv_zeros16(v - into + 16);

	return qslog_priv_take_text(v, mask ? 16 - into + (unsigned int)__builtin_ctz(mask) :
					      __builtin_strlen(v));
}
QSLOG_PRIV_INLINE struct qslog_priv_text qslog_priv_take_cstr(const char *v)
{
	const uint64_t into = (uintptr_t)v & 15;
	struct qslog_priv_text t;
	unsigned int mask;

	if (!v || __builtin_constant_p(__builtin_strlen(v)))
		return qslog_priv_take_text(v, v ? __builtin_strlen(v) : 0);
	mask = qslog_priv_zeros16(v - into) >> into;
	if (QSLOG_PRIV_UNLIKELY(mask == 0))
		return qslog_priv_take_longer(v);
	t.data = v;
	t.slot = (unsigned int)__builtin_ctz(mask) * 0x100000001ull;
	t.extra = 16;
	if (QSLOG_PRIV_UNLIKELY(mask & 1)) {
		t.extra = 0;
	} else if (mask & 0x1fe) {
		QSLOG_PRIV_BRANCH();
		t.extra = 8;
	}
	return t;
}
#else
static inline struct qslog_priv_text qslog_priv_take_cstr(const char *v)
{
	return qslog_priv_take_text(v, v ? __builtin_strlen(v) : 0);
}
#endif
static inline struct qslog_priv_text qslog_priv_take_strn(struct qslog_str v)
{
	return qslog_priv_take_text(v.data, v.len);
}
static inline struct qslog_priv_text qslog_priv_take_blob(struct qslog_blob v)
{
	return qslog_priv_take_text(v.data, v.len);
}

/* Bytes behind the slot. */
static inline uint64_t qslog_priv_extra_slot(uint64_t v) { (void)v; return 0; }
static inline uint64_t qslog_priv_extra_text(struct qslog_priv_text t)
{
	return t.extra;
}

/* Cuts the texts of a record so that it fits; returns the new total of extra bytes. */
static inline uint64_t qslog_priv_cut_slot(uint64_t *v, uint64_t cap) { (void)v; (void)cap; return 0; }
static inline uint64_t qslog_priv_cut_text(struct qslog_priv_text *t, uint64_t cap)
{
	if ((t->slot & 0xffffffffu) > cap) {
		t->slot = (t->slot & ~0xffffffffull) | cap;
		t->extra = cap; /* a multiple of 8 */
	}
	return t->extra;
}

static inline uint64_t *qslog_priv_put_slot(uint64_t *p, uint64_t v)
{
	*p = v;
	return p + 1;
}
/* `extra` bytes: `len`, the rest zeros. Loads overlap where that saves a branch. */
static __attribute__((noinline, unused)) void qslog_priv_put_bytes(uint64_t *p, const char *from,
								   uint64_t len, uint64_t extra)
{
	uint64_t word;
	uint32_t low, high;

	if (len >= 8) {
		__builtin_memcpy(&word, from + len - 8, 8);
		p[extra / 8 - 1] = word >> (-len & 7) * 8;
		__builtin_memcpy(p, from, extra - 8);
	} else if (len >= 4) {
		__builtin_memcpy(&low, from, 4);
		__builtin_memcpy(&high, from + len - 4, 4);
		p[0] = low | (uint64_t)high << (len - 4) * 8;
	} else if (len) {
		p[0] = (uint64_t)(uint8_t)from[0] | (uint64_t)(uint8_t)from[len / 2] << len / 2 * 8 |
		       (uint64_t)(uint8_t)from[len - 1] << (len - 1) * 8;
	}
}
static inline uint64_t *qslog_priv_put_text(uint64_t *p, struct qslog_priv_text t)
{
	const char *from = (const char *)t.data;
	const uint64_t len = t.slot & 0xffffffffu;
	uint64_t first, last;

	*p++ = t.slot;
	if (t.extra == 16) { /* len > 8 */
		__builtin_memcpy(&first, from, 8);
		__builtin_memcpy(&last, from + len - 8, 8);
		p[0] = first;
		p[1] = last >> (-len & 7) * 8;
	} else {
		qslog_priv_put_bytes(p, from, len, t.extra);
	}
	return p + t.extra / 8;
}

/* --- The preprocessor: how many arguments follow the format, and a macro for each of them. */
#define QSLOG_PRIV_NTH(a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16,   \
		       a17, a18, a19, a20, n, ...)                                                 \
	n
#define QSLOG_PRIV_CNT(...)                                                                        \
	QSLOG_PRIV_NTH(__VA_ARGS__, more_than_16_arguments, more_than_16_arguments,                 \
		       more_than_16_arguments, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, \
		       2, 1, 0, 0)
#define QSLOG_PRIV_FIRST(...) QSLOG_PRIV_FIRST_(__VA_ARGS__, 0)
#define QSLOG_PRIV_FIRST_(a, ...) a
#define QSLOG_PRIV_SECOND(...) QSLOG_PRIV_SECOND_(__VA_ARGS__, "", 0)
#define QSLOG_PRIV_SECOND_(a, b, ...) b

/* m(index, argument) for each argument behind the format: (format, arguments...) */
#define QSLOG_PRIV_EACH(m, ...) \
	QSLOG_PRIV_CAT(QSLOG_PRIV_EACH_, QSLOG_PRIV_CNT(__VA_ARGS__))(m, __VA_ARGS__)
#define QSLOG_PRIV_EACH_0(m, f)
#define QSLOG_PRIV_EACH_1(m, f, a1) \
	m(1, a1)
#define QSLOG_PRIV_EACH_2(m, f, a1, a2) \
	m(1, a1) m(2, a2)
#define QSLOG_PRIV_EACH_3(m, f, a1, a2, a3) \
	m(1, a1) m(2, a2) m(3, a3)
#define QSLOG_PRIV_EACH_4(m, f, a1, a2, a3, a4) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4)
#define QSLOG_PRIV_EACH_5(m, f, a1, a2, a3, a4, a5) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5)
#define QSLOG_PRIV_EACH_6(m, f, a1, a2, a3, a4, a5, a6) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6)
#define QSLOG_PRIV_EACH_7(m, f, a1, a2, a3, a4, a5, a6, a7) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6) m(7, a7)
#define QSLOG_PRIV_EACH_8(m, f, a1, a2, a3, a4, a5, a6, a7, a8) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6) m(7, a7) m(8, a8)
#define QSLOG_PRIV_EACH_9(m, f, a1, a2, a3, a4, a5, a6, a7, a8, a9) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6) m(7, a7) m(8, a8) m(9, a9)
#define QSLOG_PRIV_EACH_10(m, f, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6) m(7, a7) m(8, a8) m(9, a9) m(10, a10)
#define QSLOG_PRIV_EACH_11(m, f, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6) m(7, a7) m(8, a8) m(9, a9) m(10, a10) m(11, a11)
#define QSLOG_PRIV_EACH_12(m, f, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6) m(7, a7) m(8, a8) m(9, a9) m(10, a10) m(11, a11) m(12, a12)
#define QSLOG_PRIV_EACH_13(m, f, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6) m(7, a7) m(8, a8) m(9, a9) m(10, a10) m(11, a11) m(12, a12) m(13, a13)
#define QSLOG_PRIV_EACH_14(m, f, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6) m(7, a7) m(8, a8) m(9, a9) m(10, a10) m(11, a11) m(12, a12) m(13, a13) m(14, a14)
#define QSLOG_PRIV_EACH_15(m, f, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6) m(7, a7) m(8, a8) m(9, a9) m(10, a10) m(11, a11) m(12, a12) m(13, a13) m(14, a14) m(15, a15)
#define QSLOG_PRIV_EACH_16(m, f, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16) \
	m(1, a1) m(2, a2) m(3, a3) m(4, a4) m(5, a5) m(6, a6) m(7, a7) m(8, a8) m(9, a9) m(10, a10) m(11, a11) m(12, a12) m(13, a13) m(14, a14) m(15, a15) m(16, a16)
/* The same behind (name), (name, format), (name, format, arguments...) */
#define QSLOG_PRIV_SPAN_EACH(m, ...) \
	QSLOG_PRIV_CAT(QSLOG_PRIV_SPAN_EACH_, QSLOG_PRIV_CNT(__VA_ARGS__))(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_0(m, name)
#define QSLOG_PRIV_SPAN_EACH_1(m, name, ...) QSLOG_PRIV_EACH_0(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_2(m, name, ...) QSLOG_PRIV_EACH_1(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_3(m, name, ...) QSLOG_PRIV_EACH_2(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_4(m, name, ...) QSLOG_PRIV_EACH_3(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_5(m, name, ...) QSLOG_PRIV_EACH_4(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_6(m, name, ...) QSLOG_PRIV_EACH_5(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_7(m, name, ...) QSLOG_PRIV_EACH_6(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_8(m, name, ...) QSLOG_PRIV_EACH_7(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_9(m, name, ...) QSLOG_PRIV_EACH_8(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_10(m, name, ...) QSLOG_PRIV_EACH_9(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_11(m, name, ...) QSLOG_PRIV_EACH_10(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_12(m, name, ...) QSLOG_PRIV_EACH_11(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_13(m, name, ...) QSLOG_PRIV_EACH_12(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_14(m, name, ...) QSLOG_PRIV_EACH_13(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_15(m, name, ...) QSLOG_PRIV_EACH_14(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_16(m, name, ...) QSLOG_PRIV_EACH_15(m, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_EACH_17(m, name, ...) QSLOG_PRIV_EACH_16(m, __VA_ARGS__)

#define QSLOG_PRIV_M_ONE(i, a) +1
#define QSLOG_PRIV_SITE(each, kind, level, tag, format, name, ...)                                  \
	{QSLOG_SITE_MAGIC, kind, level, (uint8_t)(0 each(QSLOG_PRIV_M_ONE, __VA_ARGS__)), 0,        \
	 __LINE__, 0, "" format, __FILE__, __func__, tag, name,                                     \
	 {each(QSLOG_PRIV_M_TYPE, __VA_ARGS__) 0}}

#ifdef __cplusplus
} /* extern "C" */

/* C++: overloads of qslog_priv_take() do what _Generic does in C, and a variadic template the rest.
 * std::string, std::string_view and their like are recognised by data() and size(). */
template <int Type> struct qslog_priv_slot_arg {
	static constexpr int type = Type;
	uint64_t slot;
};
template <int Type> struct qslog_priv_text_arg {
	static constexpr int type = Type;
	struct qslog_priv_text text;
};

#define QSLOG_PRIV_TAKE_AS(ctype, arg, expression)                                                  \
	QSLOG_PRIV_INLINE qslog_priv_slot_arg<arg> qslog_priv_take(ctype v) { return {expression}; }
QSLOG_PRIV_TAKE_AS(bool, QSLOG_ARG_BOOL, v)
QSLOG_PRIV_TAKE_AS(char, QSLOG_ARG_CHAR, (unsigned char)v)
QSLOG_PRIV_TAKE_AS(unsigned char, QSLOG_ARG_UINT8, v)
QSLOG_PRIV_TAKE_AS(signed char, QSLOG_ARG_INT64, (uint64_t)(int64_t)v)
QSLOG_PRIV_TAKE_AS(short, QSLOG_ARG_INT64, (uint64_t)(int64_t)v)
QSLOG_PRIV_TAKE_AS(int, QSLOG_ARG_INT64, (uint64_t)(int64_t)v)
QSLOG_PRIV_TAKE_AS(long, QSLOG_ARG_INT64, (uint64_t)v)
QSLOG_PRIV_TAKE_AS(long long, QSLOG_ARG_INT64, (uint64_t)v)
QSLOG_PRIV_TAKE_AS(unsigned short, QSLOG_ARG_UINT64, v)
QSLOG_PRIV_TAKE_AS(unsigned int, QSLOG_ARG_UINT64, v)
QSLOG_PRIV_TAKE_AS(unsigned long, QSLOG_ARG_UINT64, v)
QSLOG_PRIV_TAKE_AS(unsigned long long, QSLOG_ARG_UINT64, v)
QSLOG_PRIV_TAKE_AS(wchar_t, QSLOG_ARG_UINT64, (uint64_t)v)
QSLOG_PRIV_TAKE_AS(char16_t, QSLOG_ARG_UINT64, v)
QSLOG_PRIV_TAKE_AS(char32_t, QSLOG_ARG_UINT64, v)
QSLOG_PRIV_TAKE_AS(float, QSLOG_ARG_FLOAT, qslog_priv_take_float(v))
QSLOG_PRIV_TAKE_AS(double, QSLOG_ARG_DOUBLE, qslog_priv_take_double(v))
QSLOG_PRIV_TAKE_AS(long double, QSLOG_ARG_DOUBLE, qslog_priv_take_double(v))
QSLOG_PRIV_TAKE_AS(decltype(nullptr), QSLOG_ARG_POINTER, (uint64_t)(uintptr_t)(const void *)v)
#undef QSLOG_PRIV_TAKE_AS
template <class T> QSLOG_PRIV_INLINE qslog_priv_slot_arg<QSLOG_ARG_POINTER> qslog_priv_take(T *v)
{
	return {(uint64_t)(uintptr_t)v};
}
QSLOG_PRIV_INLINE qslog_priv_text_arg<QSLOG_ARG_STR> qslog_priv_take(const char *v)
{
	return {qslog_priv_take_cstr(v)};
}
QSLOG_PRIV_INLINE qslog_priv_text_arg<QSLOG_ARG_STR> qslog_priv_take(char *v)
{
	return {qslog_priv_take_cstr(v)};
}
QSLOG_PRIV_INLINE qslog_priv_text_arg<QSLOG_ARG_STR> qslog_priv_take(struct qslog_str v)
{
	return {qslog_priv_take_strn(v)};
}
QSLOG_PRIV_INLINE qslog_priv_text_arg<QSLOG_ARG_BYTES> qslog_priv_take(struct qslog_blob v)
{
	return {qslog_priv_take_blob(v)};
}
template <class T, class = typename std::enable_if<std::is_enum<T>::value>::type>
QSLOG_PRIV_INLINE auto qslog_priv_take(T v)
{
	return qslog_priv_take(static_cast<typename std::underlying_type<T>::type>(v));
}
QSLOG_PRIV_INLINE const char *qslog_priv_chars(const char *p) { return p; }
template <class T>
QSLOG_PRIV_INLINE auto qslog_priv_take(const T &v)
	-> decltype((void)qslog_priv_chars(v.data()), (void)(size_t)v.size(),
		    qslog_priv_text_arg<QSLOG_ARG_STR>())
{
	return {qslog_priv_take_text(v.data(), v.size())};
}
/* The hook for types of the application's own: qslog_to_value(const T &), found beside the type, says
 * what to log in its place: a number, a pointer, or a view of text that T keeps. */
template <class T>
QSLOG_PRIV_INLINE auto qslog_priv_take(const T &v) -> decltype(qslog_priv_take(qslog_to_value(v)))
{
	return qslog_priv_take(qslog_to_value(v));
}

template <int Type> QSLOG_PRIV_INLINE uint64_t qslog_priv_extra(const qslog_priv_slot_arg<Type> &)
{
	return 0;
}
template <int Type> QSLOG_PRIV_INLINE uint64_t qslog_priv_extra(const qslog_priv_text_arg<Type> &a)
{
	return qslog_priv_extra_text(a.text);
}
template <int Type> constexpr uint64_t qslog_priv_texts(const qslog_priv_slot_arg<Type> *) { return 0; }
template <int Type> constexpr uint64_t qslog_priv_texts(const qslog_priv_text_arg<Type> *) { return 1; }
template <int Type>
QSLOG_PRIV_INLINE uint64_t qslog_priv_cut(qslog_priv_slot_arg<Type> &, uint64_t)
{
	return 0;
}
template <int Type>
QSLOG_PRIV_INLINE uint64_t qslog_priv_cut(qslog_priv_text_arg<Type> &a, uint64_t cap)
{
	return qslog_priv_cut_text(&a.text, cap);
}
template <int Type>
QSLOG_PRIV_INLINE uint64_t *qslog_priv_put(uint64_t *p, const qslog_priv_slot_arg<Type> &a)
{
	return qslog_priv_put_slot(p, a.slot);
}
template <int Type>
QSLOG_PRIV_INLINE uint64_t *qslog_priv_put(uint64_t *p, const qslog_priv_text_arg<Type> &a)
{
	return qslog_priv_put_text(p, a.text);
}

/* The counter that was recorded. If it was dropped: of a span the counter all the same, since leaving
 * it is recorded; else 0. */
template <bool Span, class... Args>
QSLOG_PRIV_INLINE uint64_t qslog_priv_write_taken(const struct qslog_site *site, uint64_t id,
						  Args... args)
{
	const uint64_t fixed = QSLOG_RECORD_HEADER_BYTES + 8u * sizeof...(Args) + (id ? 8u : 0u);
	constexpr uint64_t texts = (0u + ... + qslog_priv_texts((const Args *)nullptr));
	uint64_t bytes = (fixed + ... + qslog_priv_extra(args));
	struct qslog_priv_record r;
	uint64_t *p;

	if (QSLOG_PRIV_UNLIKELY(bytes > QSLOG_RECORD_BYTES_MAX)) {
		const uint64_t cap =
			((QSLOG_RECORD_BYTES_MAX - fixed) / (texts ? texts : 1u)) & ~7ull;

		(void)cap;
		bytes = (fixed + ... + qslog_priv_cut(args, cap));
	}
	if (QSLOG_PRIV_UNLIKELY(!qslog_priv_record_open(&r, site, id ? QSLOG_RECORD_SPAN_ID : 0,
							bytes)))
		return Span ? qslog_priv_counter_slow() : 0;
	p = r.words + 2;
	if (id)
		*p++ = id;
	((p = qslog_priv_put(p, args)), ...);
	(void)p;
	qslog_priv_record_commit(&r);
	return r.counter;
}
template <bool Span, class... Args>
QSLOG_PRIV_INLINE uint64_t qslog_priv_write(const struct qslog_site *site, uint64_t id,
					    const Args &...args)
{
	return qslog_priv_write_taken<Span>(site, id, qslog_priv_take(args)...);
}

#define QSLOG_PRIV_M_TYPE(i, a) (uint8_t)decltype(qslog_priv_take(a))::type,
#define QSLOG_PRIV_M_COMPILE(i, a) (void)qslog_priv_take(a);
#define QSLOG_PRIV_M_ARG(i, a) , a
#define QSLOG_PRIV_WRITE(each, site, id, span, start, ...)                                          \
	start = qslog_priv_write<span>(site, id each(QSLOG_PRIV_M_ARG, __VA_ARGS__));

extern "C" {
#else
#define QSLOG_PRIV_M_TYPE(i, a) (uint8_t)QSLOG_PRIV_TYPE(a),
#define QSLOG_PRIV_M_COMPILE(i, a) (void)QSLOG_PRIV_TAKE(a);
#define QSLOG_PRIV_TYPE(x)                                                                          \
	_Generic((x), _Bool: QSLOG_ARG_BOOL, char: QSLOG_ARG_CHAR, unsigned char: QSLOG_ARG_UINT8,  \
		 signed char: QSLOG_ARG_INT64, short: QSLOG_ARG_INT64, int: QSLOG_ARG_INT64,        \
		 long: QSLOG_ARG_INT64, long long: QSLOG_ARG_INT64,                                 \
		 unsigned short: QSLOG_ARG_UINT64, unsigned int: QSLOG_ARG_UINT64,                  \
		 unsigned long: QSLOG_ARG_UINT64, unsigned long long: QSLOG_ARG_UINT64,             \
		 float: QSLOG_ARG_FLOAT, double: QSLOG_ARG_DOUBLE, long double: QSLOG_ARG_DOUBLE,   \
		 char *: QSLOG_ARG_STR, const char *: QSLOG_ARG_STR,                                \
		 struct qslog_str: QSLOG_ARG_STR, struct qslog_blob: QSLOG_ARG_BYTES,               \
		 default: QSLOG_ARG_POINTER)
#define QSLOG_PRIV_TAKE(x)                                                                          \
	_Generic((x), _Bool: qslog_priv_take_bool, char: qslog_priv_take_char,                      \
		 unsigned char: qslog_priv_take_u, signed char: qslog_priv_take_i,                  \
		 short: qslog_priv_take_i, int: qslog_priv_take_i, long: qslog_priv_take_i,         \
		 long long: qslog_priv_take_i, unsigned short: qslog_priv_take_u,                   \
		 unsigned int: qslog_priv_take_u, unsigned long: qslog_priv_take_u,                 \
		 unsigned long long: qslog_priv_take_u, float: qslog_priv_take_float,               \
		 double: qslog_priv_take_double, long double: qslog_priv_take_double,               \
		 char *: qslog_priv_take_cstr, const char *: qslog_priv_take_cstr,                  \
		 struct qslog_str: qslog_priv_take_strn, struct qslog_blob: qslog_priv_take_blob,   \
		 default: qslog_priv_take_pointer)(x)
#define QSLOG_PRIV_EXTRA(v)                                                                         \
	_Generic((v), struct qslog_priv_text: qslog_priv_extra_text, default: qslog_priv_extra_slot)(v)
#define QSLOG_PRIV_IS_TEXT(v) _Generic((v), struct qslog_priv_text: 1u, default: 0u)
#define QSLOG_PRIV_CUT(v, cap)                                                                      \
	_Generic((v), struct qslog_priv_text: qslog_priv_cut_text, default: qslog_priv_cut_slot)(&(v), cap)
#define QSLOG_PRIV_PUT(p, v)                                                                        \
	_Generic((v), struct qslog_priv_text: qslog_priv_put_text, default: qslog_priv_put_slot)(p, v)

#define QSLOG_PRIV_M_TAKE(i, a) __extension__ __auto_type qslog_priv_a##i = QSLOG_PRIV_TAKE(a);
#define QSLOG_PRIV_M_EXTRA(i, a) +QSLOG_PRIV_EXTRA(qslog_priv_a##i)
#define QSLOG_PRIV_M_TEXTS(i, a) +QSLOG_PRIV_IS_TEXT(qslog_priv_a##i)
#define QSLOG_PRIV_M_CUT(i, a) +QSLOG_PRIV_CUT(qslog_priv_a##i, qslog_priv_cap)
#define QSLOG_PRIV_M_PUT(i, a) qslog_priv_p = QSLOG_PRIV_PUT(qslog_priv_p, qslog_priv_a##i);


/* Writes the record of `site`; `start` becomes its counter. If it is dropped: where `span` is 1 the
 * counter all the same, since leaving the span is recorded; else 0. `id`: of a span, 0: none. */
#define QSLOG_PRIV_WRITE(each, site, id, span, start, ...)                                          \
	each(QSLOG_PRIV_M_TAKE, __VA_ARGS__)                                                        \
	struct qslog_priv_record qslog_priv_r;                                                      \
	const uint64_t qslog_priv_fixed = QSLOG_RECORD_HEADER_BYTES + ((id) ? 8u : 0u) +            \
					  8u * (0u each(QSLOG_PRIV_M_ONE, __VA_ARGS__));            \
	uint64_t qslog_priv_bytes =                                                                 \
		qslog_priv_fixed each(QSLOG_PRIV_M_EXTRA, __VA_ARGS__);                             \
	if (QSLOG_PRIV_UNLIKELY(qslog_priv_bytes > QSLOG_RECORD_BYTES_MAX)) {                       \
		const uint64_t qslog_priv_texts = 0u each(QSLOG_PRIV_M_TEXTS, __VA_ARGS__);         \
		const uint64_t qslog_priv_cap =                                                     \
			((QSLOG_RECORD_BYTES_MAX - qslog_priv_fixed) /                              \
			 (qslog_priv_texts ? qslog_priv_texts : 1u)) & ~7ull;                       \
		(void)qslog_priv_cap;                                                               \
		qslog_priv_bytes = qslog_priv_fixed each(QSLOG_PRIV_M_CUT, __VA_ARGS__);            \
	}                                                                                           \
	if (__builtin_expect(qslog_priv_record_open(&qslog_priv_r, site,                            \
						    (id) ? QSLOG_RECORD_SPAN_ID : 0,                \
						    qslog_priv_bytes), 1)) {                        \
		uint64_t *qslog_priv_p = qslog_priv_r.words + 2;                                    \
		if (id)                                                                             \
			*qslog_priv_p++ = (id);                                                     \
		each(QSLOG_PRIV_M_PUT, __VA_ARGS__)                                                 \
		(void)qslog_priv_p;                                                                 \
		qslog_priv_record_commit(&qslog_priv_r);                                            \
		start = qslog_priv_r.counter;                                                       \
	} else {                                                                                    \
		start = (span) ? qslog_priv_counter_slow() : 0;                                     \
	}
#endif /* __cplusplus */

/* --- Which sites are compiled: QSLOG_PRIV_AT(level)(kept, stripped) is one of the two. The
 * preprocessor chooses, since a compiler that does not optimise keeps the data of dead code. */
#define QSLOG_PRIV_NUMBER_QSLOG_LEVEL_VERBOSE 10
#define QSLOG_PRIV_NUMBER_QSLOG_LEVEL_DEBUG 11
#define QSLOG_PRIV_NUMBER_QSLOG_LEVEL_INFO 12
#define QSLOG_PRIV_NUMBER_QSLOG_LEVEL_WARN 13
#define QSLOG_PRIV_NUMBER_QSLOG_LEVEL_ERROR 14
#define QSLOG_PRIV_NUMBER_QSLOG_LEVEL_FATAL 15
#define QSLOG_PRIV_NUMBER_QSLOG_LEVEL_COUNT 16
#define QSLOG_PRIV_NUMBER_0 10
#define QSLOG_PRIV_NUMBER_1 11
#define QSLOG_PRIV_NUMBER_2 12
#define QSLOG_PRIV_NUMBER_3 13
#define QSLOG_PRIV_NUMBER_4 14
#define QSLOG_PRIV_NUMBER_5 15
#define QSLOG_PRIV_NUMBER_6 16
#define QSLOG_PRIV_MIN_NUMBER QSLOG_PRIV_CAT(QSLOG_PRIV_NUMBER_, QSLOG_MIN_LEVEL)
#if QSLOG_PRIV_MIN_NUMBER < 10
#error "qslog: QSLOG_MIN_LEVEL is none of enum qslog_level"
#endif
#define QSLOG_PRIV_KEPT(kept, stripped) kept
#define QSLOG_PRIV_STRIPPED(kept, stripped) stripped
#define QSLOG_PRIV_AT(level) \
	QSLOG_PRIV_CAT(QSLOG_PRIV_AT_, QSLOG_PRIV_CAT(QSLOG_PRIV_NUMBER_, level))
#if defined(QSLOG_DISABLE) || QSLOG_PRIV_MIN_NUMBER > 10
#define QSLOG_PRIV_AT_10 QSLOG_PRIV_STRIPPED
#else
#define QSLOG_PRIV_AT_10 QSLOG_PRIV_KEPT
#endif
#if defined(QSLOG_DISABLE) || QSLOG_PRIV_MIN_NUMBER > 11
#define QSLOG_PRIV_AT_11 QSLOG_PRIV_STRIPPED
#else
#define QSLOG_PRIV_AT_11 QSLOG_PRIV_KEPT
#endif
#if defined(QSLOG_DISABLE) || QSLOG_PRIV_MIN_NUMBER > 12
#define QSLOG_PRIV_AT_12 QSLOG_PRIV_STRIPPED
#else
#define QSLOG_PRIV_AT_12 QSLOG_PRIV_KEPT
#endif
#if defined(QSLOG_DISABLE) || QSLOG_PRIV_MIN_NUMBER > 13
#define QSLOG_PRIV_AT_13 QSLOG_PRIV_STRIPPED
#else
#define QSLOG_PRIV_AT_13 QSLOG_PRIV_KEPT
#endif
#if defined(QSLOG_DISABLE) || QSLOG_PRIV_MIN_NUMBER > 14
#define QSLOG_PRIV_AT_14 QSLOG_PRIV_STRIPPED
#else
#define QSLOG_PRIV_AT_14 QSLOG_PRIV_KEPT
#endif
#if defined(QSLOG_DISABLE) || QSLOG_PRIV_MIN_NUMBER > 15
#define QSLOG_PRIV_AT_15 QSLOG_PRIV_STRIPPED
#else
#define QSLOG_PRIV_AT_15 QSLOG_PRIV_KEPT
#endif

#define QSLOG_PRIV_LOG(level_, ...)                                                                 \
	QSLOG_PRIV_AT(level_)(QSLOG_PRIV_LOG_KEPT, QSLOG_PRIV_LOG_STRIPPED)(level_, __VA_ARGS__)
#define QSLOG_PRIV_LOG_KEPT(level_, tag_, ...)                                                      \
	do {                                                                                        \
		static const struct qslog_site qslog_priv_site =                                    \
			QSLOG_PRIV_SITE(QSLOG_PRIV_EACH, QSLOG_SITE_LOG, level_, tag_,              \
					QSLOG_PRIV_FIRST(__VA_ARGS__), (const char *)0,             \
					__VA_ARGS__);                                               \
		const uint64_t qslog_priv_on = qslog_priv_listeners(level_);                        \
		QSLOG_PRIV_CHECK(QSLOG_PRIV_FIRST(__VA_ARGS__),                                     \
				 0 QSLOG_PRIV_EACH(QSLOG_PRIV_M_ONE, __VA_ARGS__));                 \
		if (QSLOG_PRIV_UNLIKELY(qslog_priv_on) &&                                           \
		    qslog_priv_agreed(&qslog_priv_control, &qslog_priv_site, level_,                \
				      qslog_priv_on)) {                                             \
			uint64_t qslog_priv_counter_ = 0;                                           \
			QSLOG_PRIV_WRITE(QSLOG_PRIV_EACH, &qslog_priv_site, 0, 0,                   \
					 qslog_priv_counter_, __VA_ARGS__)                          \
			(void)qslog_priv_counter_;                                                  \
		}                                                                                   \
	} while (0)
/* Arguments are compiled, and no variable becomes unused. (No loop: clang -O0 leaves a jump of it.) */
#define QSLOG_PRIV_COMPILE(each, text_, format, ...)                                                \
	__extension__({                                                                             \
		QSLOG_PRIV_CHECK(format, 0 each(QSLOG_PRIV_M_ONE, __VA_ARGS__));                    \
		if (0) {                                                                            \
			(void)sizeof("" format);                                                    \
			(void)sizeof(text_);                                                        \
			each(QSLOG_PRIV_M_COMPILE, __VA_ARGS__)                                     \
		}                                                                                   \
	})
#define QSLOG_PRIV_LOG_STRIPPED(level_, tag_, ...) \
	QSLOG_PRIV_COMPILE(QSLOG_PRIV_EACH, tag_, QSLOG_PRIV_FIRST(__VA_ARGS__), __VA_ARGS__)
#define QSLOG_PRIV_SPAN_STRIPPED(...)                                                               \
	QSLOG_PRIV_COMPILE(QSLOG_PRIV_SPAN_EACH, "" QSLOG_PRIV_FIRST(__VA_ARGS__),                  \
			   QSLOG_PRIV_SECOND(__VA_ARGS__), __VA_ARGS__)

#define QSLOG_PRIV_EVERY_N(level_, ...)                                                             \
	QSLOG_PRIV_AT(level_)(QSLOG_PRIV_EVERY_N_KEPT, QSLOG_PRIV_FEWER_STRIPPED)(level_, __VA_ARGS__)
#define QSLOG_PRIV_EVERY_N_KEPT(level_, n_, ...)                                                    \
	do {                                                                                        \
		static uint32_t qslog_priv_calls;                                                   \
		if (QSLOG_PRIV_UNLIKELY(qslog_priv_listeners(level_))) {                            \
			uint32_t qslog_priv_call =                                                  \
				__atomic_load_n(&qslog_priv_calls, __ATOMIC_RELAXED);               \
			__atomic_store_n(&qslog_priv_calls, qslog_priv_call + 1, __ATOMIC_RELAXED); \
			if (qslog_priv_call % (uint32_t)(n_) == 0)                                  \
				QSLOG_PRIV_LOG_KEPT(level_, __VA_ARGS__);                           \
		}                                                                                   \
	} while (0)
#define QSLOG_PRIV_LIMIT(level_, ...)                                                               \
	QSLOG_PRIV_AT(level_)(QSLOG_PRIV_LIMIT_KEPT, QSLOG_PRIV_FEWER_STRIPPED)(level_, __VA_ARGS__)
#define QSLOG_PRIV_LIMIT_KEPT(level_, per_second_, tag_, ...)                                       \
	do {                                                                                        \
		static struct qslog_priv_limit qslog_priv_limited;                                  \
		if (QSLOG_PRIV_UNLIKELY(qslog_priv_listeners(level_))) {                            \
			uint64_t qslog_priv_left_out = 0;                                           \
			if (qslog_priv_limit_pass(&qslog_priv_limited, (uint32_t)(per_second_),     \
						  &qslog_priv_left_out)) {                          \
				if (qslog_priv_left_out)                                            \
					QSLOG_PRIV_LOG_KEPT(level_, tag_,                           \
						       "{left_out} calls left out by the limit of " \
						       "{per_second} a second",                     \
						       qslog_priv_left_out,                         \
						       (uint32_t)(per_second_));                    \
				QSLOG_PRIV_LOG_KEPT(level_, tag_, __VA_ARGS__);                     \
			}                                                                           \
		}                                                                                   \
	} while (0)
#define QSLOG_PRIV_FEWER_STRIPPED(level_, number_, ...)                                             \
	__extension__({                                                                             \
		if (0)                                                                              \
			(void)(uint32_t)(number_);                                                  \
		QSLOG_PRIV_LOG_STRIPPED(level_, __VA_ARGS__);                                       \
	})

#define QSLOG_PRIV_SPAN_SITE(site, ...)                                                             \
	static const struct qslog_site site = QSLOG_PRIV_SITE(                                      \
		QSLOG_PRIV_SPAN_EACH, QSLOG_SITE_SPAN, QSLOG_SPAN_LEVEL, QSLOG_PRIV_FILE_TAG,       \
		QSLOG_PRIV_SECOND(__VA_ARGS__), "" QSLOG_PRIV_FIRST(__VA_ARGS__), __VA_ARGS__)
#define QSLOG_PRIV_SPAN_ENTER(site_, ...)                                                           \
	__extension__({                                                                             \
		struct qslog_span qslog_priv_span = {&site_, 0, 0, 0};                              \
		const uint64_t qslog_priv_on = qslog_priv_listeners(QSLOG_SPAN_LEVEL);              \
		QSLOG_PRIV_CHECK(QSLOG_PRIV_SECOND(__VA_ARGS__),                                    \
				 0 QSLOG_PRIV_SPAN_EACH(QSLOG_PRIV_M_ONE, __VA_ARGS__));            \
		if (QSLOG_PRIV_UNLIKELY(qslog_priv_on | qslog_priv_local.line.depth)) {             \
			if (QSLOG_PRIV_UNLIKELY(qslog_priv_local.line.depth)) {                     \
				const struct qslog_priv_nest qslog_priv_nest =                      \
					qslog_priv_span_nest();                                     \
				qslog_priv_span.start = QSLOG_PRIV_UNRECORDED;                      \
				qslog_priv_span.id = qslog_priv_nest.id;                            \
				qslog_priv_span.parent = qslog_priv_nest.parent;                    \
				if (qslog_priv_on &&                                                \
				    qslog_priv_agreed(&qslog_priv_control, &site_, QSLOG_SPAN_LEVEL, \
						      qslog_priv_on)) {                             \
					if (qslog_priv_span_recordable()) {                         \
						QSLOG_PRIV_WRITE(QSLOG_PRIV_SPAN_EACH, &site_,      \
								 qslog_priv_span.id, 1,             \
								 qslog_priv_span.start, __VA_ARGS__) \
					} else {                                                    \
						qslog_priv_span.start = qslog_priv_counter_slow();  \
					}                                                           \
				}                                                                   \
			} else if (qslog_priv_agreed(&qslog_priv_control, &site_, QSLOG_SPAN_LEVEL, \
						     qslog_priv_on)) {                              \
				QSLOG_PRIV_WRITE(QSLOG_PRIV_SPAN_EACH, &site_, 0, 1,                \
						 qslog_priv_span.start, __VA_ARGS__)                \
			}                                                                           \
		}                                                                                   \
		qslog_priv_span;                                                                    \
	})
#define QSLOG_PRIV_SPAN_SCOPED(n, ...)                                                              \
	QSLOG_PRIV_AT(QSLOG_SPAN_LEVEL)(QSLOG_PRIV_SPAN_SCOPED_KEPT,                                \
					QSLOG_PRIV_SPAN_SCOPED_STRIPPED)(n, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_SCOPED_KEPT(n, ...)                                                         \
	QSLOG_PRIV_SPAN_SITE(QSLOG_PRIV_CAT(qslog_priv_span_site_, n), __VA_ARGS__);                \
	struct qslog_span QSLOG_PRIV_CAT(qslog_priv_span_, n)                                       \
		__attribute__((cleanup(qslog_span_end), unused)) =                                  \
			QSLOG_PRIV_SPAN_ENTER(QSLOG_PRIV_CAT(qslog_priv_span_site_, n), __VA_ARGS__)
#ifdef __cplusplus
#define QSLOG_PRIV_SPAN_SCOPED_STRIPPED(n, ...) QSLOG_PRIV_SPAN_STRIPPED(__VA_ARGS__)
#else
/* A declaration as the other one is (C90 wants those first), of something that has no bytes. */
__extension__ struct qslog_priv_nothing {
};
#define QSLOG_PRIV_SPAN_SCOPED_STRIPPED(n, ...)                                                     \
	__extension__ struct qslog_priv_nothing QSLOG_PRIV_CAT(qslog_priv_span_, n)                 \
		__attribute__((unused)) = __extension__({                                           \
			QSLOG_PRIV_SPAN_STRIPPED(__VA_ARGS__);                                       \
			(struct qslog_priv_nothing){};                                              \
		})
#endif

/* What is declared stays, since it may be copied and passed on. */
#define QSLOG_PRIV_SPAN_NAMED(var, ...)                                                             \
	QSLOG_PRIV_AT(QSLOG_SPAN_LEVEL)(QSLOG_PRIV_SPAN_NAMED_KEPT,                                 \
					QSLOG_PRIV_SPAN_NAMED_STRIPPED)(var, __VA_ARGS__)
#define QSLOG_PRIV_SPAN_NAMED_KEPT(var, ...)                                                        \
	QSLOG_PRIV_SPAN_SITE(QSLOG_PRIV_CAT(qslog_priv_site_of_, var), __VA_ARGS__);                \
	struct qslog_span var =                                                                     \
		QSLOG_PRIV_SPAN_ENTER(QSLOG_PRIV_CAT(qslog_priv_site_of_, var), __VA_ARGS__)
#define QSLOG_PRIV_SPAN_NAMED_STRIPPED(var, ...)                                                    \
	struct qslog_span var = __extension__({                                                     \
		struct qslog_span qslog_priv_span = {NULL, 0, 0, 0};                                \
		QSLOG_PRIV_SPAN_STRIPPED(__VA_ARGS__);                                               \
		qslog_priv_span;                                                                    \
	})

#define QSLOG_PRIV_LINE_SCOPED(n, context)                                                          \
	QSLOG_PRIV_AT(QSLOG_SPAN_LEVEL)(QSLOG_PRIV_LINE_SCOPED_KEPT,                                \
					QSLOG_PRIV_LINE_SCOPED_STRIPPED)(n, context)
#define QSLOG_PRIV_LINE_SCOPED_KEPT(n, context)                                                     \
	static const struct qslog_site QSLOG_PRIV_CAT(qslog_priv_line_site_, n) =                   \
		QSLOG_PRIV_SITE(QSLOG_PRIV_EACH, QSLOG_SITE_CONTEXT, QSLOG_SPAN_LEVEL,              \
				QSLOG_PRIV_FILE_TAG, "", (const char *)0, "");                      \
	struct qslog_local_parent QSLOG_PRIV_CAT(qslog_priv_line_, n)                               \
		__attribute__((cleanup(qslog_local_parent_end), unused)) =                          \
			qslog_priv_line_open(&QSLOG_PRIV_CAT(qslog_priv_line_site_, n), context)
#define QSLOG_PRIV_LINE_SCOPED_STRIPPED(n, context)                                                 \
	struct qslog_local_parent QSLOG_PRIV_CAT(qslog_priv_line_, n)                               \
		__attribute__((cleanup(qslog_local_parent_end), unused)) =                          \
			qslog_priv_line_open(NULL, context)

#ifdef QSLOG_DISABLE
#define QSLOG_PRIV_COMPILED(level) 0
#else
#define QSLOG_PRIV_COMPILED(level) ((level) >= QSLOG_MIN_LEVEL)
#endif
static inline struct qslog_local_parent qslog_priv_line_open(const struct qslog_site *site,
							     const struct qslog_context *context)
{
	struct qslog_local_parent parent;
#ifdef QSLOG_DISABLE
	qslog_priv_line_begin(&parent, NULL, site, QSLOG_SPAN_LEVEL, context, 0);
#else
	const uint64_t on = QSLOG_PRIV_COMPILED(QSLOG_SPAN_LEVEL) ?
				    qslog_priv_listeners(QSLOG_SPAN_LEVEL) : 0;

	qslog_priv_line_begin(&parent, QSLOG_PRIV_COMPILED(QSLOG_SPAN_LEVEL) ? &qslog_priv_control :
									      NULL,
			      site, QSLOG_SPAN_LEVEL, context, on);
#endif
	return parent;
}
static inline struct qslog_local_parent qslog_set_local_parent(const struct qslog_context *context)
{
	return qslog_priv_line_open(NULL, context);
}
static inline void qslog_local_parent_end(struct qslog_local_parent *parent)
{
#ifdef QSLOG_DISABLE
	qslog_priv_line_end(parent, NULL, 0);
#else
	const enum qslog_level level = parent->depth && parent->depth <= qslog_priv_local.line.depth ?
					       (enum qslog_level)qslog_priv_local.line.site->level :
					       QSLOG_LEVEL_COUNT;

	qslog_priv_line_end(parent, &qslog_priv_control, qslog_priv_listeners(level));
#endif
}

/* Leaves a span: the record's last slot is the counter at which the span was entered. The members
 * come one by one, so that a span need not be in memory. */
static inline void qslog_priv_span_exit(const struct qslog_site *site, uint64_t start, uint64_t id,
					uint64_t parent)
{
#ifdef QSLOG_DISABLE
	(void)site;
	(void)start;
	(void)id;
	(void)parent;
#else
	const enum qslog_level level = (enum qslog_level)site->level;
	const uint64_t listeners = qslog_priv_listeners(level);
	struct qslog_priv_record r;

	if (QSLOG_PRIV_UNLIKELY(id)) {
		qslog_priv_span_leave(id, parent);
		if (start == QSLOG_PRIV_UNRECORDED) /* whoever listens does not learn of it */
			qslog_priv_line_stale();
		else if (listeners)
			qslog_priv_span_exit_write(&qslog_priv_control, site, start, id);
		return;
	}
	if (!listeners)
		return;
	/* What was entered is left, whoever is asked. */
	(void)qslog_priv_agreed(&qslog_priv_control, site, level, listeners);
	if (qslog_priv_record_open(&r, site, QSLOG_RECORD_EXIT, QSLOG_RECORD_HEADER_BYTES + 8)) {
		r.words[2] = start;
		qslog_priv_record_commit(&r);
	}
#endif
}
QSLOG_PRIV_INLINE void qslog_span_end(struct qslog_span *span)
{
	const uint64_t start = span->start;

	if (start) {
		span->start = 0;
		qslog_priv_span_exit(span->site, start, span->id, span->parent);
	}
}

/* --- Sites defined at run time. What listens is what the calling module's words say. */
static inline int qslog_site_enabled(const struct qslog_site *site)
{
	return site && qslog_priv_listeners((enum qslog_level)site->level) != 0;
}

static inline int qslog_log_values(const struct qslog_site *site, const struct qslog_value *values,
				   unsigned int cnt)
{
	uint64_t listeners, counter;

	if (!site)
		return -EINVAL;
	listeners = qslog_priv_listeners((enum qslog_level)site->level);
	if (!listeners)
		return 0;
	if (!qslog_priv_agreed(&qslog_priv_control, site, (enum qslog_level)site->level, listeners))
		return 0;
	return qslog_priv_values_write(site, QSLOG_SITE_LOG, 0, values, cnt, &counter);
}

static inline struct qslog_span qslog_span_enter(const struct qslog_site *site,
						 const struct qslog_value *values, unsigned int cnt)
{
	uint64_t listeners = site ? qslog_priv_listeners((enum qslog_level)site->level) : 0;
	struct qslog_span span;
	int err = -ENOSPC, recordable = 1;

	span.site = site;
	span.start = 0;
	span.id = 0;
	span.parent = 0;
	if (site && qslog_priv_local.line.depth) {
		const struct qslog_priv_nest nest = qslog_priv_span_nest();

		span.start = QSLOG_PRIV_UNRECORDED;
		span.id = nest.id;
		span.parent = nest.parent;
		recordable = qslog_priv_span_recordable();
	}
	if (listeners && !qslog_priv_agreed(&qslog_priv_control, site,
					    (enum qslog_level)site->level, listeners))
		listeners = 0;
	if (!listeners)
		return span;
	if (recordable)
		err = qslog_priv_values_write(site, QSLOG_SITE_SPAN, span.id, values, cnt,
					      &span.start);
	if (err == -EINVAL) {
		qslog_priv_span_leave(span.id, span.parent);
		span.site = NULL;
		span.start = 0;
	} else if (err) { /* dropped and counted; leaving it is recorded all the same */
		span.start = qslog_priv_counter_slow();
	}
	return span;
}

/* --- What qslog_runtime.c and libqslog's collector share. */
enum qslog_priv_collector_state {
	QSLOG_COLLECTOR_OFF = 0,
	QSLOG_COLLECTOR_AWAKE = 1,
	QSLOG_COLLECTOR_SLEEPING = 2 /* waits on the futex `collector` */
};
struct qslog_priv_process {
	uint32_t collector; /* enum qslog_priv_collector_state */
	int collector_on;    /* it records, what qslog_set_level() says */
	uint64_t arena_bytes; /* of new arenas */
	int on_full;	      /* enum qslog_on_full */
	/* Memory for a new arena: `bytes` zeros at *offset of *fd, which stays open until this is
	 * changed. Called with all signals blocked, once at a time; may only make system calls.
	 * NULL, or not 0: anonymous memory. Set by qslog_priv_hooks_set(). */
	int (*arena_memory)(uint64_t bytes, int *fd, uint64_t *offset);
	/* There are new sites: of a module (1), or registered (0). No lock is held. */
	void (*sites_added)(int module);
	/* Snapshot mode, in which `collector` is off and owners overwrite the oldest: so many ended
	 * arenas are left alone, and marks are spread over the ring. 0: it is off. */
	uint32_t ended_kept;
	/* Not 0: it is to be told of the records of the site, each of them once it is complete
	 * (`recorded`). All sites ask as long as this is set; in signal handlers, too. */
	int (*site_chosen)(const struct qslog_site *site, int recorded);
};
extern struct qslog_priv_process qslog_priv_process __attribute__((visibility("hidden")));
extern struct qslog_registry qslog_priv_registry __attribute__((visibility("hidden")));
/* Decided by then; also before any program or library with sites has said that it is there. */
enum qslog_clock qslog_priv_clock(void) __attribute__((visibility("hidden")));
void qslog_priv_collector_wake(void) __attribute__((visibility("hidden")));
/* Sets the collector's bits in the words of the levels that it records, or in none. The kernel counts
 * semaphores with plain additions, which can undo a change that comes at the same moment: have it done
 * again, as it was said last. */
void qslog_priv_collector_levels(int on) __attribute__((visibility("hidden")));
void qslog_priv_collector_levels_again(void) __attribute__((visibility("hidden")));
/* A forked child has none. Once this has returned, the arena_memory before is not running. */
void qslog_priv_hooks_set(int (*arena_memory)(uint64_t bytes, int *fd, uint64_t *offset),
			  void (*sites_added)(int module)) __attribute__((visibility("hidden")));
/* In collector.c: as qslog_flush(), 0 where the collector does not run. */
int qslog_priv_collector_flush(void) __attribute__((visibility("hidden")));
/* The same before a library with sites goes, whose addresses mean nothing from then on. */
void qslog_priv_collector_unload(void) __attribute__((visibility("hidden")));

#ifdef __cplusplus
}
#endif

#endif /* QSLOG_H */
