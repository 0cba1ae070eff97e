#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench-grep: qslog grep over a file, against ripgrep over its text and zstdgrep over its text packed
# with zstd -3, all in the page cache.
#
#   GREP_GB=5         gigabytes of text     GREP_ROUNDS=3     the best of so many counts
#
# The file is made by grep.c. All print the lines that they find into a pipe that nobody but wc reads;
# what qslog finds is compared with what ripgrep finds. qslog works with all processors, the
# others in the way that they do. zstdgrep is measured once: it takes long.
set -u
export LC_ALL=C TZ=UTC0

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../build}
gb=${GREP_GB:-5} rounds=${GREP_ROUNDS:-3}
failures=0

fail() {
	printf 'bench-grep: %s\n' "$*" >&2
	failures=$((failures + 1))
}

for tool in rg zstdgrep zstd; do
	command -v "$tool" >/dev/null || {
		fail "$tool is missing (packages ripgrep and zstd)"
		exit 1
	}
done
dir=$(mktemp -d "${TMPDIR:-/tmp}/bench-grep.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
q=$dir/bench.qslog text=$dir/bench.txt packed=$dir/bench.txt.zst

"$build/bench/grep" "$q" "$((gb * 1000000000))" || exit 1
"$build/qslog" cat "$q" >"$text" || exit 1
zstd -q -3 -T0 "$text" -o "$packed" || exit 1
size() { stat -c %s "$1"; }
printf '# %s bytes of text, %s as .qslog, %s with zstd -3; %s processors, best of %s\n' \
	"$(size "$text")" "$(size "$q")" "$(size "$packed")" "$(nproc)" "$rounds"

# seconds COMMAND...: wall time of the command, its output counted by wc into $dir/lines
seconds() {
	local begin=$EPOCHREALTIME end
	"$@" 2>/dev/null | wc -l >"$dir/lines"
	end=$EPOCHREALTIME
	awk -v b="$begin" -v e="$end" 'BEGIN { printf "%.3f", e - b }'
}

best() { # best ROUNDS COMMAND...
	local n=$1 i
	shift
	for ((i = 0; i < n; i++)); do
		seconds "$@"
		echo
	done | sort -n | head -1
}

printf '%-34s %10s %8s %8s %9s\n' pattern lines qslog ripgrep zstdgrep
measure() { # measure NAME PATTERN
	local name=$1 pattern=$2 ours theirs packed_s found
	ours=$(best "$rounds" "$build/qslog" grep -e "$pattern" "$q")
	found=$(cat "$dir/lines")
	theirs=$(best "$rounds" rg -e "$pattern" "$text")
	[ "$(cat "$dir/lines")" = "$found" ] ||
		fail "$pattern: $found lines, ripgrep has $(cat "$dir/lines")"
	packed_s=$(best 1 zstdgrep -E -e "$pattern" "$packed")
	printf '%-34s %10s %8s %8s %9s\n' "$name: $pattern" "$found" "$ours" "$theirs" "$packed_s"
	printf 'result: bench=grep pattern=%s lines=%s qslog_s=%s ripgrep_s=%s zstdgrep_s=%s\n' \
		"$name" "$found" "$ours" "$theirs" "$packed_s"
}
measure none 'kernel panic'
measure rare 'zaphod\.beeblebrox'
measure some 'timed out'
measure often 'refill='
measure regex 'user zaphod.* from 10\.[0-9]+'
measure number 'status=404'
exit "$((failures > 0))"
