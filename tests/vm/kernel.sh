#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# kernel.sh - runs in the guest of vmtest.sh: a program is traced while it runs and from its start,
# and the demonstration, which kills a server under load and compares what it counted itself with
# what is in the file. (needs-bpf)
set -uo pipefail
. tests/e2e/lib.sh

"$BUILD/hello" >"$dir/hello" &
app=$!
run 0 -p "$app" -d 1 -o "$dir/a.qslog"
err '^records=[1-9][0-9]* lost=0 '
kill "$app"
wait "$app"
app=''
[ "$(message_cnt "$dir/a.qslog" ' hello world, round ')" -gt 0 ] || fail "hello: $(messages "$dir/a.qslog")"

run 0 -o "$dir/b.qslog" -- "$fixtures/values"
err '^records=[1-9][0-9]* lost=0 '
run 0 -d 1 -o "$dir/c.qslog" -- "$BUILD/hello"
err '^records=[1-9][0-9]* lost=0 '
"$qslog" check "$dir/c.qslog" >"$dir/out" || fail "check: $(cat "$dir/out")"
kill "$(sed -n 's/^ready pid=//p' "$dir/out")" 2>/dev/null

if ! DEMO_SECONDS=1 DEMO_ATTACH_SECONDS=150 scripts/demo.sh "$BUILD" >"$dir/demo" 2>&1; then
	fail "the demonstration: $(cat "$dir/demo")"
fi
grep -iE 'kill|missing|lost' "$dir/demo"
finish
