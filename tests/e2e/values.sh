#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# values.sh - every type of argument at its limits, through the macros, in both modes: the text
# must be, letter by letter, what is written here. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

cat >"$dir/expected" <<'TEXT'
I values i8 -128 127
I values u8 0 255
I values i16 -32768 32767
I values u16 0 65535
I values i32 -2147483648 2147483647
I values u32 0 4294967295
I values i64 -9223372036854775808 9223372036854775807
I values u64 0 18446744073709551615
I values long -9223372036854775808 18446744073709551615
I values longlong -9223372036854775808 18446744073709551615
I values minus -1 -1 -1
I values bool true false
I values char 97 b ~
I values control char [\n] [\x1b] [\x00]
I values hex ff FF 0xffffffffffffffff 00000101 10
I values width [    42] [42    ] [  42  ] [-00042] [+42]
I values float 1.1754944e-38 3.4028235e+38 1e-45
I values double 2.2250738585072014e-308 1.7976931348623157e+308 5e-324
I values special nan inf -inf -0 0
I values short 0.1 0.1 3.142 1.234568e+04
I values pointer 0x1234 0x0
I values pointer max 0xffffffffffffffff
I values empty [] null [(null)]
I values strn [a\x00b] [trunc]
I values strn null [(null)] empty []
I values control [\x07\x08\t\n\x0b\x0c\r\x1b[31mred\x7f\xc2\x9b]
I values utf8 [grüß €] broken [\xff\xc3]
I values padded [  abc] [ab]
I values 64k k*65536
I values 200k m*131040…[+73760 bytes]
I values two of 200k m*65512…[+139288 bytes] m*65512…[+139288 bytes]
I values bytes 00017f80ff
I values bytes none []
I values bytes null [(null)]
TEXT
{
	printf 'I values bytes all '
	for ((i = 0; i < 256; i++)); do printf %02x "$i"; done
	cat <<'TEXT'

I values no argument
I values braces {} {1}
I values 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
I values mixed s 1 2.5 c true 7
I values named user=bob took=    42us
V values level v
D values level d
W values level w
E values level e
F values level f
I own-tag tag of the call
TEXT
} >>"$dir/expected"

# Runs of more than 300 equal letters as LETTER*COUNT.
fold_runs() {
	awk '{
		line = $0
		for (c = 1; c <= 2; c++) {
			letter = c == 1 ? "k" : "m"
			out = ""
			while (match(line, letter "+")) {
				run = RLENGTH > 300 ? letter "*" RLENGTH : substr(line, RSTART, RLENGTH)
				out = out substr(line, 1, RSTART - 1) run
				line = substr(line, RSTART + RLENGTH)
			}
			line = out line
		}
		print line
	}'
}

check() { # MODE FILE
	messages "$2" >"$dir/raw"
	fold_runs <"$dir/raw" >"$dir/got"
	diff -u "$dir/expected" "$dir/got" | head -40 >"$dir/diff"
	[ -s "$dir/diff" ] && fail "$1: the text is not what it should be: $(cat "$dir/diff")"
	# Nothing that a terminal would interpret: bytes below 0x20, 0x7f, and C1 controls.
	LC_ALL=C grep -aqP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$dir/raw" &&
		fail "$1: a control character reaches the terminal"
	"$qslog" cat --json "$2" >"$dir/json" || fail "$1: cat --json"
	LC_ALL=C grep -aqP '[\x00-\x09\x0b-\x1f\x7f]' "$dir/json" &&
		fail "$1: a control character in the JSON"
	grep -q '"args":{"user":"bob","us":42}' "$dir/json" || fail "$1: names in JSON"
	"$qslog" check -q "$2" || fail "$1: qslog check: $?"
}

run 0 -o "$dir/kernel.qslog" -- "$fixtures/values"
err ' lost=0 '
check "kernel mode" "$dir/kernel.qslog"
QSLOG_FILE=$dir/inproc.qslog QSLOG_ARENA_SIZE=4M timeout 60 "$fixtures/values.inproc" ||
	fail "values.inproc: $?"
check "in-process" "$dir/inproc.qslog"
finish
