#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# lint.sh - checks that need no running: layering, the scripts, clang's warnings and cppcheck.
# Run by `make lint`. A tool that is not there is an error, not a smaller lint.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
failed=0
for tool in clang cppcheck shellcheck; do
	if ! command -v "$tool" >/dev/null; then
		echo "lint: $tool is missing (Debian: apt-get install clang cppcheck shellcheck)" >&2
		exit 1
	fi
done

step() { # step NAME COMMAND...
	local name=$1
	shift
	echo "lint: $name"
	"$@" || { echo "lint: $name failed" >&2; failed=1; }
}

clang_warnings() {
	local file bad=0
	for file in usdt/*.c userspace/*.c decoder/*.c; do
		# shellcheck disable=SC2086 # INCLUDES is a list
		${CLANG:-clang} -std=gnu11 -fsyntax-only -Wall -Wextra -Wshadow -Wstrict-prototypes \
			-Wmissing-prototypes -Wimplicit-fallthrough -Wunreachable-code \
			-Werror -D_GNU_SOURCE= -DQSLOG_VERSION='"lint"' $INCLUDES "$file" || bad=1
	done
	return $bad
}

# memleakOnRealloc takes a local copy of the pointer for its only one.
cpp_check() {
	# shellcheck disable=SC2086
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 \
		--enable=warning,portability --suppress=missingIncludeSystem \
		--suppress=preprocessorErrorDirective --suppress=memleakOnRealloc \
		--suppress=identicalConditionAfterEarlyExit \
		'-DLIBBPF_OPTS(type,name,...)=struct type name={__VA_ARGS__}' $INCLUDES usdt userspace decoder
}

first_comments() { # every source says its license first
	local file bad=0
	for file in $FORMATTED Makefile scripts/* bench/*.sh bench/*/*.sh bench/*/*.cpp tests/*.sh \
		tests/*/*.sh .ci/run; do
		[ -e "$file" ] || continue
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier:' || { echo "$file: no SPDX line"; bad=1; }
	done
	return $bad
}

step layering bash tests/layering/check.sh
step licenses first_comments
step shellcheck shellcheck -S warning -x -P SCRIPTDIR scripts/*.sh bench/*.sh bench/*/*.sh tests/run.sh \
	tests/*/*.sh .ci/run
step clang clang_warnings
step cppcheck cpp_check
exit $failed
