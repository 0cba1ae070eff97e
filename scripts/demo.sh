#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# demo.sh - qslog-trace at work on a key-value server under load, and a proof that nothing is lost.
#
#     scripts/demo.sh [BUILD-DIR]     (`make demo` builds first)
#     DEMO_SECONDS=N                  length of each measurement (default 3)
#     DEMO_ATTACH_SECONDS=N           how long attaching may take (default 30)
#     DEMO_KEEP=1                     keep the files, to look at them afterwards
#
# With root and BPF: the tracer is attached to the running server, and the server is killed with
# SIGKILL at full load. Then, without any privilege: the same server writes the same kind of file
# by itself. Each time the records in the file are compared one by one with those that the
# server's threads have counted in shared memory (examples/kvd/verify.awk says how).
# Exit status: 0 everything was there, 1 something was not, 2 cannot run.
set -uo pipefail

build=${1:-${BUILD:-build}}
seconds=${DEMO_SECONDS:-3}
here=$(cd "$(dirname "$0")/.." && pwd) || exit 2
verify=$here/examples/kvd/verify.awk
connections=8
dir='' shm='' server='' load='' tracer='' port=''
verdict=0
kernel_shown=no

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '  %s\n' "$*"; }
indent() { sed 's/^/  | /'; }
bad() { printf '  WRONG: %s\n' "$*"; verdict=1; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

# child_kill PID...: ends children of this script, if they are still there, and waits for them.
child_kill() {
	local pid
	for pid in "$@"; do
		[ -z "$pid" ] || { kill -KILL "$pid" && wait "$pid"; } 2>/dev/null
	done
}

cleanup() {
	child_kill "$load" "$server" "$tracer"
	[ -z "$shm" ] || rm -rf -- "$shm"
	if [ -n "$dir" ] && [ "${DEMO_KEEP:-0}" != 1 ]; then
		rm -rf -- "$dir"
	fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# Reads lines from descriptor $1 into $line until one contains $2; at most $3 seconds for each.
# What was read on the way is appended to file $4.
wait_for_line() {
	while IFS= read -r -t "$3" -u "$1" line; do
		printf '%s\n' "$line" >> "$4"
		case $line in *"$2"*) return 0 ;; esac
	done
	return 1
}

# server_start PROGRAM NAME: starts it, waits until it is ready, sets $server and $port. Its counts
# are in $shm/NAME.
server_start() {
	local name=$2 line=''
	mkfifo "$dir/$name.ready" || die "mkfifo failed"
	"$1" --workers 2 --issued "$shm/$name" > "$dir/$name.ready" 2> "$dir/$name.err" &
	server=$!
	exec 3< "$dir/$name.ready"
	if ! wait_for_line 3 "ready port=" 10 "$dir/$name.out"; then
		cat "$dir/$name.err" >&2
		die "the server did not start"
	fi
	exec 3<&-
	port=${line#*port=}
	port=${port%% *}
}

# Load that goes on until the server ends: what is measured is never an idle server.
background_load_start() {
	"$build/kvd-load" --port "$port" --connections "$connections" --seconds 600 \
		> "$dir/load.out" 2>&1 &
	load=$!
}

# The server closed the connections under it: status 3. 0 would be the end of its 600 seconds.
background_load_end() {
	wait "$load" 2>/dev/null
	[ $? = 3 ] || bad "the load client: $(cat "$dir/load.out")"
	load=
}

# How many requests the server has served, by its own count.
requests_served() {
	exec 5<> "/dev/tcp/127.0.0.1/$port" || return 1
	printf 'STATS\r\nQUIT\r\n' >&5
	tr -d '\r' <&5 | sed -n 's/^STAT requests //p'
	exec 5>&-
}

# measure WHAT: runs a second load client for the time of a measurement; says what the server does.
measure() {
	local from to begin end
	from=$(requests_served)
	begin=${EPOCHREALTIME/[.,]/}
	"$build/kvd-load" --port "$port" --connections "$connections" --seconds "$seconds" \
		> "$dir/measure.out" 2>&1 || bad "the load client: $(cat "$dir/measure.out")"
	end=${EPOCHREALTIME/[.,]/}
	to=$(requests_served)
	say "$1: $(((to - from) * 1000000 / (end - begin))) requests/s, $(sed -n \
		's/^latency: p50_us=\([^ ]*\).* p99_us=\([^ ]*\).*/median \1 us, p99 \2 us/p' \
		"$dir/measure.out"), $(sed -n 's/^answers: /answers /p' "$dir/measure.out")"
}

# show_file NAME: what somebody who got the file would look at.
show_file() {
	local file=$dir/$1.qslog

	"$build/qslog" check "$file" > "$dir/check.out" 2>&1 || bad "qslog check: $(cat "$dir/check.out")"
	say "\$ qslog cat $1.qslog | tail -n 7"
	"$build/qslog" cat "$file" | tail -n 7 | indent
	[ "${PIPESTATUS[0]}" = 0 ] || bad "qslog cat failed"
	say "\$ qslog stat $1.qslog | head -n 9"
	"$build/qslog" stat "$file" > "$dir/stat.out" 2>&1 || bad "qslog stat: $(cat "$dir/stat.out")"
	head -n 9 "$dir/stat.out" | cut -c 1-140 | indent
}

# compare NAME [SINCE]: the decoded records with the counts in shared memory.
compare() {
	local statuses

	"$build/kvd" --issued-show "$shm/$1" > "$dir/$1.until" || bad "no counts"
	"$build/qslog" cat "$dir/$1.qslog" | awk -v until="$dir/$1.until" -v since="${2:-}" \
		-v shapes="$dir/$1.shapes" -f "$verify"
	statuses=("${PIPESTATUS[@]}")
	[ "${statuses[0]}" = 0 ] || bad "qslog cat: exit status ${statuses[0]}"
	[ "${statuses[1]}" = 0 ] || bad "records issued and records decoded differ"
	sort -o "$dir/$1.shapes" "$dir/$1.shapes" || bad "no requests in $1.qslog"
}

kernel_half() {
	local line='' status

	heading "1. Kernel mode: attach to a running server, then kill it"
	server_start "$build/kvd" kernel
	say "kvd runs, pid $server, port $port; two clients put load on it"
	background_load_start
	measure "nobody listens"

	say "\$ qslog-trace -p $server -o kernel.qslog"
	mkfifo "$dir/tracer.fifo" || die "mkfifo failed"
	"$build/qslog-trace" -p "$server" -o "$dir/kernel.qslog" 2> "$dir/tracer.fifo" &
	tracer=$!
	exec 4< "$dir/tracer.fifo"
	if ! wait_for_line 4 attached "${DEMO_ATTACH_SECONDS:-30}" "$dir/tracer.err"; then
		exec 4<&-
		indent < "$dir/tracer.err"
		bad "the tracer could not attach, so kernel mode cannot be shown"
		child_kill "$load" "$server" "$tracer"
		load='' server='' tracer=''
		return
	fi
	printf '%s\n' "$line" | indent
	"$build/kvd" --issued-show "$shm/kernel" > "$dir/kernel.since" || bad "no counts"
	measure "traced"

	say "\$ kill -KILL $server      (at full load)"
	kill -KILL "$server"
	wait "$server" 2>/dev/null
	server=
	background_load_end
	if wait_for_line 4 "records=" 60 "$dir/tracer.err"; then
		printf '%s\n' "$line" | indent
		case " $line " in
		*" lost=0 "*) ;;
		*) bad "the tracer reports lost records" ;;
		esac
	else
		indent < "$dir/tracer.err"
		bad "no summary from the tracer"
		kill -KILL "$tracer" 2>/dev/null
	fi
	exec 4<&-
	wait "$tracer" 2>/dev/null
	status=$?
	tracer=
	[ $status = 0 ] || bad "the tracer's exit status is $status"

	heading "2. What is in the file"
	show_file kernel
	heading "3. Issued by the server's threads since the tracer was attached, and decoded"
	compare kernel "$dir/kernel.since"
	kernel_shown=yes
}

