#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# many_sites.sh - more than 65,535 formats in one program: each decodes to its own text. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

sites=70000 per_file=10000 per_function=500

for ((first = 0; first < sites; first += per_file)); do
	awk -v first="$first" -v count="$per_file" -v each="$per_function" 'BEGIN {
		print "#define QSLOG_TAG \"many\"\n#include <qslog.h>"
		for (i = first; i < first + count; i++) {
			if (i % each == 0)
				printf "void f%d(void);\nvoid f%d(void)\n{\n", i, i
			printf "QSLOGI(\"site %d\");\n", i
			if (i % each == each - 1)
				print "}"
		}
	}' >"$dir/many.$first.c"
done
awk -v sites="$sites" -v each="$per_function" 'BEGIN {
	for (i = 0; i < sites; i += each)
		printf "void f%d(void);\n", i
	print "int main(void)\n{"
	for (i = 0; i < sites; i += each)
		printf "f%d();\n", i
	print "return 0;\n}"
}' >"$dir/main.c"
# One at a time would take twice as long; more than two would starve other tests.
printf '%s\0' "$dir"/many.*.c | timeout 120 xargs -0 -n 1 -P 2 sh -c \
	'exec "${CC:-cc}" -O0 -w -Iusdt -c "$0" -o "${0%.c}.o"' || fail "cannot compile the sites"
libs=$(pkg-config --libs libzstd)
# shellcheck disable=SC2086 # several libraries
"${CC:-cc}" -w -o "$dir/many" "$dir/main.c" "$dir"/many.*.o usdt/qslog_runtime.c -Iusdt -pthread || finish
# shellcheck disable=SC2086
"${CC:-cc}" -w -o "$dir/many.inproc" "$dir/main.c" "$dir"/many.*.o "$BUILD/libqslog.a" $libs -pthread || finish
awk -v sites="$sites" 'BEGIN { for (i = 0; i < sites; i++) print "I many site " i }' >"$dir/expected"

check() { # MODE FILE
	messages "$2" >"$dir/got"
	cmp "$dir/expected" "$dir/got" || fail "$1: a site has another's text"
}
run 0 -o "$dir/kernel.qslog" -- "$dir/many"
err "^records=$sites lost=0 "
check "kernel mode" "$dir/kernel.qslog"
QSLOG_FILE=$dir/inproc.qslog QSLOG_ARENA_SIZE=8M timeout 60 "$dir/many.inproc" || fail "many.inproc: $?"
check in-process "$dir/inproc.qslog"
finish
