#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# doctor.sh - --check says what works here and what does not, and its exit status is the sum; what
# is degraded is announced at a normal start too. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

cp "$trace" "$dir"
chmod 755 "$dir/qslog-trace"
out() { grep -Eq -- "$1" "$dir/out" || fail "$what: no '$1' in: $(cat "$dir/out")"; }
check_as() { # STATUS COMMAND...: runs --check by it
	local want=$1 got
	shift
	what="$* --check"
	timeout 60 "$@" "$dir/qslog-trace" --check >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	[ "$got" -eq "$want" ] || fail "$what: exit status $got, not $want: $(cat "$dir/out" "$dir/err")"
	[ -s "$dir/err" ] && fail "$what: on standard error: $(cat "$dir/err")"
}
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

check_as 0 env
out '^qslog-trace .* on Linux [0-9]'
for feature in BTF 'ring buffer' bpf_loop 'task iterator' 'uprobes by perf event' 'BPF programs'; do
	out "^  ok    $feature "
done
out '^kernel mode works here$'
# What a start takes. (Loops in loops, each state of one with each of the other, were 1,270,000.)
verified=$(sed -n 's/.* loaded: \([0-9]*\) instructions verified$/\1/p' "$dir/out")
[ "${verified:-0}" -lt 250000 ] || fail "the verifier went through $verified instructions"
grep -q '^  no' "$dir/out" && fail "root: $(cat "$dir/out")"

check_as 1 "${nobody[@]}"
out '^  no    CAP_BPF +missing'
out '^  no    CAP_PERFMON +missing'
out '^  no    BPF programs +.*CAP_BPF is missing'
out '^kernel mode does not work here; in-process mode does'

if timeout 20 "$trace" --check | grep -q '^  ok    uprobes by multi link'; then
	check_as 0 "${nobody[@]}" --inh-caps=-all,+bpf,+perfmon --ambient-caps=-all,+bpf,+perfmon
	out '^  less  CAP_SYS_PTRACE +missing: only processes of this user'
	out '^  less  uprobes by perf event +.*CAP_SYS_ADMIN'
	out '^  ok    uprobes by multi link'
	out '^kernel mode works here$'
fi
check_as 1 unshare --pid --fork --mount-proc
out '^  no    PID namespace'
unshare --pid --fork --mount-proc "$trace" -p 1 -o "$dir/x.qslog" 2>"$dir/err" &&
	fail "traced in a PID namespace"
err 'not the first PID namespace'

# A kernel without the exit tracepoint and without tracefs: degraded, and said so at the start.
export QSLOG_TRACE_HARVEST=signal-only
check_as 0 env
out '^  less  end of processes +signal_deliver only'
out '-> .*tracefs'
speaker_start 1 speaker
tracer_start -p "$app" -o "$dir/a.qslog" || finish
err 'note: .*may be lost.*--check'
say i "degraded"
tracer_end INT
err '^records=1 lost=0 '
speaker_end
finish
