#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench-peers: the calls of bench-record, done by what Debian packages beside qslog.
#
#   PEERS="lttng perf"   only these beside qslog   PEERS_ROUNDS=7      rounds
#   PEERS_KINDS="b"      only these kinds          PEERS_THREADS="1"   only this many threads
#   PEERS_INSTALL=yes    install with apt what is missing; else it is named and left out
#
# For each kind and number of threads, every contestant runs in a process of its own
# (peers/worker.c): the same loops, values and floor, compiled from bench_calls.c with its calls.
# They take turns, round by round; a round is a few bursts, each next to a burst of the floor, with
# the consumer at rest in between. Shown are the median of the rounds and their least and greatest.
# Then the output of each is read with the peer's own reader: what is in it, and what it says was
# lost, must be what was issued. At the end LTTng and qslog at given rates, without pauses.
#
# What is the same work: spdlog has no spans. For uftrace a call of a function is a span and there
# are no logs. perf cannot read a string from a probe, so it has no kind c.
set -u
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
build=${BUILD:-$top/build}
out=$build/bench/peers
rounds=${PEERS_ROUNDS:-7}
kinds=${PEERS_KINDS:-a b c span}
thread_cnts=${PEERS_THREADS:-1 2}
all_peers="spdlog-async spdlog-sync lttng uftrace perf bpftrace"
rates="5000000 10000000"
rate_seconds=2
answer_seconds=180
failures=0
dir=

say() { printf '%s\n' "$*"; }
fail() {
	printf 'bench-peers: %s\n' "$*" >&2
	failures=$((failures + 1))
}

# ---- what is here ---------------------------------------------------------------------------

# The packages that a peer needs and that are not here.
missing() {
	case $1 in
	spdlog-*) pkg-config --exists spdlog && command -v "${CXX:-g++}" >/dev/null ||
		echo libspdlog-dev pkg-config g++ ;;
	lttng)
		command -v lttng lttng-sessiond >/dev/null || echo lttng-tools
		echo '#include <lttng/tracepoint.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1 ||
			echo liblttng-ust-dev
		command -v babeltrace2 >/dev/null || echo babeltrace2 ;;
	uftrace) command -v uftrace >/dev/null || echo uftrace ;;
	perf) command -v perf >/dev/null || echo linux-perf ;;
	bpftrace) command -v bpftrace >/dev/null || echo bpftrace ;;
	esac
	case $1 in
	perf | bpftrace) echo '#include <sys/sdt.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1 ||
		echo systemtap-sdt-dev ;;
	esac
}

# Sets `peers` to those that can be measured, and says why the others cannot.
peers_choose() {
	local peer packages wanted=${PEERS:-$all_peers} all_missing=

	for peer in $wanted; do
		case " $all_peers " in
		*" $peer "*) all_missing="$all_missing $(missing "$peer" | tr '\n' ' ')" ;;
		*) fail "no such peer: $peer (there are: $all_peers)" ;;
		esac
	done
	if [ "${PEERS_INSTALL:-}" = yes ] && [ -n "${all_missing// /}" ]; then
		# shellcheck disable=SC2086
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
			$all_missing >&2 || fail "apt-get could not install:$all_missing"
	fi
	peers=
	for peer in $wanted; do
		packages=$(missing "$peer" | tr '\n' ' ')
		if [ -n "$packages" ]; then
			say "# $peer is not measured, it is not installed: apt-get install $packages"
		elif [ "$(id -u)" != 0 ] && case $peer in perf | bpftrace) true ;; *) false ;; esac; then
			say "# $peer is not measured: needs root"
		else
			peers="$peers $peer"
		fi
	done
	contestants=qslog-inproc
	if [ "$(id -u)" = 0 ]; then
		contestants="$contestants qslog-kernel"
	else
		say "# qslog-kernel is not measured: needs root"
	fi
}

# ---- programs -------------------------------------------------------------------------------

cflags=(-O2 -g -pthread "-DQSLOG_VERSION=\"bench\"" -I"$here/peers" -I"$here"
	-I"$top/userspace" -I"$top/decoder")

