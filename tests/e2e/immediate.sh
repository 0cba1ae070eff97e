#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# immediate.sh - --immediate: each record is in the file before the flush interval is over, in the order
# in which it was logged, also from threads that come and go. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

# The interval is a minute: what is there before comes by itself.
speaker_start 1 speaker
tracer_start -p "$app" -o "$dir/a.qslog" --immediate --flush-ms 60000 --strict || finish
say i "first line"
message_await "$dir/a.qslog" '^first line$' || fail "the first line does not appear"
say n 300
say i "after many"
message_await "$dir/a.qslog" '^after many$' || fail "the line after many does not appear"
say h 50
message_await "$dir/a.qslog" '50|349' || fail "the other thread's records do not appear"
say s
equal "semaphores while attached" "$answer" "semaphores 1 1 1 1 1 1 1"
tracer_end INT
equal "exit status" "$status" 0
err '^records=352 lost=0 '
say s
equal "semaphores after" "$answer" "semaphores 0 0 0 0 0 0 0"

# At full speed it is slow, and complete.
tracer_start -p "$app" -o "$dir/b.qslog" --immediate --strict || finish
say n 20000
tracer_end INT
equal "exit status of many" "$status" 0
err '^records=20000 lost=0 '
speaker_end
finish
