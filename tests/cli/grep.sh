#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# grep.sh - qslog grep: options and exit status as those of grep, over what qslog cat prints.
. "$(dirname "$0")/lib.sh"

run() { # run STATUS ARGS...: runs qslog grep
	local want=$1
	shift
	run_qslog "$want" grep "$@"
}
out() { [ "$(cat "$dir/out")" = "$1" ] || fail "$what: not '$1'"; }
files_write 40 400
a=$dir/a.qslog b=$dir/b.qslog

# what is found is what grep finds in the messages
"$qslog" cat "$a" "$b" >"$dir/text"
for pattern in 'n=7' 'n=1[0-9]' 'id=10$' '-> step' 'step' 'records lost' '^n=3$' '(n|id)=20' 'us$'; do
	sed 's/^[^]]*\] //' "$dir/text" | grep -nE -- "$pattern" | cut -d: -f1 |
		awk 'NR == FNR { wanted[$1]; next } FNR in wanted' - "$dir/text" >"$dir/want"
	run 0 -e "$pattern" "$a" "$b"
	cmp -s "$dir/out" "$dir/want" || fail "$what: not what grep finds"
	run 0 -j 1 -e "$pattern" "$a" "$b"
	cmp -s "$dir/out" "$dir/want" || fail "$what: not what grep finds"
	run 0 -c -e "$pattern" "$a" "$b"
	[ "$(awk -F: '{ n += $NF } END { print n }' "$dir/out")" = "$(wc -l <"$dir/want")" ] ||
		fail "$what: another count"
done
cp "$dir/text" "$dir/want"
run 0 '' "$a" "$b"
cmp -s "$dir/out" "$dir/want" || fail "an empty pattern does not match all"

run 1 nowhere "$a"; lines 0; err '12 lost records are not shown'
run 1 -c nowhere "$a"; out 0
run 1 -l nowhere "$a" "$b"; lines 0
run 0 -l 'n=300' "$a" "$b"; out "$b"
run 0 -q 'n=3' "$a"; lines 0
run 0 -m 3 'n=' "$a" "$b"; lines 3
run 1 -m 0 'n=' "$a"; lines 0
run 0 -c -m 2 'n=' "$a"; out 2
run 1 -F 'n=.' "$a"
run 0 -F -e 'n=1' -e 'n=2' -c "$a"; out 22
run 0 -e '^n=1$' -e '^n=2$' -c "$a"; out 2
run 1 'N=1' "$a"
run 0 -ic 'N=1' "$a"; out 11
run 0 -vc 'n=' "$a"; out 12
run 0 -c --level W '' "$a"; out 4
run 0 -c -t count --tid 100 n "$a"; out 40
run 0 --json '^n=5$' "$a"; lines 1
grep -q '"message":"n=5"' "$dir/out" || fail "$what: no JSON"
run 0 --color always '=5$' "$a"
grep -q $'n\e\\[1;31m=5\e\\[m$' "$dir/out" || fail "$what: not in colour"
run 0 --color never '=5$' "$a"
grep -q $'\e' "$dir/out" && fail "$what: in colour"
run 0 --stats '^n=5$' "$a"; err 'read [0-9]+ of [0-9]+ bytes in [0-9]+ of [0-9]+ blocks, decoded [0-9]+$'

# a file that is still written is no trouble; one that is damaged or missing is
run 0 -c 'n=' "$dir/open.qslog"; out 5
run 2; err 'no pattern'
run 2 x; err 'no file'
run 2 '(' "$a"; err 'Unmatched'
run 2 --no-such x "$a"
run 2 -m x n "$a"; err 'max-count'
run 2 --color sometimes n "$a"; err 'color'
run 2 n= "$dir/missing" "$a"; err 'No such file'; lines 40
run 0 -q n= "$dir/missing" "$a"
run 2 n= tests/cli/grep.sh; err 'not a qslog file'
run 0 --help; silent

[ "$failures" -eq 0 ] && echo "grep.sh: ok"
exit $((failures > 0))