cc() { "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE= -Wall -Wextra "${cflags[@]}" "$@"; }

# compile NAME SOURCE... [-D...]: the peer's part; `calls` is the header with its calls, or empty.
compile() {
	local name=$1 obj=$out/$1 source shim=(-I"$top/usdt")
	shift

	[ -z "$calls" ] || shim=(-I"$here/peers/shim" "-DPEER_CALLS=\"$calls\"")
	cc "${shim[@]}" -c "$here/bench_calls.c" -o "$obj.calls.o" &&
		cc "${shim[@]}" -include second_names.h -c "$here/bench_calls.c" \
			-o "$obj.second.o" || return 1
	for source; do
		case $source in
		*.cpp) # shellcheck disable=SC2046
			"${CXX:-g++}" -std=c++17 -Wall -Wextra "${cflags[@]}" $(pkg-config \
				--cflags spdlog) "${defines[@]}" -c "$here/peers/$source" \
				-o "$obj.${source%.*}.o" ;;
		uftrace_work.c) cc -pg -c "$here/peers/$source" -o "$obj.work.o" ;;
		*) cc "${shim[@]}" "${defines[@]}" -c "$here/peers/$source" -o "$obj.${source%.*}.o" ;;
		esac || return 1
	done
}

# link NAME LIBRARIES...
link() {
	local name=$1 parts="$build/obj/bench" linker=${CC:-gcc}
	shift

	case $name in spdlog-*) linker=${CXX:-g++} ;; esac
	"$linker" -pthread -o "$out/$name" "$out/$name".*.o "$out/worker.o" \
		"$parts/bench_util.o" "$parts/bench_pace.o" "$@" -lm
}

program_build() {
	local calls='' defines=() name=$1 parts=$build/obj

	rm -f "$out/$name" "$out/$name".*.o
	case $name in
	qslog-*)
		[ "$name" = qslog-inproc ] || defines=(-DPEER_KERNEL)
		# shellcheck disable=SC2046
		compile "$name" qslog.c &&
			link "$name" "$parts/bench/bench_tracer.o" "$parts/bench/bench_check.o" \
				-Wl,--start-group "$parts/libdecoder.a" "$parts/libuserspace.a" \
				"$parts/libruntime.a" -Wl,--end-group \
				$(pkg-config --libs libbpf libelf zlib libzstd) ;;
	spdlog-*)
		calls=spdlog_calls.h
		[ "$name" = spdlog-sync ] || defines=(-DPEER_ASYNC)
		# shellcheck disable=SC2046
		compile "$name" spdlog.cpp && link "$name" $(pkg-config --libs spdlog) ;;
	lttng) calls=lttng_calls.h && compile "$name" lttng.c &&
		link "$name" -llttng-ust -ldl ;;
	uftrace) calls=uftrace_calls.h && compile "$name" uftrace.c uftrace_work.c &&
		link "$name" ;;
	perf | bpftrace) calls=sdt_calls.h && compile "$name" sdt.c && link "$name" ;;
	esac
}

programs_build() {
	local name built=

	mkdir -p "$out" || exit 1
	cc -c "$here/peers/worker.c" -o "$out/worker.o" || exit 1
	for name in $contestants; do
		if program_build "$name"; then
			built="$built $name"
		else
			fail "$name cannot be built"
		fi
	done
	contestants=$built
}

# ---- LTTng's daemons: of a user that is not root, so that they are nobody else's ---------------

lttng_home=
lttng_pid=

as_lttng_user=()

lttng_run() { "${as_lttng_user[@]}" timeout 60 lttng --no-sessiond -n "$@"; }

lttng_begin() {
	local waited

	lttng_home=$dir/lttng
	mkdir -p "$lttng_home" && chmod 755 "$dir" || return 1
	as_lttng_user=(env HOME="$lttng_home" LTTNG_HOME="$lttng_home")
	if [ "$(id -u)" = 0 ]; then
		chown 65534:65534 "$lttng_home" || return 1
		as_lttng_user+=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	fi
	"${as_lttng_user[@]}" timeout 30 lttng-sessiond --no-kernel --background \
		>"$dir/sessiond.log" 2>&1 9>&- || return 1
	for waited in 1 2 3 4 5 6 7 8 9 10; do
		lttng_pid=$(cat "$lttng_home/.lttng/lttng-sessiond.pid" 2>/dev/null)
		[ -z "$lttng_pid" ] || return 0
		sleep 0.2
	done
	return 1
}

