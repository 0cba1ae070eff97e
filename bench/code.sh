#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench-code: bytes of code and data that a site costs, by compiler.
#
#   CODE_COMPILERS="gcc g++"   only these
#
# Functions with one site each (code/sites.c) are compiled with -O2 as C with gcc and clang and as
# C++ with g++, and linked with libqslog as an application is. What a call executes is found out by
# executing it in single steps (code/path.c), while nobody listens and while the in-process collector
# does (in kernel mode it is the same code); how long each instruction is says objdump. So:
#
#   hot      the different instructions of a recorded call, to the return: bytes, and how many are
#            executed (and, behind +, those in libc: strlen, memcpy)
#   off      the same of a call that nobody listens to
#   only     bytes of hot that off does not execute: those behind the question whether somebody listens
#   gaps     times that a call does not go on with the next instruction (calls and returns left
#            out), hot / off: what is passed over there is other code
#   cold     bytes in .text.unlikely, where the linker collects what is cold, and (hot) how many
#            instructions of a recorded call are executed there
#   beside   bytes of the function, and of others that the header made for it, that neither executes:
#            cold code that the compiler left there, and padding
#   site     bytes of data: struct qslog_site (80), format, names of the function and the file
#            (which the sites of a file share)
#   relocs   bytes of relocations that a position-independent program has in its file for these
set -u
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
build=${BUILD:-$top/build}
out=$build/bench/code
failures=0
goals=

fail() {
	printf 'bench-code: %s\n' "$*" >&2
	failures=$((failures + 1))
}

# compile COMPILER SOURCE OBJECT OPTIONS...
compile() {
	local compiler=$1 source=$2 object=$3 language=(-x c -std=gnu11)
	shift 3

	case $compiler in *++*) language=(-x c++ -std=c++17) ;; esac
	"$compiler" -O2 -pthread -Wall -Wextra -I"$top/usdt" "$@" "${language[@]}" -c "$source" \
		-o "$object"
}

