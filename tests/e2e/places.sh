#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# places.sh - processes where a tracer does not look by name: other roots, mount, PID and user
# namespaces, other users, static, stripped, deleted and replaced programs. (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

static=$dir/static
"${CC:-cc}" -O1 -static -Iusdt -o "$static" tests/fixtures/workload.c usdt/qslog_runtime.c -pthread || fail "link"
strip -o "$dir/stripped" "$static"
chmod 755 "$dir/stripped"

# What is run there ("wait" in the name: it is killed when its records are in the file).
run_here() { "$@"; }
run_chroot() {
	mkdir -p "$dir/root"
	cp "$static" "$dir/root/app"
	chroot "$dir/root" "$@"
}
run_pid() { unshare --pid --mount --fork --kill-child --mount-proc "$@"; }
run_user() { unshare --user --map-root-user --pid --fork --kill-child "$@"; }
run_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

# By the program, which each of them has under a name of its own.
attached() { # WHAT RUN PROGRAM PATH-SEEN-FROM-HERE
	local what=$1 how=$2 program=$3 seen=$4
	chmod 777 "$dir"
	tracer_start --exe "$seen" -o "$dir/$what.qslog" || return
	"$how" "$program" -s "${5:-$dir}/shared" -t 2 -n 100 -e _exit
	equal "$what: exit status" $? 0
	tracer_end INT
	err '^records=200 lost=0 '
	rm -f "$dir/shared"
}
mkdir -p "$dir/root" && cp "$static" "$dir/root/app"
attached static run_here "$static" "$static"
attached stripped run_here "$dir/stripped" "$dir/stripped"
attached chroot run_chroot /app "$dir/root/app" /
attached pid-namespace run_pid "$static" "$static"
attached user-namespace run_user "$static" "$static"
attached nobody run_nobody "$static" "$static"
# A program that only the namespace can see: -f finds it through the process.
cat >"$dir/inside" <<EOF
mount -t tmpfs tmpfs "$dir/hidden" && cp "$static" "$dir/hidden/app" &&
"$dir/hidden/app" -s "$dir/shared" -t 2 -n 100 -e _exit
EOF
mkdir "$dir/hidden"
run 0 -f -o "$dir/hidden.qslog" -- unshare --pid --mount --fork --kill-child sh "$dir/inside"
err '^records=200 lost=0 '
equal "the hidden program" "$(ls "$dir/hidden")" ""
rm -f "$dir/shared"

# In a PID namespace processes are called by the ids that are seen from here, threads by those that
# they see themselves: the first there is 1, here it cannot be.
tracer_start --exe "$static" -o "$dir/ids.qslog" || finish
run_pid "$static" -s "$dir/shared" -t 1 -n 10 -e join
tracer_end INT
err '^records=10 lost=0 '
equal "ids of a namespace" "$("$qslog" cat "$dir/ids.qslog" | awk '$3 > 50 && $4 < 50' | wc -l)" 10
rm -f "$dir/shared"

# A running one, whose file is deleted, and whose name another file has.
for how in deleted replaced; do
	cp "$static" "$dir/gone"
	mkfifo "$dir/go.$how" "$dir/out.$how"
	"$dir/gone" -s "$dir/shared" -t 2 -n 100 -e _exit -w <"$dir/go.$how" >"$dir/out.$how" &
	app=$!
	exec 5>"$dir/go.$how" 6<"$dir/out.$how"
	read -r -t 20 answer <&6 # it runs
	equal "$how" "${answer%% *}" ready
	if [ "$how" = deleted ]; then
		rm "$dir/gone"
	else
		cp /bin/true "$dir/new"
		mv "$dir/new" "$dir/gone"
	fi
	tracer_start -p "$app" -o "$dir/$how.qslog" || finish
	echo go >&5
	exec 5>&- 6<&-
	wait "$app"
	app=''
	tracer_end
	err '^records=200 lost=0 '
	rm -f "$dir/shared"
done
finish
