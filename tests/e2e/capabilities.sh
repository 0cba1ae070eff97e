#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# capabilities.sh - the tracer as a user with single capabilities: what is missing is named, what is
# there suffices, by the one way to attach and by the other. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

# The build may lie where nobody may look.
cp "$trace" "$fixtures/speaker" "$dir"
chmod 1777 "$dir"
trace=$dir/qslog-trace
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
capabilities() { # NAME,NAME...: sets `as`
	local list=+${1//,/,+}
	as=("${nobody[@]}" "--inh-caps=-all,$list" "--ambient-caps=-all,$list")
}
run_as() { # STATUS CAPABILITIES ARGS...
	local want=$1 got
	capabilities "$2"
	what="qslog-trace with $2"
	shift 2
	timeout --foreground -k 5 60 "${as[@]}" "$trace" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	[ "$got" -eq "$want" ] || fail "$what: exit status $got, not $want: $(cat "$dir/err")"
}
tracer_start_as() { # CAPABILITIES ARGS...
	capabilities "$1"
	shift
	printf '#!/bin/sh\nexec %s "$@"\n' "${as[*]} $dir/qslog-trace" >"$dir/as"
	chmod 755 "$dir/as"
	trace=$dir/as
	tracer_start "$@"
	local rc=$?
	trace=$dir/qslog-trace
	return $rc
}
traced() { # WHAT: the program says a line; it and no other is in the file
	say s
	equal "semaphores, $1" "$answer" "semaphores 1 1 1 1 1 1 1"
	say i "line of $1"
	say n 3000
	tracer_end INT
	equal "exit status, $1" "$status" 0
	err '^records=3001 lost=0 '
	equal "line, $1" "$(message_cnt "$dir/x.qslog" "line of $1")" 1
	say s
	equal "semaphores after it, $1" "$answer" "semaphores 0 0 0 0 0 0 0"
	rm -f "$dir"/x.qslog*
}

# On kernels before 6.10 there is one way only.
multi=1
"$trace" --check | grep -q '^  ok    uprobes by multi link' || multi=''

# a process of the user's own
fixtures_before=$fixtures
printf '#!/bin/sh\nexec %s %s\n' "${nobody[*]}" "$dir/speaker" >"$dir/mine"
chmod 755 "$dir/mine"
fixtures=$dir
speaker_start 1 mine
say s # it runs
own=$app
run_as 1 bpf -p "$own" -o "$dir/x.qslog"; err 'capability CAP_PERFMON is missing.*sudo'
run_as 1 perfmon -p "$own" -o "$dir/x.qslog"; err 'capability CAP_BPF is missing.*sudo'
QSLOG_TRACE_ATTACH=perf run_as 1 bpf,perfmon -p "$own" -o "$dir/x.qslog"
err 'CAP_SYS_ADMIN is missing.*sudo'
[ -e "$dir/x.qslog" ] && fail "an output was left behind"
say s
equal "semaphores after failures" "$answer" "semaphores 0 0 0 0 0 0 0"
if [ "$multi" ]; then
	tracer_start_as bpf,perfmon -p "$own" -o "$dir/x.qslog" && traced "bpf, perfmon, own process"
fi
speaker_end

# somebody else's
fixtures=$fixtures_before
speaker_start 2 speaker
run_as 1 sys_admin -p "$app" -o "$dir/x.qslog"
err "process $app may not be looked at.*capability CAP_SYS_PTRACE is missing.*sudo"
[ "$multi" ] && tracer_start_as bpf,perfmon,sys_ptrace -p "$app" -o "$dir/x.qslog" &&
	traced "bpf, perfmon, sys_ptrace, other's process"
tracer_start_as sys_admin,sys_ptrace -p "$app" -o "$dir/x.qslog" &&
	traced "sys_admin, sys_ptrace, other's process"
# the way of older kernels
export QSLOG_TRACE_ATTACH=perf
tracer_start_as sys_admin,sys_ptrace -p "$app" -o "$dir/x.qslog" &&
	traced "sys_admin, sys_ptrace, perf_event_open"
tracer_start -p "$app" -o "$dir/x.qslog" && traced "root, perf_event_open"
unset QSLOG_TRACE_ATTACH
speaker_end

# What is started by it gets none of its capabilities.
mkfifo "$dir/say.3"
exec 5<>"$dir/say.3"
if [ "$multi" ]; then
	capabilities bpf,perfmon
	wanted=c000000000
else
	capabilities sys_admin
	wanted=200000
fi
"${as[@]}" "$trace" -o "$dir/x.qslog" -- "$dir/speaker" <"$dir/say.3" >"$dir/out" 2>"$dir/err" 5>&- &
tracer=$!
echo s >&5
for ((try = 0; try < 400; try++)); do
	grep -q semaphores "$dir/out" && break
	read -r -t 0.05 <>"$dir/never"
done
grep -q 'semaphores 1 1 1 1 1 1 1' "$dir/out" || fail "started: $(cat "$dir/out" "$dir/err")"
child=$(cat "/proc/$tracer/task/$tracer/children")
equal "capabilities of the tracer" "$(sed -n 's/^CapEff:\t0*//p' "/proc/$tracer/status")" "$wanted"
equal "capabilities of what it started" "$(sed -n 's/^CapEff:\t0*//p' "/proc/${child% }/status")" ""
echo i "started without rights" >&5
exec 5>&- # its end
wait "$tracer"
tracer=''
equal "line of what was started" "$(message_cnt "$dir/x.qslog" 'started without rights')" 1
finish
