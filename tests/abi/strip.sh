#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# strip.sh - sites below QSLOG_MIN_LEVEL, and all with QSLOG_DISABLE, leave nothing at any level of
# optimisation: not an instruction, not a byte of data, not a string; what they refer to is compiled
# all the same. What the compiler can know to be wrong does not compile.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failures=0
strict='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Wcast-qual -Werror'

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}
compilers() { # LANGUAGE: each of both, and its standard
	if [ "$1" = c ]; then
		echo "${CC:-gcc} -std=c11"
		echo "${CLANG:-clang} -std=c11"
	else
		echo "${CXX:-g++} -std=c++17"
		echo "${CLANG:-clang} -std=c++17" | sed 's/clang/clang++/'
	fi
}

# --- Nothing is left: the function is, instruction by instruction, the one without sites.
instructions() { # OBJECT: of the function
	objdump -d --no-show-raw-insn -j .text.sites -j .text._Z5sitesiPKc "$1" 2>/dev/null |
		awk -F '\t' 'NF > 1 { print $2 }' | cut -d' ' -f1
}
cat >"$dir/strip.c" <<'C'
#define QSLOG_TAG "stripped"
#include <qslog.h>
static int helper(int n);
static int helper(int n) { return n * 3; }
int sites(int n, const char *text);
int sites(int n, const char *text)
{
#ifdef WITH
	QSLOG_SPAN("stripped span", "stripped {}", n);
	QSLOG_SPAN("stripped bare span");
#endif
	int logged = n;
#ifdef WITH
	QSLOGI("stripped {} {}", n, text);
	QSLOGV("stripped {} {name:>8}", helper(n), logged);
	QSLOGD("stripped without arguments");
	QSLOGI_TAG("stripped tag", "stripped {}", n);
	QSLOGD_EVERY_N(3, "stripped {}", n);
	QSLOGV_LIMIT(logged, "stripped {}", qslog_bytes(text, 3));
	QSLOGI("stripped {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", 1, 2, 3, 4, 5, 6, 7, 8, 9,
	       10, 11, 12, 13, 14, 15, 16);
#else
	(void)helper, (void)text, (void)logged;
#endif
	return n;
}
C
cp "$dir/strip.c" "$dir/strip.cc"
same_without() { # COMPILER LEVEL DEFINITION SOURCE
	local what="$1 $2 -D$3" with
	for with in WITHOUT WITH; do
		# shellcheck disable=SC2086 # several flags
		$1 $strict $2 -Wno-error=unused-function "-D$3" -D$with -Iusdt -ffunction-sections -c \
			-o "$dir/$with.o" "$4" 2>"$dir/err" || fail "$what: $(head -5 "$dir/err")"
		instructions "$dir/$with.o" >"$dir/$with"
	done
	[ -s "$dir/WITHOUT" ] || fail "$what: no function"
	cmp -s "$dir/WITHOUT" "$dir/WITH" || fail "$what: code is left"
	[ "$(size "$dir/WITHOUT.o" | awk 'END { print $2, $3 }')" = \
		"$(size "$dir/WITH.o" | awk 'END { print $2, $3 }')" ] ||
		fail "$what: data is left: $(size "$dir/WITH.o")"
	strings -a "$dir/WITH.o" | grep -q '^stripped' && fail "$what: strings are left"
}
for language in c cc; do
	while read -r compiler; do
		same_without "$compiler" -O0 QSLOG_MIN_LEVEL=QSLOG_LEVEL_WARN "$dir/strip.$language"
		same_without "$compiler" -O0 QSLOG_DISABLE "$dir/strip.$language"
		same_without "$compiler" -Og QSLOG_MIN_LEVEL=3 "$dir/strip.$language"
		same_without "$compiler" -O2 QSLOG_DISABLE "$dir/strip.$language"
	done < <(compilers $language)
done

