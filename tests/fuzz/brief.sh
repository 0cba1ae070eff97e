#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# brief.sh - every fuzz target builds, takes its seeds and what crashed once, and goes on for a
# second. `make fuzz SECONDS=3600` is the real thing.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
failures=0

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# FUZZ_NICE: a test is not to wait for what else the machine does.
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL FUZZ_NICE=0 "${MAKE:-make}" --no-print-directory -j2 O="$BUILD" \
	DEPS=no SECONDS=1 fuzz >"$log" 2>&1
status=$?
if [ "$status" -ne 0 ]; then
	grep -vE '^  [A-Z]+ ' "$log" | tail -n 60
	fail "make fuzz: exit status $status"
fi
for target in tests/fuzz/fuzz_*.c; do
	name=${target##*/fuzz_}
	name=${name%.c}
	edges=$(sed -n "s/^fuzz: $name *ok, .* \([0-9]*\) edges.*/\1/p" "$log")
	# Far less than the seeds reach: has it got any?
	[ "${edges:-0}" -ge 200 ] || fail "$name: only ${edges:-no} edges"
done
grep '^fuzz: ' "$log"
exit $((failures > 0))
