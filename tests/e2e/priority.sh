#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# priority.sh - the tracer's nice value reaches beyond its session, where that is its own, and is
# given back. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

# In a new session: $1 is a command that is run before the tracer, the rest are its arguments. Prints the
# nice values of the session before, while it is attached, and afterwards, and that of the tracer.
cat >"$dir/session" <<'EOF'
trace=$1 first=$2
shift 2
group_nice() { sed 's/.*nice //' /proc/self/autogroup; }
before=$(group_nice)
eval "$first"
coproc tracer { exec "$trace" "$@" 2>&1; }
exec 8<&"${tracer[0]}"
while read -r line <&8; do
	case $line in
	*attached*)
		echo "before=$before during=$(group_nice) own=$(ps -o ni= -p "$tracer_PID" | tr -d ' ')"
		kill -INT "$tracer_PID" ;;
	*session\ only*) echo "note" ;;
	esac
done
wait "$tracer_PID"
echo "after=$(group_nice)"
EOF
in_session() { # FIRST ARGS...
	timeout 60 setsid -w bash "$dir/session" "$trace" "$@" >"$dir/said" 2>"$dir/err" ||
		fail "the session: $(cat "$dir/err")"
}

speaker_start 1 speaker
in_session : -v -p "$app" -o "$dir/x.qslog"
if [ "$(cat /proc/sys/kernel/sched_autogroup_enabled 2>/dev/null)" = 1 ]; then
	equal "a session of its own" "$(cat "$dir/said")" "before=0 during=-15 own=-15
after=0"
	in_session : --nice 0 -p "$app" -o "$dir/x.qslog"
	equal "--nice 0" "$(cat "$dir/said")" "before=0 during=0 own=0
after=0"
	# somebody else is in it: a copy, that has nothing else to inherit
	in_session "cat '$dir/never' >/dev/null & "'trap "kill $!" EXIT; ' -v -p "$app" -o "$dir/x.qslog" </dev/null
	equal "a session with others" "$(cat "$dir/said")" "note
before=0 during=0 own=-15
after=0"
	"$trace" --check | grep -q '^  less  priority' || fail "--check does not say that sessions are grouped"
else
	grep -q 'own=-15$' "$dir/said" || fail "the nice value: $(cat "$dir/said")"
	"$trace" --check | grep -q '^  ok    priority' || fail "--check"
fi
speaker_end
finish
