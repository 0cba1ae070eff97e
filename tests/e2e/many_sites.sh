#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# many_sites.sh - more than 65,535 formats in one program: each decodes to its own text. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

sites=70000

# The sites are those of the macros; the code around them is shared, since 70,000 copies of it would
# take minutes to compile.
awk -v sites="$sites" 'BEGIN {
	print "#define QSLOG_TAG \"many\"\n#include <qslog.h>\nint main(void)\n{"
	print "static const struct qslog_site sites[] = {"
	for (i = 0; i < sites; i++)
		printf "S(\"site %d\"),\n", i
	print "};"
	print "for (unsigned int i = 0; i < sizeof(sites) / sizeof(sites[0]); i++) {"
	print "struct qslog_priv_record r;"
	print "if (qslog_priv_listeners(QSLOG_LEVEL_INFO) && qslog_priv_record_open(&r, &sites[i], 0, 16))"
	print "qslog_priv_record_commit(&r);"
	print "}\nreturn 0;\n}"
}' >"$dir/many.c"
site='-DS(f)=QSLOG_PRIV_SITE(QSLOG_PRIV_EACH,QSLOG_SITE_LOG,QSLOG_LEVEL_INFO,"many",f,(const char*)0,f)'
timeout 120 "${CC:-cc}" -std=gnu11 -O0 -w -Iusdt "$site" -c "$dir/many.c" -o "$dir/many.o" || {
	fail "cannot compile the sites"
	finish
}
libs=$(pkg-config --libs libzstd)
"${CC:-cc}" -w -o "$dir/many" "$dir/many.o" usdt/qslog_runtime.c -Iusdt -pthread || fail "link"
# shellcheck disable=SC2086 # several libraries
"${CC:-cc}" -w -o "$dir/many.inproc" "$dir/many.o" "$BUILD/libqslog.a" $libs -pthread || fail "link"
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
