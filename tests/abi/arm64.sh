#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# arm64.sh - runtime, in-process collector and decoder built with the cross compiler, and what they
# do under an emulator: the files are decoded by this machine's qslog and by that for arm64, and
# compared with what the programs have recorded. (scripts/deps.sh says what is needed.)
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

root=$BUILD/arm64-root out=$BUILD/arm64
prefix=aarch64-linux-gnu
qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || {
	fail "no qemu-aarch64 here: make deps"; finish; }
[ -e "$root/lib/libzstd.a" ] || { fail "no libzstd for arm64 here: make deps"; finish; }

targets=(libqslog.a libqslog.so qslog hello kvd tests/fixtures/mixed.inproc
	tests/fixtures/clocks.inproc)
log=$dir/make.log
env -u MAKEFLAGS -u MAKELEVEL -u MAKE nice make -j"$(nproc)" O="$out" TRACER=no WERROR=1 \
	CC="$prefix-gcc" AR="$prefix-ar" OBJCOPY="$prefix-objcopy" PKG_CONFIG=false CFLAGS='-O2 -g' \
	CPPFLAGS="-I$root/include" LDFLAGS="-L$root/lib" CORE_LIBS=-lzstd \
	"${targets[@]/#/$out/}" >"$log" 2>&1 || {
	fail "does not build: $(grep -v '^  ' "$log" | tail -n 30)"; finish; }

# The counter, and nothing of x86, is in what was built. (--no-show-raw-insn: words only.)
"$prefix-objdump" -d --no-show-raw-insn "$out/tests/fixtures/mixed.inproc" >"$dir/code"
grep -q 'mrs.*cntvct_el0' "$dir/code" || fail "no cntvct_el0 in the program"
rm -f "$dir/code"

arm64() { timeout 100 "$qemu" -L "/usr/$prefix" "$@"; }
decoded() { # FILE: by both decoders, which say the same
	"$qslog" cat "$1" >"$1.text" || fail "$1: qslog cat: exit status $?"
	arm64 "$out/qslog" cat "$1" >"$1.text.arm64" || fail "$1: qslog for arm64: exit status $?"
	cmp "$1.text" "$1.text.arm64" || fail "$1: the decoders differ"
	"$qslog" check "$1" >"$dir/check" || fail "$(cat "$dir/check")"
}

# --- Four threads, 200,000 records and more: logs, spans, handlers.
threads=4 rounds=35000
expected() { # by thread, without those of `async`
	awk -v threads=$threads -v rounds=$rounds 'BEGIN {
		letters = "abcdefghijklmnopqrstuvwxyz"
		for (t = 0; t < threads; t++) {
			raised = 0
			for (n = 0; n < rounds; n++) {
				printf "I %d log %d %d %.3f %s\n", t, n, -n, n / 8,
					substr(letters, 1, n % 27)
				if (n % 4)
					continue
				printf "I -> work %d span %d\n", t, n
				if (n % 64 == 0)
					printf "W %d raise %d\n", t, raised++
				print "I <- work"
			}
		}
	}'
}
expected >"$dir/want"
for clock in tsc monotonic; do
	file=$dir/mixed.$clock.qslog
	QSLOG_CLOCK=$clock QSLOG_FILE=$file QSLOG_ARENA_SIZE=8M QSLOG_ON_FULL=block \
		arm64 "$out/tests/fixtures/mixed.inproc" $threads $rounds || fail "$clock: exit status $?"
	decoded "$file"
	"$qslog" stat "$file" >"$dir/stat"
	grep -q ', 0 lost;' "$dir/stat" || fail "$clock: $(sed -n 2p "$dir/stat")"
	kind=$([ $clock = tsc ] && echo 'cntvct 62.5 MHz' || echo 'monotonic 1000 MHz')
	grep -q ", clock $kind\$" "$dir/stat" || fail "$clock: $(sed -n 1p "$dir/stat")"
	# One thread behind the other, in the order of their numbers; the async ones by themselves.
	# Within a thread no time is before the one before, but for what a handler recorded.
	awk -v dir="$dir" '{
		tid = $4
		level = $5
		text = $0
		sub(/^[^\]]*\] /, "", text)
		sub(/^<- work.*/, "<- work", text)
		if (level == "E" || level == "F") {
			print tid, text > (dir "/async")
			next
		}
		if (text ~ /^[0-9]+ log 0 /)
			thread[tid] = text + 0
		print level, text > (dir "/thread." thread[tid])
		if (level == "I" && $1 " " $2 < last[tid]) {
			print "time goes back: " $0 > "/dev/stderr"
			exit 1
		}
		if (level == "I")
			last[tid] = $1 " " $2
	}' "$file.text" || fail "$clock: order"
	cat "$dir"/thread.[0-3] >"$dir/got"
	cmp "$dir/want" "$dir/got" || fail "$clock: $(diff "$dir/want" "$dir/got" | head -5)"
	# async N: none missing, none twice, as many as the thread counted, and some
	awk '$3 == "async" { if ($4 != cnt[$1]++) { print "async: " $0; exit bad = 1 } }
		$3 == "done" { if ($4 != cnt[$1]) { print "done: " $0 ", not " cnt[$1]; exit bad = 1 }
			all += $4; done++ }
		END { if (!bad && (done != 4 || !all)) print done " threads, " all " interruptions"
			else if (!bad) print "ok", all }' "$dir/async" >"$dir/verdict"
	read -r verdict all <"$dir/verdict"
	equal "$clock: interruptions" "$verdict" ok
	echo "mixed, $clock: $(sed -n 2p "$dir/stat"); $all interruptions"
	rm -f "$file"* "$dir"/thread.*