pid_end_wait() { # PID SECONDS
	local left=$(($2 * 10))

	while kill -0 "$1" 2>/dev/null; do
		[ $((left -= 1)) -gt 0 ] || return 1
		sleep 0.1
	done
}

# shellcheck disable=SC2317 # called by clean_up
lttng_end() {
	[ -n "$lttng_pid" ] || return 0
	kill "$lttng_pid" 2>/dev/null
	pid_end_wait "$lttng_pid" 10 || kill -KILL "$lttng_pid" 2>/dev/null
	lttng_pid=
}

lttng_consumers() {
	local status

	for status in /proc/[0-9]*/status; do
		awk -v parent="$lttng_pid" '/^Name:/ { name = $2 } /^Pid:/ { pid = $2 }
			/^PPid:/ { if ($2 == parent && name ~ /^lttng-consumer/) print pid }' \
			"$status" 2>/dev/null
	done | tr '\n' ' '
}

lttng_session_begin() { # NAME OUTPUT
	{ mkdir -p "$2" && chmod 777 "$2" && lttng_run create "$1" --output="$2" &&
		lttng_run enable-channel -s "$1" -u --subbuf-size=8M --num-subbuf=8 channel &&
		lttng_run enable-event -s "$1" -u 'peers:*' -c channel &&
		lttng_run start "$1"; } >"$dir/lttng.log" 2>&1
}

# ---- one contestant of a heat -----------------------------------------------------------------

declare -A to from pid output

# A line of text for each hit, with its time.
bpftrace_script() { # KIND
	bpftrace_print() { # PROBE TEXT [, ARGUMENTS]
		printf 'usdt:%s:peers:%s { printf("%%llu %s\\n", nsecs%s); }\n' "$out/bpftrace" "$@"
	}
	case $1 in
	a) bpftrace_print call_a "nothing to say" "" ;;
	b) bpftrace_print call_b "value %llu" ", arg0" ;;
	c) bpftrace_print call_c "int %d double %llx string %s" ", arg0, arg1, str(arg2)" ;;
	span)
		bpftrace_print span_begin "begin id=%llu" ", arg0"
		bpftrace_print span_end "end id=%llu" ", arg0" ;;
	esac
}

perf_run() { timeout 60 perf --buildid-dir "$dir/buildid" "$@"; }

perf_events_end() { perf_run probe -q -d 'sdt_peers:*' >/dev/null 2>&1; }

perf_events_begin() { # KIND
	local name names

	case $1 in span) names="span_begin span_end" ;; *) names="call_$1" ;; esac
	perf_events_end
	perf_run buildid-cache --add "$out/perf" || return 1
	for name in $names; do
		perf_run probe -q "sdt_peers:$name" || return 1
	done
}

can() { # NAME KIND THREADS
	case $1/$2 in
	spdlog-*/span | uftrace/[abc] | perf/c) return 1 ;;
	esac
	case $3/$2 in
	2/a | 2/c) return 1 ;; # what is read back then tells the threads apart by their values
	esac
}

# What warms up memory that is touched for the first time: ring buffers, mostly. Bytes of records
# as qslog writes them.
warm_bytes() {
	case $1 in
	qslog-kernel) echo $((20 << 20)) ;;
	lttng) echo $((32 << 20)) ;;
	*) echo 1 ;;
	esac
}

bursts() {
	case $1 in
	bpftrace) echo 2 ;;
	perf) echo 5 ;;
	*) echo 15 ;;
	esac
}

descriptors_close() { # NAME...
	local name

	for name; do
		eval "exec ${to[$name]}>&- ${from[$name]}>&-"
	done
}

