#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# probes.sh - the probes are ordinary USDT probes: other tools see them and can use them. The commands of
# docs/probes.md are run as they are there, but for ./app and PID. (needs-bpf)
set -uo pipefail

# perf wants tracefs, and keeps what it learns about files under HOME.
if [ -z "${PROBES_INSIDE:-}" ]; then
	export PROBES_INSIDE=1
	exec unshare --mount bash "$0"
fi
[ -e /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing || exit 1
. "$(dirname "$0")/lib.sh"
export HOME=$dir

wanted='batch level_d level_e level_f level_i level_v level_w module record'
readelf -n "$fixtures/speaker" >"$dir/notes"
got=$(awk '/Provider: qslog/ { take = 1; next } take && /Name:/ { print $2; take = 0 }' "$dir/notes" |
	sort -u | tr '\n' ' ')
equal "probes that readelf shows" "${got% }" "$wanted"
grep -A1 'Name: record' "$dir/notes" | grep -q 'Semaphore: 0x0*[1-9a-f]' || fail "record has no semaphore"

mkdir "$dir/work"
cp "$fixtures/speaker" "$dir/work/app"
fixtures=$dir/work
speaker_start 1 app

command_of() { # SECTION N: the Nth command of the section, ready to run
	awk -v section="## $1" -v wanted="$2" '
		/^## / { inside = $0 == section }
		inside && /^```sh$/ { n++; take = 1; next }
		/^```$/ { take = 0 }
		inside && take && n == wanted' docs/probes.md | sed "s/\<PID\>/$app/g"
}
# Runs a command while the program logs: until it ends, or, where it goes on until Ctrl-C, until it has had
# the time of that.
command_run() { # SECTION N endless|ends [ROUNDS]
	local text round
	text=$(command_of "$1" "$2")
	[ -n "$text" ] || fail "docs/probes.md: $1 has no command $2"
	echo "+ $text"
	printf 'cd %s || exit 1\n' "$dir/work" >"$dir/command"
	if [ "$3" = endless ]; then
		printf 'exec %s\n' "$text" >>"$dir/command"
	else
		printf '%s\n' "$text" >>"$dir/command"
	fi
	timeout --foreground -k 5 60 bash "$dir/command" >"$dir/out" 2>&1 </dev/null 5>&- 6<&- &
	tracer=$!
	if [ "$3" = endless ]; then
		for ((round = 0; round < 200; round++)); do
			grep -q '^Attaching' "$dir/out" && break
			read -r -t 0.05 <>"$dir/never"
		done
	fi
	for ((round = 0; round < ${4:-200}; round++)); do
		say w "a warning"
		say n 3
		say p
		kill -0 "$tracer" 2>/dev/null || break
		read -r -t 0.05 <>"$dir/never"
	done
	[ "$3" = endless ] && kill -INT "$(cat "/proc/$tracer/task/$tracer/children")"
	wait "$tracer"
	tracer=''
}
shows() { grep -Eq -- "$1" "$dir/out" || fail "no '$1' in: $(head -c 2000 "$dir/out")"; }

if command -v bpftrace >/dev/null; then
	command_run bpftrace 1 ends
	equal "probes that bpftrace shows" "$(sed 's/.*://' "$dir/out" | sort -u | tr '\n' ' ')" "$wanted "
	command_run bpftrace 2 endless 50
	shows '^@\[2\]: [1-9]'
	shows '^@\[3\]: [1-9]'
	command_run bpftrace 3 endless 20
	shows '^@\[\{number\}, .*speaker\.c, [0-9]+\]: [1-9]'
	command_run bpftrace 4 endless 20
	shows '^.*speaker\.c:[0-9]+ '
	grep -q '{number}' "$dir/out" && fail "more than warnings: $(cat "$dir/out")"
	command_run bpftrace 5 endless 20
	shows '^@\[.*\]:'
	shows '\|@+ *\|'
else
	echo "bpftrace is not installed: not asked"
fi

if command -v perf >/dev/null; then
	command_run perf 1 ends
	for probe in $wanted; do shows "sdt_qslog:$probe "; done
	command_run perf 2 ends
	command_run perf 3 ends
	read -r all warnings < <(awk '/sdt_qslog:record/ { gsub(",", "", $1); printf "%s ", $1 }' "$dir/out")
	[ "${all:-0}" -gt "${warnings:-0}" ] && [ "${warnings:-0}" -gt 0 ] ||
		fail "perf stat: ${all:-} records, ${warnings:-} warnings: $(cat "$dir/out")"
	command_run perf 4 ends
	shows '[1-9][0-9]* +arg4=2$'
	shows '[1-9][0-9]* +arg4=3$'
	command_run perf 5 ends
	shows '[1-9][0-9]* format="\{number\}'
	command_run perf 6 ends
	shows '^2\^[0-9]+ [1-9]'
	perf probe -q -d 'sdt_qslog:*' -d 'qslog:*'
else
	echo "perf is not installed: not asked"
fi
speaker_end
finish
