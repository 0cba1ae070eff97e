#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh - runs tests, one after the other, and closes with "N passed, N failed[, N skipped]".
#
#     BUILD=DIR tests/run.sh TEST...          usually by `make check`
#
# A test is an executable or a script (*.sh, run by bash). It is run in the top folder, with
# standard input empty, and sees where the build is in BUILD (absolute), and CC, CXX, CLANG,
# BPFTOOL. TMPDIR is a folder of its own: what it leaves there, and what programs that were killed
# with outputs there have left in /dev/shm, goes with it, however the test ends. It has TEST_TIMEOUT seconds (480; 1200 with sanitizers). Exit status 0: passed; 77:
# skipped, the last line of its output says why; anything else: failed, and its output is shown.
#
# Tests that need BPF say so by the word "needs-bpf" in a comment of their source. They are not
# even started where BPF cannot work, and fail: a skip must not look like a success. Only with
# SKIP_BPF=1 are they skipped, and may tests skip at all.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-$PWD/build}
TEST_TIMEOUT=${TEST_TIMEOUT:-$([ -n "${SAN:-}" ] && echo 1200 || echo 480)}
SKIP_BPF=${SKIP_BPF:-}
[ "$SKIP_BPF" = 0 ] && SKIP_BPF=
logs=$BUILD/tests/log
passed=0 failed=0 skipped=0
failures=()

mkdir -p "$logs" || exit 1
export BUILD SKIP_BPF
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=0}

# Why BPF cannot work here, or nothing.
bpf_problem() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "needs BPF, which needs root: sudo make check, or SKIP_BPF=1 make check"
	elif [ ! -r /sys/kernel/btf/vmlinux ]; then
		echo "needs BPF: this kernel has no BTF (/sys/kernel/btf/vmlinux); or SKIP_BPF=1 make check"
	fi
}

# The source of tests/unit/test_x.c is found from .../tests/test_x.
source_of() {
	local name=${1##*/}
	case $1 in
	*.sh) echo "$1" ;;
	*/e2e/*) echo "tests/e2e/$name.c" ;;
	*) echo "tests/unit/$name.c" ;;
	esac
}

name_of() {
	local path=$1
	case $path in
	*.sh) path=${path#tests/}; echo "${path%.sh}" ;;
	*/e2e/*) echo "e2e/${path##*/}" ;;
	*) echo "unit/${path##*/}" ;;
	esac
}

report() { # report RESULT NAME TEXT
	printf '%-4s %-36s %s\n' "$1" "$2" "$3"
	case $1 in
	ok) passed=$((passed + 1)) ;;
	skip) skipped=$((skipped + 1)) ;;
	*) failed=$((failed + 1)); failures+=("$2") ;;
	esac
}

folder_remove() {
	[ -x "$BUILD/qslog" ] && timeout 20 "$BUILD/qslog" recover 2>/dev/null | grep -F " $1/" |
		sed -n 's/^\(\/[^:]*\): process .*/\1/p' | xargs -r rm -f
	rm -rf --one-file-system "$1"
}

run_one() {
	local test=$1 name source log rc start took cases problem folder
	name=$(name_of "$test")
	source=$(source_of "$test")
	log=$logs/${name//\//-}.log

	if [ ! -e "$test" ]; then
		report FAIL "$name" "$test does not exist"
		return
	fi
	if [ -r "$source" ] && grep -q 'needs-bpf' "$source"; then
		if [ -n "$SKIP_BPF" ]; then
			report skip "$name" "SKIP_BPF=1"
			return
		fi
		problem=$(bpf_problem)
		if [ -n "$problem" ]; then
			report FAIL "$name" "$problem"
			return
		fi
	fi

	folder=$(mktemp -d "${TMPDIR:-/tmp}/qslog-test.XXXXXX") && chmod 755 "$folder" || exit 1
	start=$EPOCHREALTIME
	case $test in
	*.sh) TMPDIR=$folder timeout -k 10 "$TEST_TIMEOUT" bash "$test" </dev/null >"$log" 2>&1 ;;
	*) TMPDIR=$folder timeout -k 10 "$TEST_TIMEOUT" "$test" </dev/null >"$log" 2>&1 ;;
	esac
	rc=$?
	folder_remove "$folder"
	took=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f s", b - a }')
	cases=$(grep -c '^\[       OK \]' "$log")
	[ "$cases" -gt 0 ] && took="$took, $cases cases"

	case $rc in
	0)
		report ok "$name" "($took)"
		return
		;;
	77)
		if [ -n "$SKIP_BPF" ]; then
			report skip "$name" "$(tail -n 1 "$log")"
			return
		fi
		report FAIL "$name" "skipped itself: $(tail -n 1 "$log") (allowed only with SKIP_BPF=1)"
		return
		;;
	124 | 137) report FAIL "$name" "no end after $TEST_TIMEOUT s; output:" ;;
	*) report FAIL "$name" "(exit status $rc, $took) output:" ;;
	esac
	# All of a short output; of a long one the end, where the reason usually is.
	[ "$(wc -l <"$log")" -gt 60 ] && echo "     | ... all of it is in $log"
	tail -n 60 "$log" | sed 's/^/     | /'
}

if [ $# -eq 0 ]; then
	echo "run.sh: no tests given; usage: BUILD=DIR tests/run.sh TEST..." >&2
	exit 2
fi
for test in "$@"; do
	run_one "$test"
done

[ "$failed" -gt 0 ] && printf 'failed: %s\n' "${failures[*]}"
if [ "$skipped" -gt 0 ]; then
	echo "$passed passed, $failed failed, $skipped skipped"
else
	echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
