#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# trace_context.sh - the example's traces, recorded in-process and read as JSON: every span has its
# id, its parent and its trace, over threads and the service hop.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failures=0
cnt=50

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

QSLOG_FILE=$dir/trace.qslog "$BUILD/trace_context" "$cnt" >"$dir/out" || fail "trace_context: status $?"
[ "$(cat "$dir/out")" = "$cnt requests" ] || fail "trace_context says: $(cat "$dir/out")"
"$BUILD/qslog" cat --json "$dir/trace.qslog" >"$dir/json" || fail "qslog cat: status $?"

# One line per record: kind, name (or -), trace, span, parent, tid.
field() { # NAME: an awk function that takes a field of a line of JSON
	cat <<'AWK'
function field(name,    at, rest) {
	at = index($0, "\"" name "\":")
	if (!at)
		return "-"
	rest = substr($0, at + length(name) + 3)
	if (substr(rest, 1, 1) == "\"")
		return substr(rest, 2, index(substr(rest, 2), "\"") - 1)
	sub(/[,}].*/, "", rest)
	return rest
}
AWK
}
awk "$(field)"'
	{ print field("kind"), field("name"), field("trace_id"), field("span_id"), field("parent_id"),
		field("tid"), field("tag") }' "$dir/json" >"$dir/records"

# 3 lines of 2 records, 3 spans of 2 records, 2 logs
[ "$(wc -l <"$dir/records")" -eq $((cnt * 14)) ] || fail "$(wc -l <"$dir/records") records"
awk -v cnt="$cnt" '
	function wrong(what) { print "record " NR " (" $0 "): " what; bad++ }
	$3 !~ /^[0-9a-f]+$/ || length($3) != 32 || $3 ~ /^0+$/ { wrong("no trace id") }
	$1 == "span_enter" {
		if ($4 !~ /^[0-9a-f]+$/ || length($4) != 16)
			wrong("no span id")
		if ($4 in span)
			wrong("an id twice")
		span[$4] = $2; trace[$4] = $3; tid[$4] = $6; name[$2]++
		if ($2 == "request") {
			if ($5 != "-" || $3 in traces)
				wrong("not a new trace")
			traces[$3] = 1
		} else if (span[$5] != ($2 == "work" ? "request" : "work")) {
			wrong("another parent: " span[$5])
		} else if (trace[$5] != $3) {
			wrong("another trace than the parent")
		} else if ($2 == "work" ? tid[$5] == $6 : tid[$5] != $6) {
			wrong("another thread")
		}
	}
	$1 == "span_exit" && (span[$4] != $2 || trace[$4] != $3) { wrong("left what was not entered") }
	$1 == "span_exit" { left[$2]++ }
	$1 == "log" && span[$4] != ($7 == "store" ? "store.get" : "request") { wrong("log in another span") }
	$1 == "line_begin" { begun++ }
	$1 == "line_end" { ended++ }
	END {
		for (n in name)
			if (name[n] != cnt || left[n] != cnt)
				{ print n ": " name[n] " entered, " left[n] " left"; bad++ }
		if (length(name) != 3 || length(traces) != cnt || begun != 3 * cnt || ended != 3 * cnt)
			{ print length(name), length(traces), begun, ended; bad++ }
		exit bad > 0
	}' "$dir/records" >"$dir/wrong" || fail "$(head -5 "$dir/wrong")"

# As text; and lines of text outside of traces are what they always were.
"$BUILD/qslog" cat "$dir/trace.qslog" >"$dir/text" || fail "qslog cat: status $?"
[ "$(grep -Ec ' I front \[trace_context\.c:[0-9]+ serve\] -> trace [0-9a-f]{32}$' "$dir/text")" -eq "$cnt" ] ||
	fail "lines as text: $(grep -m1 'trace' "$dir/text")"
[ "$(grep -Ec '\[trace_context\.c:[0-9]+ worker\] -> trace [0-9a-f]{32} parent [0-9a-f]{16}$' "$dir/text")" -eq "$cnt" ] ||
	fail "lines with a parent as text: $(grep -m1 'parent' "$dir/text")"
[ "$(grep -Ec ' <- trace [0-9a-f]{32} [0-9]+\.[0-9]{3}us$' "$dir/text")" -eq $((cnt * 3)) ] ||
	fail "ends of lines as text: $(grep -m1 '<- trace' "$dir/text")"
[ "$(QSLOG_FILE="$dir/hello.qslog" "$BUILD/hello" 1 >/dev/null; "$BUILD/qslog" cat --json "$dir/hello.qslog" |
	grep -Ec '"(trace_id|span_id|parent_id)"')" -eq 0 ] || fail "ids outside of any trace"

# Nobody listens: the traces are the program's own affair, and go on.
env -u QSLOG_FILE "$BUILD/trace_context" 2 >/dev/null || fail "without a listener: status $?"
[ "$failures" -eq 0 ] || { echo "$failures failures"; exit 1; }
