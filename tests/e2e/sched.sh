#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# sched.sh - what qslog shows of files that were recorded with --sched, and of those that were not.
# (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

run 0 --sched -o "$dir/a.qslog" -- "$fixtures/sched" 2 nested
"$qslog" cat "$dir/a.qslog" >"$dir/plain"
"$qslog" cat --times "$dir/a.qslog" >"$dir/times"
"$qslog" cat --sched "$dir/a.qslog" >"$dir/sched"
has() { grep -Eq -- "$2" "$dir/$1" || fail "$1: no '$2': $(head -n 20 "$dir/$1")"; }
has times '<- nested [0-9.]+us \| cpu [0-9.]+us( \| .*)? \| clock_nanosleep [0-9.]+us 2x, woken by an interrupt'
has times '<- inner [0-9.]+us \| cpu [0-9.]+us( \| .*)? \| clock_nanosleep [0-9.]+us 1x, woken by '
grep -q '| cpu' "$dir/plain" && fail "times without --times"
# nothing else has changed
equal "lines without what --times adds" "$(sed 's/ | cpu .*//' "$dir/times" | cksum)" \
	"$(sed 's/ | cpu .*//' "$dir/plain" | cksum)"
has sched ' V sched \[-:0 -\] off the cpu [0-9.]+us: clock_nanosleep, woken by an interrupt, ready [0-9.]+us, to cpu [0-9]+$'
equal "records with --sched" "$(grep -cv ' off the cpu ' "$dir/sched")" "$(wc -l <"$dir/plain")"

"$qslog" cat --times --json "$dir/a.qslog" | grep '"name":"nested"' | grep '"span_exit"' >"$dir/json"
has json '"cpu_ns":[0-9]+,"off_ns":[0-9]+,"blocked_ns":[0-9]+,"ready_ns":[0-9]+,"preempted_ns":[0-9]+,"off_count":[0-9]+,"waits":\[.*\{"reason":"clock_nanosleep","syscall":"clock_nanosleep","by":"interrupt","ns":[0-9]+,"count":[0-9]+\}'
"$qslog" cat --sched --json "$dir/a.qslog" | grep '"kind":"off"' >"$dir/json"
has json '"off_ns":[0-9]+,"ready_ns":[0-9]+,"cpu":[0-9]+,"open":false,"reason":"clock_nanosleep"'

# Filters: the times of a span hang on what they leave out
"$qslog" cat --times --grep '^<- inner' "$dir/a.qslog" >"$dir/grep"
equal "lines of --grep" "$(wc -l <"$dir/grep")" 2
has grep 'clock_nanosleep'
since=$("$qslog" cat --json --grep '^<- inner' "$dir/a.qslog" | sed -n '1s/.*"time":"\([^"]*\)".*/\1/p')
"$qslog" cat --times --since "$since" "$dir/a.qslog" >"$dir/since"
has since '<- nested .* \| clock_nanosleep [0-9.]+us 2x'

"$qslog" stat "$dir/a.qslog" >"$dir/stat"
has stat '^ +TIMES +ON CPU +BLOCKED +READY PREEMPTED +CPU P50 +CPU P99 +OFF P50 +OFF P99 NAME +SITE$'
has stat '^ +2 +[0-9.]+[num]?s +[0-9]+% +[0-9.]+ms .* nested +sched\.c:[0-9]+ do_nested$'
has stat '^ +4x +[0-9.]+ms   clock_nanosleep, woken by an interrupt'
has stat '^ +SWITCHES +ON CPU '
"$qslog" stat --json "$dir/a.qslog" >"$dir/stat"
has stat '"times":\{"count":2,"incomplete":0,"cpu_ns":\{"min":[0-9]+,.*"waits":\[\{"reason":"'
has stat '"sched_lost":0,"threads":\[\{"pid":[0-9]+,"tid":[0-9]+,"switches":[0-9]+'
"$qslog" check "$dir/a.qslog" >/dev/null || fail "check: $?"

# Merged, it is the same
"$qslog" merge -o "$dir/m.qslog" "$dir/a.qslog" 2>"$dir/err" || fail "merge: $(cat "$dir/err")"
"$qslog" cat --sched "$dir/a.qslog" | sed 's/[0-9]us\>/us/g' >"$dir/a"
"$qslog" cat --sched "$dir/m.qslog" | sed 's/[0-9]us\>/us/g' >"$dir/m"
equal "lines of the merged file" "$(wc -l <"$dir/m")" "$(wc -l <"$dir/a")"
has m '<- nested .* \| clock_nanosleep [0-9.]+us 2x, woken by an interrupt'

