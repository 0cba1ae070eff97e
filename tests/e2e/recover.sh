#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# recover.sh - `qslog recover` as a command, and where an application finds no room or its program
# is gone: a full /dev/shm (a small one, in a mount namespace of its own), none at all, a limit on
# the size of files, a deleted binary, a forked child.
set -uo pipefail
. "$(dirname "$0")/lib.sh"

out=$dir/app.qslog
load=$fixtures/workload.inproc

die() { # ARGS...: runs the workload with its output in $out; its exit status is in $status
	rm -f "$dir/shared"
	QSLOG_FILE=$out timeout -k 5 60 "$load" -s "$dir/shared" "$@" >"$dir/log" 2>&1
	status=$?
}
left() { # what has been left in /dev/shm for $out
	timeout 20 "$qslog" recover | grep -F "$out" | sed 's/: process .*//'
}
recover() { # STATUS ARGS...
	local want=$1 got
	shift
	timeout 30 "$qslog" recover "$@" >"$dir/out" 2>"$dir/err"
	got=$?
	[ "$got" -eq "$want" ] || fail "recover $*: exit status $got, not $want: $(cat "$dir/out" "$dir/err")"
}
summary() { equal "$1" "$(sed 's/^[^:]*: //' "$dir/out")" "$2"; }

# --- A kill, the list, the file; once more; a file without anything.
die -t 3 -n 1000 -e kill
equal "killed" "$status" 137
[ -n "$(left)" ] || fail "it left nothing: $(ls /dev/shm)"
recover 0 "$out"
summary "recovered" "records=3000 recovered=3000 lost=0"
"$qslog" check -q "$out" || fail "check: not whole"
[ -z "$(left)" ] || fail "still there: $(left)"
recover 0 "$out"
summary "again" "records=3000 recovered=0 lost=0 (it was closed)"
recover 1 "$dir/nothing"
grep -q "No such file" "$dir/err" || fail "no reason given: $(cat "$dir/err")"
echo "not ours" >"$dir/text"
recover 1 "$dir/text"
recover 1 "$out" "$dir/text"
recover 2 --shm x "$out" "$dir/text"
recover 2 --bogus

# --- A clean end leaves nothing.
die -t 2 -n 10 -e return
equal "ended" "$status" 0
[ -z "$(left)" ] || fail "a clean end left $(left)"

# --- The program is gone: what it had not written is lost and counted. What it had is there.
cp "$load" "$dir/gone"
load=$dir/gone
QSLOG_FLUSH_MS=60000 die -t 1 -n 100 -e kill # the collector does not come by before
rm "$dir/gone"
recover 3 "$out"
summary "program gone" "records=0 recovered=0 lost=100"
"$qslog" stat "$out" >"$dir/stat" || fail "stat"
cp "$fixtures/workload.inproc" "$dir/gone"
die -t 1 -n 100 -e kill
cp "$fixtures/speaker" "$dir/other" && mv "$dir/other" "$dir/gone" # another file of that name
recover 3 "$out"
summary "program replaced" "records=0 recovered=0 lost=100"
load=$fixtures/workload.inproc

# --- The memory file by name, and that of another output.
die -t 1 -n 50 -e kill
memory=$(left)
first=$out
out=$dir/second.qslog
die -t 1 -n 60 -e kill
recover 1 --shm "$memory" "$out"
grep -q "another output" "$dir/err" || fail "the wrong memory: $(cat "$dir/err")"
mv "$memory" "$dir/moved"
recover 0 --shm "$dir/moved" "$first"
summary "by name" "records=50 recovered=50 lost=0"
recover 0 "$out"
summary "the second" "records=60 recovered=60 lost=0"
out=$first

