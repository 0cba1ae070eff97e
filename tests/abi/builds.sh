#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# builds.sh - programs with sites, built in every way that people build programs, are traced from
# their first record to their last. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/../e2e/lib.sh"

# Two units with sites, a thread, and 50 + 2 * 100 + 1 lines in all.
cat >"$dir/one.c" <<'C'
#define QSLOG_TAG "one"
#include <qslog.h>
#include <pthread.h>
void two(int i);
static void *thread(void *arg)
{
	int i;
	for (i = 0; i < 100; i++)
		QSLOGI("thread {}", i);
	return arg;
}
int main(void)
{
	pthread_t t;
	int i;
	for (i = 0; i < 100; i++)
		two(i);
	if (pthread_create(&t, 0, thread, 0) || pthread_join(t, 0))
		return 1;
	for (i = 0; i < 50; i++) {
		QSLOGW("one {} {}", i, "text");
	}
	QSLOGE("last");
	return 0;
}
C
cat >"$dir/two.c" <<'C'
#define QSLOG_TAG "two"
#include <qslog.h>
void two(int i);
void two(int i) { QSLOGD("two {i}", i); }
C
printf 'int main(void){void two(int);two(1);return 0;}\n' >"$dir/nosites.c"
runtime=usdt/qslog_runtime.c
warnings='-Wall -Wextra -Werror'

traced() { # NAME PROGRAM
	run 0 -o "$dir/$1.qslog" -- "$2"
	err '^records=251 lost=0 ' || return
	equal "$1: by unit" "$(messages "$dir/$1.qslog" | cut -d' ' -f1,2,3 | sort | uniq -c |
		awk '{ printf "%s %s %s %s;", $1, $2, $3, $4 }')" \
		"100 D two two;1 E one last;100 I one thread;50 W one one;"
}
build() { # NAME FLAGS...: as one program, with the runtime
	local name=$1
	shift
	# shellcheck disable=SC2086 # several flags
	"$compiler" -std=gnu11 $warnings -Iusdt -o "$dir/$name" "$@" -pthread 2>"$dir/cc.err" || {
		fail "$name does not build: $(head -5 "$dir/cc.err")"
		return 1
	}
}
sources="$dir/one.c $dir/two.c $runtime"

for compiler in "${CC:-gcc}" "${CLANG:-clang}"; do
	c=${compiler##*/}
	# shellcheck disable=SC2086 # several files
	{
		build "$c-O0" -O0 $sources && traced "$c-O0" "$dir/$c-O0"
		build "$c-O2" -O2 $sources && traced "$c-O2" "$dir/$c-O2"
		build "$c-no-pie" -O2 -fno-pie -no-pie $sources && traced "$c-no-pie" "$dir/$c-no-pie"
		build "$c-static" -O2 -static $sources && traced "$c-static" "$dir/$c-static"
		build "$c-gc" -O2 -ffunction-sections -fdata-sections -Wl,--gc-sections $sources &&
			traced "$c-gc" "$dir/$c-gc"
	}
done
compiler=${CC:-gcc}
# shellcheck disable=SC2086 # several files
build lto -O2 -flto $sources && traced lto "$dir/lto"
cp "$dir/${compiler##*/}-O2" "$dir/stripped" && strip "$dir/stripped" && traced stripped "$dir/stripped"
cp "$dir/${compiler##*/}-static" "$dir/stripped-static" && strip "$dir/stripped-static" &&
	traced stripped-static "$dir/stripped-static"

# A library with sites, the runtime in the program; and the runtime in the library.
build libtwo.so -O2 -fPIC -shared "$dir/two.c" &&
	build with-library -O2 -rdynamic "$dir/one.c" $runtime "$dir/libtwo.so" -Wl,-rpath,"$dir" &&
	traced with-library "$dir/with-library"
build libtwo-own.so -O2 -fPIC -shared "$dir/two.c" $runtime &&
	build with-runtime-in-library -O2 "$dir/one.c" "$dir/libtwo-own.so" -Wl,-rpath,"$dir" &&
	traced with-runtime-in-library "$dir/with-runtime-in-library"
# One in each, which do not know of each other.
build with-two-runtimes -O2 "$dir/one.c" $runtime "$dir/libtwo-own.so" -Wl,-rpath,"$dir" &&
	traced with-two-runtimes "$dir/with-two-runtimes"
# Sites in the library only.
build library-only -O2 "$dir/nosites.c" "$dir/libtwo-own.so" -Wl,-rpath,"$dir" &&
	run 0 -o "$dir/library-only.qslog" -- "$dir/library-only" && err '^records=1 lost=0 '
# libqslog, shared
build shared -O2 "$dir/one.c" "$dir/two.c" -L"$BUILD" -lqslog -Wl,-rpath,"$BUILD" &&
	traced shared "$dir/shared"
finish
