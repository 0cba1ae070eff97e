#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench-kernel: what qslog-trace takes, and what that costs (bench/kernel.c); then the same of LTTng, perf
# and bpftrace, as far as they are installed (PEERS_INSTALL=yes installs them).
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$(dirname "$here")/build}

"$build/bench/kernel" "$@" || exit
[ $# -gt 0 ] || PEERS=${PEERS:-lttng perf bpftrace} PEERS_PART=rates \
	PEERS_SECONDS=${PEERS_SECONDS:-240} exec "$here/peers.sh"
