#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# rotation.sh - the tracer's output: it goes on in other files, by size, count and SIGHUP; it is synced as
# --sync says; it cannot be written for a while (EIO, a full disk), or not any more (a file system that
# its kernel has made read-only). What a program logs meanwhile is all there, once, or counted.
# (needs-bpf)
set -uo pipefail
. "$(dirname "$0")/lib.sh"

logged=0
numbers() { # COUNT: more of them, one by one
	say n "$1"
	logged=$((logged + $1))
}
numbers_of() { messages "$1" | sed -n 's/^I speaker \([0-9]*\)$/\1/p'; }
# The numbers of the set of FILE, from the first to what was logged, each once; those of a file in their
# order. (Over a border they are sorted by wall times, which are a few ns apart here.)
numbers_check() { # FILE
	local one
	numbers_of "$1" | sort -n >"$dir/got"
	seq "$first" $((logged - 1)) | cmp -s - "$dir/got" ||
		fail "$1: $(wc -l <"$dir/got") numbers, not each from $first to $((logged - 1)) once"
	for one in "${1%.qslog}".0*.qslog; do
		[ ! -e "$one" ] || numbers_of "$one" | sort -c -n || fail "$one: not in their order"
	done
}
closed_check() { # FILE...: each is whole by itself
	local one
	for one in "$@"; do
		"$qslog" check "$one" >"$dir/check" 2>&1 || fail "$(cat "$dir/check")"
		grep -q 'closed: ok$' "$dir/check" || fail "$(cat "$dir/check")"
	done
}
names() { (cd "$dir/out.d" && echo *); }
err_await() { # RE: the tracer says it
	local line
	grep -Eq -- "$1" "$dir/err" && return 0
	while read -r -t 20 line <&7; do
		echo "$line" >>"$dir/err"
		[[ $line =~ $1 ]] && return 0
	done
	fail "the tracer does not say '$1': $(cat "$dir/err")"
	return 1
}
number_await() { message_await "$1" "^$((logged - 1))\$"; }
begin() { # ARGS...: a tracer with an empty folder for its output; numbers from here on
	rm -rf "$dir/out.d"
	mkdir "$dir/out.d"
	file=$dir/out.d/app.qslog
	first=$logged
	tracer_start -p "$app" -o "$file" "$@" || finish
}
end() { # and all that was logged is there
	tracer_end INT
	equal "exit status" "$status" 0
	err ' lost=0 '
	numbers_check "$file"
}

speaker_start 1 speaker

