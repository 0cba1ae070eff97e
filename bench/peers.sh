#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench-peers: the calls of bench-record, done by what Debian packages beside qslog.
#
#   PEERS="lttng perf"   only these beside qslog   PEERS_ROUNDS=7      rounds
#   PEERS_KINDS="b"      only these kinds          PEERS_THREADS="1"   only this many threads
#   PEERS_INSTALL=yes    install with apt what is missing; else it is named and left out
#   PEERS_SECONDS=330    about how long it may take
#   PEERS_PART=rates     only what each takes at given rates, and how much without loss
#
# For each kind and number of threads, every contestant runs in a process of its own
# (peers/worker.c): the same loops, values and floor, compiled from bench_calls.c with its calls.
# They take turns, round by round; a round is a few bursts, each next to a burst of the floor, with
# the consumer at rest in between. Shown are the median of the rounds and their least and greatest.
# On a busy machine there are fewer rounds than asked for, so that the time is enough for all of it.
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
rate_seconds=2
limit=${PEERS_SECONDS:-330}
rates_share=$((limit / 4)) # of the time
heat_ends=8		   # seconds that it takes to end all contestants of a heat
answer_seconds=120
failures=0
dir=

say() { printf '%s\n' "$*"; }
fail() {
	printf 'bench-peers: %s\n' "$*" >&2
	failures=$((failures + 1))
}

# shellcheck source=bench/peers/build.sh
. "$here/peers/build.sh"
# shellcheck source=bench/peers/tracers.sh
. "$here/peers/tracers.sh"

# ---- one contestant of a heat ---------------------------------------------------------------

declare -A to from pid output

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
			PEER_END_COMMAND="timeout 60 lttng --no-sessiond -n stop peers \
>/dev/null") ;;
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
		if [ $((waited += 1)) -ge $answer_seconds ] || [ $SECONDS -ge $((limit + 30)) ] ||
			! kill -0 "${pid[$1]}" 2>/dev/null; then
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
	pid_end_wait "${pid[$name]}" "${2:-10}" || kill "${pid[$name]}" 2>/dev/null
	wait "${pid[$name]}" 2>/dev/null
	descriptors_close "$name"
	unset "pid[$name]" "to[$name]" "from[$name]"
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
	awk -v c="$2" '{ print $c }' "$1" | sort -g | awk '{ v[NR] = $1 }
		END { printf "%.2f %.2f %.2f", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

result_print() { # NAME KIND THREADS
	local ns min max floor_ns floor_min floor_max app_us rest sizes

	read -r ns min max <<<"$(median "$dir/$1.rounds" 1)"
	read -r floor_ns floor_min floor_max <<<"$(median "$dir/$1.rounds" 2)"
	app_us=$(awk '{ print $3 }' "$dir/$1.rounds" | sort -g |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')
	sizes=$(awk -v b="$bytes" -v r="$records" -v a="$app_us" -v c="$consumer_us" \
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
	printf '%-13s %-5s %7s %9s [%9s-%9s] %6s [%6s-%6s] %9s %8s %8s %9s %7s\n' peer kind \
		threads ns/call least greatest floor least most bytes/rec "app us" "total us" \
		records lost
}

# All contestants that can do this kind, in turns; rounds begin until the script's clock says UNTIL,
# but there is one.
heat() { # KIND THREADS UNTIL
	local name names='' round issued consumer_us records lost bytes

	for name in $contestants; do
		can "$name" "$1" || continue
		if worker_begin "$name" "$1" "$2" count "$(warm_bytes "$name")"; then
			names="$names $name"
			: >"$dir/$name.rounds"
		else
			fail "$name: not measured, kind $1:" \
				"$(tail -n 3 "$dir/$name.log" 2>/dev/null)"
			worker_gone "$name" 1
		fi
	done
	for ((round = 0; round < rounds; round++)); do
		if [ $round -gt 0 ] && [ $SECONDS -ge "$3" ]; then
			say "# kind $1, threads $2: only $round rounds, for want of time"
			break
		fi
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
			fail "$name: kind $1, threads $2: not measured"
		fi
	done
}

# Kind b at a rate, without pauses; sets issued, lost and the result line, which is printed where
# QUIET is not given.
paced() { # NAME RATE SECONDS THREADS [QUIET]
	local name=$1 consumer_us records bytes rate seconds app_us numbers

	issued=0 lost=-1
	if ! worker_begin "$name" b 1 spread 1 || ! ask "$name" pace "$2" "$3" "$4"; then
		worker_gone "$name" 1
		return 1
	fi
	read -r rate seconds app_us <<<"$answered"
	worker_end "$name" || return 1
	numbers=$(awk -v b="$bytes" -v r="$records" -v a="$app_us" -v c="$consumer_us" \
		'BEGIN { printf "%.2f %.4f %.4f", b / r, a, a + c / r }')
	read -r bytes app_us numbers <<<"$numbers"
	printf '%-13s %7s %10s %10s %9s %9s %9s %10s %9s\n' "$name" "$4" "$2" "$rate" "$bytes" \
		"$app_us" "$numbers" "$records" "$lost"
	# 95 %, or the threads themselves are not faster
	reached=$(awk -v r="$rate" -v a="$2" 'BEGIN { print (r >= 0.95 * a) }')
	result="result: bench=kernel tracer=${name%-kernel} threads=$4 rate=$rate seconds=$seconds"
	result="$result app_cpu_us_per_record=$app_us total_cpu_us_per_record=$numbers"
	result="$result bytes_per_record=$bytes lost=$lost"
	case $name in
	qslog-inproc) result="result: bench=record mode=inproc kind=b threads=$4 rate=$rate lost=$lost" ;;
	esac
	[ -n "${5:-}" ] || say "$result"
}

rates_head() {
	printf '%-13s %7s %10s %10s %9s %9s %9s %10s %9s\n' who threads asked/s issued/s bytes/rec \
		"app us" "total us" records lost
}

# What each can be asked for.
rates_of() {
	case $1 in
	qslog-*) echo 1000000 5000000 10000000 ;;
	lttng) echo 1000000 2000000 5000000 10000000 ;;
	perf | bpftrace) echo 50000 200000 ;;
	esac
}

