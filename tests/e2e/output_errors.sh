#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# output_errors.sh - the output of an application in in-process mode fails for a while (EIO, EDQUOT,
# EROFS, ENOSPC): the application ends as ever, and everything is in the file or counted in it.
set -uo pipefail

dir=$(mktemp -d) || exit 1
trap 'touch "$dir/stop"; rm -rf "$dir"' EXIT
failed=0

wait_until() { # wait_until COMMAND...: at most 30 seconds
	local deadline=$((SECONDS + 30))
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || { echo "waited in vain for: $*"; exit 1; }
	done
}
bytes_at_least() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge "$2" ]; }

for errno in 5 122 30 28; do
	rm -f "$dir"/*
	truncate -s 8192 "$dir/shared"
	FAIL_WHILE=$dir/fail FAIL_LOG=$dir/log FAIL_ERRNO=$errno \
		LD_PRELOAD=$BUILD/tests/fixtures/libfailing.so QSLOG_ARENA_SIZE=8M QSLOG_FLUSH_MS=10 \
		QSLOG_FILE=$dir/app.qslog timeout 60 "$BUILD/tests/fixtures/workload.inproc" \
		-s "$dir/shared" -t 2 -n 300000 -p -e join &
	wait_until bytes_at_least "$dir/app.qslog.tail" 100
	touch "$dir/fail"
	wait_until bytes_at_least "$dir/log" 2
	rm "$dir/fail"
	wait $! || { echo "errno $errno: the application ended with $?"; failed=1; }
	sum=$("$BUILD/qslog" stat --json "$dir/app.qslog" |
		sed -n 's/^{"records":\([0-9]*\),"lost":\([0-9]*\),.*/\1 \2/p')
	[ $((${sum% *} + ${sum#* })) -eq 600000 ] ||
		{ echo "errno $errno: records and lost: $sum, not 600000 together"; failed=1; }
done
exit $failed