# What it inherits must not keep a pipe open: a worker ends when the script does.
worker_begin() { # NAME KIND THREADS STEP WARM
	local name=$1 command=()
	local file=$dir/$1.out fifo=$dir/$1

	output[$name]=$file
	rm -rf "$file" "$fifo.to" "$fifo.from"
	mkfifo "$fifo.to" "$fifo.from" || return 1
	case $name in
	lttng)
		lttng_session_begin "peers" "$file" || { cat "$dir/lttng.log" >&2; return 1; }
		command=("${as_lttng_user[@]}" env PEER_CONSUMERS="$(lttng_consumers)"
			PEER_END_COMMAND="timeout 60 lttng --no-sessiond -n stop peers >/dev/null") ;;
	uftrace)
		command=(uftrace record --no-libcall --no-event -d "$file" -b 1M
			-A 'peer_work@arg1/u64') ;;
	perf)
		perf_events_begin "$2" || return 1
		command=(env PEER_TRACER="exec perf --buildid-dir '$dir/buildid' record -N -m 4096 \
-e 'sdt_peers:*' -p \$PEER_PID -o '$file' >'$dir/perf.log' 2>&1") ;;
	bpftrace)
		bpftrace_script "$2" >"$dir/peers.bt"
		command=(env BPFTRACE_PERF_RB_PAGES=4096 PEER_TRACER="exec bpftrace -p \$PEER_PID \
-o '$file' '$dir/peers.bt' >'$dir/bpftrace.log' 2>&1") ;;
	esac
	# Opened for both directions: opening does not wait for the other side.
	# shellcheck disable=SC1083,SC2093
	exec {to[$name]}<>"$fifo.to" {from[$name]}<>"$fifo.from"
	(
		descriptors_close "${!to[@]}"
		exec "${command[@]}" "$out/$name" "$2" "$3" "$4" "$5" "$(bursts "$name")" "$file" \
			9>&-
	) <"$fifo.to" >"$fifo.from" 2>"$dir/$name.log" &
	pid[$name]=$!
	answer "$name" ready
}

# Reads the next answer of NAME into `answered`, without its first word, which must be WORD.
answer() {
	local line waited=0

	while ! read -r -t 1 -u "${from[$1]}" line; do
		if [ $((waited += 1)) -ge $answer_seconds ] || ! kill -0 "${pid[$1]}" 2>/dev/null; then
			fail "$1: no answer ($2): $(tail -n 3 "$dir/$1.log")"
			return 1
		fi
	done
	answered=${line#"$2"}
	[ "$line" != "$answered" ] || { fail "$1: answered '$line', not '$2'"; return 1; }
}

ask() { # NAME QUESTION...
	local name=$1 word=$2
	shift

	printf '%s\n' "$*" >&"${to[$name]}" && answer "$name" "$word"
}

worker_gone() { # NAME: ended, whatever it was doing, and its descriptors closed
	local name=$1

	[ -n "${pid[$name]:-}" ] || return 0
	pid_end_wait "${pid[$name]}" "${2:-60}" || kill "${pid[$name]}" 2>/dev/null
	wait "${pid[$name]}" 2>/dev/null
	descriptors_close "$name"
	unset "pid[$name]" "to[$name]" "from[$name]"
}

# ---- what is in the output: sets `records`, `lost` and `bytes` -----------------------------------

dir_bytes() { find "$1" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d", sum }'; }

output_read() { # NAME
	local file=${output[$1]} text

	case $1 in
	spdlog-*)
		records=$(wc -l <"$file") lost=0 bytes=$(stat -c %s "$file") ;;
	lttng)
		text=$(lttng_run list peers 2>&1)
		lost=$(awk '/Discarded events:/ { sum += $3; seen = 1 }
			/Lost packets:/ { sum += $3 } END { print seen ? sum : "" }' <<<"$text")
		records=$(timeout 300 babeltrace2 "$file" --component sink.utils.counter \
			2>"$dir/babeltrace.log" | awk '/Event message/ { n = $1 } END { print n }' |
			tr -d ,)
		bytes=$(dir_bytes "$file")
		lttng_run destroy peers >/dev/null 2>&1 || fail "lttng: destroy" ;;
	uftrace)
		text=$(timeout 300 uftrace dump -d "$file" 2>&1 | awk '
			/: \[(entry|exit )\] peer_work/ { n++ } /: \[lost / { lost++ }
			END { printf "%d %d", n, lost }')
		records=${text% *} lost=0 bytes=$(dir_bytes "$file")
		# A mark says where some are missing, not how many.
		[ "${text#* }" = 0 ] || lost=$((issued - records)) ;;
	perf)
		text=$(perf_run report --stats -i "$file" 2>/dev/null)
		records=$(awk '$1 == "SAMPLE" && $2 == "events:" { print $3; exit }' <<<"$text")
		lost=$(timeout 300 perf script --show-lost-events -i "$file" 2>/dev/null |
			awk '/PERF_RECORD_LOST/ { sum += $NF } END { printf "%d", sum }')
		bytes=$(stat -c %s "$file")
		perf_events_end ;;
	bpftrace)
		records=$(grep -c '^[0-9]' "$file") bytes=$(stat -c %s "$file")
		lost=$(cat "$file" "$dir/bpftrace.log" |
			awk '/^Lost [0-9]+ events/ { sum += $2 } END { printf "%d", sum }') ;;
	esac
	rm -rf "$file"
}