done

# --- Times against CLOCK_REALTIME. To read that takes an emulated program as long as a system call,
# and at which moment of it is not known.
QSLOG_FILE=$dir/clocks.qslog arm64 "$out/tests/fixtures/clocks.inproc" -t 4 -s 1 ||
	fail "clocks: exit status $?"
"$BUILD/tests/e2e/test_time" "$dir/clocks.qslog" 20000 || fail "clocks: wrong times"

# --- An example with all kinds of arguments says what it says here; with the shared library too.
$prefix-gcc -std=gnu11 -O2 -Iusdt -o "$dir/hello.shared" examples/hello.c "$out/libqslog.so" ||
	fail "hello does not build with libqslog.so"
line='s/^[^ ]+ [^ ]+ [0-9]+ [0-9]+ ([A-Z] [^ ]+ .*)/\1/; s/(<- greet) .*/\1/; s/at 0x[0-9a-f]+/at/'
QSLOG_FILE=$dir/hello.here.qslog "$BUILD/hello" 5 >"$dir/out"
QSLOG_FILE=$dir/hello.qslog arm64 "$out/hello" 5 >"$dir/out" || fail "hello: exit status $?"
QSLOG_FILE=$dir/hello.so.qslog arm64 -E LD_LIBRARY_PATH="$out" "$dir/hello.shared" 5 >"$dir/out" ||
	fail "hello, libqslog.so: exit status $?"
decoded "$dir/hello.qslog"
for which in here '' so; do
	"$qslog" cat "$dir/hello${which:+.$which}.qslog" | sed -E "$line" | sed 's/hello\.shared/hello/' \
		>"$dir/hello.text.$which"
	cmp "$dir/hello.text.here" "$dir/hello.text.$which" || fail "hello: other text: $which"
done
equal "hello: lines" "$(wc -l <"$dir/hello.text.")" 25

# --- The server, under load from this machine; ended by a signal.
mkfifo "$dir/ready"
QSLOG_FILE=$dir/kvd.qslog QSLOG_ON_FULL=block timeout 60 "$qemu" -L "/usr/$prefix" "$out/kvd" \
	--workers 2 --issued "$dir/issued" >"$dir/ready" 2>"$dir/kvd.err" &
app=$!
exec 5<"$dir/ready"
answer=''
read -r -t 20 answer <&5 || fail "kvd is not ready: $(cat "$dir/kvd.err")"
port=${answer#*port=}
timeout 60 "$BUILD/kvd-load" --port "${port%% *}" --requests 5000 --connections 4 >"$dir/out" 2>&1 ||
	fail "kvd-load: exit status $?: $(cat "$dir/out")"
kill -TERM "${answer##*pid=}" # timeout(1) has the emulator as its child
wait "$app"
equal "kvd: exit status" $? 0
app=''
exec 5<&-
decoded "$dir/kvd.qslog"
"$BUILD/kvd" --issued-show "$dir/issued" >"$dir/until" || fail "kvd: no counts"
awk -v until="$dir/until" -v shapes="$dir/shapes" -f examples/kvd/verify.awk "$dir/kvd.qslog.text" ||
	fail "kvd: issued and decoded differ"
finish
