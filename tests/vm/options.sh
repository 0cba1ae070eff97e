#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# options.sh - runs in the guest of vmtest.sh: options that have BPF programs of their own. (needs-bpf)
set -uo pipefail
. tests/e2e/lib.sh

run 0 --sched -o "$dir/sched.qslog" -- "$fixtures/sched" 2 nested
err '^records=[1-9][0-9]* lost=0 '
"$qslog" cat --times "$dir/sched.qslog" >"$dir/times" || fail "cat --times: $?"
grep -E '<- nested [0-9.]+us \| cpu [0-9.]+us.* \| clock_nanosleep [0-9.]+us 2x, woken by an interrupt' "$dir/times" ||
	fail "times: $(cat "$dir/times")"

line=$(grep -n -m 1 'level w' tests/fixtures/values.c | cut -d : -f 1)
run 0 --snapshot-site "fixtures/values.c:$line" -o "$dir/site.%n.qslog" -- "$fixtures/values"
err "in $dir/site\\.1\\.qslog, for fixtures/values\\.c:$line in process"
equal "before it" "$(message_cnt "$dir/site.1.qslog" 'named user=bob')" 1

run 0 --immediate -o "$dir/each.qslog" -- "$fixtures/values"
err '^records=46 lost=0 '
finish
