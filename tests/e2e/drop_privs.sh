#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# drop_privs.sh - with --drop-privs the rights are really gone, and tracing goes on: records, a library
# that is loaded later, the end of the process. A seccomp filter is there in any case. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

chmod 1777 "$dir"
mkdir "$dir/out.d"
chown 65534 "$dir/out.d"
cp "$fixtures/libplugin.so" "$dir"
chmod 755 "$dir/libplugin.so"

tracer_pid() { # of the tracer below timeout(1)
	pid=$(cat "/proc/$tracer/task/$tracer/children")
	pid=${pid%% *}
}
of_tracer() { sed -n "s/^$1:\t//p" "/proc/$pid/status"; }

# Without it: a filter, and no way to more rights.
speaker_start 1 speaker
tracer_start -p "$app" -o "$dir/a.qslog" || finish
tracer_pid
equal "seccomp" "$(of_tracer Seccomp)" 2
equal "no_new_privs" "$(of_tracer NoNewPrivs)" 1
tracer_end INT

# a user that is none, that is root, and an output where that user cannot write
run 1 --drop-privs no-such-user -p "$app" -o "$dir/b.qslog"; err 'no user no-such-user'
run 1 --drop-privs root -p "$app" -o "$dir/b.qslog"; err 'that is root'
mkdir "$dir/mine"
chmod 755 "$dir/mine"
run 1 --drop-privs nobody -p "$app" -o "$dir/mine/b.qslog"
err "folder of the output, $dir/mine, is not writable by that user: Permission denied"
say s
equal "semaphores after failures" "$answer" "semaphores 0 0 0 0 0 0 0"

# Root's process: of all capabilities the one that reading it takes is kept.
file=$dir/out.d/c.qslog
tracer_start --drop-privs nobody -p "$app" -o "$file" || finish
tracer_pid
for id in Uid Gid; do
	equal "$id" "$(of_tracer $id)" "65534	65534	65534	65534"
done
case " $(of_tracer Groups) " in *" 0 "*) fail "groups: $(of_tracer Groups)" ;; esac
equal "effective capabilities" "$(of_tracer CapEff)" 0000000000080000 # CAP_SYS_PTRACE
equal "permitted capabilities" "$(of_tracer CapPrm)" 0000000000080000
equal "inheritable capabilities" "$(of_tracer CapInh)" 0000000000000000
equal "ambient capabilities" "$(of_tracer CapAmb)" 0000000000000000
equal "bounding capabilities" "$(of_tracer CapBnd)" 0000000000000000
equal "no_new_privs" "$(of_tracer NoNewPrivs)" 1
equal "seccomp" "$(of_tracer Seccomp)" 2
equal "owner of the file" "$(stat -c %u:%g "$file")" 65534:65534
say i "after the drop"
message_await "$file" '^after the drop$' || fail "the line does not come"
if "$trace" --check | grep -q '^  ok    uprobes by multi link'; then
	say l "$dir/libplugin.so"
	for ((try = 0; try < 100; try++)); do
		say l "$dir/libplugin.so"
		message_await "$file" 'plugin speaks' && break
	done
	[ "$(message_cnt "$file" 'plugin speaks')" -gt 0 ] ||
		fail "the sites of a library that was loaded later do not listen: $(cat "$dir/err")"
fi
say n 50000
say i "last words"
speaker_end
tracer_end
equal "exit status at the target's end" "$status" 0
err 'the process has ended'
err ' lost=0 '
equal "last words" "$(message_cnt "$file" 'last words')" 1
equal "numbers" "$(message_cnt "$file" '^I speaker [0-9]+$')" 50000
[ -e "$file.tail" ] && fail "a clean close left the tail"

# Whose processes will come is not known, and those that are stopped to be looked at must go on.
cp "$fixtures/workload" "$dir/program"
file=$dir/out.d/e.qslog
tracer_start --drop-privs nobody --exe "$dir/program" -o "$file" || finish
tracer_pid
equal "effective capabilities with --exe" "$(of_tracer CapEff)" 0000000000080020 # and CAP_KILL
kill -STOP "$pid"
cp "$fixtures/workload" "$dir/new" && mv "$dir/new" "$dir/program"
"$dir/program" -s "$dir/shared" -n 100 &
app=$!
until grep -q '^State:.T' "/proc/$app/status"; do
	[ -d "/proc/$app" ] || { fail "the replaced program did not wait"; break; }
done
kill -CONT "$pid"
wait "$app"
app=''
tracer_end INT
if "$trace" --check | grep -q '^  ok    uprobes by multi link'; then
	err '^records=100 lost=0 '
fi

# The user's own process: nothing is kept. And it is killed.
cp "$fixtures/speaker" "$dir"
printf '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups %s/speaker\n' "$dir" >"$dir/own"
chmod 755 "$dir/own" "$dir/speaker"
fixtures=$dir
speaker_start 2 own
say s
file=$dir/out.d/d.qslog
tracer_start --drop-privs nobody -p "$app" -o "$file" || finish
tracer_pid
equal "capabilities for a process of one's own" "$(of_tracer CapPrm)" 0000000000000000
say n 20000
kill -KILL "$app"
wait "$app"
app=''
exec 5>&- 6<&-
tracer_end
equal "exit status after the kill" "$status" 0
err '^records=20000 lost=0 '
finish