# --- Above the level all is there; arguments of what is stripped are not evaluated.
cat >"$dir/run.c" <<'C'
#define QSLOG_TAG "run"
#include <qslog.h>
static int evaluated;
static int count(void) { return ++evaluated; }
int main(void)
{
	int i;
	for (i = 0; i < 10; i++) {
		QSLOG_SPAN("span", "{}", count());
		QSLOG_SPAN_BEGIN(hand, "by hand", "{}", count());
		QSLOGV("v {}", count());
		QSLOGI_EVERY_N(2, "i {}", count());
		QSLOGI_LIMIT(100, "l {}", count());
		QSLOGW("w {}", count());
		QSLOGE_EVERY_N(5, "e {}", count());
		if (i)
			QSLOGD("d");
		else
			QSLOGF("f");
		QSLOG_SPAN_END(hand);
		QSLOG_SPAN_END(hand);
	}
	return evaluated;
}
C
cp "$dir/run.c" "$dir/run.cc"
for language in c cc; do
	while read -r compiler; do
		for level in -O0 -O2; do
			# shellcheck disable=SC2086 # several flags
			$compiler $strict $level -DQSLOG_MIN_LEVEL=QSLOG_LEVEL_WARN -Iusdt -o "$dir/run" \
				"$dir/run.$language" "$BUILD/libqslog.a" -lzstd -pthread 2>"$dir/err" ||
				fail "$compiler $level: $(head -5 "$dir/err")"
			rm -f "$dir/run.qslog"
			QSLOG_FILE=$dir/run.qslog timeout 20 "$dir/run"
			[ $? -eq 12 ] || fail "$compiler $level: not 12 arguments were evaluated"
			"$BUILD/qslog" cat "$dir/run.qslog" | sed 's/.*\] //' | tr '\n' ',' >"$dir/got"
			wanted='w 1,e 2,f,w 3,w 4,w 5,w 6,w 7,e 8,w 9,w 10,w 11,w 12,'
			[ "$(cat "$dir/got")" = "$wanted" ] ||
				fail "$compiler $level: $(cat "$dir/got"), not $wanted"
			# Without the runtime: nothing of it is referred to.
			# shellcheck disable=SC2086 # several flags
			$compiler $strict $level -DQSLOG_DISABLE -Iusdt -o "$dir/run" "$dir/run.$language" \
				2>"$dir/err" || fail "$compiler $level, disabled: $(head -5 "$dir/err")"
			QSLOG_FILE=$dir/none.qslog timeout 20 "$dir/run" ||
				fail "$compiler $level, disabled: exit status $?"
		done
	done < <(compilers $language)
done
[ -e "$dir/none.qslog" ] && fail "a disabled build writes a file"

# --- What does not compile: NAME LEVEL-OF-OPTIMISATION (C) BODY
bad() { # NAME O-LEVELS-OF-C BODY [FLAGS]: for C++ at all
	local name=$1 levels=$2 body=$3 flags=${4:-} compiler level
	printf '#include <qslog.h>\nstruct s { int a; };\nvoid f(int n, const char *t, struct s s);\nvoid f(int n, const char *t, struct s s)\n{\n\t(void)n, (void)t, (void)s;\n\t%s\n}\n' \
		"$body" >"$dir/bad.c"
	cp "$dir/bad.c" "$dir/bad.cc"
	while read -r compiler; do
		for level in $levels; do
			# shellcheck disable=SC2086 # several flags
			$compiler $level $flags -Iusdt -c -o "$dir/bad.o" "$dir/bad.c" 2>/dev/null &&
				fail "$compiler $level $flags compiles $name"
		done
	done < <(compilers c)
	while read -r compiler; do
		# shellcheck disable=SC2086 # several flags
		$compiler $flags -Iusdt -fsyntax-only "$dir/bad.cc" 2>/dev/null &&
			fail "$compiler $flags compiles $name"
	done < <(compilers cc)
}
bad 'too few arguments' '-Og -O2' 'QSLOGI("{} {}", n);'
bad 'too few arguments of what is stripped' '-Og -O2' 'QSLOGI("{} {}", n);' -DQSLOG_DISABLE
bad 'too many arguments' '-Og -O2' 'QSLOGI("{name}", n, n);'
bad 'arguments of none' '-Og -O2' 'QSLOGI("{{}}", n);'
bad 'too few arguments of a span' '-Og -O2' 'QSLOG_SPAN("s", "{} {}", n);'
bad 'too few arguments of EVERY_N' '-Og -O2' 'QSLOGI_EVERY_N(3, "{} {}", n);'
bad '17 arguments' '-O0' 'QSLOGI("{}", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17);'
bad 'a format that is no literal' '-O0' 'QSLOGI(t);'
bad 'a tag that is no literal' '-O0' 'QSLOGI_TAG(t, "x");'
bad 'a struct' '-O0' 'QSLOGI("{}", s);'
bad 'a name that is not there' '-O0' 'QSLOGI("{}", nobody);'
bad 'a name that is not there, stripped' '-O0' 'QSLOGI("{}", nobody);' -DQSLOG_DISABLE
printf '#define QSLOG_MIN_LEVEL WARN\n#include <qslog.h>\n' >"$dir/bad.c"
while read -r compiler; do
	$compiler -Iusdt -c -o "$dir/bad.o" "$dir/bad.c" 2>/dev/null &&
		fail "$compiler compiles a QSLOG_MIN_LEVEL that is none"
done < <(compilers c)

[ "$failures" -eq 0 ] || { echo "$failures failures"; exit 1; }
