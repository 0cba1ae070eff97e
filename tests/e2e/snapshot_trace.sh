#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# snapshot_trace.sh - qslog-trace --snapshot: nothing is written until it is asked for, by a signal or by
# the end of the program; then the newest of what memory holds, from the start of the tracer on, is in a
# file of its own. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

said() { # TEXT: until the tracer has said it
	local line
	while read -r -t 30 line <&7; do
		echo "$line" >>"$dir/err"
		[[ $line == *$1* ]] && return 0
	done
	fail "the tracer does not say '$1'"
}

speaker_start 1 speaker
say i "before the tracer"
tracer_start -p "$app" -o "$dir/a.%n.qslog" --snapshot --strict || finish
say s
equal "semaphores while attached" "$answer" "semaphores 0 1 1 1 1 1 1"
say i "one"
say h 10
equal "files before a dump" "$(find "$dir" -name 'a.*')" ""

kill -USR1 "$(pgrep -P "$tracer")"
said "dump of 11 records in $dir/a.1.qslog"
equal "first dump" "$(messages "$dir/a.1.qslog" | wc -l)" 11
equal "before the tracer" "$(message_cnt "$dir/a.1.qslog" 'before the tracer')" 0
"$qslog" check "$dir/a.1.qslog" >/dev/null || fail "the first dump is damaged"

# More than memory holds: 256 KiB of a thread are 10,000 of these or less. The newest are there, and
# none is missing among them.
say n 30000
say w "two"
kill -USR1 "$(pgrep -P "$tracer")"
said "$dir/a.2.qslog"
equal "the newest" "$(messages "$dir/a.2.qslog" | tail -n 1)" "W speaker two"
cnt=$(message_cnt "$dir/a.2.qslog" '[0-9]+$')
[ "$cnt" -gt 5000 ] && [ "$cnt" -lt 20000 ] || fail "$cnt of 30000 records in the second dump"
messages "$dir/a.2.qslog" | grep -Eo '[0-9]+$' | tail -n "$((cnt - 10))" |
	awk 'NR > 1 && $1 != last + 1 { bad++ } { last = $1 } END { exit bad > 0 }' ||
	fail "records are missing in the middle"

# The end of the program; SIGKILL is the hardest.
say i "last words"
kill -KILL "$app"
tracer_end
wait "$app" 2>/dev/null
app=''
equal "exit status" "$status" 0
err "dump of [0-9]+ records in .*/a\\.3\\.qslog"
equal "last words" "$(messages "$dir/a.3.qslog" | tail -n 1)" "I speaker last words"
equal "leftovers" "$(find "$dir" -name '*.tmp' -o -name '*.tail')" ""
err ' lost=0 '

# Without %n each replaces the one before; an end without a dump makes none.
exec 5>&- 6<&-
speaker_start 2 speaker
tracer_start -p "$app" -o "$dir/b.qslog" --snapshot || finish
say i "first"
kill -USR1 "$(pgrep -P "$tracer")"
said "$dir/b.qslog"
say i "second"
kill -USR1 "$(pgrep -P "$tracer")"
said "$dir/b.qslog"
equal "both" "$(messages "$dir/b.qslog" | tr '\n' ';')" "I speaker first;I speaker second;"
say i "third"
tracer_end INT
equal "after the end" "$(messages "$dir/b.qslog" | wc -l)" 2
say s
equal "semaphores after" "$answer" "semaphores 0 0 0 0 0 0 0"
speaker_end

run 2 --snapshot --live -p 1
finish
