#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# exe.sh - --exe: all processes that run a program, those that run already and those that come and
# go, from the first record to the last; and nobody else. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

by_process() { # FILE: "PID RECORDS" of each process
	"$qslog" cat "$1" | awk '{ n[$3]++ } END { for (pid in n) print pid, n[pid] }' | sort -n
}
# COUNT ARGS...: that many in a row, ten at once; their "PID WANTED" are added to $dir/wanted
many() {
	local count=$1 pids=() i
	shift
	for ((i = 0; i < count; i++)); do
		"$app_path" -s "$dir/shared.$((i % 10))" -n 100 "$@" &
		pids+=($!)
		echo "$! 100" >>"$dir/wanted"
		if [ ${#pids[@]} -eq 10 ]; then
			wait "${pids[@]}" 2>/dev/null
			pids=()
			rm -f "$dir"/shared.*
		fi
	done
}
mkfifo "$dir/never.too"
app_path=$dir/app
cp "$fixtures/workload" "$app_path"
: >"$dir/wanted"

# One that runs already, one that is another program with the same probes, and 200 short ones that
# end in every way.
"$app_path" -s "$dir/before" -n 100 -e wait -w <"$dir/never" >"$dir/before.out" &
before=$!
speaker_start 1 speaker
tracer_start --exe "$app_path" -o "$dir/exe.qslog" || finish
many 50
many 50 -e _exit
many 50 -e kill 2>/dev/null
many 50 -e segv 2>/dev/null
say i "not mine"
say s
equal "semaphores of another program" "$answer" "semaphores 0 0 0 0 0 0 0"
echo go >"$dir/never"
for ((try = 0; try < 200; try++)); do
	[ -n "$(by_process "$dir/exe.qslog" 2>/dev/null | grep -x "$before 100")" ] && break
	read -r -t 0.05 <>"$dir/never.too"
done
[ $try -lt 200 ] || fail "the one that ran before is not traced"
kill -0 "$tracer" || fail "the tracer has ended"
echo "$before 100" >>"$dir/wanted"
tracer_end INT
equal "exit status" "$status" 0
err '^records=20100 lost=0 '
by_process "$dir/exe.qslog" >"$dir/got"
sort -n "$dir/wanted" | diff - "$dir/got" >"$dir/diff" || fail "records by process: $(head -n 5 "$dir/diff")"
"$qslog" check "$dir/exe.qslog" || fail "qslog check"
kill -KILL "$before"
wait "$before" 2>/dev/null

# A program's forked children run it too, however they were made; and nothing is left behind.
for how in fork clone exec spawn; do
	tracer_start --exe "$fixtures/forker" -o "$dir/$how.qslog" || finish
	"$fixtures/forker" "$how" 2 3 50 2>/dev/null
	tracer_end INT
	err '^records=650 lost=0 ' # 13 processes
	equal "processes by $how" "$(by_process "$dir/$how.qslog" | awk '$2 == 50' | wc -l)" 13
done
# The name gets another file: that one is the program from then on.
tracer_start --exe "$app_path" -o "$dir/replaced.qslog" || finish
cp "$fixtures/workload" "$dir/new" && mv "$dir/new" "$app_path"
: >"$dir/wanted"
many 10
# And again, while the tracer does not get to anything: its processes wait for it, also those of a
# service manager (a session of their own).
kill -STOP "$(cat "/proc/$tracer/task/$tracer/children")"
cp "$fixtures/workload" "$dir/new" && mv "$dir/new" "$app_path"
"$app_path" -s "$dir/shared.1" -n 100 &
held=($!)
# the shell's child is a group's leader under job control only, so this is the program's process
setsid "$app_path" -s "$dir/shared.2" -n 100 &
held+=($!)
for pid in "${held[@]}"; do
	echo "$pid 100" >>"$dir/wanted"
	until grep -q '^State:.T' "/proc/$pid/status"; do
		[ -d "/proc/$pid" ] || { fail "process $pid did not wait"; break; }
	done
done
kill -CONT "$(cat "/proc/$tracer/task/$tracer/children")"
wait "${held[@]}"
rm -f "$app_path"
tracer_end INT
by_process "$dir/replaced.qslog" >"$dir/got"
sort -n "$dir/wanted" | diff - "$dir/got" >"$dir/diff" || fail "a replaced program: $(head -n 5 "$dir/diff")"
speaker_end

# What cannot be
run 1 --exe "$dir/missing" -o "$dir/x.qslog"; err 'missing: No such file'
run 1 --exe "$dir" -o "$dir/x.qslog"; err 'is not a program'
run 1 --exe tests/run.sh -o "$dir/x.qslog"; err 'of a script, give the interpreter'
run 2 --exe "$fixtures/speaker" -- true; err 'not both'
run 2 -f; err 'needs a process'
finish
