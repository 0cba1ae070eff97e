#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# messages.sh - what goes wrong is said, with its name and a way out, and the exit status tells:
# 1 failure, 2 wrong usage, 3 loss under --strict. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

# usage
run 2; err 'what is to be traced'
run 2 -p 0; err 'not a process id: 0'
run 2 -p 12x; err 'not a process id: 12x'
run 2 -p 99999999999; err 'not a process id'
run 2 -p 1 -l Q; err 'not a level'
run 2 -p 1 -d 0; err 'not a number of seconds'
run 2 -p 1 --ring-size 3M; err 'power of two'
run 2 -p 1 --flush-ms 1; err 'milliseconds'
run 2 -p 1 -- true; err 'not both'
run 2 --no-such-option; err 'help'
run 0 --help; grep -q '^Usage: qslog-trace' "$dir/out" || fail "--help"
run 0 --version; grep -q '^qslog-trace [0-9]' "$dir/out" || fail "--version"

# no such process: one that has just ended
true &
gone=$!
wait "$gone"
run 1 -p "$gone" -o "$dir/x.qslog"; err "no process with id $gone"
[ -e "$dir/x.qslog" ] && fail "an output was left behind for a process that is not there"

# no sites
mkfifo "$dir/stay"
cat "$dir/stay" >/dev/null &
plain=$!
exec 4>"$dir/stay"
run 1 -p "$plain" -o "$dir/x.qslog"; err "process $plain \(cat\) has no qslog sites"
exec 4>&-
wait "$plain"
run 1 -o "$dir/x.qslog" -- true; err 'has no qslog sites'

# no such command, and one that is no program
run 1 -o "$dir/x.qslog" -- no-such-command-at-all; err 'no-such-command-at-all.*No such file'
run 1 -o "$dir/x.qslog" -- "$dir"; err "$dir.*(Permission denied|Is a directory)"

# a thread's id instead of its process's: that is named
speaker_start 1 speaker
rm -f "$dir/shared"
"$fixtures/workload" -s "$dir/shared" -t 2 -n 10 -e wait &
load=$!
disown
for ((try = 0; try < 400; try++)); do
	threads=(/proc/"$load"/task/*)
	[ "${#threads[@]}" -ge 3 ] && break
	read -r -t 0.05 <>"$dir/never"
done
thread=${threads[1]##*/}
[ "$thread" = "$load" ] && thread=${threads[2]##*/}
run 1 -p "$thread" -d 0.2 -o "$dir/thread.qslog"; err "$thread is a thread of process $load"
kill -KILL "$load"

# an output that cannot be written
run 1 -p "$app" -o "$dir/missing/x.qslog"; err "$dir/missing/x\.qslog: No such file or directory"
run 1 -p "$app" -o "$dir"; err "cannot create the output $dir"
say s
equal "semaphores after failures" "$answer" "semaphores 0 0 0 0 0 0 0"

# a disk that is full: said at once, counted, and the program is not affected
mkdir "$dir/full"
if mount -t tmpfs -o size=64k tmpfs "$dir/full"; then
	tracer_start -p "$app" -o "$dir/full/x.qslog"
	for ((i = 0; i < 20; i++)); do say n 20000; done
	while read -r -t 20 line <&7; do
		echo "$line" >>"$dir/err"
		[[ $line == *"No space left"* ]] && break
	done
	err "x\.qslog: No space left on device; .*what cannot be kept is counted as lost"
	tracer_end INT
	equal "exit status on a full disk" "$status" 1
	err "the output $dir/full/x\.qslog is incomplete: No space left on device"
	read -r records lost < <(sed -nE 's/^records=([0-9]+) lost=([0-9]+) .*/\1 \2/p' "$dir/err")
	equal "records and losses on a full disk" $((${records:-0} + ${lost:-0})) 400000
	[ "${lost:-0}" -gt 0 ] || fail "nothing lost on a full disk"
	say i "still here"
	equal "the program after a full disk" "$answer" ok
	"$qslog" cat "$dir/full/x.qslog" >"$dir/out" 2>"$dir/err"
	[ $? -le 3 ] || fail "cat of an incomplete file"
	umount "$dir/full"
else
	fail "cannot mount a tmpfs"
fi

# --strict
run 0 --strict -o "$dir/s.qslog" -- "$fixtures/values"
rm -f "$dir/shared"
run 3 --strict --ring-size 1M -o "$dir/s.qslog" -- \
	"$fixtures/workload" -s "$dir/shared" -t 4 -n 500000 -e join
err ' lost=[1-9]'

# no permission: the missing capability is named. (The build may lie where nobody may look.)
cp "$trace" "$dir/qslog-trace"
timeout 20 setpriv --reuid=65534 --regid=65534 --clear-groups -- \
	"$dir/qslog-trace" -p "$app" -o "$dir/x.qslog" >"$dir/out" 2>"$dir/err"
equal "exit status without permission" $? 1
what="qslog-trace as nobody"
err 'CAP_[A-Z_]+'
err 'sudo'
speaker_end
finish
