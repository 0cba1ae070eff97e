#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# vmlinux-min.sh - prints vmlinux/vmlinux.h: of the types of the running kernel only what
# vmlinux/types.list names.
#
#     scripts/vmlinux-min.sh > vmlinux/vmlinux.h        (or: make vmlinux)
#     scripts/vmlinux-min.sh --check                    compares with the file that is there
#     BTF=FILE scripts/vmlinux-min.sh                   from another kernel's BTF
#
# `bpftool btf dump` prints every type as C; awk takes the named ones out of it. Offsets do not
# matter, since every field is relocated when the programs are loaded (CO-RE), so the result is
# the same from any kernel that has the fields, in the order of the list. Nothing is left out
# silently: a type, field or value that the kernel does not have is an error.
set -euo pipefail

cd "$(dirname "$0")/.."
list=vmlinux/types.list
header=vmlinux/vmlinux.h
btf=${BTF:-/sys/kernel/btf/vmlinux}

generate() {
	local bpftool
	if ! bpftool=$(scripts/deps.sh --bpftool); then
		echo "vmlinux-min: no bpftool: make deps" >&2
		return 1
	fi
	if [ ! -r "$btf" ]; then
		echo "vmlinux-min: cannot read $btf: kernel without BTF?" >&2
		return 1
	fi
	"$bpftool" btf dump file "$btf" format c | awk -v list="$list" -f scripts/vmlinux-min.awk
}

case ${1:-} in
"") generate ;;
--check)
	if ! generate | diff -u "$header" -; then
		echo "vmlinux-min: $header is not what this kernel gives" >&2
		exit 1
	fi
	;;
*) echo "usage: scripts/vmlinux-min.sh [--check]" >&2; exit 2 ;;
esac
