# shellcheck shell=bash disable=SC2034 # what is set here is for the scripts
# SPDX-License-Identifier: BSD-2-Clause
#
# lib.sh - for the scripts beside it: a folder that goes away, and programs that are started, waited
# for by what they say, and ended by their id. Every wait has a deadline.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=${BUILD:-$PWD/build}
dir=$(mktemp -d) || exit 1
chmod 755 "$dir"
trace=$BUILD/qslog-trace
qslog=$BUILD/qslog
fixtures=$BUILD/tests/fixtures
failures=0
tracer='' app=''
export TZ=UTC0 LC_ALL=C
unset SUDO_UID SUDO_GID

clean_up() {
	[ -n "$tracer" ] && kill -KILL "$tracer" 2>/dev/null
	[ -n "$app" ] && kill -KILL "$app" 2>/dev/null
	mountpoint -q "$dir/full" && umount "$dir/full"
	# what programs that were killed in in-process mode have left
	timeout 20 "$qslog" recover 2>/dev/null | grep -F " $dir/" | sed 's/: process .*//' |
		xargs -r rm -f
	rm -rf "$dir"
}
trap clean_up EXIT

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

finish() {
	[ "$failures" -eq 0 ] || { echo "$failures failures"; exit 1; }
	exit 0
}

equal() { # equal WHAT GOT WANTED
	[ "$2" = "$3" ] || fail "$1: '$2', not '$3'"
}

# --- The speaker fixture: say LINE; the answer is in $answer.
speaker_start() {
	mkfifo "$dir/say.$1" "$dir/answer.$1" || exit 1
	"$fixtures/$2" <"$dir/say.$1" >"$dir/answer.$1" 2>"$dir/speaker.err" &
	app=$!
	exec 5>"$dir/say.$1" 6<"$dir/answer.$1"
}
say() {
	answer=''
	echo "$*" >&5
	read -r -t 20 answer <&6 || fail "no answer to '$*'"
}
speaker_end() {
	exec 5>&- 6<&-
	wait "$app"
	equal "exit status of the speaker" $? 0
	app=''
}

# --- The tracer. Its standard output is in $dir/out, its standard error in $dir/err.
tracer_start() { # ARGS...: returns when it says that it is attached
	local line
	rm -f "$dir/tracer"
	mkfifo "$dir/tracer" || exit 1
	: >"$dir/err"
	timeout --foreground -k 5 100 "$trace" "$@" >"$dir/out" 2>"$dir/tracer" 5>&- 6<&- &
	tracer=$!
	exec 7<"$dir/tracer"
	while read -r -t 30 line <&7; do
		echo "$line" >>"$dir/err"
		[[ $line == *attached* ]] && return 0
	done
	fail "qslog-trace $*: not attached: $(cat "$dir/err")"
	return 1
}
tracer_end() { # [SIGNAL]: its exit status is in $status
	[ $# -gt 0 ] && kill "-$1" "$tracer" # timeout(1) passes it on
	timeout 30 cat <&7 >>"$dir/err"
	exec 7<&-
	wait "$tracer"
	status=$?
	tracer=''
}
run() { # STATUS ARGS...: runs the tracer to its end
	local want=$1 got
	shift
	timeout --foreground -k 5 60 "$trace" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	what="qslog-trace $*"
	[ "$got" -eq "$want" ] || fail "$what: exit status $got, not $want: $(cat "$dir/err")"
}
err() { grep -Eq -- "$1" "$dir/err" || fail "${what:-tracer}: no '$1' on standard error: $(cat "$dir/err")"; }

# --- What is in a file.
messages() { # FILE: level, tag and message of each record
	"$qslog" cat "$1" | sed -E 's/^[^ ]+ [^ ]+ [0-9]+ [0-9]+ ([A-Z]) ([^ ]+) \[[^]]*\] /\1 \2 /'
}
message_cnt() { # FILE RE
	messages "$1" | grep -Ec -- "$2"
}
# Until FILE holds a record that matches; a few seconds at most.
message_await() { # FILE RE
	local try
	for ((try = 0; try < 100; try++)); do
		[ -n "$("$qslog" cat --grep "$2" "$1" 2>/dev/null)" ] && return 0
		read -r -t 0.05 <>"$dir/never"
	done
	return 1
}
mkfifo "$dir/never"
