#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Includes point one way: usdt <- bpf <- userspace <- decoder, as the data flows.
#
#   usdt       includes nothing of ours but itself
#   bpf        usdt's ABI header, vmlinux, itself
#   userspace  usdt, bpf's shared headers, itself; only the tracer's live view uses the decoder
#   decoder    usdt's ABI header, itself, and of userspace only what reads or writes files
#
# And what goes into libqslog needs neither libbpf nor libelf. Each rule prints what breaks it.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
broken=0

complain() {
	echo "layering: $*"
	broken=1
}

# Sets `owner` to the folder that holds header $2 as seen from file $1; "" if it is not ours.
find_owner() {
	local base=${2##*/} dir
	owner=''
	case $2 in
	*.skel.h) owner=gen; return ;;
	esac
	for dir in "${1%/*}" usdt bpf vmlinux userspace decoder tests/unit bench; do
		if [ -e "$dir/$2" ] || [ -e "$dir/$base" ]; then
			owner=$dir
			return
		fi
	done
}

# userspace files that may know the decoder: the command line's live view.
uses_decoder='^userspace/(live[a-z_]*|trace_[a-z_]*)\.[ch]$'
# userspace headers that the decoder may know: the file and the way of records into it.
for_decoder='^(file_format|file_set|varint|hash_index|columns_format|counter|clock_pair|span_stack|(writer|ingest|recover)[a-z_]*)\.h$'

check_include() { # check_include FILE HEADER
	local file=$1 header=$2 dir=${1%%/*} owner
	find_owner "$file" "$header"
	[ -n "$owner" ] || return 0
	case $dir:$owner in
	usdt:usdt | bpf:bpf | bpf:vmlinux | userspace:userspace | userspace:usdt) ;;
	userspace:gen | decoder:decoder) ;;
	bpf:usdt | decoder:usdt)
		[ "${header##*/}" = qslog_abi.h ] || complain "$file: of usdt only qslog_abi.h, not $header"
		;;
	userspace:bpf)
		case $header in
		*.bpf.h) complain "$file: $header is for BPF programs" ;;
		esac
		;;
	userspace:decoder)
		[[ $file =~ $uses_decoder ]] || complain "$file: includes $header of decoder/"
		;;
	decoder:userspace)
		[[ ${header##*/} =~ $for_decoder ]] ||
			complain "$file: includes $header of userspace/, which is not about files"
		;;
	*) complain "$file: includes $header of $owner/" ;;
	esac
}

shopt -s nullglob
files=(usdt/*.[ch] bpf/*.[ch] userspace/*.[ch] decoder/*.[ch])
[ "${#files[@]}" -gt 10 ] || complain "only ${#files[@]} files looked at: has the tree moved?"
while IFS=: read -r file line; do
	header=${line#*[<\"]}
	check_include "$file" "${header%%[>\"]*}"
done < <(grep -HE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]' "${files[@]}")

# What is declared in a header of usdt/ or bpf/ crosses a boundary, and has no second declaration.
while read -r name places; do
	complain "struct $name is declared in $places"
done < <(awk '/^struct [a-z_0-9]+ \{/ { where[$2] = where[$2] " " FILENAME; cnt[$2]++
			if (FILENAME ~ /^(usdt|bpf)\/.*\.h$/) shared[$2] = 1 }
	     END { for (name in shared) if (cnt[name] > 1) print name, where[name] }' "${files[@]}")

# What is linked into libqslog must run without libbpf and libelf, and shows only its own names.
lib=${BUILD:-build}/libqslog.so
if [ -e "$lib" ]; then
	readelf -d "$lib" | grep -E 'NEEDED.*(libbpf|libelf|libcmocka)' &&
		complain "$lib needs the libraries above"
	names=$(readelf --dyn-syms -W "$lib" | awk '$7 != "UND" && $5 != "LOCAL" && $8 != "" { print $8 }' |
		sed 's/@.*//' | grep -vE '^(qslog_|QSLOG_[0-9]|Name$)')
	[ -z "$names" ] || complain "$lib shows names that are not qslog_*:" $names
	readelf --dyn-syms -W "$lib" | grep ' qslog_start' >/dev/null || complain "$lib does not show qslog_start"
fi

[ "$broken" -eq 0 ] && echo "layering: ${#files[@]} files follow the rules"
exit "$broken"
