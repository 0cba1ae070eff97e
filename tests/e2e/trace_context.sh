#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# trace_context.sh - the tracer's file says the same about traces, spans and parents as that of the
# in-process collector, ids apart. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cnt=20

# Kind, name and message of each record; ids as the numbers in which they appear.
contexts() { # FILE
	"$qslog" cat --json "$1" | grep -oE '"(kind|name|trace_id|span_id|parent_id)":"[^"]*"' | awk -F'"' '
		$2 == "kind" { printf "%s%s", sep, $4; sep = "\n"; next }
		$2 == "name" { printf " %s", $4; next }
		!($4 in seen) { seen[$4] = ++n }
		{ printf " %s=%d", $2, seen[$4] }
		END { print "" }'
}

run 0 -o "$dir/kernel.qslog" -- "$BUILD/trace_context" "$cnt"
err "^records=$((cnt * 14)) lost=0 "
QSLOG_FILE=$dir/inproc.qslog "$BUILD/trace_context" "$cnt" >"$dir/out" || fail "trace_context: status $?"
contexts "$dir/kernel.qslog" >"$dir/kernel"
contexts "$dir/inproc.qslog" >"$dir/inproc"
equal "records" "$(wc -l <"$dir/inproc")" $((cnt * 14))
cmp -s "$dir/kernel" "$dir/inproc" || fail "the files differ: $(diff "$dir/kernel" "$dir/inproc" | head -5)"

# A line is not left out with its tag: the spans that are wanted need it.
run 0 -t nothing -o "$dir/tag.qslog" -- "$BUILD/trace_context" "$cnt"
err "^records=$((cnt * 6)) lost=0 "
finish
