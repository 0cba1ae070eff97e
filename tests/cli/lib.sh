# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # what those use that source it
#
# lib.sh - what tests of the qslog command share: a folder, running it, looking at what it printed.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
qslog=$BUILD/qslog
failures=0
what=
export TZ=UTC0 LC_ALL=C
: >"$dir/out"
: >"$dir/err"

fail() {
	echo "FAIL: $*"
	sed 's/^/  out: /' "$dir/out" | head -20
	sed 's/^/  err: /' "$dir/err" | head -20
	failures=$((failures + 1))
}

# run_qslog STATUS ARGS...: runs qslog; its output is in $dir/out and $dir/err
run_qslog() {
	local want=$1 got
	shift
	"$qslog" "$@" >"$dir/out" 2>"$dir/err" </dev/null
	got=$?
	what="qslog $*"
	[ "$got" -eq "$want" ] || fail "$what: exit status $got, not $want"
}

lines() { [ "$(wc -l <"$dir/out")" -eq "$1" ] || fail "$what: $(wc -l <"$dir/out") lines, not $1"; }
err() { grep -Eq -- "$1" "$dir/err" || fail "$what: no '$1' on standard error"; }
silent() { [ ! -s "$dir/err" ] || fail "$what: something on standard error"; }

# files_write A B: a.qslog and b.qslog, of so many logs, and open.qslog, whose writer died.
files_write() {
	local libs
	libs=$(pkg-config --libs libzstd libxxhash 2>/dev/null || echo -lzstd)
	# shellcheck disable=SC2086 # several libraries
	"${CC:-cc}" -std=gnu11 -Wall -Wextra ${SAN:+-fsanitize=$SAN} -Iusdt -Iuserspace \
		-o "$dir/write_file" tests/cli/write_file.c "$BUILD/obj/libuserspace.a" $libs -pthread -lm || {
		echo "FAIL: tests/cli/write_file.c does not build"
		exit 1
	}
	if ! "$dir/write_file" "$dir/a.qslog" 100 "$1" || ! "$dir/write_file" "$dir/b.qslog" 200 "$2" ||
		! "$dir/write_file" "$dir/open.qslog" 300 5 open; then
		echo "FAIL: cannot write the files"
		exit 1
	fi
}
