#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# arm64-root.sh - what libqslog links with, for arm64, into a folder of its own: zstd and xxhash from
# the distribution's packages.
#
#     scripts/arm64-root.sh DIR        DIR/include, DIR/lib
#
# apt-get runs with a configuration, lists and a cache of its own, so that the machine's packages and
# architectures stay as they are and root is not needed. Packages are verified as always, by the
# keyrings of the distribution.
set -euo pipefail

packages=(libzstd-dev libxxhash-dev)
root=${1:?usage: scripts/arm64-root.sh DIR}

fail() { echo "arm64-root: $*" >&2; exit 1; }
command -v apt-get >/dev/null || fail "no apt-get here"
mkdir -p "$root"
root=$(cd "$root" && pwd)
work=$(mktemp -d "$root/apt.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Where the machine has its own from, as "URI SUITE/COMPONENT".
read -r uri suite < <(apt-cache policy "${packages[0]}" |
	sed -nE 's|^ *-?[0-9]+ (http[^ ]+) ([^ ]+/[^ ]+) .*|\1 \2|p' | head -n 1) || true
more=''
. /etc/os-release
case " ${ID:-} ${ID_LIKE:-} " in
*" ubuntu "*) # other architectures than x86 have mirrors of their own
	uri=http://ports.ubuntu.com/ubuntu-ports
	suite=${suite:-${UBUNTU_CODENAME:-$VERSION_CODENAME}/main}
	more=universe
	;;
*)
	uri=${uri:-http://deb.debian.org/debian}
	suite=${suite:-${VERSION_CODENAME:-stable}/main}
	;;
esac
# a package of the updates may have been the first; the release itself has it too
suite=${suite%%/*}
suite=${suite%%-*}

mkdir -p "$work"/{lists,cache/archives}/partial "$work"/{keys,debs}
cp /etc/apt/trusted.gpg.d/* /usr/share/keyrings/*archive-keyring.gpg "$work/keys" 2>/dev/null || true
echo "deb $uri $suite main $more" >"$work/sources.list"
cat >"$work/conf" <<CONF
APT::Architecture "arm64";
#clear APT::Architectures;
APT::Architectures { "arm64"; };
Acquire::Languages "none";
APT::Sandbox::User "";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::TrustedParts "$work/keys";
Dir::State::Lists "$work/lists";
Dir::State::status "/dev/null";
Dir::Cache "$work/cache";
CONF
export APT_CONFIG=$work/conf
apt-get update -qq || fail "no package lists for arm64 from $uri $suite (network? proxy?)"
cd "$work/debs"
apt-get download -qq "${packages[@]}" || fail "cannot download ${packages[*]} for arm64"
for deb in ./*.deb; do
	dpkg -x "$deb" "$work/files"
done
mkdir -p "$root/include" "$root/lib"
cp "$work"/files/usr/include/*.h "$root/include"
cp "$work"/files/usr/lib/aarch64-linux-gnu/libzstd.a "$root/lib"