# The program with all kinds, and an object for each of them alone. Compiled from where the sources
# are, so that __FILE__ is short, as it is in most builds.
program_build() { # COMPILER
	local compiler=$1 name=${1##*/} kind objects=()

	cd "$here/code" || return 1
	for kind in none a b c span; do
		compile "$compiler" sites.c "$out/$name.$kind.o" "-DSITE_${kind^^}" || return 1
		[ "$kind" = none ] || objects+=("$out/$name.$kind.o")
	done
	# shellcheck disable=SC2046
	compile "${CC:-gcc}" path.c "$out/$name.path.o" -D_GNU_SOURCE= &&
		"$compiler" -pthread -o "$out/$name.path" "${objects[@]}" "$out/$name.path.o" \
			"$build/libqslog.a" $(pkg-config --libs libzstd)
}

# Lines "ADDRESS BYTES FUNCTION" of every instruction in .text.
instructions() { # PROGRAM
	objdump -d -w -j .text "$1" | awk -F '\t' '
		/^[0-9a-f]+ <.*>:$/ { split($0, at, /[<>]/); function_name = at[2] }
		/^ *[0-9a-f]+:\t/ { gsub(/[ :]/, "", $1); gsub(/ /, "", $2)
			print $1, length($2) / 2, function_name }'
}

# Bytes of an object that has a kind, less those of the one that has none: "cold text data relocs"
sizes() { # COMPILER KIND
	local object

	for object in none "$2"; do
		objdump -h -w "$out/${1##*/}.$object.o"
	done | awk '
		function hex(digits, i, value) {
			for (i = 1; i <= length(digits); i++)
				value = value * 16 + index("0123456789abcdef", substr(digits, i, 1)) - 1
			return value
		}
		/^Idx/ { sign = files++ ? 1 : -1 }
		$1 !~ /^[0-9]+$/ { next }
		$2 ~ /^\.text\.unlikely/ { cold += sign * hex($3); next }
		$2 ~ /^\.text/ { text += sign * hex($3) }
		$2 ~ /^\.(rodata|data)/ { data += sign * hex($3) }
		END { print cold + 0, text + 0, data + 0 }'
}

# Addresses in the data of a site, each of which is a relocation of the program.
pointers() { # COMPILER KIND
	local object

	for object in none "$2"; do
		readelf -r -W "$out/${1##*/}.$object.o" | awk -v o="$object" '
			/^Relocation section/ { in_data = $3 ~ /\.rela\.(data|rodata)/ }
			in_data && /R_(X86_64_64|AARCH64_ABS64) / { n++ }
			END { print o == "none" ? -n : n + 0 }'
	done | awk '{ n += $1 } END { print n }'
}

# "hot_bytes hot_instructions libc off_bytes off_instructions only gaps_on gaps_off reached in_cold
# slow" of a kind; reached: bytes outside .text.unlikely that either call executes
path_sum() { # INSTRUCTIONS STEPS KIND
	awk -v kind="$3" '
		FNR == NR { bytes[$1] = $2; name[$1] = $3; order[$1] = NR; next }
		$2 != kind { next }
		$3 == "0" || !($3 in bytes) { libc[$1]++; last = ""; next }
		{
			executed[$1]++
			if (!(($1, $3) in seen)) {
				seen[$1, $3] = 1
				sum[$1] += bytes[$3]
				if (!($3 in either)) {
					either[$3] = 1
					only[$1] += bytes[$3] # off comes first
					if (name[$3] !~ /\.cold$/)
						reached += bytes[$3]
				}
			}
			if (last != "" && name[last] == name[$3] && order[$3] != order[last] + 1 &&
				state == $1)
				gaps[$1]++
			if (name[$3] ~ /\.cold$/)
				in_cold[$1]++
			if (name[$3] ~ /reserve_slow/)
				slow = 1
			last = $3
			state = $1
		}
		END {
			print sum["on"] + 0, executed["on"] + 0, libc["on"] + 0, sum["off"] + 0, \
				executed["off"] + 0, only["on"] + 0, gaps["on"] + 0, gaps["off"] + 0, reached + 0, \
				in_cold["on"] + in_cold["off"] + 0, slow + 0
		}' "$1" "$2"
}

row() { # COMPILER KIND
	local name=${1##*/} hot hot_cnt libc off off_cnt only gaps gaps_off reached in_cold slow
	local cold text data relocs beside

	read -r hot hot_cnt libc off off_cnt only gaps gaps_off reached in_cold slow <<<"$(path_sum \
		"$out/$name.instructions" "$out/$name.steps" "$2")"
	read -r cold text data <<<"$(sizes "$1" "$2")"
	relocs=$(($(pointers "$1" "$2") * 24))
	beside=$((text - reached))
	if [ "$hot" = 0 ] || [ "$off" = 0 ] || [ "$slow" != 0 ]; then
		fail "$name, kind $2: no recorded call was followed"
		return 1
	fi
	printf '%-8s %-5s %5d %5d%-4s %5d %5d %5d %5s %6s %7d %6d %7d\n' "$name" "$2" "$hot" "$hot_cnt" \
		"$([ "$libc" = 0 ] || echo "+$libc")" "$off" "$off_cnt" "$only" "$gaps/$gaps_off" \
		"$cold$([ "$in_cold" = 0 ] || echo "($in_cold)")" "$beside" "$data" "$relocs"
	printf 'result: bench=code compiler=%s kind=%s hot_bytes=%d hot_instructions=%d off_bytes=%d cold_bytes=%d site_bytes=%d only_bytes=%d beside_bytes=%d reloc_bytes=%d\n' \
		"$name" "$2" "$hot" "$hot_cnt" "$off" "$cold" "$data" "$only" "$beside" "$relocs"
	[ "$2" != b ] || goals="$goals$(goal "$name, kind b, hot path, the whole call of the function" 100 \
		"$hot" bytes)"$'\n'"  ($only of them only while somebody listens)"$'\n'
	off_gaps=$((off_gaps + gaps_off)) cold_cnt=$((cold_cnt + in_cold))
}

goal() { # WHAT LIMIT FIGURE UNIT
	printf '%-70s <= %-3d %-5s %4d  %s' "$1" "$2" "$4" "$3" \
		"$([ "$3" -le "$2" ] && echo met || echo 'NOT MET')"
}

measure() { # COMPILER
	local name=${1##*/} kind off_gaps=0 cold_cnt=0

	if ! command -v "$1" >/dev/null; then
		echo "# $name is not here"
		return
	fi
	echo "# $name: $("$1" --version | head -n 1)"
	( program_build "$1" ) || { fail "$name: cannot be built"; return; }
	instructions "$out/$name.path" >"$out/$name.instructions" &&
		timeout 100 "$out/$name.path" "$out/$name.qslog" >"$out/$name.steps" ||
		{ fail "$name: its calls cannot be followed"; return; }
	for kind in a b c span; do
		row "$1" "$kind"
	done
	goals="$goals$(goal "$name, all kinds, off: times that other code is in the line of a call" 0 \
		"$off_gaps" "")"$'\n'
	goals="$goals$(goal "$name, all kinds: instructions of a call executed among the cold code" 0 \
		"$cold_cnt" "")"$'\n'
}

for tool in objdump readelf pkg-config; do
	command -v "$tool" >/dev/null || { echo "# bench-code: not measured, $tool is missing"; exit 0; }
done
mkdir -p "$out" || exit 1
echo "# bench-code, $(uname -m): bytes of a site, -O2"
printf '%-8s %-5s %5s %9s %5s %5s %5s %5s %6s %7s %6s %7s\n' compiler kind hot 'executed ' off exec. \
	only gaps cold beside site relocs
for compiler in ${CODE_COMPILERS:-"${CC:-gcc}" "${CLANG:-clang}" "${CXX:-g++}"}; do
	measure "$compiler"
done
rm -f "$out"/*.qslog
echo "# goals"
printf '%s' "$goals"
[ $failures = 0 ]
