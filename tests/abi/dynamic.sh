#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# dynamic.sh - the API of sites defined at run time compiles without a warning as C11 and C++17,
# with both compilers, links with the two vendored files, and does what it says while nobody listens.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failures=0
strict='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Wcast-qual -Werror'

cat >"$dir/use.c" <<'C'
#include <qslog.h>
#include <errno.h>
#include <string.h>
int main(void)
{
	const uint8_t types[] = {QSLOG_ARG_STR, QSLOG_ARG_INT64, QSLOG_ARG_FLOAT, QSLOG_ARG_BYTES};
	struct qslog_site_def def = QSLOG_SITE_DEF_INIT;
	const struct qslog_site *log, *span_site;
	struct qslog_value values[4];
	struct qslog_span span;

	def.level = QSLOG_LEVEL_WARN;
	def.tag = "tag";
	def.file = __FILE__;
	def.line = __LINE__;
	def.function = __func__;
	def.format = "{} {} {} {}";
	def.arg_cnt = 4;
	def.types = types;
	log = qslog_site_register(&def);
	def.kind = QSLOG_SITE_SPAN;
	def.name = "span";
	span_site = qslog_site_register(&def);
	def.name = NULL;
	errno = 0;
	if (!log || !span_site || qslog_site_register(&def) || errno != EINVAL)
		return 1;
	memset(values, 0, sizeof(values));
	values[0].type = QSLOG_ARG_STR;
	values[0].str = qslog_bytes("text", 4);
	values[1].type = QSLOG_ARG_INT64;
	values[1].i = -1;
	values[2].type = QSLOG_ARG_FLOAT;
	values[2].f = 0.5f;
	values[3].type = QSLOG_ARG_BYTES;
	values[3].str = qslog_bytes(types, sizeof(types));
	if (qslog_site_enabled(log) || qslog_log_values(log, values, 4))
		return 2;
	span = qslog_span_enter(span_site, values, 4);
	qslog_span_end(&span);
	return 0;
}
C
cp "$dir/use.c" "$dir/use.cpp"
# Including the header and using nothing of it is free of warnings, too.
printf '#include <qslog.h>\nextern int nothing;\nint nothing;\n' >"$dir/nothing.c"
cp "$dir/nothing.c" "$dir/nothing.cpp"

try() { # NAME COMMAND...
	local name=$1
	shift
	"$@" 2>"$dir/err" || {
		echo "FAIL: $name: $(head -10 "$dir/err")"
		failures=$((failures + 1))
	}
}
for cc in "${CC:-gcc}" "${CLANG:-clang}"; do
	case $cc in
	*clang*) cxx=${cc/clang/clang++} ;;
	*) cxx=${CXX:-g++} ;;
	esac
	for level in -O0 -O2; do
		# shellcheck disable=SC2086 # several flags
		{
			try "$cc $level runtime" "$cc" -std=c11 $strict $level -Iusdt -c \
				-o "$dir/runtime.o" usdt/qslog_runtime.c
			try "$cc $level" "$cc" -std=c11 $strict $level -Iusdt -o "$dir/use" \
				"$dir/use.c" "$dir/runtime.o" -pthread
			try "$cc $level: run" timeout 20 "$dir/use"
			try "$cxx $level" "$cxx" -std=c++17 $strict $level -Iusdt -o "$dir/use" \
				"$dir/use.cpp" "$dir/runtime.o" -pthread
			try "$cxx $level: run" timeout 20 "$dir/use"
			try "$cc $level nothing" "$cc" -std=c11 $strict $level -Iusdt -c \
				-o "$dir/nothing.o" "$dir/nothing.c"
			try "$cxx $level nothing" "$cxx" -std=c++17 $strict $level -Iusdt -c \
				-o "$dir/nothing.o" "$dir/nothing.cpp"
		}
	done
done
[ "$failures" -eq 0 ] || { echo "$failures failures"; exit 1; }
