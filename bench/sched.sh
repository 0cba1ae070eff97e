#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# sched.sh - nanoseconds that --sched adds to a switch between threads: of those that are traced, and
# of all others on the machine. Rounds of: without, traced without --sched, another process traced
# with it, traced with it. Medians over the rounds; what is added, against the same round. To be run by itself, as root, after `make`.
set -euo pipefail

cd "$(dirname "$0")/.."
BUILD=${BUILD:-$PWD/build}
rounds=${ROUNDS:-7}
dir=$(mktemp -d)
"${CC:-cc}" -O2 -Iusdt -o "$dir/turns" bench/sched/turns.c usdt/qslog_runtime.c -lpthread
pids=()
clean_up() {
	kill "${pids[@]}" 2>/dev/null || true
	rm -rf "$dir"
}
trap clean_up EXIT

start() { # NAME: a program that takes turns, its streams are in/out.NAME
	mkfifo "$dir/in.$1" "$dir/out.$1"
	"$dir/turns" "${TURNS:-3000}" "${RUNS:-25}" <"$dir/in.$1" >"$dir/out.$1" &
	pids+=($!)
}
start a
a=$!
exec 5>"$dir/in.a" 6<"$dir/out.a"
read -r _ <&6
start b
b=$!
exec 7>"$dir/in.b" 8<"$dir/out.b"
read -r _ <&8

measure() { # WHAT [TRACER ARGS...]
	local what=$1 tracer='' line
	shift
	if [ $# -gt 0 ]; then
		rm -f "$dir/err"
		mkfifo "$dir/err"
		"$BUILD/qslog-trace" -o "$dir/file.qslog" "$@" 5>&- 6<&- 7>&- 8<&- 2>"$dir/err" &
		tracer=$!
		exec 9<"$dir/err"
		while read -r line <&9 && [[ $line != *attached* ]]; do :; done
	fi
	echo go >&5
	read -r line <&6
	echo "$what $line" >>"$dir/results"
	if [ -n "$tracer" ]; then
		kill -INT "$tracer"
		cat <&9 >"$dir/said"
		exec 9<&-
		wait "$tracer"
		grep -q 'scheduler events' "$dir/said" && echo "sched: events were lost: $(cat "$dir/said")" >&2
	fi
	return 0
}

for ((i = 0; i < rounds; i++)); do
	measure without
	measure traced -p "$a"
	measure others --sched -p "$b"
	measure sched --sched -p "$a"
done
median() { sort -n | awk '{ v[NR] = $1 } END { printf "%.1f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
range() { sort -n | awk 'NR == 1 { a = $1 } { b = $1 } END { printf "%.1f to %.1f", a, b }'; }
of() { awk -v w="$1" '$1 == w { print $2 }' "$dir/results"; }
added() { paste <(of "$1") <(of without) | awk '{ print $1 - $2 }'; } # in the same round

printf '%s; Linux %s; %s; %s rounds\n' "$("$BUILD/qslog-trace" --version)" "$(uname -r)" \
	"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors" "$rounds"
printf '%-40s %9s  %-20s %9s  %s\n' "a switch between two threads, ns" median "(range)" added "(range)"
for what in without traced others sched; do
	case $what in
	without) text="no tracer" ;;
	traced) text="traced without --sched" ;;
	others) text="another process traced with --sched" ;;
	*) text="traced with --sched" ;;
	esac
	printf '%-40s %9s  %-20s' "$text" "$(of $what | median)" "($(of $what | range))"
	[ $what = without ] || printf ' %9s  %s' "$(added $what | median)" "($(added $what | range))"
	echo
done
for what in without traced others sched; do
	printf 'result: bench=sched mode=%s ns_per_switch=%s added_ns=%s rounds=%s\n' $what "$(of $what | median)" \
		"$(added $what | median)" "$rounds"
done
