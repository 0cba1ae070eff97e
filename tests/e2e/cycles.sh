#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# cycles.sh - attaching to a server under load and detaching, again and again (100 times with
# SOAK=1): its answers stay right, and nothing of the tracer is left behind in it. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

cycles=${SOAK:+100}
cycles=${cycles:-8}

mkfifo "$dir/ready"
"$BUILD/kvd" --workers 2 >"$dir/ready" &
app=$!
exec 5<"$dir/ready"
read -r -t 20 answer <&5
port=$(sed -n 's/.*port=\([0-9]*\).*/\1/p' <<<"$answer")
[ -n "$port" ] || { fail "kvd: $answer"; finish; }

base=$((16#$(awk -v app="$BUILD/kvd" '$6 == app { sub(/-.*/, "", $1); print $1; exit }' "/proc/$app/maps")))
semaphores() { # the values of all that readelf shows, in the process
	local address
	readelf -n "$BUILD/kvd" | awk '/Provider: qslog/ { ours = 1 } ours && /Semaphore:/ { print $NF; ours = 0 }' |
		sort -u | while read -r address; do
		((address)) || continue
		dd if="/proc/$app/mem" bs=2 count=1 skip=$(((base + address) / 2)) 2>/dev/null | od -A n -t u2
	done | tr -d ' \n'
}
state() { # what a tracer could leave
	echo "descriptors $(ls "/proc/$app/fd" | wc -l) uprobes $(grep -c '\[uprobes\]' "/proc/$app/maps") \
semaphores $(semaphores) tracer $(sed -n 's/^TracerPid:\t//p' "/proc/$app/status")"
}
descriptors=$(ls "/proc/$app/fd" | wc -l)
touch "$dir/go-on"
while [ -e "$dir/go-on" ]; do # each run checks every answer
	timeout 30 "$BUILD/kvd-load" --port "$port" --connections 4 --seconds 2 >>"$dir/load" 2>&1 ||
		echo "status $?" >>"$dir/wrong"
done &
load=$!
for ((try = 0; try < 200; try++)); do # it has its connections
	[ "$(ls "/proc/$app/fd" | wc -l)" -ge 9 ] && break
	read -r -t 0.05 <>"$dir/never"
done
before=$(state | sed 's/^descriptors [0-9]* //')
records=0
for ((i = 0; i < cycles; i++)); do
	timeout --foreground -k 5 60 "$trace" -q -p "$app" -d 0.02 -o "$dir/cycle.qslog" 2>"$dir/err" || {
		fail "cycle $i: $(cat "$dir/err")"
		break
	}
	records=$((records + $(sed -n 's/^records=\([0-9]*\) .*/\1/p' "$dir/err")))
done
[ "$records" -gt "$cycles" ] || fail "only $records records in $cycles cycles"
rm "$dir/go-on"
wait "$load"
equal "what is left" "$(state)" "descriptors $descriptors $before"
[[ $before == *"semaphores 00000000 "* ]] || fail "semaphores before: $before"
kill -TERM "$app"
wait "$app"
equal "exit status of the server" $? 0
app=''
[ -e "$dir/wrong" ] && fail "answers: $(cat "$dir/wrong" "$dir/load")"
echo "$records records in $cycles cycles"
finish
