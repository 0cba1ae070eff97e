#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# merge.sh - qslog merge: the text of the merged file is the merged text; options and exit status.
. "$(dirname "$0")/lib.sh"

run() { # run STATUS ARGS...: runs qslog merge
	local want=$1
	shift
	run_qslog "$want" merge "$@"
	[ ! -s "$dir/out" ] || [ "$1" = --help ] || fail "$what: something on standard output"
}
files_write 400 40

run 0 "$dir/b.qslog" "$dir/a.qslog" -o "$dir/ab.qslog"; err '^records=528 lost=[0-9]+ file='
for how in '' --json; do
	# shellcheck disable=SC2086 # may be nothing
	"$qslog" cat $how "$dir/a.qslog" "$dir/b.qslog" >"$dir/want"
	# shellcheck disable=SC2086
	"$qslog" cat $how "$dir/ab.qslog" >"$dir/got" || fail "the merged file cannot be read"
	cmp -s "$dir/want" "$dir/got" || fail "the merged file's text is not the merged text ($how)"
done
"$qslog" check -q "$dir/ab.qslog" || fail 'the merged file is not whole'
run 0 "$dir/ab.qslog" -o "$dir/again.qslog"
"$qslog" cat "$dir/again.qslog" | cmp -s - "$dir/got" || "$qslog" cat --json "$dir/again.qslog" |
	cmp -s - "$dir/got" || fail 'merged again it is another text'

run 0 -t count --tid 200 "$dir/a.qslog" "$dir/b.qslog" -o "$dir/part.qslog"; err '^records=40 '
run 3 "$dir/a.qslog" "$dir/open.qslog" -o "$dir/open2.qslog"; err '^records=4'
run 1 "$dir/a.qslog" -o "$dir/ab.qslog"; err 'exists already'
run 1 "$dir/a.qslog" -o "$dir/no/such/dir"; err 'No such file'
run 1 "$dir/missing" "$dir/a.qslog" -o "$dir/m.qslog"; err 'missing: No such file'
run 2 "$dir/a.qslog"; err 'no output'
run 2 -o "$dir/x.qslog"; err 'no file'
run 0 --help

[ "$failures" -eq 0 ] && echo "merge.sh: ok"
exit $((failures > 0))