rates_table() {
	local name rate

	say "# kind b, values spread over 64 bits, $rate_seconds s at a rate, without pauses"
	rates_head
	for name in $contestants; do
		for rate in $(rates_of "$name"); do
			if [ $SECONDS -ge "$limit" ]; then
				say "# $name at $rate a second: not measured, for want of time"
				continue
			fi
			paced "$name" "$rate" "$rate_seconds" 1
		done
	done
}

# The highest rate at which all of it arrives, by halving; bench-kernel does it for qslog.
searches() {
	local name threads steps low high middle best

	say "# the highest rate without loss, $rate_seconds s each, by halving"
	rates_head
	for name in $contestants; do
		for threads in 1 2 4; do
			case $name in
			lttng) steps=(500000 1000000 1500000 2000000 3000000 4000000 5000000 6000000
				8000000 10000000) ;;
			perf | bpftrace) steps=(20000 50000 100000 150000 200000 300000 400000 600000) ;;
			*) continue ;;
			esac
			low=0 high=${#steps[@]} best=
			while [ $low -lt "$high" ] && [ $SECONDS -lt "$limit" ]; do
				middle=$(((low + high) / 2))
				if paced "$name" "${steps[middle]}" "$rate_seconds" "$threads" quiet &&
					[ "$lost" = 0 ] && [ "$reached" = 1 ]; then
					best=$result low=$((middle + 1))
				else
					high=$middle
				fi
			done
			say "# $name, $threads threads: ${best:-losses at every rate}" |
				sed 's/: result: .* rate=\([0-9]*\).*/: \1 a second without loss/'
			[ -z "$best" ] || say "$best"
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
	say "# up to $rounds rounds in turns; ns/call: median of the rounds, [least-greatest]"
}

# Those of each get the same share of the time that is left.
heats() {
	local threads kind left=0

	for threads in $thread_cnts; do
		for kind in $kinds; do
			heat_is "$kind" "$threads" && left=$((left + 1))
		done
	done
	for threads in $thread_cnts; do
		for kind in $kinds; do
			heat_is "$kind" "$threads" || continue
			heat "$kind" "$threads" \
				$((SECONDS + (limit - rates_share - SECONDS) / left - heat_ends))
			left=$((left - 1))
		done
	done
}

main() {
	peers_choose
	contestants="$contestants$peers"
	lock
	SECONDS=0
	programs_build
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
	case ${PEERS_PART:-} in
	rates) ;;
	*)
		head_print
		heats ;;
	esac
	rates_table
	[ "${PEERS_PART:-}" != rates ] || searches
	say "# load at the end $(cut -d ' ' -f 1-3 /proc/loadavg)"
	[ $failures = 0 ]
}

main
exit $?
