#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# follow.sh - -f: what a process starts, and what it becomes, is in the same file, each process
# under its own id and from its first record on. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

by_process() { # FILE: "PID RECORDS" of each process
	"$qslog" cat "$1" | awk '{ n[$3]++ } END { for (pid in n) print pid, n[pid] }' | sort -n
}

# Trees of processes, from a command.
for how in fork clone exec spawn; do
	run 0 -f -o "$dir/$how.qslog" -- "$fixtures/forker" "$how" 3 3 50
	err '^records=2000 lost=0 ' # 40 processes
	equal "processes by $how" "$(by_process "$dir/$how.qslog" | awk '$2 == 50' | wc -l)" 40
	"$qslog" check "$dir/$how.qslog" >/dev/null || fail "qslog check $how"
done

# Without -f the children are nobody's.
run 0 -o "$dir/alone.qslog" -- "$fixtures/forker" fork 3 3 50
err '^records=50 lost=0 '

# A shell has no sites; the programs that it starts do, and were never seen before.
cp "$fixtures/workload" "$dir/app1"
cp "$fixtures/workload" "$dir/app2"
cat >"$dir/script" <<EOF
"$dir/app1" -s "$dir/shared1" -n 100 &
"$dir/app2" -s "$dir/shared2" -n 200 -e _exit
wait
true
exec "$dir/app1" -s "$dir/shared3" -n 300 -e kill
EOF
run 0 -f -o "$dir/shell.qslog" -- sh "$dir/script"
err '^records=600 lost=0 '
equal "processes of a shell" "$(by_process "$dir/shell.qslog" | awk '{ print $2 }' | sort -n | tr '\n' ' ')" \
	"100 200 300 "

# From a running one: what it forks from now on, and after its own end.
speaker_start 1 speaker
tracer_start -f -p "$app" -o "$dir/running.qslog" || finish
say i "parent"
say k
equal "child" "$answer" "child 7"
speaker_end
tracer_end
equal "exit status" "$status" 0
equal "messages" "$(messages "$dir/running.qslog" | tr '\n' ';')" "I speaker parent;I speaker child;"
finish