# A span that is entered in one file and left in the next
app_start() { # FIXTURE ARGS...: until it is ready
	rm -f "$dir/say" "$dir/answer"
	mkfifo "$dir/say" "$dir/answer" || exit 1
	"$@" <"$dir/say" >"$dir/answer" 6<&- 7<&- &
	app=$!
	exec 5>"$dir/say" 6<"$dir/answer"
	read -r -t 20 _ <&6 || fail "$*: not ready"
}
app_end() {
	exec 5>&- 6<&-
	wait "$app"
	app=''
}
file_await() { # PATH
	local try
	for ((try = 0; try < 200; try++)); do
		[ -e "$1" ] && return 0
		read -r -t 0.05 <>"$dir/never"
	done
	fail "no $1"
}
app_start "$fixtures/sched" 1 held
tracer_start --sched -o "$dir/r.qslog" -p "$app" || finish
echo >&5
read -r -t 20 _ <&6
message_await "$dir/r.qslog" '^-> held' || fail "its entering is not in the file"
kill -HUP "$(pgrep -P "$tracer")"
file_await "$dir/r.000001.qslog"
echo >&5
app_end
tracer_end
"$qslog" cat --times "$dir/r.qslog" >"$dir/times"
has times '<- held [0-9.]+us \| cpu [0-9.]+us .*\| clock_nanosleep [0-9.]+us 2x'
# what it was off is what it did not use, by its own measure; the names of waits are of three files
"$qslog" cat --times --json "$dir/r.qslog" >"$dir/json"
awk -F'"cpu_ns":|,"off_ns"' '/"name":"held".*span_exit|span_exit.*"name":"held"/ { cpu = $2 }
	match($0, /"cpu":[0-9]+/) { own = substr($0, RSTART + 6, RLENGTH - 6) }
	END { exit !(cpu > 0 && own > 0 && cpu < own * 1.05 + 50000 && cpu > own * 0.95 - 50000) }' "$dir/json" ||
	fail "its time on the CPU is not what it measured: $(cat "$dir/json")"
"$qslog" stat "$dir/r.qslog" >"$dir/stat"
has stat '^ +2x +[0-9.]+ms   clock_nanosleep'
# alone, that file does not know when it was entered
mkdir "$dir/alone"
cp "$dir/r.qslog" "$dir/alone"
"$qslog" cat --times "$dir/alone/r.qslog" >"$dir/times"
has times '<- held '
grep -q '<- held .* | cpu' "$dir/times" && fail "times of a span whose entering is not there"

# Children, what they execute, and whoever runs a program: each has its intervals, from its start on
printf '"%s" 1 nested\n"%s" 1 sleep\ntrue\n' "$fixtures/sched" "$fixtures/sched" >"$dir/script"
run 0 --sched -f -o "$dir/f.qslog" -- sh "$dir/script"
err ' lost=0 '
"$qslog" cat --times "$dir/f.qslog" >"$dir/times"
has times '<- nested [0-9.]+us \| cpu .*\| clock_nanosleep [0-9.]+us 2x'
has times '<- sleep [0-9.]+us \| cpu .*\| clock_nanosleep [0-9.]+us 1x'
cp "$fixtures/sched" "$dir/prog"
tracer_start --sched --exe "$dir/prog" -o "$dir/e.qslog" || finish
"$dir/prog" 1 nested && "$dir/prog" 1 pipe
message_await "$dir/e.qslog" '^truth pipe' || fail "the second one is not in the file"
tracer_end INT
"$qslog" cat --times "$dir/e.qslog" >"$dir/times"
has times '<- nested [0-9.]+us \| cpu .*\| clock_nanosleep [0-9.]+us 2x'
has times '<- pipe [0-9.]+us \| cpu .*\| read [0-9.]+us 1x, woken by helper [0-9]+'
equal "processes" "$(awk '{ print $3 }' "$dir/times" | sort -u | wc -l)" 2

# When the rights to look into the kernel have gone: the programs go on, also those at the end
mkdir "$dir/nobody"
chown 65534 "$dir/nobody"
app_start "$fixtures/sched" 1 held
tracer_start --sched --drop-privs nobody -o "$dir/nobody/d.qslog" -p "$app" || finish
echo >&5
read -r -t 20 _ <&6
echo >&5
message_await "$dir/nobody/d.qslog" '^truth held' || fail "the span is not in the file"
tracer_end INT
app_end
equal "exit status" "$status" 0
err ' lost=0 '
"$qslog" cat --times "$dir/nobody/d.qslog" >"$dir/times"
has times '<- held [0-9.]+us \| cpu .*\| clock_nanosleep [0-9.]+us 2x'

# Where block devices and page faults are waited for is told apart; how often depends on the machine
run 0 --sched -o "$dir/io.qslog" -- "$fixtures/sched" 1 disk "$dir/disk"
"$qslog" cat --times "$dir/io.qslog" >"$dir/times"
if grep -q "^/dev/" <(df --output=source "$dir" | tail -n 1); then
	has times '<- disk [0-9.]+us \| cpu .*\| pread64 io [0-9.]+us [0-9]+x'
	has times '<- fault [0-9.]+us \| cpu .*\| page fault io [0-9.]+us [0-9]+x'
fi

# A file without says so, and is shown all the same
run 0 -o "$dir/b.qslog" -- "$fixtures/sched" 1 burn
"$qslog" cat --times "$dir/b.qslog" >"$dir/times" 2>"$dir/err"
err 'b\.qslog: no scheduler events in it.*--sched'
equal "lines of a file without" "$(wc -l <"$dir/times")" 3
finish
