#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Includes point one way: usdt <- bpf <- userspace <- decoder, as docs and DESIGN draw it.
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

# Folder that holds header $2 as seen from file $1; nothing if it is not one of ours.
owner_of() {
	local from=${1%/*} base=${2##*/} dir
	case $2 in
	*.skel.h) echo gen; return ;;
	esac
	for dir in "$from" usdt bpf vmlinux userspace decoder tests/unit bench; do
		if [ -e "$dir/$2" ] || [ -e "$dir/$base" ]; then
			echo "$dir"
			return
		fi
	done
}

# userspace files that may know the decoder: the command line's live view.
uses_decoder='^userspace/(live[a-z_]*|trace_[a-z_]*)\.[ch]$'
# userspace headers that the decoder may know: the file and the way of records into it.
for_decoder='^(file_format|varint|writer[a-z_]*|ingest[a-z_]*|clock[a-z_]*|counter[a-z_]*|arena_file[a-z_]*|recover[a-z_]*|codec[a-z_]*|columns[a-z_]*|block[a-z_]*|crc[a-z_0-9]*|hash[a-z_]*|compiler|version)\.h$'

check_include() { # check_include FILE HEADER
	local file=$1 header=$2 dir=${1%%/*} owner
	owner=$(owner_of "$file" "$header")
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

checked=0
for file in usdt/*.[ch] bpf/*.[ch] userspace/*.[ch] decoder/*.[ch]; do
	[ -e "$file" ] || continue
	checked=$((checked + 1))
	while read -r header; do
		check_include "$file" "$header"
	done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]([^>"]+)[>"].*/\1/p' "$file")
done
[ "$checked" -gt 10 ] || complain "only $checked files looked at: has the tree moved?"

# No struct of the ABI, and none that crosses to userspace, is declared in two places.
while read -r name; do
	places=$(grep -lE "^struct $name \{" usdt/*.h bpf/*.[ch] userspace/*.[ch] decoder/*.[ch] 2>/dev/null)
	[ "$(wc -w <<<"$places")" -le 1 ] || complain "struct $name is declared in" $places
done < <(sed -nE 's/^struct ([a-z_]+) \{.*/\1/p' usdt/*.h bpf/*.h 2>/dev/null | sort -u)

# What is linked into libqslog must run without libbpf and libelf, and shows only its own names.
lib=${BUILD:-build}/libqslog.so
if [ -e "$lib" ]; then
	readelf -d "$lib" | grep -E 'NEEDED.*(libbpf|libelf|libcmocka)' &&
		complain "$lib needs the libraries above"
	names=$(readelf --dyn-syms -W "$lib" | awk '$7 != "UND" && $5 != "LOCAL" && $8 != "" { print $8 }' |
		sed 's/@.*//' | grep -vE '^(qslog_|QSLOG_[0-9]|Name$)')
	[ -z "$names" ] || complain "$lib shows names that are not qslog_*:" $names
	readelf --dyn-syms -W "$lib" | grep -q ' qslog_start' || complain "$lib does not show qslog_start"
fi

[ "$broken" -eq 0 ] && echo "layering: $checked files follow the rules"
exit "$broken"
