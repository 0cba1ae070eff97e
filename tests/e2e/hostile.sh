#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# hostile.sh - a process that forges everything that the tracer reads is traced beside an honest one: the
# tracer neither crashes nor hangs nor grows, the file is whole, and the honest one's records are all
# there. SEED and ROUNDS can be given. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

seed=${SEED:-$(($(date +%s) % 100000))}
rounds=${ROUNDS:-2}
liar=''
trap '[ -n "$liar" ] && kill -KILL "$liar" 2>/dev/null; clean_up' EXIT

round() { # SEED
	local i pid peak file=$dir/h$1.qslog
	echo "seed $1"
	speaker_start "$1" speaker
	mkfifo "$dir/liar.$1"
	"$fixtures/hostile" "$1" "$fixtures/libhostile.so" >"$dir/liar.$1" 2>"$dir/liar.err" 5>&- 6<&- &
	liar=$!
	exec 8<"$dir/liar.$1"
	read -r -t 20 _ <&8 || fail "the hostile process is not ready: $(cat "$dir/liar.err")"
	if ! tracer_start -v -p "$app" -p "$liar" -o "$file"; then
		kill -KILL "$liar"
		return
	fi
	pid=$(cat "/proc/$tracer/task/$tracer/children")
	read -r -t 20 _ <&8 || fail "the hostile process is gone: $(cat "$dir/liar.err")"
	for ((i = 0; i < 40; i++)); do
		say n 500
		read -r -t 0.05 <>"$dir/never"
	done
	[ -e "/proc/$liar" ] || fail "the hostile process has ended by itself"
	kill -KILL "$liar"
	wait "$liar" 2>/dev/null
	liar=''
	exec 8<&-
	say n 500
	peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/${pid%% *}/status")
	echo "peak memory of the tracer: ${peak:-?} KiB"
	[ "${peak:-999999999}" -lt 400000 ] || fail "seed $1: the tracer took ${peak:-?} KiB"
	i=$app
	speaker_end
	tracer_end
	equal "seed $1: exit status" "$status" 0
	"$qslog" check "$file" >"$dir/out" 2>&1 || fail "seed $1: the file is damaged: $(cat "$dir/out")"
	"$qslog" cat "$file" >"$dir/text" 2>"$dir/err.cat" || fail "seed $1: cat: $(cat "$dir/err.cat")"
	equal "seed $1: records of the honest process" \
		"$(grep -Ec "^[^ ]+ [^ ]+ $i [0-9]+ I speaker \[[^]]*speaker\.c:[0-9]+ [a-z_]+\] [0-9]+$" "$dir/text")" 20500
	equal "seed $1: its losses" "$(grep -E "^[^ ]+ [^ ]+ $i " "$dir/text" | grep -c 'lost')" 0
	grep -qP '\x1b' "$dir/text" && fail "seed $1: an escape sequence came through"
	grep -E " times: |damaged in the process|^qslog-trace: lost" "$dir/err" | tail -n 12
	# What it claims to have lost must not run over, and hide what others lose.
	lost=$(sed -n 's/^records=[0-9]* lost=\([0-9]*\) .*/\1/p' "$dir/err")
	[ "${#lost}" -lt 16 ] || fail "seed $1: lost=$lost"
	echo "$(wc -c <"$file") bytes, $(wc -l <"$dir/text") lines; $(grep '^records=' "$dir/err")"
}
for ((r = 0; r < rounds; r++)); do round $((seed + r)); done
finish
