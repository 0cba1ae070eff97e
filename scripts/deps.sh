#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# deps.sh - what the build needs is there afterwards, or an error says what is missing.
#
#     scripts/deps.sh [build|check|fuzz|vm]   install what is missing (default: check; all others
#                                     include build; vm: for tests/vm/vmtest.sh)
#     DEPS=no scripts/deps.sh ...     only report; exit 1 when something is missing
#     scripts/deps.sh --bpftool       print the path of a bpftool that works
#     scripts/deps.sh --wants-arm64   are tests cross-compiled for arm64 here? exit 1: no
#
# With `check`, ARM64_ROOT=DIR says where the libraries go that these link with
# (scripts/arm64-root.sh).
#
# It decides by what is needed (a program runs, a header compiles), not by which packages are
# installed; packages are named only for what is missing. When nothing is missing it neither
# prints nor uses the network.
set -uo pipefail

CC=${CC:-gcc}
CXX=${CXX:-g++}
CLANG=${CLANG:-clang}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}
DEPS=${DEPS:-yes}
LIBBPF_MIN=1.0 # bpf_program__attach_usdt, user ring of attach options, strict mode by default

say() { printf 'deps: %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
have() { command -v "${1%% *}" >/dev/null 2>&1; }

# bpftool is often in a directory that is not in a user's PATH; Ubuntu's /usr/sbin/bpftool is a
# wrapper that only works with the tools of the running kernel, though any version would do.
find_bpftool() {
	local tool
	for tool in "${BPFTOOL:-}" "$(command -v bpftool)" /usr/sbin/bpftool /sbin/bpftool \
		    /usr/local/sbin/bpftool /usr/lib/linux-tools/*/bpftool \
		    /usr/lib/linux-tools-*/bpftool; do
		if [ -x "$tool" ] && "$tool" version >/dev/null 2>&1; then
			echo "$tool"
			return 0
		fi
	done
	return 1
}

compiles() { # compiles COMPILER LANGUAGE HEADER...
	local compiler=$1 language=$2
	shift 2
	printf '#include <%s>\n' "$@" | $compiler -x "$language" -fsyntax-only -
}

bpf_compiles() {
	echo 'int f(void) { return 0; }' |
		$CLANG -target bpf -mcpu=v3 -O2 -g -x c -c -o /dev/null -
}

# On x86-64, where apt-get has a cross compiler with a C library and an emulator.
wants_arm64() {
	[ "$(uname -m)" = x86_64 ] && have apt-get
}

have_qemu() {
	have qemu-aarch64 || have qemu-aarch64-static
}

libbpf_usable() {
	compiles "$CC" c stddef.h bpf/libbpf.h && "$PKG_CONFIG" --exists libbpf
}

fuzz_links() {
	local out
	out=$(mktemp) || return 1
	echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return !p && n; }' |
		$CLANG -fsanitize=fuzzer,address -x c -o "$out" -
	set -- $?
	rm -f "$out"
	return "$1"
}

