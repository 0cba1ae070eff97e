#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bad_input.sh - whatever the environment asks of in-process mode, the program goes on: it does not
# die, does not hang, and says nothing, unless QSLOG_DEBUG=1 asks why.
set -uo pipefail
. "$(dirname "$0")/lib.sh"

load=$fixtures/workload.inproc

# The program's own work is done, its status is 0, and nothing was printed.
silent() { # WHAT ENVIRONMENT...
	local what=$1 issued got
	shift
	rm -f "$dir/shared"
	env "$@" timeout -k 5 60 "$load" -s "$dir/shared" -t 2 -n 1000 >"$dir/out" 2>&1
	got=$?
	equal "$what: exit status" "$got" 0
	equal "$what: output" "$(cat "$dir/out")" ""
	issued=$(od -A n -v -t u8 -w8 "$dir/shared" | awk '$1 == 1000 { n++ } END { print n + 0 }')
	[ "$issued" -ge 2 ] || fail "$what: the program has not done its work"
}
said() { # WHAT RE ENVIRONMENT...: with QSLOG_DEBUG=1, one line
	local what=$1 re=$2
	shift 2
	silent "$what" "$@"
	env QSLOG_DEBUG=1 "$@" timeout -k 5 60 "$load" -s "$dir/shared" -t 2 -n 1000 >"$dir/out" 2>&1
	equal "$what, debug: exit status" $? 0
	grep -Eq -- "^qslog: .*$re" "$dir/out" || fail "$what: no '$re' in: $(cat "$dir/out")"
}

mkdir "$dir/folder"
mkfifo "$dir/fifo"
ln -s nowhere "$dir/link"
good=QSLOG_FILE=$dir/good.qslog
said "a folder" "Is a directory" "QSLOG_FILE=$dir/folder"
said "no folder" "No such file" "QSLOG_FILE=$dir/missing/x.qslog"
said "a file as a folder" "Not a directory" "QSLOG_FILE=$dir/out/x.qslog"
said "a symbolic link" "symbolic links" "QSLOG_FILE=$dir/link"
said "a pipe that nobody reads" "No such device" "QSLOG_FILE=$dir/fifo"
said "a full device" "No space left" QSLOG_FILE=/dev/full
said "a name too long" "File name too long" "QSLOG_FILE=$dir/$(printf 'x%.0s' {1..300})"
said "a path too long" "File name too long" "QSLOG_FILE=$(printf '/x%.0s' {1..4000})"
silent "an empty path" QSLOG_FILE=
for wrong in QSLOG_LEVEL=Q QSLOG_LEVEL= QSLOG_LEVEL=warn,net QSLOG_FLUSH_MS=0 QSLOG_FLUSH_MS=60001 \
	QSLOG_FLUSH_MS=-1 QSLOG_FLUSH_MS=99999999999999999999 QSLOG_ARENA_SIZE=300K \
	QSLOG_ARENA_SIZE=128K QSLOG_ARENA_SIZE=128M QSLOG_ON_FULL=wait; do
	said "$wrong" "Invalid argument" "$good" "$wrong"
	[ -e "$dir/good.qslog" ] && fail "$wrong: there is a file"
	rm -f "$dir/good.qslog"
done
silent "a special file" QSLOG_FILE=/dev/null
# What it says to a value that means nothing, it says only if asked.
silent "QSLOG_DEBUG=0" QSLOG_DEBUG=0 QSLOG_FILE="$dir/folder"
silent "QSLOG_DEBUG=yes" QSLOG_DEBUG=yes QSLOG_FILE="$dir/folder"

# --- A pipe with a reader has the file; one whose reader goes is no SIGPIPE.
timeout 60 cat "$dir/fifo" >"$dir/from-pipe.qslog" &
reader=$!
exec 8>"$dir/fifo" # so that the reader is there
silent "a pipe" "QSLOG_FILE=$dir/fifo"
exec 8>&-
wait "$reader"
equal "a pipe" "$("$qslog" check "$dir/from-pipe.qslog" | sed 's/,.*//; s/.*: //')" "2000 records"
timeout 60 head -c 300 "$dir/fifo" >/dev/null &
reader=$!
exec 8>"$dir/fifo"
silent "a pipe whose reader goes" "QSLOG_FILE=$dir/fifo"
exec 8>&-
wait "$reader"

# --- A limit on the size of files is no SIGXFSZ, neither at the start nor at the end.
for blocks in 0 1 8; do
	rm -f "$dir/good.qslog"
	(
		ulimit -f "$blocks"
		QSLOG_FILE=$dir/good.qslog exec timeout -k 5 60 "$fixtures/values.inproc" >/dev/null 2>&1
	)
	equal "ulimit -f $blocks" $? 0
done
"$qslog" stat "$dir/good.qslog" >/dev/null || fail "ulimit -f 8: no file"
finish
