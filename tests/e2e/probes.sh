#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# probes.sh - the probes are ordinary USDT probes: other tools see them and can use them. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

wanted='batch level_d level_e level_f level_i level_v level_w module record'
readelf -n "$fixtures/speaker" >"$dir/notes"
got=$(awk '/Provider: qslog/ { take = 1; next } take && /Name:/ { print $2; take = 0 }' "$dir/notes" |
	sort -u | tr '\n' ' ')
equal "probes that readelf shows" "${got% }" "$wanted"
grep -A1 'Name: record' "$dir/notes" | grep -q 'Semaphore: 0x0*[1-9a-f]' || fail "record has no semaphore"

if command -v bpftrace >/dev/null; then
	got=$(timeout 30 bpftrace -l "usdt:$fixtures/speaker:qslog:*" | sed 's/.*://' | sort -u | tr '\n' ' ')
	equal "probes that bpftrace shows" "${got% }" "$wanted"

	# Counts records by level, reads the format: attached while the program runs.
	speaker_start 1 speaker
	cat >"$dir/count.bt" <<TRACE
BEGIN { printf("ready\n"); }
usdt:$fixtures/speaker:qslog:record { @level[arg3] = count(); @format[str(arg0)] = count(); }
TRACE
	mkfifo "$dir/bt"
	timeout --foreground -k 5 60 bpftrace -p "$app" "$dir/count.bt" >"$dir/bt" 2>"$dir/bt.err" 5>&- 6<&- &
	tracer=$!
	exec 7<"$dir/bt"
	: >"$dir/bt.out"
	while read -r -t 40 line <&7; do
		[ "$line" = ready ] && break
		echo "$line" >>"$dir/bt.out"
	done
	# Nobody records while no level is on: the tracer's part.
	"$trace" -p "$app" -o "$dir/a.qslog" 2>"$dir/trace.err" 5>&- 6<&- &
	other=$!
	: >>"$dir/trace.err"
	for ((try = 0; try < 400; try++)); do
		grep -q attached "$dir/trace.err" && break
		read -r -t 0.05 <>"$dir/never"
	done
	for ((i = 0; i < 5; i++)); do say w "five warnings"; done
	for ((i = 0; i < 3; i++)); do say n 1; done
	kill -INT "$other"
	wait "$other" || fail "the tracer beside bpftrace: $(cat "$dir/trace.err")"
	kill -INT "$tracer"
	timeout 30 cat <&7 >>"$dir/bt.out"
	exec 7<&-
	wait "$tracer"
	tracer=''
	grep -qx '@level\[3\]: 5' "$dir/bt.out" || fail "bpftrace: $(cat "$dir/bt.out" "$dir/bt.err")"
	grep -qx '@level\[2\]: 3' "$dir/bt.out" || fail "bpftrace: $(cat "$dir/bt.out" "$dir/bt.err")"
	grep -qx '@format\[{number}\]: 3' "$dir/bt.out" || fail "bpftrace: $(cat "$dir/bt.out" "$dir/bt.err")"
	speaker_end
else
	echo "bpftrace is not installed: only readelf was asked"
fi
finish
