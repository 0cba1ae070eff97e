/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sdt_calls.h - USDT probes with semaphores, one trap per event, for perf and bpftrace. The double
 * goes as its bits: neither reads floating point registers.
 */
#ifndef QSLOG_BENCH_SDT_CALLS_H
#define QSLOG_BENCH_SDT_CALLS_H

#include <stdint.h>
#include <string.h>

#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

extern volatile unsigned short peers_call_a_semaphore, peers_call_b_semaphore,
	peers_call_c_semaphore, peers_span_begin_semaphore, peers_span_end_semaphore;

static inline uint64_t peer_double_bits(double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	return bits;
}

#define PEER_IF(name, probe)                                                                       \
	do {                                                                                       \
		if (__builtin_expect(peers_##name##_semaphore != 0, 0))                            \
			probe;                                                                     \
	} while (0)
#define PEER_A() PEER_IF(call_a, DTRACE_PROBE(peers, call_a))
#define PEER_B(v) PEER_IF(call_b, DTRACE_PROBE1(peers, call_b, v))
#define PEER_C(i, d, s) PEER_IF(call_c, DTRACE_PROBE3(peers, call_c, i, peer_double_bits(d), s))
#define PEER_SPAN_BEGIN(v) PEER_IF(span_begin, DTRACE_PROBE1(peers, span_begin, v))
#define PEER_SPAN_END(v) PEER_IF(span_end, DTRACE_PROBE1(peers, span_end, v))
#define PEER_HEARD                                                                                 \
	(peers_call_a_semaphore || peers_call_b_semaphore || peers_call_c_semaphore ||             \
	 (peers_span_begin_semaphore && peers_span_end_semaphore))

#endif
