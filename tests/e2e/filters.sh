#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# filters.sh - --tid, --min-duration, --sample: what is left out is counted, is no loss, and what belongs
# together stays together. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

thin() { # FILE ARGS...: one run of the fixture under the tracer; TID0, TID1 are its threads'
	local file=$1 word
	shift
	rm -f "$dir/say" "$dir/answer"
	mkfifo "$dir/say" "$dir/answer" || exit 1
	"$fixtures/thin" <"$dir/say" >"$dir/answer" &
	app=$!
	exec 5>"$dir/say" 6<"$dir/answer"
	read -r -t 20 word tid0 tid1 <&6
	equal "the program" "$word" ready
	set -- "${@/TID0/$tid0}"
	set -- "${@/TID1/$tid1}"
	tracer_start -p "$app" -o "$file" --strict "$@" || finish
	echo go >&5
	tracer_end
	equal "exit status with $*" "$status" 0
	wait "$app"
	app=''
	exec 5>&- 6<&-
}
# All of it: both ends of a span are a record each.
thin "$dir/all.qslog"
err '^records=2680 lost=0 '

# Short spans go, with both ends; what was logged in them stays, and so do lines.
thin "$dir/long.qslog" --min-duration 10ms
err 'left out by filters, no losses: level or tag 0, thread 0, short spans 1200, sampling 0'
err '^records=1480 lost=0 '
equal "logs" "$(message_cnt "$dir/long.qslog" 'in short|of request')" 600
equal "short spans" "$(message_cnt "$dir/long.qslog" '(->|<-) (short|request)')" 0
equal "long spans" "$(message_cnt "$dir/long.qslog" '(->|<-) long')" 40
equal "spans in long ones that are as long" "$(message_cnt "$dir/long.qslog" '(->|<-) inner')" 40

# Some threads
thin "$dir/tid.qslog" --tid TID0
err '^records=340 lost=0 '
err 'thread 2340,'
equal "threads in the file" "$("$qslog" cat "$dir/tid.qslog" | cut -d ' ' -f 4 | sort -u)" "$tid0"
thin "$dir/tids.qslog" --tid TID0,999999999 --tid TID1
err '^records=2680 lost=0 '

# One in ten: whole lines, whole spans.
thin "$dir/sample.qslog" --sample 1/10
err 'sampling [1-9]'
messages "$dir/sample.qslog" >"$dir/text"
equal "begun and ended" "$(grep -c -- '-> ' "$dir/text")" "$(grep -c -- '<- ' "$dir/text")"
equal "short spans, one in ten" "$(grep -c -- '-> short' "$dir/text")" 20
equal "and what is in them" "$(grep -c 'in short' "$dir/text")" 20
equal "long spans, one in ten" "$(grep -c -- '-> long' "$dir/text")" 2
equal "and what is in them" "$(grep -c -- '-> inner' "$dir/text")" 2
requests=$(grep -c -- '-> request' "$dir/text")
equal "logs of lines with their spans" "$(grep -c 'of request' "$dir/text")" "$requests"
[ "$requests" -gt 10 ] && [ "$requests" -lt 90 ] || fail "$requests of 400 lines at one in ten"

# What makes no sense is refused.
run 2 --sample 0 -p 1
run 2 --min-duration 10 -p 1
run 2 --tid 1,x -p 1
finish
