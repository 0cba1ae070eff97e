#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# clocks.sh - which clock a program takes, as CPU, kernel and QSLOG_CLOCK say, and what the tracer
# does with one that has two. What the kernel says is put in its place for one process by a mount
# namespace. (needs-bpf)
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

CC=${CC:-gcc}
sys=/sys/devices/system/clocksource/clocksource0

ask() { # COMMAND...: the clock of the speaker, run by COMMAND
	echo c | timeout 20 "$@" "$fixtures/speaker"
}

# --- The decision.
equal "QSLOG_CLOCK=tsc" "$(QSLOG_CLOCK=tsc ask env)" "clock 0"
equal "QSLOG_CLOCK=monotonic" "$(QSLOG_CLOCK=monotonic ask env)" "clock 1"
equal "QSLOG_CLOCK with another value" "$(QSLOG_CLOCK=sundial ask env)" "$(ask env)"

with_clocksource() { # AVAILABLE CURRENT COMMAND...
	printf '%s\n' "$1" >"$dir/available"
	printf '%s\n' "$2" >"$dir/current"
	shift 2
	# shellcheck disable=SC2016 # for the inner shell
	unshare -m --propagation private sh -ec 'mount --bind "$1/available" "$2/available_clocksource"
		mount --bind "$1/current" "$2/current_clocksource"; shift 2; exec "$@"' \
		sh "$dir" "$sys" "$@"
}
decides() { # WANTED AVAILABLE CURRENT
	equal "available: $2; current: $3" "$(with_clocksource "$2" "$3" echo ok && echo c |
		with_clocksource "$2" "$3" timeout 20 "$fixtures/speaker")" "ok
clock $1"
}
case $(uname -m) in
x86_64)
	# constant and nonstop are what the kernel makes of CPUID 80000007h, EDX bit 8
	if grep -qw nonstop_tsc /proc/cpuinfo; then
		decides 0 'tsc hpet acpi_pm ' tsc
		decides 0 'hpet tsc' hpet
		decides 0 'kvm-clock tsc acpi_pm ' kvm-clock
		decides 0 'kvm-clock ' kvm-clock
		decides 0 'hyperv_clocksource_tsc_page acpi_pm ' hyperv_clocksource_tsc_page
		# where sysfs is hidden, CPUID decides
		# shellcheck disable=SC2016
		equal "no sysfs" "$(echo c | unshare -m --propagation private sh -ec \
			'mount -t tmpfs none "${1%/*}"; [ ! -e "$1" ]; exec "$2"' \
			sh "$sys" "$fixtures/speaker")" "clock 0"
		decides 1 'hpet acpi_pm ' hpet
		decides 1 'acpi_pm ' acpi_pm
		decides 1 'tsc-early hpet ' hpet # no word of it
		decides 1 'kvm-clock acpi_pm ' acpi_pm
	else
		equal "a TSC that is not invariant" "$(ask env)" "clock 1"
	fi
	;;
aarch64) equal "arm64" "$(ask env)" "clock 0" ;;
esac

# --- What the file says.
clock_of() { "$qslog" stat "$1" | sed -n '1s/.*, clock \([a-z]*\) .*/\1/p'; }
cpu=$([ "$(uname -m)" = x86_64 ] && echo tsc || echo cntvct)
for clock in tsc monotonic; do
	printf 'i hello\nn 10\n' >"$dir/orders"
	QSLOG_CLOCK=$clock QSLOG_FILE=$dir/inproc.qslog timeout 20 "$BUILD/tests/fixtures/speaker.inproc" \
		<"$dir/orders" >"$dir/answers"
	equal "$clock, in-process" "$(clock_of "$dir/inproc.qslog")" "${clock/tsc/$cpu}"
	# one that ends at once: the tracer finds out from what it left
	QSLOG_CLOCK=$clock timeout 60 "$trace" -o "$dir/kernel.qslog" -- "$fixtures/speaker" \
		<"$dir/orders" >"$dir/answers" 2>"$dir/err"
	equal "$clock, exit status of the tracer" $? 0
	equal "$clock, kernel" "$(clock_of "$dir/kernel.qslog")" "${clock/tsc/$cpu}"
	equal "$clock, records" "$(messages "$dir/kernel.qslog" | wc -l)" 11
	what="$clock, kernel"
	err 'records=11 lost=0'
	"$qslog" check "$dir/kernel.qslog" >"$dir/check" || fail "$clock: $(cat "$dir/check")"
	# to a pipe, where nothing can be written anew
	date=$(date +%F)
	rm -f "$dir/pipe"
	mkfifo "$dir/pipe"
	timeout 60 cat "$dir/pipe" >"$dir/pipe.qslog" &
	QSLOG_CLOCK=$clock timeout 60 "$trace" -q -o "$dir/pipe" -- "$fixtures/speaker" \
		<"$dir/orders" >"$dir/answers" 2>"$dir/err"
	wait $!
	equal "$clock, pipe, records" "$(messages "$dir/pipe.qslog" | wc -l)" 11
	equal "$clock, pipe, date" "$("$qslog" cat "$dir/pipe.qslog" | grep -Ec "^($date|$(date +%F)) ")" 11
done

# --- Two runtimes that differ in one process.
cat >"$dir/other.c" <<C
#define QSLOG_TAG "other"
#include <qslog.h>
#include <stdlib.h>
#define EXPORTED __attribute__((visibility("default")))
__attribute__((constructor(101))) static void before_the_runtime(void)
{
	setenv("QSLOG_CLOCK", "monotonic", 1);
}
EXPORTED void speak(void);
void speak(void)
{
	QSLOGI("other speaks");
}
C
$CC -std=gnu11 -O2 -fPIC -shared -Iusdt -fvisibility=hidden -Wl,-Bsymbolic -o "$dir/other.so" \
	"$dir/other.c" usdt/qslog_runtime.c || exit 1
export QSLOG_CLOCK=tsc
speaker_start two speaker
# loaded while it is traced: left out, said once, and counted
tracer_start -p "$app" -o "$dir/two.qslog" || finish
say "i before"
say "l $dir/other.so"
equal "the library" "$answer" ok
message_await "$dir/two.qslog" before || fail "no record before the library"
for ((i = 0; i < 60; i++)); do # it listens once the tracer has seen it
	say "l $dir/other.so"
	read -r -t 0.05 <>"$dir/never"
	timeout 0.1 cat <&7 >>"$dir/err"
	grep -q 'CLOCK_MONOTONIC' "$dir/err" && break
done
say "i after"
tracer_end INT
equal "two clocks: exit status" "$status" 0
what="two clocks"
err 'records that have their times from CLOCK_MONOTONIC do not fit into .*two\.qslog: its times are from another clock'
equal "two clocks: messages about it" "$(grep -c CLOCK_MONOTONIC "$dir/err")" 1
equal "two clocks: of the library" "$(message_cnt "$dir/two.qslog" '^I other')" 0
equal "two clocks: of the program" "$(message_cnt "$dir/two.qslog" '^I speaker (before|after)')" 2
err 'records=2 lost=[1-9]'
# from the start: refused
run 1 -p "$app" -o "$dir/refused.qslog" -d 1
err 'two copies of the qslog runtime, .* QSLOG_CLOCK=tsc or QSLOG_CLOCK=monotonic'
speaker_end
finish
