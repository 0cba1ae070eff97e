#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# attach.sh - attaching to a running program and leaving it again: nothing of it remains, what was
# logged is in the file soon, levels and tags are filtered. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

speaker_start 1 speaker
say s
equal "semaphores before" "$answer" "semaphores 0 0 0 0 0 0 0"
say i "before the tracer"

# A quiet program's line is in the file at once, while the tracer goes on.
tracer_start -p "$app" -o "$dir/a.qslog" || finish
say s
equal "semaphores while attached" "$answer" "semaphores 1 1 1 1 1 1 1"
say i "quiet line"
message_await "$dir/a.qslog" '^quiet line$' || fail "the line of a quiet program does not appear"
kill -0 "$tracer" || fail "the tracer has ended"
say n 1000
say h 10
tracer_end INT
equal "exit status after Ctrl-C" "$status" 0
err '^records=1011 lost=0 bytes=[0-9]+ ratio=[0-9.]+ file=.*/a\.qslog$'
err 'interrupted'
equal "records of a.qslog" "$(messages "$dir/a.qslog" | wc -l)" 1011
equal "before the tracer" "$(message_cnt "$dir/a.qslog" 'before the tracer')" 0
[ -e "$dir/a.qslog.tail" ] && fail "a clean close left the tail"

# The program is as before, and what it logs now is nobody's.
say s
equal "semaphores after" "$answer" "semaphores 0 0 0 0 0 0 0"
say i "between the tracers"

# Once more; -l keeps lower levels off.
tracer_start -p "$app" -l W -o "$dir/b.qslog" || finish
say s
equal "semaphores with -l W" "$answer" "semaphores 1 0 0 0 1 1 1"
for level in v d i w e f; do say "$level" "level $level"; done
tracer_end INT
equal "exit status of the second" "$status" 0
# What the thread had logged that has ended was the first one's.
err '^records=3 lost=0 '
equal "messages with -l W" "$(messages "$dir/b.qslog" | tr '\n' ';')" \
	"W speaker level w;E speaker level e;F speaker level f;"

# -t, by the file's tag and by the call's own
tracer_start -p "$app" -t other -o "$dir/c.qslog" || finish
say t "of the tag"
say i "not of the tag"
tracer_end INT
equal "messages with -t other" "$(messages "$dir/c.qslog")" "I other of the tag"
tracer_start -p "$app" -t 'sp*' -o "$dir/c2.qslog" || finish
say t "of the tag"
say i "not of the tag"
tracer_end TERM
equal "exit status after SIGTERM" "$status" 0
equal "messages with -t sp*" "$(messages "$dir/c2.qslog")" "I speaker not of the tag"

# Two tracers at once: both have everything. (The kernel counts a semaphore up once per probe.)
mkfifo "$dir/other"
timeout --foreground -k 5 60 "$trace" -p "$app" -o "$dir/d1.qslog" >/dev/null 2>"$dir/other" 5>&- 6<&- &
other=$!
exec 8<"$dir/other"
while read -r -t 30 line <&8 && [[ $line != *attached* ]]; do :; done
tracer_start -p "$app" -o "$dir/d2.qslog" || finish
say s
equal "semaphores with two tracers" "$answer" "semaphores 1 1 1 1 1 1 1"
say n 500
tracer_end INT
say i "only one is left"
kill -INT "$other"
wait "$other"
equal "exit status of the other tracer" $? 0
exec 8<&-
equal "records of the one" "$(messages "$dir/d1.qslog" | wc -l)" 501
equal "records of the other" "$(messages "$dir/d2.qslog" | wc -l)" 500

# -d ends by itself; --live prints what the file has; the file belongs to who called sudo
start=$EPOCHREALTIME
SUDO_UID=12345 SUDO_GID=23456 tracer_start -p "$app" -d 1 --live -o "$dir/e.qslog" || finish
say i "live line"
tracer_end
equal "exit status of -d" "$status" 0
awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { exit b - a < 1 }' || fail "-d 1 ended too early"
err 'time is up'
"$qslog" cat "$dir/e.qslog" >"$dir/cat"
cmp "$dir/cat" "$dir/out" || fail "--live is not what cat prints"
grep -Eq "^20[0-9-]+ [0-9:.]+ $app $app I speaker \[[^]]*speaker\.c:[0-9]+ obey\] live line$" "$dir/out" ||
	fail "--live: $(cat "$dir/out")"
equal "owner with SUDO_UID" "$(stat -c %u:%g "$dir/e.qslog")" 12345:23456

# --live shows a quiet program's line at once
tracer_start -p "$app" --live -o "$dir/f.qslog" || finish
say i "live and quiet"
for ((try = 0; try < 100; try++)); do
	grep -q 'live and quiet' "$dir/out" && break
	read -r -t 0.05 <>"$dir/never"
done
grep -q 'live and quiet' "$dir/out" || fail "--live: the line of a quiet program does not appear"

# A library that is loaded meanwhile: its sites listen from the next scan on
say l "$fixtures/libplugin.so"
equal "loading the library" "$answer" ok
for ((try = 0; try < 100; try++)); do
	say l "$fixtures/libplugin.so"
	grep -q 'plugin speaks' "$dir/out" && break
	read -r -t 0.05 <>"$dir/never"
done
grep -q 'I plugin .* plugin speaks' "$dir/out" || fail "the sites of a loaded library do not listen"

# A forked child: neither hangs nor repeats what its parent had logged
say k
equal "child" "$answer" "child 7"
say i "after the fork"

# The target's end is the tracer's
speaker_end
tracer_end
equal "exit status at the target's end" "$status" 0
err 'the process has ended'
equal "live and quiet" "$(message_cnt "$dir/f.qslog" 'live and quiet')" 1
equal "after the fork" "$(message_cnt "$dir/f.qslog" 'after the fork')" 1
finish