inproc_half() {
	local program=$build/kvd-inproc status
	[ -x "$program" ] || program=$build/kvd

	heading "4. In-process mode: no tracer, no privilege, the same program and file format"
	# The collector is one thread among many here, on perhaps two processors. What a thread records
	# while the collector does not get one must fit its arena: 16 MiB are some 0.3 seconds. Where it
	# may, the collector goes before the threads that it serves (root, RLIMIT_NICE).
	say "\$ QSLOG_FILE=inproc.qslog QSLOG_ARENA_SIZE=16777216 QSLOG_NICE=-5 ${program##*/}"
	export QSLOG_FILE=$dir/inproc.qslog QSLOG_ARENA_SIZE=16777216 QSLOG_NICE=-5
	server_start "$program" inproc
	unset QSLOG_FILE QSLOG_ARENA_SIZE QSLOG_NICE
	background_load_start
	measure "writes its own file"
	say "\$ kill -TERM $server"
	kill -TERM "$server"
	wait "$server"
	status=$?
	server=
	[ $status = 0 ] || bad "the server's exit status is $status: $(cat "$dir/inproc.err")"
	background_load_end
	show_file inproc
	heading "5. Issued by the server's threads from its start to its end, and decoded"
	compare inproc
}

# A request leaves the same records of the same places in the source, whoever wrote the file.
compare_shapes() {
	heading "6. The two files, compared"
	if ! [ -s "$dir/kernel.shapes" ] || ! cmp -s "$dir/kernel.shapes" "$dir/inproc.shapes"; then
		diff "$dir/kernel.shapes" "$dir/inproc.shapes" | indent
		bad "requests look different in the two files"
		return
	fi
	say "requests consist of the same records, of the same lines of the source, in both:"
	sed 's/ \[[^]]*\]//g' "$dir/kernel.shapes" | indent
}

main() {
	local program

	for program in qslog qslog-trace kvd kvd-load; do
		if ! [ -x "$build/$program" ]; then
			echo "demo: $build/$program is not there: run make first" >&2
			exit 2
		fi
	done
	dir=$(mktemp -d "${TMPDIR:-/tmp}/qslog-demo.XXXXXX") || exit 2
	# Counting must not wait for a disk.
	if ! shm=$(mktemp -d /dev/shm/qslog-demo.XXXXXX 2>/dev/null); then
		shm=$(mktemp -d "${TMPDIR:-/tmp}/qslog-demo.XXXXXX") || exit 2
	fi

	if [ "$(id -u)" = 0 ]; then
		kernel_half
	else
		heading "1.-3. Kernel mode is not shown"
		say "It needs root. To see it: sudo $0 $build"
	fi
	inproc_half
	[ $kernel_shown = no ] || compare_shapes

	heading "Verdict"
	if [ $verdict != 0 ]; then
		say "NOT as it should be: see the lines that begin with WRONG"
	elif [ $kernel_shown = yes ]; then
		say "Nothing was lost: every record is in the files, also after SIGKILL at full load."
	else
		say "In-process mode: nothing was lost. For kernel mode: sudo $0 $build"
	fi
	if [ "${DEMO_KEEP:-0}" = 1 ]; then
		say "The files are in $dir"
	else
		say "DEMO_KEEP=1 keeps the files, to look at with $build/qslog"
	fi
	return $verdict
}

main