# --- By size: no file is longer, but by a block; the newest three are kept.
begin --rotate-size 64K --tick ns
numbers 200000
number_await "$file" || fail "the last number does not come"
end
for one in "$dir"/out.d/*; do
	[ "$(stat -c %s "$one")" -le 81920 ] || fail "$one has $(stat -c %s "$one") bytes"
	closed_check "$one"
done
[ "$(echo "$dir"/out.d/app.0*.qslog | wc -w)" -ge 2 ] || fail "by size: $(names)"

# --- By count, and only the newest.
begin --rotate-count 1K --max-files 3
for _ in 1 2 3 4 5; do
	numbers 1000
	number_await "$file" || fail "the last number does not come"
done
tracer_end INT
equal "exit status" "$status" 0
err ' lost=0 '
equal "files by count" "$(echo "$dir"/out.d/*.qslog | wc -w)" 3
for one in "$dir"/out.d/app.0*.qslog; do
	equal "records in $one" "$("$qslog" cat "$one" | wc -l)" 1000
done
closed_check "$dir"/out.d/*.qslog
equal "the newest" "$("$qslog" cat "$file" | tail -n 1 | sed 's/.* //')" $((logged - 1))

# --- SIGHUP, and what logrotate does: a rename, then SIGHUP.
hang_up() { kill -HUP "$(tr -d ' ' <"/proc/$tracer/task/$tracer/children")"; }
begin
hang_up # there is nothing to rotate
numbers 10
number_await "$file" || fail "the last number does not come"
hang_up
err_await "goes on in a new file, the one before is app.000001.qslog"
numbers 10
number_await "$file" || fail "the last number does not come"
mv "$file" "$dir/out.d/renamed"
hang_up
err_await "goes on in a new file, the one before is where it was moved to"
numbers 10
number_await "$file" || fail "the last number does not come"
tracer_end INT
equal "files" "$(names)" "app.000001.qslog app.qslog renamed"
closed_check "$dir"/out.d/*
"$qslog" cat "$dir/out.d/renamed" "$file" | sed 's/.* //' >"$dir/got"
seq "$first" $((logged - 1)) | cmp -s - "$dir/got" || fail "numbers over SIGHUP: $(tr '\n' ' ' <"$dir/got")"

# --- With the rights and the system calls that --drop-privs leaves; packed by a thread that has none.
rm -rf "$dir/out.d"
mkdir "$dir/out.d"
chown 65534 "$dir/out.d"
chmod 711 "$dir"
first=$logged
tracer_start --drop-privs nobody -p "$app" -o "$file" --rotate-size 64K --sync block || finish
numbers 200000
number_await "$file" || fail "the last number does not come"
pid=$(tr -d ' ' <"/proc/$tracer/task/$tracer/children")
for task in /proc/"$pid"/task/*; do
	[ "$(cat "$task/comm")" = qslog-seal ] || continue
	equal "capabilities of the thread that packs" "$(sed -n 's/^CapPrm:\t//p' "$task/status")" \
		0000000000000000
	equal "seccomp" "$(sed -n 's/^Seccomp:\t//p' "$task/status")" 2
	sealing=yes
done
[ "$(nproc)" = 1 ] || equal "a thread that packs" "${sealing:-no}" yes
numbers 10
end
closed_check "$dir"/out.d/*.qslog
[ "$(echo "$dir"/out.d/app.0*.qslog | wc -w)" -ge 2 ] || fail "with --drop-privs: $(names)"
for one in "$dir"/out.d/*; do
	equal "owner of $one" "$(stat -c %u "$one")" 65534
done

# --- When what goes to the device.
synced() { # POLICY: what the tracer did, a letter each, is in $order
	: >"$dir/log"
	LD_PRELOAD=$fixtures/libsyncs.so SYNCS_LOG=$dir/log begin --sync "$1" --rotate-size 64K
	numbers 150000
	number_await "$file" || fail "the last number does not come"
	[ "$1" != interval ] || until_log S
	end
	order=$(cat "$dir/log")
}
until_log() { # LETTER: twice
	local try
	for ((try = 0; try < 200; try++)); do
		[ "$(tr -dc "$1" <"$dir/log" | wc -c)" -ge 2 ] && return 0
		read -r -t 0.05 <>"$dir/never"
	done
	fail "--sync: no second $1 in $(cat "$dir/log")"
}
synced none
case $order in *B*) ;; *) fail "no blocks in $order" ;; esac
case $order in *[SD]*) fail "--sync none: $order" ;; esac
synced interval
case $order in *S*) ;; *) fail "--sync interval: $order" ;; esac
synced block
# each block, before a frame or a cut of the tail says that its rows are not needed any more; and folders
case $(sed 's/BS//g' <<<"$order") in *B*) fail "--sync block: a block was not synced at once: $order" ;; esac
case $order in *D*) ;; *) fail "--sync block: no folder was synced: $order" ;; esac

# --- A device that fails, and works again.
rm -f "$dir/fail" "$dir/log"
LD_PRELOAD=$fixtures/libfailing.so FAIL_WHILE=$dir/fail FAIL_LOG=$dir/log FAIL_ERRNO=5 begin
numbers 1000
number_await "$file" || fail "the last number does not come"
touch "$dir/fail"
numbers 50000
err_await 'Input/output error; records wait in memory'
rm "$dir/fail"
err_await 'is written again; nothing was lost'
numbers 1000
end
closed_check "$file"

# --- A full disk. It cannot be made read-only while the file is open.
mkdir "$dir/full"
if mount -t tmpfs -o size=256k none "$dir/full"; then
	file=$dir/full/app.qslog
	first=$logged
	tracer_start -p "$app" -o "$file" || finish
	numbers 1000
	number_await "$file" || fail "the last number does not come"
	mount -o remount,ro "$dir/full" 2>/dev/null && fail "a file system in use was made read-only"
	dd if=/dev/zero of="$dir/full/ballast" bs=4096 2>/dev/null
	for _ in {1..40}; do # what cannot be made smaller
		say i "$(head -c 330 /dev/urandom | base64 -w 0)"
	done
	numbers 50000
	err_await 'No space left on device; records wait in memory'
	rm "$dir/full/ballast"
	err_await 'is written again; nothing was lost'
	numbers 1000
	end
	closed_check "$file"
	equal "lines of noise" "$(message_cnt "$file" '^I speaker [A-Za-z0-9+/=]{440}$')" 40
	umount "$dir/full"
else
	echo "the full disk is left out: no tmpfs can be mounted here"
fi

# --- A file system in which the kernel finds an error: read-only from then on. The program goes on,
# and what cannot be written is counted.
readonly_disk() {
	truncate -s 16M "$dir/disk" && mkfs.ext4 -q "$dir/disk" &&
		mount -o loop,errors=remount-ro "$dir/disk" "$dir/full" || return 1
	device=$(findmnt -n -o SOURCE "$dir/full")
	[ -w "/sys/fs/ext4/${device#/dev/}/trigger_fs_error" ]
}
if readonly_disk; then
	file=$dir/full/app.qslog
	first=$logged
	tracer_start -p "$app" -o "$file" --flush-ms 10 || finish
	numbers 1000
	number_await "$file" || fail "the last number does not come"
	echo test >"/sys/fs/ext4/${device#/dev/}/trigger_fs_error"
	numbers 50000
	err_await '(Read-only file system|Input/output error|Structure needs cleaning)(;|$)'
	tracer_end INT
	equal "exit status on a read-only disk" "$status" 1
	err 'the output .* is incomplete: '
	[[ $(tail -n 1 "$dir/err") =~ records=([0-9]+)\ lost=([0-9]+) ]]
	equal "records and lost" $((BASH_REMATCH[1] + BASH_REMATCH[2])) $((logged - first))
	"$qslog" cat "$file" 2>"$dir/cat.err" | sed 's/.* //' >"$dir/got"
	seq "$first" $((first + 999)) | cmp -s - "$dir/got" ||
		fail "on the read-only disk: $(wc -l <"$dir/got") numbers: $(cat "$dir/cat.err")"
	umount "$dir/full"
else
	echo "the read-only disk is left out: no ext4 on a loop device here, or no trigger_fs_error"
fi

speaker_end
finish