# Ends NAME; sets issued, consumer_us, records, lost, bytes. What does not add up is a failure.
worker_end() {
	local name=$1

	if ! ask "$name" end; then
		worker_gone "$name" 1
		return 1
	fi
	read -r issued consumer_us records lost bytes <<<"$answered"
	worker_gone "$name"
	[ "$records" -ge 0 ] || output_read "$name"
	if [ -z "$records" ] || [ -z "$lost" ]; then
		fail "$name: its output cannot be read"
		return 1
	fi
	[ $((records + lost)) = "$issued" ] ||
		fail "$name: $records records in the output and $lost lost, but $issued issued"
	[ "$records" -gt 0 ]
}

# ---- results ----------------------------------------------------------------------------------

# Median, least and greatest of the numbers in COLUMN of a file.
median() { # FILE COLUMN
	awk -v c="$2" '{ print $c }' "$1" | sort -g |
		awk '{ v[NR] = $1 } END { printf "%.2f %.2f %.2f", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

result_print() { # NAME KIND THREADS
	local ns min max floor_ns floor_min floor_max app_us rest sizes

	read -r ns min max <<<"$(median "$dir/$1.rounds" 1)"
	read -r floor_ns floor_min floor_max <<<"$(median "$dir/$1.rounds" 2)"
	app_us=$(awk '{ print $3 }' "$dir/$1.rounds" | sort -g |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')
	sizes=$(awk -v b="$bytes" -v r="$records" -v i="$issued" -v a="$app_us" -v c="$consumer_us" \
		'BEGIN { printf "%.2f %.4f %.4f", b / r, a, a + c / r }')
	read -r bytes app_us rest <<<"$sizes"
	printf '%-13s %-5s %7s %9s [%9s-%9s] %6s [%6s-%6s] %9s %8s %8s %9s %7s\n' "$1" "$2" "$3" \
		"$ns" "$min" "$max" "$floor_ns" "$floor_min" "$floor_max" "$bytes" "$app_us" \
		"$rest" "$records" "$lost"
	say "result: bench=peers peer=$1 kind=$2 threads=$3 ns=$ns floor_ns=$floor_ns" \
		"records=$records lost=$lost bytes_per_record=$bytes" \
		"app_cpu_us_per_record=$app_us total_cpu_us_per_record=$rest"
}

head_print() {
	printf '%-13s %-5s %7s %9s [%9s-%9s] %6s [%6s-%6s] %9s %8s %8s %9s %7s\n' peer kind threads \
		ns/call least greatest floor least most bytes/rec "app us" "total us" records lost
}

# All contestants that can do this kind, in turns.
heat() { # KIND THREADS
	local name names='' round issued consumer_us records lost bytes

	for name in $contestants; do
		can "$name" "$1" "$2" || continue
		if worker_begin "$name" "$1" "$2" count "$(warm_bytes "$name")"; then
			names="$names $name"
			: >"$dir/$name.rounds"
		else
			fail "$name: not measured, kind $1: $(tail -n 3 "$dir/$name.log" 2>/dev/null)"
			worker_gone "$name" 1
		fi
	done
	for ((round = 0; round < rounds; round++)); do
		for name in $names; do
			[ -n "${pid[$name]:-}" ] || continue
			if ask "$name" round; then
				say "$answered" >>"$dir/$name.rounds"
			else
				worker_gone "$name" 1
			fi
		done
	done
	for name in $names; do
		[ -n "${pid[$name]:-}" ] || continue
		if worker_end "$name"; then
			result_print "$name" "$1" "$2"
		else
			fail "$name: kind $1, $2 threads: not measured"
		fi
	done
}

paced() { # NAME RATE
	local name=$1 issued consumer_us records lost bytes rate seconds app_us numbers

	if ! worker_begin "$name" b 1 spread 1 || ! ask "$name" pace "$2" "$rate_seconds"; then
		worker_gone "$name" 1
		return
	fi
	read -r rate seconds app_us <<<"$answered"
	worker_end "$name" || return
	numbers=$(awk -v b="$bytes" -v r="$records" -v a="$app_us" -v c="$consumer_us" \
		'BEGIN { printf "%.2f %.4f %.4f", b / r, a, a + c / r }')
	read -r bytes app_us numbers <<<"$numbers"
	printf '%-13s %10s %10s %9s %9s %9s %10s %9s\n' "$name" "$2" "$rate" "$bytes" "$app_us" \
		"$numbers" "$records" "$lost"
	say "result: bench=kernel tracer=$name threads=1 rate=$rate seconds=$seconds" \
		"app_cpu_us_per_record=$app_us total_cpu_us_per_record=$numbers" \
		"bytes_per_record=$bytes lost=$lost"
}

rates_table() {
	local name rate

	say "# kind b, values spread over 64 bits, $rate_seconds s at a rate, without pauses"
	printf '%-13s %10s %10s %9s %9s %9s %10s %9s\n' who asked/s issued/s bytes/rec "app us" \
		"total us" records lost
	for rate in $rates; do
		for name in $contestants; do
			case $name in lttng | qslog-*) paced "$name" "$rate" ;; esac
		done
	done
}

# ---- begin and end ----------------------------------------------------------------------------

# The same lock as that of bench_util.c.
lock() {
	exec 9>>"${TMPDIR:-/tmp}/qslog-bench.lock" || exit 1
	flock -n 9 && return
	echo "bench-peers: another benchmark is running, waiting for it" >&2
	flock -w 900 9 || { echo "bench-peers: it does not end" >&2; exit 1; }
}

# shellcheck disable=SC2317 # called by trap
clean_up() {
	local name

	trap - EXIT INT TERM HUP
	for name in "${!pid[@]}"; do
		kill "${pid[$name]}" 2>/dev/null
	done
	lttng_end
	case " ${contestants:-} " in *" perf "*) perf_events_end ;; esac
	[ -z "$dir" ] || rm -rf "$dir"
}

