#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# processes.sh - several processes in one file: each under its own id, those that end are accounted
# for while the others go on, and the tracer ends with the last. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

pids=()
kill_all() {
	[ ${#pids[@]} -gt 0 ] && kill -KILL "${pids[@]}" 2>/dev/null
	clean_up
}
trap kill_all EXIT

# --- -p with lists and repeated: the processes end one after the other.
for i in 1 2 3 4 5; do
	mkfifo "$dir/go.$i"
	"$fixtures/workload" -s "$dir/shared.$i" -t 2 -n $((i * 1000)) -e join -w \
		<"$dir/go.$i" >"$dir/ready.$i" &
	pids+=($!)
	eval "exec $((10 + i))>'$dir/go.$i'"
done
list=$(IFS=,; echo "${pids[*]:1}")
tracer_start -p "${pids[0]}" -p "$list" -o "$dir/many.qslog" || finish
for i in 1 2 3 4 5; do
	eval "echo go >&$((10 + i)); exec $((10 + i))>&-"
	wait "${pids[i - 1]}"
	equal "exit status of process $i" $? 0
	[ "$i" -lt 5 ] && { kill -0 "$tracer" || fail "the tracer has ended with process $i"; }
done
tracer_end
equal "exit status" "$status" 0
err '^records=30000 lost=0 '
err 'all processes have ended'
"$qslog" cat "$dir/many.qslog" | awk '{ n[$3]++ } END { for (pid in n) print pid, n[pid] }' | sort -n >"$dir/got"
for i in 1 2 3 4 5; do echo "${pids[i - 1]} $((i * 2000))"; done | sort -n >"$dir/wanted"
diff "$dir/wanted" "$dir/got" || fail "records by process"
"$qslog" check "$dir/many.qslog" || fail "qslog check"
pids=()

# --- One that is none of ours, or not there, is an error before anything begins.
speaker_start 1 speaker
run 1 -p "$app,$$" -o "$dir/none.qslog"
err "process $$ .*has no qslog sites"
run 1 -p "$app" -p 4194304 -o "$dir/none.qslog"
err 'no process with id 4194304'
say s
equal "semaphores after errors" "$answer" "semaphores 0 0 0 0 0 0 0"
# The same one twice is one.
tracer_start -p "$app,$app" -p "$app" -o "$dir/twice.qslog" || finish
say i "once"
tracer_end INT
err '^records=1 lost=0 '
speaker_end
finish
