#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# dynamic_sites.sh - sites that a program registers at run time are in the file, also when it is
# dead before the tracer can look at it: none is unknown. (needs-bpf)
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# Every log and both ends of every span are there; TIMES logs of each of SITES sites, in order.
complete() { # WHAT FILE SITES TIMES
	local want=$(($3 * ($4 + 2)))
	what=$1 # for err
	err "^records=$want lost=0 " || return
	equal "$1: messages" "$(messages "$2" | grep -Ec '^I dynamic site [0-9]+: [0-9]+ text$')" \
		$(($3 * $4))
	equal "$1: sites" "$("$qslog" cat "$2" | grep -oE '\[dynamic:[0-9]+ run\] site [0-9]+' |
		awk '{ split($1, line, ":"); if (line[2] != $4) print "wrong:", $0; print }' |
		sort -u | wc -l)" "$3"
	equal "$1: spans" "$("$qslog" cat "$2" | grep -oE '(>|<).* span [0-9]+|span [0-9]+' |
		grep -oE 'span [0-9]+' | sort -u | wc -l)" "$3"
}

# From the first record on: registered while the tracer is attached, used at once, and then dead.
for how in kill exit return; do
	for sites in 1 7 3000; do
		timeout --foreground -k 5 60 "$trace" -o "$dir/$how.qslog" -- \
			"$fixtures/dynamic" "$sites" 3 "$how" >"$dir/out" 2>"$dir/err" </dev/null
		complete "$sites sites, $how" "$dir/$how.qslog" "$sites" 3
	done
done

# Registered before the tracer came, and after; the process dies before it can be looked at again.
mkfifo "$dir/go"
for how in kill exit; do
	mkfifo "$dir/ready.$how"
	"$fixtures/dynamic" 5000 2 "$how" wait <"$dir/go" >"$dir/ready.$how" 2>/dev/null &
	app=$!
	disown
	exec 5>"$dir/go" 6<"$dir/ready.$how"
	read -r -t 20 <&6 || fail "the program does not get ready"
	# No looks at the process between attaching and its end.
	tracer_start -p "$app" --flush-ms 60000 -o "$dir/$how.qslog"
	echo go >&5
	tracer_end
	exec 5>&- 6<&-
	app=''
	complete "before and after, $how" "$dir/$how.qslog" 5000 2
done
finish
