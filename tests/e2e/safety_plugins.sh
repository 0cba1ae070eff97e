#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# safety_plugins.sh - libraries with sites that are loaded and unloaded again and again, and that
# threads outlive which have called them, while their program is traced. Two of them take turns at
# the same address, with their program's runtime and each with one of its own, and what they log must
# be decoded with their own formats. (needs-bpf)
. "$(dirname "$0")/lib.sh"

CC=${CC:-gcc}
rounds=${SOAK:+2000}
rounds=${rounds:-60}
for name in first second; do
	cat >"$dir/$name.c" <<-C
	#define QSLOG_TAG "$name"
	#include <qslog.h>
	#define EXPORTED __attribute__((visibility("default")))
	EXPORTED int listened(void);
	int listened(void)
	{
		return qslog_priv_listeners(QSLOG_LEVEL_INFO) != 0;
	}
	EXPORTED void speak(uint64_t library, uint64_t seq);
	void speak(uint64_t library, uint64_t seq)
	{
		QSLOGI("$name {} {}", library, seq);
	}
	C
	# With a runtime of their own, and with their program's.
	$CC -std=gnu11 -O2 -fPIC -shared -Iusdt -o "$dir/$name.shared.so" "$dir/$name.c" || exit 1
	$CC -std=gnu11 -O2 -fPIC -shared -Iusdt -fvisibility=hidden -Wl,-Bsymbolic \
		-Wl,--exclude-libs,ALL -o "$dir/$name.own.so" "$dir/$name.c" usdt/qslog_runtime.c || exit 1
done

check() { # WHAT FILE SUMMARY_LOST: each library's lines have its own number
	local all=$((rounds * 100 + 2)) lost=$3 have
	messages "$2" >"$dir/messages"
	have=$(wc -l <"$dir/messages")
	[ "$have" -gt 2 ] || fail "$1: only $have records"
	equal "$1: records and lost ones" $((have + lost)) "$all"
	grep -Evc '^I (first first 0|second second 1|safe 20) [0-9]+( [0-9]+)?$' "$dir/messages" |
		grep -qx 0 || fail "$1: $(grep -Ev '^I (first first 0|second second 1|safe 20) ' "$dir/messages" | head -3)"
	[ -z "$(sort "$dir/messages" | uniq -d)" ] || fail "$1: twice: $(sort "$dir/messages" | uniq -d | head -3)"
	echo "$1: $have records, $lost lost"
}

for kind in shared own; do
	# kernel mode
	mkfifo "$dir/go.$kind" "$dir/out.$kind"
	"$fixtures/safety_plugins" "$dir/shm" "$rounds" "$dir/first.$kind.so" \
		"$dir/second.$kind.so" wait <"$dir/go.$kind" >"$dir/out.$kind" 2>"$dir/app.err" &
	app=$!
	exec 5>"$dir/go.$kind" 6<"$dir/out.$kind"
	read -r -t 20 answer <&6
	equal "$kind" "$answer" ready
	tracer_start -p "$app" -o "$dir/$kind.qslog" || finish
	echo go >&5
	moved=0
	while read -r -t 60 answer <&6 && [ "$answer" != done ]; do moved=${answer#moved in }; done
	equal "$kind" "$answer" done
	echo end >&5
	exec 5>&- 6<&-
	wait "$app"
	equal "$kind: exit status of the program" $? 0
	app=''
	tracer_end
	equal "$kind: exit status of the tracer" "$status" 0
	cat "$dir/app.err"
	lost=$(sed -n 's/.*records=[0-9]* lost=\([0-9]*\) .*/\1/p' "$dir/err")
	[ "$moved" -gt 0 ] || fail "kernel, $kind: no library came to lie where another one was"
	check "kernel, $kind" "$dir/$kind.qslog" "$lost"
done

# in-process, with the program's libqslog
: >"$dir/shm"
$CC -std=gnu11 -O2 -Iusdt -Itests/fixtures -rdynamic -DQSLOG_INPROC -o "$dir/inproc" \
	tests/fixtures/safety_plugins.c "$BUILD/libqslog.a" -pthread -lzstd -ldl || exit 1
QSLOG_FILE=$dir/inproc.qslog QSLOG_ON_FULL=block timeout 60 "$dir/inproc" "$dir/shm" "$rounds" \
	"$dir/first.shared.so" "$dir/second.shared.so" || fail "in-process: exit status $?"
check in-process "$dir/inproc.qslog" "$("$qslog" stat "$dir/inproc.qslog" |
	sed -n 's/^[0-9]* records, \([0-9]*\) lost.*/\1/p')"
finish