# Sets `missing` to the keys (see package_of) of what is not there. Everything that only needs
# the C compiler is tried in one go first, so that the usual case is quick.
look() { # look build|check|fuzz
	local headers=(stddef.h stdint.h linux/types.h bpf/libbpf.h gelf.h seccomp.h zlib.h zstd.h xxhash.h)
	missing=()
	need() { # need KEY COMMAND...
		local key=$1
		shift
		"$@" >/dev/null 2>&1 || missing+=("$key")
	}
	need make have make
	need pkg-config have "$PKG_CONFIG"
	need binutils have readelf
	need clang bpf_compiles
	need bpftool find_bpftool
	[ "$1" = check ] && headers+=(stdarg.h setjmp.h cmocka.h)
	if ! compiles "$CC" c "${headers[@]}" >/dev/null 2>&1 ||
		! "$PKG_CONFIG" --exists libbpf libelf libseccomp zlib libzstd libxxhash; then
		need cc compiles "$CC" c stdio.h linux/types.h
		need libbpf libbpf_usable
		need libelf compiles "$CC" c gelf.h
		need libseccomp compiles "$CC" c seccomp.h
		need zlib compiles "$CC" c zlib.h
		need libzstd compiles "$CC" c zstd.h
		need xxhash compiles "$CC" c xxhash.h
		[ "$1" = check ] && need cmocka compiles "$CC" c stdarg.h stddef.h stdint.h setjmp.h cmocka.h
	fi
	[ "$1" = check ] && need python3 have python3
	[ "$1" = check ] && need e2fsprogs have mkfs.ext4
	[ "$1" = check ] && need bpftrace have bpftrace
	[ "$1" = check ] && need perf perf version
	[ "$1" = check ] && need c++ compiles "$CXX" c++ cstdint
	[ "$1" != build ] && [ "$1" != vm ] && need fuzzer fuzz_links
	if [ "$1" = vm ]; then
		need qemu have qemu-system-x86_64
		need cpio have cpio
		need zstd have zstd
		need iproute2 have ip
	fi
	if [ "$1" = check ] && wants_arm64; then
		need arm64-gcc compiles aarch64-linux-gnu-gcc c stdio.h linux/types.h
		need arm64-qemu have_qemu
		[ -z "${ARM64_ROOT:-}" ] || need arm64-zstd test -e "$ARM64_ROOT/lib/libzstd.a"
	fi
	return 0
}

bpftool_packages_apt() {
	# A real package where there is one (Debian, later Ubuntu), else the kernel's tools.
	local about
	about=$(apt-cache show bpftool 2>/dev/null)
	if [ -n "$about" ] || ! apt-cache show linux-tools-generic >/dev/null 2>&1; then
		echo bpftool
	else
		echo linux-tools-common linux-tools-generic
	fi
}

# libFuzzer and the sanitizers of this clang: a package of their own, with its version in the name.
fuzzer_packages_apt() {
	local version
	version=$($CLANG --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p;q')
	echo "libclang-rt-${version:-14}-dev"
}

perf_packages_apt() {
	# Debian; Ubuntu has it with the kernel's tools.
	if [ -n "$(apt-cache show linux-perf 2>/dev/null)" ]; then
		echo linux-perf
	else
		echo linux-tools-common linux-tools-generic
	fi
}

package_of() { # package_of MANAGER KEY
	case $1:$2 in
	apt:cc) echo gcc libc6-dev linux-libc-dev ;;
	apt:c++) echo g++ ;;
	apt:bpftool) bpftool_packages_apt ;;
	apt:libbpf) echo libbpf-dev ;;
	apt:libelf) echo libelf-dev ;;
	apt:libseccomp) echo libseccomp-dev ;;
	apt:zlib) echo zlib1g-dev ;;
	apt:libzstd) echo libzstd-dev ;;
	apt:xxhash) echo libxxhash-dev ;;
	apt:cmocka) echo libcmocka-dev ;;
	apt:perf) perf_packages_apt ;;
	apt:qemu) echo qemu-system-x86 ;;
	apt:fuzzer) fuzzer_packages_apt ;;
	apt:arm64-gcc) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
	apt:arm64-qemu) echo qemu-user ;;
	apt:arm64-zstd) ;; # not installed: see scripts/arm64-root.sh
	dnf:cc) echo gcc glibc-devel kernel-headers ;;
	dnf:c++) echo gcc-c++ ;;
	dnf:pkg-config) echo pkgconf-pkg-config ;;
	dnf:libbpf) echo libbpf-devel ;;
	dnf:libelf) echo elfutils-libelf-devel ;;
	dnf:libseccomp) echo libseccomp-devel ;;
	dnf:zlib) echo zlib-devel ;;
	dnf:libzstd) echo libzstd-devel ;;
	dnf:xxhash) echo xxhash-devel ;;
	dnf:cmocka) echo libcmocka-devel ;;
	dnf:fuzzer | pacman:fuzzer) echo compiler-rt ;;
	pacman:cc | pacman:c++) echo gcc linux-api-headers ;;
	pacman:pkg-config) echo pkgconf ;;
	pacman:python3) echo python ;;
	pacman:bpftool) echo bpf ;;
	pacman:libzstd) echo zstd ;;
	*) echo "$2" ;; # the package is called as what it holds
	esac
}

