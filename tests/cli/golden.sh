#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# golden.sh - the files of tests/golden are decoded as they always were, by the reader and by a second
# one that was written from docs/format.md alone (tests/golden/qslog_reader.py).
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
qslog=$BUILD/qslog
failures=0
cnt=0

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# What the last line of a dump says about the exit status of qslog check.
status_of() {
	case $(tail -n 1 "$1") in
	*damaged=0\ closed=1*) echo 0 ;;
	*later\ version) echo 1 ;;
	*) echo 3 ;;
	esac
}

for file in tests/golden/*.qslog; do
	want=${file%.qslog}.dump
	"$BUILD/tests/golden/dump" "$file" >"$dir/got" 2>"$dir/err" || fail "$file: dump: exit status $?"
	if ! cmp -s "$want" "$dir/got"; then
		fail "$file is decoded differently (-: as it was):"
		diff -u "$want" "$dir/got" | head -n 20
	fi
	lines=$(grep -cE '^(log|enter|exit|loss|line|line_end) ' "$want")
	status=$(status_of "$want")
	"$qslog" check "$file" >"$dir/out" 2>&1
	got=$?
	[ "$got" -eq "$status" ] || fail "qslog check $file: exit status $got, not $status"
	"$qslog" cat "$file" >"$dir/out" 2>"$dir/err"
	got=$?
	[ "$got" -eq "$status" ] || fail "qslog cat $file: exit status $got, not $status"
	[ "$status" -eq 0 ] || [ -s "$dir/err" ] || fail "qslog cat $file: nothing on standard error"
	[ "$(wc -l <"$dir/out")" -eq "$lines" ] || fail "qslog cat $file: not $lines lines"
	cnt=$((cnt + 1))
done
[ "$cnt" -ge 100 ] || fail "only $cnt files: where are they?"

python3 tests/golden/qslog_reader.py --compare tests/golden/*.qslog || failures=$((failures + 1))

[ "$failures" -eq 0 ] && echo "golden: $cnt files"
exit $((failures > 0))
