#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# snapshot.sh - snapshot mode: records of libraries that are gone, or that have taken the place of
# others, keep their own formats; `qslog recover` as a command; a full /dev/shm.
set -uo pipefail
. "$(dirname "$0")/lib.sh"

out=$dir/app.qslog
program=$fixtures/snapshot.inproc

# --- Libraries take turns at one address. The program's own libqslog serves them.
for name in first second; do
	cat >"$dir/$name.c" <<-C
	#define QSLOG_TAG "$name"
	#include <qslog.h>
	__attribute__((visibility("default"))) void speak(int n);
	void speak(int n)
	{
		QSLOGI("$name says {n}", n);
	}
	C
	${CC:-gcc} -std=gnu11 -O2 -fPIC -shared -Iusdt -o "$dir/$name.so" "$dir/$name.c" || exit 1
done
${CC:-gcc} -std=gnu11 -O2 -Iusdt -rdynamic -DQSLOG_INPROC -o "$dir/loader" tests/fixtures/snapshot.c \
	"$BUILD/libqslog.a" -pthread -lzstd -ldl || exit 1
said=$(timeout 60 "$dir/loader" "$out" libraries "$dir/first.so" "$dir/second.so")
equal "libraries: exit status" $? 0
equal "the second came to lie where the first had been" "$said" "moved in"
messages "$out" | grep -v '^I snap seq ' >"$dir/got"
for ((n = 0; n < 40; n += 2)); do
	echo "I first first says $n"
	echo "I second second says $((n + 1))"
done >"$dir/want"
cmp -s "$dir/got" "$dir/want" || fail "libraries: $(diff "$dir/got" "$dir/want" | head -5)"
"$qslog" check -q "$out" || fail "check"

# --- Recovery as a command.
recover() { # STATUS ARGS...
	local want=$1 got
	shift
	timeout 30 "$qslog" recover "$@" >"$dir/out" 2>"$dir/err"
	got=$?
	[ "$got" -eq "$want" ] || fail "recover $*: exit status $got, not $want: $(cat "$dir/out" "$dir/err")"
}
rm -f "$out"
recover 1 "$out"
grep -q "No such file" "$dir/err" || fail "no reason given: $(cat "$dir/err")"
timeout 60 "$program" "$out" kill 2>/dev/null
equal "killed" $? 137
recover 0
grep -F "qslog recover $out" "$dir/out" | grep -q 'has ended' || fail "not listed: $(cat "$dir/out")"
(cd "$dir" && recover 0 app.qslog && cat out) >"$dir/said"
equal "what it says" "$(cat "$dir/said")" "$out: records=100000 recovered=100000 lost=0"
"$qslog" check -q "$out" || fail "check: not whole"
recover 0 "$out"
equal "once more" "$(cat "$dir/out")" "$out: records=100000 recovered=0 lost=0 (it was closed)"
timeout 60 "$program" "$out" kill 2>/dev/null
recover 0 "$out"
equal "behind it" "$(cat "$dir/out")" "$out.1: records=100000 recovered=100000 lost=0"
timeout 60 "$program" "$out" kill 2>/dev/null
memory=$(timeout 20 "$qslog" recover | grep -F "$out" | sed 's/: process .*//')
mv "$memory" "$dir/moved"
recover 0 --shm "$dir/moved" "$dir/other.qslog"
equal "by name" "$(cat "$dir/out")" "$dir/other.qslog: records=100000 recovered=100000 lost=0"
[ -e "$dir/moved" ] && fail "the memory is still there"

# --- A handler of the application's own died after the dump: there is more than the dump has.
rm -f "$out"*
timeout 60 "$program" "$out" again 2>/dev/null
equal "again: exit status" $? 139
equal "the dump" "$(messages "$out" | tail -n 1)" "I snap seq 99999"
recover 0 "$out"
equal "more than the dump" "$(cat "$dir/out")" "$out.1: records=100001 recovered=100001 lost=0"
equal "the handler's" "$(messages "$out.1" | tail -n 1)" "I snap handler"
rm -f "$out"*
timeout 60 "$program" "$out" sent >/dev/null # a handler that records nothing
recover 0 "$out"
equal "nothing new" "$(cat "$dir/out")" "$out: a dump has all that was left"
recover 0 "$out"
equal "it has gone" "$(cat "$dir/out")" "$out: records=100000 recovered=0 lost=0 (it was closed)"

# --- The program is gone: what its records say is not known, and is counted.
cp "$program" "$dir/gone"
rm -f "$out"*
timeout 60 "$dir/gone" "$out" kill 2>/dev/null
rm "$dir/gone"
recover 3 "$out"
equal "program gone" "$(cat "$dir/out")" "$out: records=0 recovered=0 lost=100000"

# --- No room for the dump: that is an error, nothing is left of it, and it can be recovered.
mkdir "$dir/full"
cat >"$dir/full.sh" <<'SH'
mount -t tmpfs -o size=4k none "$1" || exit 99
echo before >"$1/app.qslog"
"$2" "$1/app.qslog" dump
ls "$1"
cat "$1/app.qslog"
timeout 60 "$2" "$1/app.qslog" segv
echo $?
SH
got=$(timeout 100 unshare -m --propagation private bash "$dir/full.sh" "$dir/full" "$program" 2>/dev/null)
equal "a full disk" "$(tr '\n' ' ' <<<"$got")" "-28 app.qslog before 139 "
recover 0 "$dir/full/app.qslog"
equal "after a full disk" "$(cat "$dir/out")" "$dir/full/app.qslog: records=100000 recovered=100000 lost=0"

# --- No room in /dev/shm: the mode works, only SIGKILL takes all.
cat >"$dir/small.sh" <<'SH'
mount -t tmpfs -o size=64k none /dev/shm || exit 99
rm -f "$1"*
timeout -k 5 60 "$2" "$1" segv
echo $?
SH
got=$(timeout 100 unshare -m --propagation private bash "$dir/small.sh" "$out" "$program" 2>/dev/null)
equal "small /dev/shm" "$got" 139
equal "small /dev/shm: the dump" "$(message_cnt "$out" '^I snap seq ')" 100000
got=$(QSLOG_CRASH_SAFE=0 timeout 60 "$program" "$out" kill 2>/dev/null; echo $?)
equal "not safe" "$got" 137
timeout 20 "$qslog" recover | grep -qF "$out" && fail "QSLOG_CRASH_SAFE=0 left something"

finish
