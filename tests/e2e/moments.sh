#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# moments.sh - processes that become something else, or come, at the very moment at which the tracer
# looks at them, cannot look, or ends. The tracer is stopped at such a moment, and goes on when it
# has passed. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

wait_for() { # COMMAND...: until it succeeds; some seconds at most
	local try
	for ((try = 0; try < 2000; try++)); do
		"$@" >/dev/null 2>&1 && return 0
		read -r -t 0.01 <>"$dir/never"
	done
	fail "waited in vain for: $*"
	return 1
}
state_is() { grep -q "^State:	$2" "/proc/$1/status"; }
said() { grep -q "$1" "$dir/err"; }
program_is() { [ "$(readlink "/proc/$1/exe")" = "$(readlink -f "$2")" ]; }
has_open() { readlink "/proc/$1/fd/"* | grep -qx "$2"; }
tracer_begin() { # ARGS...: starts it, and does not wait
	: >"$dir/err"
	"$trace" -v "$@" >"$dir/out" 2>"$dir/err" 5>&- 6<&- &
	tracer=$!
}
tracer_await_end() {
	wait "$tracer"
	equal "exit status of the tracer" $? 0
	tracer=''
}
tracer_stop() { kill -STOP "$tracer" && wait_for state_is "$tracer" T; }
tracer_go_on() { kill -CONT "$tracer"; }

# One that is given by its id executes its program between the first look at it and the attach.
mkfifo "$dir/say.become" "$dir/answer.become" "$dir/go"
sh -c "read -r line; exec '$fixtures/speaker' <'$dir/say.become'" <>"$dir/go" >"$dir/answer.become" &
app=$!
exec 6<"$dir/answer.become"
wait_for program_is "$app" "$(command -v sh)"
tracer_begin -f -p "$app" -o "$dir/become.qslog"
wait_for has_open "$tracer" "anon_inode:bpf-map" # it has looked, and has not attached
tracer_stop
echo >"$dir/go"
exec 5>"$dir/say.become"
say s
equal "semaphores while the tracer stands still" "$answer" "semaphores 0 0 0 0 0 0 0"
tracer_go_on
wait_for said attached
say i "parent"
say K
equal "child" "$answer" "child 137"
speaker_end
tracer_await_end
equal "one that became another" "$(messages "$dir/become.qslog" | tr '\n' ';')" "I speaker parent;I speaker child;"

# What a process of --exe that ran before forks, and what says nothing by itself before its end.
speaker_start 1 speaker
wait_for program_is "$app" "$fixtures/speaker"
tracer_start --exe "$fixtures/speaker" -o "$dir/child.qslog" || finish
say K
equal "child" "$answer" "child 137"
speaker_end
tracer_end INT
equal "a child of one that ran before" "$(messages "$dir/child.qslog")" "I speaker child"

# Programs that were never seen, while the tracer stands still: the first waits for it. Then there is
# no room to say that one was stopped: so it is not.
for name in known new newer last; do
	cp "$fixtures/workload" "$dir/$name"
done
mkfifo "$dir/one" "$dir/two" "$dir/three" "$dir/four" "$dir/five"
cat >"$dir/script" <<EOF
"$dir/known" -s "$dir/shared" -n 10 -e _exit
echo >"$dir/one"
read -r line <"$dir/two"
"$dir/new" -s "$dir/shared.new" -n 10 -e _exit
echo >"$dir/three"
read -r line <"$dir/four"
for n in 20001 20002 20003 20004 $(seq -s ' ' 60); do # no other program: it would be held
	"$dir/known" -s "$dir/shared.\$n" -n \$n -e kill
done 2>/dev/null
"$dir/newer" -s "$dir/shared.newer" -n 10 -e _exit
echo >"$dir/five"
EOF
stopped() { # PROGRAM: is there a process of it that is stopped?
	local process
	for process in /proc/[0-9]*; do
		program_is "${process#/proc/}" "$1" && state_is "${process#/proc/}" T && return 0
	done
	return 1
}
await() { timeout 20 cat "$1" >/dev/null || fail "$2"; }
tracer_begin -f --ring-size 1M -o "$dir/held.qslog" -- sh "$dir/script"
await "$dir/one" "the first program has not ended"
tracer_stop
echo >"$dir/two"
wait_for stopped "$dir/new"
tracer_go_on
await "$dir/three" "one that was held has not ended"
tracer_stop
echo >"$dir/four"
await "$dir/five" "one of which nothing could be said is held"
tracer_go_on
tracer_await_end
err 'full for news of a process'
equal "processes with all records before the ring buffer was full" \
	"$("$qslog" cat "$dir/held.qslog" | awk '{ n[$3]++ } END { for (p in n) c += n[p] == 10; print (c > 1) }')" 1

# The tracer is asked to end while somebody is held.
cat >"$dir/script" <<EOF
read -r line <"$dir/two"
exec "$dir/last" -s "$dir/shared.last" -n 10 -e _exit
EOF
sh "$dir/script" &
app=$!
wait_for program_is "$app" "$(command -v sh)"
tracer_begin -f -p "$app" -o "$dir/end.qslog"
wait_for said attached
tracer_stop
echo >"$dir/two"
wait_for state_is "$app" T
kill -INT "$tracer"
tracer_go_on
wait "$app"
equal "exit status of one that was held at the end" $? 0
app=''
tracer_await_end
finish
