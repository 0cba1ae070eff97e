#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# vmtest.sh - boots other kernels in qemu, by software emulation, and runs end-to-end tests inside.
#
#     BUILD=DIR tests/vm/vmtest.sh [SERIES...]     usually by `make vmtest`; default: 6.1 6.12
#
# A kernel is Debian's newest of the series for clouds, out of its package, which is downloaded once
# into BUILD/vm and not installed. The guest's only disk is an initramfs: this machine's shell and
# tools with their libraries, the build, and tests/. What runs there: tests/vm/init.sh.
# VM_TESTS="TEST..." runs others; VM_SECONDS: how long a guest may take (900).
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-$PWD/build}
vm=$BUILD/vm
series=("$@")
[ ${#series[@]} -gt 0 ] || series=(6.1 6.12)
tools=(bash sh cat cp mv rm ls ln mkdir mkfifo mktemp chmod chown stat head tail sort uniq tr cut wc
	tee env true false timeout sleep touch dirname basename expr seq id sed grep awk find xargs cmp
	mount umount mountpoint setpriv unshare readelf ip sync od cksum pgrep paste)

die() { echo "vmtest: $*" >&2; exit 1; }

# The newest package that can be downloaded: lists know names of which nothing is left.
kernel_get() { # SERIES: prints the path of its kernel image
	local pattern names name dir=$vm/kernel-$1 image
	image=$(find "$dir" -name 'vmlinuz-*' 2>/dev/null | head -n 1)
	if [ -n "$image" ]; then
		echo "$image"
		return
	fi
	pattern="^linux-image-${1//./\\.}\.[0-9][^ ]*-cloud-amd64$"
	names=$(apt-cache pkgnames "linux-image-$1." | grep -E "$pattern" | sort -rV)
	[ -n "$names" ] || die "no package of a kernel $1 is known here (Debian 12 has 6.1 and 6.12; apt-get update?)"
	rm -rf "$dir"
	mkdir -p "$dir" || exit 1
	for name in $names; do
		(cd "$dir" && apt-get download "$name") >"$dir/log" 2>&1 || continue
		dpkg-deb -x "$dir"/*.deb "$dir/root" || die "cannot unpack $name"
		mv "$dir"/root/boot/vmlinuz-* "$dir" || die "$name has no kernel image"
		rm -rf "$dir"/root "$dir"/*.deb
		find "$dir" -name 'vmlinuz-*'
		return
	done
	die "cannot download a kernel $1: $(tail -n 1 "$dir/log")"
}

file_add() { # PATH ROOT: with the libraries that it is linked to
	local lib
	mkdir -p "$2${1%/*}" && cp -L "$1" "$2$1" || die "cannot copy $1"
	while read -r lib; do
		[ -e "$2$lib" ] && continue
		mkdir -p "$2${lib%/*}" && cp -L "$lib" "$2$lib" || die "cannot copy $lib"
	done < <(ldd "$1" 2>/dev/null | sed -nE 's/.* => (\/[^ ]+) .*/\1/p; s/^\s*(\/[^ ]+) \(.*/\1/p')
}

initramfs_make() { # prints its path
	local root=$vm/root tool path
	rm -rf "$root"
	mkdir -p "$root"/{dev,proc,sys,tmp,etc,usr/bin,usr/sbin,usr/lib,usr/lib64,root,t/build/tests} || exit 1
	ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root"
	for tool in "${tools[@]}"; do
		path=$(type -P "$tool" || echo "/usr/sbin/$tool")
		[ -e "$path" ] || { echo "vmtest: no $tool here: left out" >&2; continue; }
		path=/usr${path#/usr}
		[[ $path == /usr/bin/* || $path == /usr/sbin/* ]] || path=$(readlink -f "$path")
		file_add "$path" "$root"
	done
	mkdir -p "$root/t/examples"
	cp -r tests scripts VERSION "$root/t" && cp -r examples/kvd "$root/t/examples" || exit 1
	for path in "$BUILD"/{qslog-trace,qslog,hello,kvd,kvd-load} "$BUILD"/tests/e2e/test_*; do
		[ -x "$path" ] && file_add "$path" "$root"
	done
	# What pthread_exit() loads.
	path=$(gcc -print-file-name=libgcc_s.so.1)
	[ -e "$path" ] && path=$(readlink -f "$path") && mkdir -p "$root/usr/lib" && cp "$path" "$root/usr/lib"
	for path in "$BUILD"/tests/fixtures/*; do [ -f "$path" ] && file_add "$path" "$root"; done
	mv "$root$BUILD"/* "$root/t/build/" || exit 1
	cp tests/vm/init.sh "$root/init" && chmod 755 "$root/init" || exit 1
	printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
	(cd "$root" && find . | cpio --quiet -o -H newc | zstd -q -3 -T0) >"$vm/initramfs" ||
		die "cannot make the initramfs"
	rm -rf "$root"
	echo "$vm/initramfs"
}

# Two processors, as threads: that is where races show. But such a processor may still run a breakpoint that
# another one had put into the kernel's text for a moment, to patch it, and 6.12 died of that ("Oops: int3"):
# there it is one.
processors() { # SERIES
	[ "$1" = 6.1 ] && echo "-accel tcg,thread=multi -smp 2" || echo "-accel tcg,thread=single -smp 1"
}

guest_run() { # SERIES IMAGE INITRAMFS
	local log=$vm/log-$1 start=$EPOCHREALTIME closing
	# shellcheck disable=SC2046 # several words
	timeout --foreground -k 5 "${VM_SECONDS:-900}" qemu-system-x86_64 $(processors "$1") -cpu max \
		-m 1536 -nodefaults -no-reboot -display none -serial "file:$log" -kernel "$2" \
		-initrd "$3" -append "console=ttyS0 quiet panic=-1 vm_tests=$(tr " " , <<<"${VM_TESTS:-}")" </dev/null ||
		echo "vmtest: qemu: exit status $?"
	closing=$(tr -d '\r' <"$log" | grep -E '^[0-9]+ passed, [0-9]+ failed' | tail -n 1)
	tr -d '\r' <"$log" | grep -vE '^\[ +[0-9.]+\]' | sed "s/^/$1 | /"
	awk -v s="$1" -v a="$start" -v b="$EPOCHREALTIME" -v c="${closing:-no closing line}" \
		'BEGIN { printf "vmtest: kernel %s: %s (%.0f s)\n", s, c, b - a }'
	[[ $closing == *", 0 failed" ]]
}

command -v qemu-system-x86_64 >/dev/null || die "qemu-system-x86_64 is missing: scripts/deps.sh vm"
mkdir -p "$vm" || exit 1
initramfs=$(initramfs_make) || exit 1
failed=0
for one in "${series[@]}"; do
	image=$(kernel_get "$one") || exit 1
	guest_run "$one" "$image" "$initramfs" || failed=1
done
exit "$failed"