packages_for() { # packages_for MANAGER KEY...
	local manager=$1 key
	shift
	for key in "$@"; do package_of "$manager" "$key"; done | tr ' ' '\n' | sort -u | tr '\n' ' '
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif have sudo; then
		sudo "$@"
	else
		die "not root and no sudo here; run as root: $*"
	fi
}

apt_install() {
	local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends)
	# The package lists may be absent or old: read them anew only when the first try fails.
	if as_root "${install[@]}" "$@" >/dev/null 2>&1; then return 0; fi
	say "apt-get update"
	as_root apt-get update -qq >&2 ||
		say "apt-get update failed (network? proxy? sources.list?); trying all the same"
	as_root "${install[@]}" "$@" >&2
}

install() { # install KEY...
	local packages key keys=()
	for key in "$@"; do [ "$key" = arm64-zstd ] || keys+=("$key"); done
	if [ ${#keys[@]} -lt $# ]; then
		say "libzstd for arm64 into $ARM64_ROOT"
		"${0%/*}/arm64-root.sh" "$ARM64_ROOT" || die "scripts/arm64-root.sh failed (see above)"
		[ ${#keys[@]} -gt 0 ] || return 0
		set -- "${keys[@]}"
	fi
	if have apt-get; then
		if ! apt-cache show make >/dev/null 2>&1; then
			say "apt-get update (there are no package lists)"
			as_root apt-get update -qq >&2 || die "apt-get update failed (network? proxy?)"
		fi
		read -ra packages <<<"$(packages_for apt "$@")"
		say "apt-get install ${packages[*]}"
		apt_install "${packages[@]}" ||
			die "apt-get could not install: ${packages[*]} (its messages are above)"
	elif have dnf; then
		read -ra packages <<<"$(packages_for dnf "$@")"
		say "dnf install -y ${packages[*]}"
		as_root dnf install -y "${packages[@]}" >&2 || die "dnf could not install: ${packages[*]}"
	elif have pacman; then
		read -ra packages <<<"$(packages_for pacman "$@")"
		say "pacman -S --needed --noconfirm ${packages[*]}"
		as_root pacman -S --needed --noconfirm "${packages[@]}" >&2 ||
			die "pacman could not install: ${packages[*]} (old package lists? pacman -Sy)"
	else
		say "this system has none of apt-get, dnf, pacman; please install: $*"
		say "packages on Debian: $(packages_for apt "$@")"
		say "packages on Fedora: $(packages_for dnf "$@")"
		exit 1
	fi
}

check_versions() {
	"$PKG_CONFIG" --atleast-version="$LIBBPF_MIN" libbpf ||
		die "libbpf $("$PKG_CONFIG" --modversion libbpf) is too old, $LIBBPF_MIN or later is needed:" \
			"install it from https://github.com/libbpf/libbpf and set PKG_CONFIG_PATH"
}

main() {
	local what=${1:-check}
	case $what in
	--bpftool) find_bpftool; exit ;;
	--wants-arm64) wants_arm64; exit ;;
	build | check | fuzz | vm) ;;
	*) die "usage: [DEPS=no] scripts/deps.sh [build|check|fuzz|vm|--bpftool|--wants-arm64]" ;;
	esac

	look "$what"
	if [ ${#missing[@]} -gt 0 ]; then
		say "missing: ${missing[*]}"
		if [ "$DEPS" = no ]; then
			if have apt-get && [ -n "$(packages_for apt "${missing[@]}")" ]; then
				say "to install: apt-get install $(packages_for apt "${missing[@]}")"
			fi
			[[ " ${missing[*]} " == *" arm64-zstd "* ]] &&
				say "and: scripts/arm64-root.sh $ARM64_ROOT"
			have dnf && say "to install: dnf install $(packages_for dnf "${missing[@]}")"
			have pacman && say "to install: pacman -S $(packages_for pacman "${missing[@]}")"
			say "or let 'make deps' do it"
			exit 1
		fi
		install "${missing[@]}"
		hash -r
		look "$what"
		[ ${#missing[@]} -eq 0 ] || die "installed, but still not usable: ${missing[*]}"
		say "all there"
	fi
	check_versions
}

main "$@"