header_print() {
	say "# bench-peers, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
		"$(nproc) CPUs, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
	say "# kernel    $(uname -rm)"
	say "# compiler  $("${CC:-gcc}" --version | head -n 1), peers with -O2"
	# shellcheck disable=SC2016
	say "# packages  $(dpkg-query -W -f '${Package} ${Version}, ' libspdlog-dev lttng-tools \
		liblttng-ust-dev uftrace linux-perf bpftrace 2>/dev/null)"
	say "# $rounds rounds in turns; ns/call: median of the rounds, [least-greatest]"
}

main() {
	peers_choose
	contestants="$contestants$peers"
	programs_build
	lock
	dir=$(mktemp -d "${TMPDIR:-/tmp}/qslog-bench.XXXXXX") || exit 1
	trap clean_up EXIT
	trap 'exit 130' INT TERM HUP
	header_print
	case " $contestants " in
	*" lttng "*) lttng_begin || {
		fail "lttng: its daemon does not start: $(tail -n 3 "$dir/sessiond.log")"
		contestants=${contestants/ lttng/}
	} ;;
	esac
	head_print
	for threads in $thread_cnts; do
		for kind in $kinds; do
			heat "$kind" "$threads"
		done
	done
	rates_table
	say "# load at the end $(cut -d ' ' -f 1-3 /proc/loadavg)"
	[ $failures = 0 ]
}

main
exit $?
