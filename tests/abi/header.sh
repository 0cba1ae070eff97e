#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# header.sh - qslog.h is clean under strict warnings with both compilers, in every use of it, and
# what must not compile does not.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failures=0
strict='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Wcast-qual -Wstrict-prototypes -Werror'

cat >"$dir/all.c" <<'C'
#include <stdbool.h>
#include <qslog.h>
int use(int n, const char *text, void *pointer);
int use(int n, const char *text, void *pointer)
{
	QSLOG_SPAN("scope", "n={n}", n);
	QSLOG_SPAN_BEGIN(s, "by hand");
	if (n)
		QSLOGV("none");
	else
		QSLOGD("one {}", n);
	QSLOGI("{} {} {} {} {} {}", (bool)1, 'c', (char)'c', (signed char)1, (unsigned char)1, (short)1);
	QSLOGW("{} {} {} {} {}", 1u, 1L, 1ul, 1LL, 1ull);
	QSLOGE("{} {} {} {} {}", 1.0f, 1.0, 1.0L, text, pointer);
	QSLOGF_TAG("tag", "{} {}", qslog_strn(text, 1), qslog_bytes(pointer, 1));
	for (int i = 0; i < n; i++)
		QSLOGI("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", i, 2, 3, 4, 5, 6, 7, 8, 9, 10,
		       11, 12, 13, 14, 15, 16);
	QSLOG_SPAN_END(s);
	return n;
}
C
printf '#include <qslog.h>\nvoid f(void);void f(void){QSLOGI("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}",1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17);}\n' >"$dir/bad-17.c"
printf '#include <qslog.h>\nvoid f(const char*x);void f(const char*x){QSLOGI(x);}\n' >"$dir/bad-format.c"

for compiler in "${CC:-gcc}" "${CLANG:-clang}"; do
	for level in -O0 -O2; do
		# shellcheck disable=SC2086 # several flags
		"$compiler" -std=c11 $strict $level -Iusdt -c -o "$dir/all.o" "$dir/all.c" 2>"$dir/err" || {
			echo "FAIL: $compiler $level: $(head -10 "$dir/err")"
			failures=$((failures + 1))
		}
	done
	for bad in "$dir"/bad-*.c; do
		"$compiler" -std=gnu11 -Iusdt -c -o "$dir/bad.o" "$bad" 2>/dev/null && {
			echo "FAIL: $compiler compiles ${bad##*/}"
			failures=$((failures + 1))
		}
	done
done
[ "$failures" -eq 0 ] || { echo "$failures failures"; exit 1; }
