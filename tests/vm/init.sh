#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# init.sh - the first process of the guest that vmtest.sh boots: mounts what is needed, says what the
# tracer can do there, runs tests, and switches off. The closing line is that of tests/run.sh.
export PATH=/usr/bin:/usr/sbin HOME=/root TMPDIR=/tmp LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
chmod 1777 /tmp /dev/shm
ln -s /proc/self/fd /dev/fd
ip link set lo up
cd /t || exit 1
export BUILD=/t/build

tests=$(sed -n 's/.*vm_tests=\([^ ]*\).*/\1/p' /proc/cmdline)
[ -n "$tests" ] || tests=build/tests/e2e/test_levels,tests/vm/kernel.sh,tests/vm/options.sh,tests/e2e/capabilities.sh,tests/vm/ends.sh
echo "without tracefs:"
build/qslog-trace --check
mount -t tracefs tracefs /sys/kernel/tracing
echo "with tracefs:"
build/qslog-trace --check | grep 'end of processes'
read -ra list <<<"${tests//,/ }"
bash tests/run.sh "${list[@]}"
sync
echo o >/proc/sysrq-trigger
exec sleep 60
