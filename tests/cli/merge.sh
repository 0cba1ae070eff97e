#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# merge.sh - qslog merge: the text of the merged file is the merged text; options and exit status.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
qslog=$BUILD/qslog
failures=0
export TZ=UTC0 LC_ALL=C

fail() {
	echo "FAIL: $*"
	sed 's/^/  err: /' "$dir/err" | head -20
	failures=$((failures + 1))
}

run() { # run STATUS ARGS...
	local want=$1 got
	shift
	"$qslog" merge "$@" >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	what="qslog merge $*"
	[ "$got" -eq "$want" ] || fail "$what: exit status $got, not $want"
	[ ! -s "$dir/out" ] || [ "$1" = --help ] || fail "$what: something on standard output"
}
err() { grep -Eq -- "$1" "$dir/err" || fail "$what: no '$1' on standard error"; }

libs=$(pkg-config --libs libzstd libxxhash 2>/dev/null || echo -lzstd)
# shellcheck disable=SC2086 # several libraries
"${CC:-cc}" -std=gnu11 -Wall -Wextra ${SAN:+-fsanitize=$SAN} -Iusdt -Iuserspace \
	-o "$dir/write_file" tests/cli/write_file.c "$BUILD/obj/libuserspace.a" $libs -pthread -lm || {
	echo "FAIL: tests/cli/write_file.c does not build"
	exit 1
}
if ! "$dir/write_file" "$dir/a.qslog" 100 400 || ! "$dir/write_file" "$dir/b.qslog" 200 40 ||
	! "$dir/write_file" "$dir/open.qslog" 300 5 open; then
	echo "FAIL: cannot write the files"
	exit 1
fi

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
