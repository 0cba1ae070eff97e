#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# cpp.sh - the API in C++17 with both compilers, strict warnings and two levels of optimisation, in both
# modes: what comes out is what is written here, and no log allocates memory. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

strict='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Wcast-qual -Werror'
wraps=-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
cat >"$dir/expected" <<'TEXT'
I cpp static object begins
I cpp main
I cpp strings [a string] [] [string] [a\x00b]
I cpp views [(null)] [rest]
I cpp arrays [buffer] [literal] [(null)]
I cpp enums 200 -7 18446744073709551615
I cpp bools true false chars c -1 255
I cpp pointers 0x1234 0x0
I cpp floats 0.5 2.25 0.125
I cpp numbers 43 43 -1 9223372036854775808
I cpp characters 8364 128512
I cpp user 8080 0x10 own 3
I cpp blob 0001feff text buf
I cpp named he has    7 at 0x1
I cpp 16 1 2 3 4 5 6 7 8 true x 1.5 2.5 a string string 1 end
W other tag a string
I cpp temporaries tttttttttttttttttttttttttttttttttttttttt pppppppppppppppppppppppppppppp
I cpp every 4th: 0
I cpp every 4th: 4
I cpp every 4th: 8
I cpp limited: 0
I cpp limited: 1
I cpp limited: 2
I cpp -> early n=1
I cpp <- early TIME
I cpp -> early n=0
I cpp not left early
I cpp <- early TIME
I cpp -> thrown
I cpp -> inner view
I cpp <- inner TIME
I cpp <- thrown TIME
E cpp caught out
I cpp -> by hand s
I cpp <- by hand TIME
I cpp first of a thread
I cpp static object of a function begins
I cpp object of a thread begins
I cpp thread with object of a thread
I cpp object of a thread ends
I cpp main returns
I cpp static object of a function ends
I cpp static object ends
TEXT

check() { # WHAT FILE
	messages "$2" | sed -E 's/^(I cpp <- .*) [0-9.]+.s$/\1 TIME/' >"$dir/got"
	diff -u "$dir/expected" "$dir/got" >"$dir/diff" || fail "$1: $(cat "$dir/diff")"
}
for compiler in "${CXX:-g++}" "${CLANG:-clang}++"; do
	for level in -O0 -O2; do
		name="${compiler##*/} $level" # `run` has a $what of its own
		${CC:-gcc} -std=gnu11 -O2 -Iusdt -c -o "$dir/runtime.o" usdt/qslog_runtime.c || exit 1
		# shellcheck disable=SC2086 # several flags
		$compiler -std=c++17 $strict $level -Iusdt -c -o "$dir/api.o" tests/fixtures/cpp_api.cpp \
			2>"$dir/cc.err" || { fail "$name: $(head -20 "$dir/cc.err")"; continue; }
		$compiler $wraps -o "$dir/kernel" "$dir/api.o" "$dir/runtime.o" -pthread || exit 1
		$compiler $wraps -o "$dir/inproc" "$dir/api.o" "$BUILD/libqslog.a" -lzstd -pthread || exit 1
		run 0 -o "$dir/kernel.qslog" -- "$dir/kernel"
		err ' lost=0 '
		check "$name, kernel" "$dir/kernel.qslog"
		rm -f "$dir/inproc.qslog"
		QSLOG_FILE=$dir/inproc.qslog timeout 30 "$dir/inproc" ||
			fail "$name, in-process: exit status $?"
		check "$name, in-process" "$dir/inproc.qslog"
	done
done
finish
