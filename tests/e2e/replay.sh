#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# replay.sh - calls replayed through sites defined at run time, in-process, come out as they went
# in: level, tag and message, in order, none missing.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
replay=$BUILD/replay
[ -x "$replay" ] || { fail "$replay is not built"; finish; }

# Arguments with everything that could go wrong on the way; the same format with other types and
# levels is another site.
t=$'\t'
cat >"$dir/sample.tsv" <<EOT
I${t}net${t}accepted {} from {}${t}i:7${t}s:10.0.0.1
I${t}net${t}accepted {} from {}${t}i:-8${t}s:
V${t}net${t}accepted {} from {}${t}s:seven${t}i:9223372036854775807
D${t}store.Cache\$1${t}no arguments
W${t}store${t}braces {{}} {{{}}} end${t}i:-9223372036854775808
E${t}a tag (1)${t}back\\\\slash and {}${t}s:C:\\\\new
F${t}net${t}{}${t}s:{} not a format
I${t}net${t}{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}${t}i:1${t}i:2${t}i:3${t}i:4${t}i:5${t}i:6${t}i:7${t}i:8${t}s:a${t}s:b${t}s:c${t}s:d${t}s:e${t}s:f${t}s:g${t}s:h
EOT
cat >"$dir/want" <<'EOT'
I net accepted 7 from 10.0.0.1
I net accepted -8 from 
V net accepted seven from 9223372036854775807
D store.Cache$1 no arguments
W store braces {} {-9223372036854775808} end
E a tag (1) back\slash and C:\new
F net {} not a format
I net 1 2 3 4 5 6 7 8 a b c d e f g h
EOT
text() { # FILE: level, tag and message; tags here may have blanks
	"$qslog" cat "$1" | sed -E 's/^[^ ]+ [^ ]+ [0-9]+ [0-9]+ ([VDIWEF] .*) \[replay\.c:0 replay\] /\1 /'
}
run_replay() { # STATUS ARGS...
	local want=$1
	shift
	timeout -k 5 60 "$replay" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	equal "exit status of replay $*" $? "$want"
}

run_replay 0 "$dir/sample.tsv" --out "$dir/one.qslog"
equal "summary" "$(tail -n 1 "$dir/out")" "replayed calls=8 sites=7 full=0"
text "$dir/one.qslog" >"$dir/got"
diff "$dir/want" "$dir/got" >"$dir/diff" || fail "other text: $(cat "$dir/diff")"

# Many times, and faster than they are taken away: it waits, and none is missing.
run_replay 0 "$dir/sample.tsv" --rounds 25000 --out "$dir/many.qslog"
grep -q '^replayed calls=200000 sites=7 ' "$dir/out" || fail "summary: $(cat "$dir/out")"
text "$dir/many.qslog" | awk -v want="$dir/want" '
	BEGIN { while ((getline line < want) > 0) lines[cnt++] = line }
	$0 != lines[(NR - 1) % cnt] { print "line " NR ": " $0; exit bad = 1 }
	END { if (!bad && NR != 200000) print NR " lines" }' >"$dir/diff"
[ -s "$dir/diff" ] && fail "25000 rounds: $(cat "$dir/diff")"

# Tab and newline are data, and no terminal sees them as such.
printf 'I\tnet\ttext {}\ts:a\\tb\\nc\n' >"$dir/escaped.tsv"
run_replay 0 "$dir/escaped.tsv" --out "$dir/escaped.qslog"
equal "lines" "$("$qslog" cat "$dir/escaped.qslog" | wc -l)" 1
"$qslog" cat --json "$dir/escaped.qslog" | grep -qF '"0":"a\tb\nc"' || fail "tab and newline"

# What is no call is named.
bad() { # TEXT
	printf 'I\tnet\tfine\n%b\n' "$1" >"$dir/bad.tsv"
	run_replay 1 "$dir/bad.tsv"
	grep -q 'bad\.tsv:2: not a call' "$dir/err" || fail "'${1:0:60}' is taken for a call"
}
bad ''
bad 'I\tnet'
bad 'X\tnet\tunknown level'
bad 'II\tnet\tunknown level'
bad 'I\tnet\t{}\ti:1x'
bad 'I\tnet\t{}\ti:9223372036854775808'
bad 'I\tnet\t{}\tf:1'
bad "I\tnet\tmore than 16$(printf '\\ti:%d' {1..17})"
bad "I\tnet\t$(printf '%05000d' 0)"
run_replay 1 "$dir/missing.tsv"
run_replay 1 "$dir/sample.tsv" --out "$dir/missing/x.qslog"
run_replay 2
run_replay 2 "$dir/sample.tsv" --rounds 0
finish
