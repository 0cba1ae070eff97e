#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# snapshot_site.sh - qslog-trace --snapshot-site: a dump when a chosen place in the source records. It
# holds what all threads had recorded until then, and nothing that the process recorded later. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

said() { # TEXT: until the tracer has said it
	local line
	while read -r -t 30 line <&7; do
		echo "$line" >>"$dir/err"
		[[ $line == *"$1"* ]] && return 0
	done
	fail "the tracer does not say '$1': $(cat "$dir/err")"
}
place() { # FIXTURE TEXT: where it is in the source
	grep -n -m 1 -F "$2" "tests/fixtures/$1" | cut -d : -f 1
}
numbers_follow() { # of standard input: each is its predecessor's successor
	awk 'NR > 1 && $1 != last + 1 { bad++ } { last = $1 } END { exit bad > 0 }'
}

warn=$(place speaker.c QSLOGW) error=$(place speaker.c QSLOGE) fatal=$(place speaker.c QSLOGF)
for way in '' perf; do
	export QSLOG_TRACE_ATTACH=$way
	speaker_start "1$way" speaker
	# "er.c" is no whole part of the path.
	tracer_start -p "$app" -o "$dir/a$way.%n.qslog" --strict --snapshot-site "fixtures/speaker.c:$warn" \
		--snapshot-site "er.c:$error" --snapshot-site "speaker.c:$fatal" || finish
	say i "one"
	say h 10
	say e "not this one"
	say w "two"
	said "dump of 13 records in $dir/a$way.1.qslog, for fixtures/speaker.c:$warn in process $app"
	equal "the last one" "$(messages "$dir/a$way.1.qslog" | tail -n 1)" "W speaker two"
	"$qslog" check "$dir/a$way.1.qslog" >/dev/null || fail "the first dump is damaged"
	# More than memory holds, and the next moment more again.
	say n 30000
	echo "w three
n 30000" >&5
	read -r -t 20 _ <&6 && read -r -t 20 _ <&6 || fail "no answer"
	said "in $dir/a$way.2.qslog, for fixtures/speaker.c:$warn"
	equal "the last one" "$(messages "$dir/a$way.2.qslog" | tail -n 1)" "W speaker three"
	cnt=$(message_cnt "$dir/a$way.2.qslog" ' [0-9]+$')
	# 256 KiB are 5461 of them: each has padding before it, as it tells of itself.
	[ "$cnt" -gt 4400 ] && [ "$cnt" -lt 5500 ] || fail "$cnt of 30000 records in the second dump"
	messages "$dir/a$way.2.qslog" | grep -Eo ' [0-9]+$' | tail -n "$((cnt - 10))" | numbers_follow ||
		fail "records are missing in the middle"
	tracer_end INT
	equal "exit status" "$status" 0
	equal "leftovers" "$(find "$dir" -name '*.3.qslog' -o -name '*.tmp' -o -name '*.tail')" ""
	err "nothing was recorded at er\\.c:$error"
	err "nothing was recorded at speaker\\.c:$fatal"
	err ' lost=0 '
	speaker_end
done
unset QSLOG_TRACE_ATTACH

# From its first record on; and it ends while the dump is being written.
run 0 -o "$dir/b.%n.qslog" --snapshot-site "workload.c:$(place workload.c '_exit(8)')" \
	--snapshot-site "values.c:$(place values.c 'level w')" --strict -- "$fixtures/values"
err "in $dir/b\\.1\\.qslog"
cat "$dir"/b.*.qslog >/dev/null || fail "no dump"
equal "before it" "$("$qslog" cat "$dir/b.1.qslog" | grep -c 'named user=bob')" 1

# A place where four threads record all the time: dump after dump, each whole.
mkfifo "$dir/go"
"$fixtures/workload" -s "$dir/shared" -t 4 -n 3000 -e join -w >"$dir/ready" < <(read -r -t 30 <"$dir/go"; echo go) &
app=$!
tracer_start -p "$app" -o "$dir/c.%n.qslog" --snapshot-site "workload.c:$(place workload.c QSLOGW)" || finish
echo >"$dir/go"
wait "$app"
app=''
tracer_end
equal "exit status" "$status" 0
err 'for chosen sites that recorded during the one before, [1-9][0-9]* times'
for number in 1 2; do
	file=$dir/c.$number.qslog
	"$qslog" check "$file" >"$dir/out" || fail "$file is damaged: $(cat "$dir/out")"
	messages "$file" | awk '$3 in last && $4 != last[$3] + 1 { bad++ } { last[$3] = $4 } END { exit bad > 0 }' ||
		fail "$file: records are missing in the middle"
done

run 2 --snapshot-site peer.c -p 1
err 'not a place in the source \(FILE:LINE'
run 2 --snapshot-site :5 -p 1
run 2 --snapshot-site a.c:0 -p 1
run 2 --snapshot-site "$(printf 'a%.0s' {1..300}).c:5" -p 1
run 2 $(for n in 1 2 3 4 5 6 7 8 9; do echo --snapshot-site "a.c:$n"; done) -p 1
err 'too many'
run 2 --snapshot-site a.c:5 --live -p 1
finish
