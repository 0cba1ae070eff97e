#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# ends.sh - runs in the guest of vmtest.sh: what programs had recorded when they ended is in the file,
# by each of the ways in which this kernel shows the end of a process. (needs-bpf)
set -u

cd "$(dirname "$0")/../.." || exit 1
export TEST_ROUNDS=2 TEST_WAIT_MS=100000 QSLOG_TRACE_HARVEST
ends() { # WAY NAME...
	local only
	QSLOG_TRACE_HARVEST=$1
	shift
	"$BUILD/qslog-trace" --check | grep 'ok    end of processes' || exit 1
	for only in "$@"; do
		TEST_ONLY="kernel mode: $only" "$BUILD/tests/e2e/test_ends" || exit 1
	done
}
ends signal wait segv _exit 'main-thread, little' join
ends functions wait _exit other-thread
