# shellcheck shell=bash disable=SC2154,SC2034 # variables of peers.sh
# SPDX-License-Identifier: BSD-2-Clause
#
# tracers.sh - a part of peers.sh: what each peer can do, what it needs besides its program (a
# daemon, a session, probes, a script), and how its output is counted with its own reader.

# ---- LTTng's daemons: of a user that is not root, so that they are nobody else's ---------------

lttng_home=
lttng_pid=

as_lttng_user=()

lttng_run() { "${as_lttng_user[@]}" timeout 60 lttng --no-sessiond -n "$@"; }

lttng_begin() {
	lttng_home=$dir/lttng
	mkdir -p "$lttng_home" && chmod 755 "$dir" || return 1
	as_lttng_user=(env HOME="$lttng_home" LTTNG_HOME="$lttng_home")
	if [ "$(id -u)" = 0 ]; then
		chown 65534:65534 "$lttng_home" || return 1
		as_lttng_user+=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	fi
	"${as_lttng_user[@]}" timeout 30 lttng-sessiond --no-kernel --background \
		>"$dir/sessiond.log" 2>&1 9>&- || return 1
	for _ in 1 2 3 4 5 6 7 8 9 10; do
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

# ---- perf and bpftrace, and what each can do ------------------------------------------------

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

can() { # NAME KIND
	case $1/$2 in
	spdlog-*/span | uftrace/[abc] | perf/c) return 1 ;;
	esac
}

# Two threads are measured with b and with spans, for the sake of time.
heat_is() { # KIND THREADS
	case $2/$1 in
	1/* | */b | */span) ;;
	*) return 1 ;;
	esac
}

# What warms up memory that is touched for the first time: ring buffers, mostly. Bytes of records
# as qslog writes them.
warm_bytes() {
	case $1 in
	qslog-kernel) echo $((40 << 20)) ;;
	lttng) echo $((32 << 20)) ;;
	*) echo 1 ;;
	esac
}

bursts() {
	case $1 in
	bpftrace) echo 1 ;;
	perf) echo 3 ;;
	*) echo 15 ;;
	esac
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
