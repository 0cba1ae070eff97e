#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# classic.sh - files of the original format, written by hand in hexadecimal (tests/golden/classic_*.hex),
# are read as they should be, and written byte by byte.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
qslog=$BUILD/qslog
failures=0
cnt=0
export TZ=UTC0 LC_ALL=C.UTF-8

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# status WANTED COMMAND...: its output is in $dir/out and $dir/err
status() {
	local want=$1 got
	shift
	"$@" >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	[ "$got" -eq "$want" ] || {
		fail "$*: exit status $got, not $want"
		sed 's/^/  err: /' "$dir/err" | head -n 5
	}
}

same() { # same WHAT FILE FILE
	cmp -s "$2" "$3" && return
	fail "$1 differs (-: as it should be):"
	diff -u <(cat -v "$2") <(cat -v "$3") | head -n 12
}

binary() { # binary HEX OUT
	python3 -c 'import sys
sys.stdout.buffer.write(b"".join(bytes.fromhex(line.split("#")[0]) for line in sys.stdin))' <"$1" >"$2" ||
		fail "$1 is not hexadecimal"
}

for hex in tests/golden/classic_*.hex; do
	name=${hex##*/}
	name=${name%.hex}
	want=0
	[[ $name = *damaged* ]] && want=3
	binary "$hex" "$dir/$name"
	status "$want" "$qslog" cat "$dir/$name"
	same "text of $name" "${hex%.hex}.text" "$dir/out"
	[ "$want" -eq 0 ] || grep -q 'damaged at byte' "$dir/err" || fail "$name: no damage is reported"
	status "$want" "$qslog" cat --classic -j 1 "$dir/$name"
	same "text of $name with --classic" "${hex%.hex}.text" "$dir/out"
	status "$want" "$qslog" check "$dir/$name"
	status "$want" "$qslog" cat --json "$dir/$name"
	python3 -c 'import json, sys
for line in sys.stdin: json.loads(line)' <"$dir/out" || fail "$name: not JSON"
	# What is written reads the same, and written again it does not change.
	status "$want" "$qslog" export --to classic "$dir/$name" -o "$dir/again"
	status 0 "$qslog" cat "$dir/again"
	cp "$dir/out" "$dir/text"
	sed 's/\[a b.c:/[a_b.c:/' "${hex%.hex}.text" >"$dir/want"
	same "text of $name as it was written" "$dir/want" "$dir/text"
	status 0 "$qslog" export --to classic "$dir/again" -o "$dir/again2"
	same "$name written twice" "$dir/again" "$dir/again2"
	cnt=$((cnt + 1))
done
[ "$cnt" -ge 12 ] || fail "only $cnt files: where are they?"

# Byte for byte.
for name in example written; do
	status 0 "$qslog" export --to classic "$dir/classic_$name" -o "$dir/again"
	same "classic_$name as it was written" "$dir/classic_$name" "$dir/again"
done

# What a .qslog file has comes over: the same lines.
for name in types spans context losses threads formats numbers order deep tick_us clock_steps; do
	file=tests/golden/$name.qslog
	status 0 "$qslog" cat "$file"
	sed 's/\[golden file\.c:/[golden_file.c:/' "$dir/out" >"$dir/want"
	status 0 "$qslog" export --to classic "$file" -o "$dir/out.classic"
	cp "$dir/err" "$dir/notes"
	# (numbers has pids that no Linux has)
	status 0 "$qslog" cat --classic "$dir/out.classic"
	same "text of $name" "$dir/want" "$dir/out"
	case $name in
	spans) grep -q '11 beginnings and ends of spans' "$dir/notes" || fail "spans are not counted" ;;
	losses) grep -q '7 losses, of 18049651735527937 records' "$dir/notes" || fail "losses are not counted" ;;
	types)
		grep -q '1 NULL' "$dir/notes" || fail "NULL is not counted"
		grep -q 'cut to milliseconds' "$dir/notes" || fail "times are not spoken of"
		;;
	esac
done

# Not taken for one: text, other binary files, the beginning of one with a pid that there is not.
printf 'a line of text\n' >"$dir/text"
printf '\x84\xff\xff\xff\xff\x00' >"$dir/pid"
printf '\x84\x01\x00\x00\x00\xc0' >"$dir/entry"
head -c 4096 /dev/urandom | tr '\204' '\205' >"$dir/random"
for file in text pid entry random; do
	status 3 "$qslog" cat "$dir/$file"
	grep -q 'not a qslog file' "$dir/err" || fail "$file is taken for something"
done
status 3 "$qslog" cat --classic "$dir/entry"
grep -q 'damaged at byte 5' "$dir/err" || fail "--classic does not make it one"

# Options.
status 2 "$qslog" export "$dir/classic_example"
grep -q 'no format given' "$dir/err" || fail "no word about --to"
status 2 "$qslog" export --to nothing "$dir/classic_example"
grep -q 'no such format' "$dir/err" || fail "no word about the format"
cp "$dir/classic_example" "$dir/input"
status 2 "$qslog" export --to classic "$dir/input" -o "$dir/input"
cmp -s "$dir/input" "$dir/classic_example" || fail "the input was written over"
status 1 "$qslog" export --to classic "$dir/classic_example" -o "$dir/no/such/folder"
status 1 "$qslog" export --to classic "$dir/classic_example" -o /dev/full
grep -q '/dev/full' "$dir/err" || fail "no word about what could not be written"
"$qslog" export --to classic "$dir/classic_example" 2>/dev/null | cmp -s - "$dir/classic_example" ||
	fail "standard output has another file"
status 0 "$qslog" export --to classic -l error "$dir/classic_example" -o "$dir/again"
[ ! -s "$dir/again" ] || fail "the filter has no effect"

[ "$failures" -eq 0 ] && echo "classic: $cnt files"
exit $((failures > 0))
