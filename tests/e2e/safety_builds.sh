#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# safety_builds.sh - the storm of signals, forks and the ends of threads once more, with the program
# built at every optimisation level by both compilers, and linked statically with musl, where there
# is that. What was issued is compared with what was recorded and lost. (needs-bpf)
. "$(dirname "$0")/lib.sh"

trace_it() { # WHAT PROGRAM MODE ARGS...
	local what=$1 program=$2 counts issued bytes=128 # sources below 16
	shift 2
	rm -f "$dir/shm" "$dir/go" "$dir/ready" "$dir/file.qslog"
	mkfifo "$dir/go" "$dir/ready"
	"$program" "$dir/shm" "$@" wait <"$dir/go" >"$dir/ready" 2>"$dir/app.err" &
	app=$!
	exec 5>"$dir/go" 6<"$dir/ready"
	read -r -t 20 answer <&6
	equal "$what" "$answer" ready
	tracer_start --ring-size 64M -p "$app" -o "$dir/file.qslog" || finish
	echo go >&5
	wait "$app"
	equal "$what: exit status of the program" $? 0
	app=''
	exec 5>&- 6<&-
	tracer_end
	equal "$what: exit status of the tracer" "$status" 0
	cat "$dir/app.err"
	counts=$(sed -n 's/.*records=\([0-9]*\) lost=\([0-9]*\) .*/\1 + \2/p' "$dir/err")
	# Sources from 16 on are forked children, whose records are nowhere.
	issued=$(od -A n -v -t u8 -w8 -j 72 -N "$bytes" "$dir/shm" | awk '{ n += $1 } END { printf "%d", n }')
	equal "$what: recorded and lost ($counts)" $((counts)) "$issued"
	echo "$what: $counts"
}

build() { # NAME COMPILER...: safety_NAME into $dir/NAME
	local name=$1
	shift
	"$@" -std=gnu11 -Wall -Wextra -Werror -Iusdt -Itests/fixtures -o "$dir/$name" \
		"tests/fixtures/safety_$name.c" usdt/qslog_runtime.c -pthread >"$dir/cc.err" 2>&1 ||
		{ fail "$* $name: $(cat "$dir/cc.err")"; return 1; }
}

builds=("${CC:-gcc} -O0" "${CC:-gcc} -O1" "${CC:-gcc} -O3" "${CLANG:-clang} -O0" "${CLANG:-clang} -O2")
if command -v musl-gcc >/dev/null; then
	# musl has no headers of the kernel
	mkdir "$dir/include"
	for part in linux asm-generic; do ln -s "/usr/include/$part" "$dir/include/$part"; done
	ln -s "/usr/include/$(${CC:-gcc} -print-multiarch)/asm" "$dir/include/asm"
	builds+=("musl-gcc -O2 -static -idirafter $dir/include")
else
	echo "no musl-gcc (package musl-tools): not tested with musl"
fi
for compiler in "${builds[@]}"; do
	# shellcheck disable=SC2086
	build signals $compiler && trace_it "$compiler: signals" "$dir/signals" storm 3000 1
	# shellcheck disable=SC2086
	build fork $compiler && trace_it "$compiler: fork" "$dir/fork" fork 5
done
finish
