#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bridges.sh - a bridge from another logger: what was said there is in the file, with level, name
# and location.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

if [ ! -x "$BUILD/spdlog_bridge" ]; then
	echo "spdlog is not installed: its bridge was not built"
	finish
fi
timeout -k 5 60 "$BUILD/spdlog_bridge" "$dir/spdlog.qslog" || fail "exit status $?"
file=$dir/spdlog.qslog
messages "$file" >"$dir/got"
equal "records" "$(wc -l <"$dir/got")" 804
for worker in 0 1 2 3; do
	equal "worker $worker in net, in order" \
		"$(grep -E "^D net worker $worker round " "$dir/got" | awk '{ print $6 }' | xargs)" \
		"$(seq -s ' ' 0 99)"
	equal "worker $worker in store" \
		"$(grep -Ec "^I store worker $worker stored [0-9]+\.(00|25|50|75)$" "$dir/got")" 100
done
equal "the end" "$(tail -n 4 "$dir/got")" "V net closing connections
W store 3 of 4 in use
E store not {escaped} again
F spdlog_bridge the end"
"$qslog" cat "$file" >"$dir/text"
equal "locations" "$(grep -Ec ' I store \[spdlog_bridge\.cpp:[0-9]+ work\] ' "$dir/text")" 400
equal "no locations" "$(grep -c ' D net \[-:0 -\] ' "$dir/text")" 400
finish
