#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# bench-record: what a call costs in time (record.c), and in bytes (code.sh).
set -u

here=$(cd "$(dirname "$0")" && pwd)
status=0

"${BUILD:-$here/../build}/bench/record" || status=1
"$here/code.sh" || status=1
exit $status
