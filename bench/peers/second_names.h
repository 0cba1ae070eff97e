/* SPDX-License-Identifier: BSD-2-Clause */
/* second_names.h - included before bench_calls.c, makes it the copy of second.h. */
#ifndef QSLOG_BENCH_SECOND_NAMES_H
#define QSLOG_BENCH_SECOND_NAMES_H

#define call_texts second_call_texts
#define call_kind_name second_call_kind_name
#define call_records second_call_records
#define call_bytes second_call_bytes
#define calls_floor_ring second_calls_floor_ring
#define calls_run second_calls_run
#define calls_floor_on second_calls_floor_on
#define calls_floor_off second_calls_floor_off
#define calls_each second_calls_each
#define calls_heard second_calls_heard

#endif
