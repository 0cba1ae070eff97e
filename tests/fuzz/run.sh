#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh - runs fuzz targets, one after the other; usually by `make fuzz`.
#
#     FUZZ_BUILD=DIR FUZZ_SECONDS=N tests/fuzz/run.sh [NAME...]
#
# Per target: what crashed once (tests/fuzz/regress/NAME) is run, then FUZZ_SECONDS of new inputs
# from the corpus that has gathered in DIR/corpus/NAME and the seeds. Exit status 1 where something
# was found; the input is in DIR/found. FUZZ_NICE (19) is its priority, FUZZ_LIMITS go to libFuzzer.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
build=${FUZZ_BUILD:-build/fuzz}
seconds=${FUZZ_SECONDS:-60}
seeds=$build/seeds
found=$build/found
failed=0
export FUZZ_DIR
FUZZ_DIR=$(mktemp -d /dev/shm/qslog-fuzz.XXXXXX 2>/dev/null || mktemp -d) || exit 1
trap 'rm -rf "$FUZZ_DIR"' EXIT
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

mkdir -p "$found" "$seeds" || exit 1
if [ -x "$build/make_seeds" ]; then
	rm -rf "$seeds" && mkdir "$seeds" || exit 1
	# what it allocates it has till its end
	ASAN_OPTIONS=detect_leaks=0 "$build/make_seeds" "$seeds" tests/golden || {
		echo "fuzz: make_seeds failed" >&2
		exit 1
	}
fi

if [ $# -eq 0 ]; then
	for target in "$build"/fuzz_*; do
		[ -x "$target" ] && set -- "$@" "${target##*/fuzz_}"
	done
fi

run() { # run NAME
	local name=$1 target=$build/fuzz_$1 corpus=$build/corpus/$1 log=$build/$1.log dirs=() dir
	if [ ! -x "$target" ]; then
		echo "fuzz: no target $name in $build" >&2
		return 1
	fi
	mkdir -p "$corpus"
	for dir in "$seeds/$name" "tests/fuzz/seeds/$name" "tests/fuzz/regress/$name"; do
		[ -d "$dir" ] && dirs+=("$dir")
	done
	# shellcheck disable=SC2086 # several options
	if nice -n "${FUZZ_NICE:-19}" "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
		-malloc_limit_mb=1024 -max_len=262144 -dict=tests/fuzz/qslog.dict -close_fd_mask=1 \
		-artifact_prefix="$found/$name-" -print_final_stats=1 ${FUZZ_LIMITS:-} \
		"$corpus" "${dirs[@]}" >"$log" 2>&1; then
		printf 'fuzz: %-10s ok, %s\n' "$name" "$(awk '
			/ cov: / { for (i = 1; i <= NF; i++) { if ($i == "cov:") cov = $(i + 1)
						if ($i == "ft:") ft = $(i + 1) } }
			/number_of_executed_units/ { runs = $NF }
			/peak_rss_mb/ { mib = $NF }
			END { printf "%d runs, %d edges, %d features, %d MiB at most", runs, cov, ft, mib }
			' "$log")"
		return 0
	fi
	echo "fuzz: $name FAILED; all of it is in $log:"
	grep -vE '^#|^INFO' "$log" | tail -n 40 | sed 's/^/  | /'
	return 1
}

for name in "$@"; do
	run "$name" || failed=1
done
exit "$failed"