# --- No room: threads without safe memory record all the same, and nothing raises SIGBUS.
cat >"$dir/small.sh" <<'SH'
mount -t tmpfs -o "size=$1" none /dev/shm || exit 99
shift
[ "$1" = none ] && { umount /dev/shm; mount -t tmpfs -o ro,size=64k none /dev/shm || exit 99; }
shift
rm -f "$SHARED"
timeout -k 5 60 "$LOAD" -s "$SHARED" "$@"
status=$?
ls /dev/shm "${OUT%/*}" >"$OUT.ls"
timeout 30 "$QSLOG" recover "$OUT" >"$OUT.out" 2>"$OUT.err"
echo "$status $?"
SH
small() { # SIZE none|some ARGS...
	rm -f "$out" "$out".*
	got=$(QSLOG_DEBUG=1 QSLOG_FILE=$out OUT=$out SHARED=$dir/shared LOAD=$load QSLOG=$qslog \
		timeout 100 unshare -m --propagation private bash "$dir/small.sh" "$@" 2>"$dir/log")
	cp "$out.out" "$dir/out"
}
small 2m some -t 4 -n 300000 -e return
equal "small /dev/shm, clean end" "$got" "0 0"
counted=$("$qslog" check "$out" | sed -E 's/^[^:]*: ([0-9]+) records, ([0-9]+) lost.*/\1 \2/')
equal "all are accounted for" "$((${counted% *} + ${counted#* }))" 1200000
small 2m some -t 4 -n 100 -e kill
equal "small /dev/shm, killed" "$got" "137 3"
grep -q "3 threads found no room" "$out.err" || fail "not said: $(cat "$out.err")"
[ "$(sed -E 's/.*records=([0-9]+).*/\1/' "$dir/out")" -ge 100 ] || fail "the safe one: $(cat "$dir/out")"
small 64k some -t 2 -n 100 -e kill # not even the header: beside the output
equal "tiny /dev/shm" "$got" "137 0"
grep -q '^qslog-0-' "$out.ls" || fail "nothing beside the output: $(cat "$out.ls")"
summary "beside the output" "records=200 recovered=200 lost=0"
small 2m none -t 2 -n 100 -e kill
equal "/dev/shm read-only" "$got" "137 0"
summary "read-only /dev/shm" "records=200 recovered=200 lost=0"

# --- A limit on file sizes is no SIGXFSZ for the application: its memory is ordinary then.
rm -f "$out" "$out".*
(
	ulimit -f 256
	die -t 2 -n 1000 -e return
	exit "$status"
)
equal "with a limit on file sizes" $? 0
counted=$("$qslog" check "$out" | sed -E 's/^[^:]*: ([0-9]+) records, ([0-9]+) lost.*/\1 \2/')
equal "with a limit" "$counted" "2000 0"

# --- Sites that were registered at run time are in no ELF file. And a forked child has memory of its
# own: the parent's can be recovered while the child lives.
cat >"$dir/bridge.c" <<'C'
#include <qslog.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct qslog_site_def def = QSLOG_SITE_DEF_INIT;
	struct qslog_options o = QSLOG_OPTIONS_INIT;
	const uint8_t types[] = {QSLOG_ARG_INT64};
	char format[1000];
	int i;

	alarm(60);
	o.path = argv[argc - 1];
	{ /* records with the id of a span */
		QSLOG_LOCAL_PARENT(NULL);
		QSLOG_SPAN("in a line");
	}
	def.types = types;
	def.arg_cnt = 1;
	def.format = format;
	for (i = 0; i < 400; i++) {
		struct qslog_value value = {.type = QSLOG_ARG_INT64, .i = i};
		const struct qslog_site *site;

		snprintf(format, sizeof(format), "site %d {} %0*d", i, i, 0);
		site = qslog_site_register(&def);
		if (!site || qslog_log_values(site, &value, 1))
			abort();
	}
	if (fork() == 0) {
		QSLOGI("nobody listens");
		if (qslog_start(&o))
			abort();
		QSLOGI("child");
		puts("child");
		fflush(stdout);
		pause();
	}
	pause();
}
C
${CC:-cc} -Iusdt -o "$dir/bridge" "$dir/bridge.c" "$BUILD/libqslog.a" -lzstd -pthread ||
	fail "the bridge does not build"
rm -f "$out" "$out".*
mkfifo "$dir/child"
QSLOG_FILE=$out "$dir/bridge" "$dir/child.qslog" >"$dir/child" 2>&1 &
app=$!
read -r -t 30 line <"$dir/child"
equal "the child" "$line" "child"
child=$(pgrep -P "$app")
kill -KILL "$app"
wait "$app" 2>/dev/null
app=$child
recover 0 "$out"
summary "registered sites" "records=404 recovered=404 lost=0"
"$qslog" cat "$out" | grep -Eq 'site 399 399 0{399}$' || fail "the text of the last site"
recover 1 "$dir/child.qslog"
grep -q "process $child still writes it" "$dir/err" || fail "the child lives: $(cat "$dir/err")"
kill -KILL "$child"
timeout 10 tail --pid="$child" -f /dev/null
app=''
recover 0 "$dir/child.qslog"
summary "the child" "records=1 recovered=1 lost=0"

# --- Without: QSLOG_CRASH_SAFE=0.
QSLOG_CRASH_SAFE=0 die -t 1 -n 100 -e flush-kill
equal "not safe" "$status" 137
[ -z "$(left)" ] || fail "QSLOG_CRASH_SAFE=0 left $(left)"
recover 0 "$out"
summary "the tail alone" "records=100 recovered=100 lost=0"

finish
