#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# qslog.sh - the qslog command: options, exit status, what goes to standard output and what to
# standard error.
. "$(dirname "$0")/lib.sh"

run() { run_qslog "$@"; }
out() { grep -Eq -- "$1" "$dir/out" || fail "$what: no '$1' on standard output"; }
files_write 40 40

# help, version, usage
run 0 --version; out "^qslog ${VERSION:-[0-9]}"; silent
run 0 help; out '^usage: qslog'; out '^  cat '; silent
run 0 --help; out '^usage: qslog'
for command in cat stat check; do
	run 0 "$command" --help; out "^usage: qslog $command"; out 'exit status'; silent
	run 0 help "$command"; out "^usage: qslog $command"
	run 2 "$command"; err 'no file given'; lines 0
	run 2 "$command" --no-such-option x; err 'help'; lines 0
	run 1 "$command" "$dir/missing"; err 'missing: No such file'
	run 3 "$command" tests/cli/qslog.sh; err 'not a qslog file'
done
run 2; err '^usage'; lines 0
run 2 frobnicate; err 'no such command'
run 2 help frobnicate; err 'no such command'

# cat: 40 logs, 4 spans of two records each, 4 losses
run 0 cat "$dir/a.qslog"; silent; lines 52
out '^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} 100 100 I count \[count\.c:12 run\] n=0$'
out ' D work \[work\.c:34 step\] -> step id=10$'
out ' D work \[work\.c:34 step\] <- step [0-9]+\.[0-9]{3}us$'
out ' W qslog \[-:0 -\] 3 records lost: arena full$'
[ "$(grep -c ' I count ' "$dir/out")" -eq 40 ] || fail "$what: not 40 records of tag count"

run 0 cat --json "$dir/a.qslog"; silent; lines 52
out '^\{"time":"20[^"]*Z","time_ns":[0-9]+,"pid":100,.*"kind":"log","message":"n=7","format":"n=\{n\}","args":\{"n":7\}\}$'

# the second file was written after the first
run 0 cat "$dir/b.qslog" "$dir/a.qslog"; lines 104
[ "$(head -1 "$dir/out" | cut -d' ' -f3)" = 100 ] || fail "$what: not merged by time"
[ "$(tail -1 "$dir/out" | cut -d' ' -f3)" = 200 ] || fail "$what: not merged by time"
cut -d' ' -f1,2 "$dir/out" | sort -c 2>"$dir/err" || fail "$what: not in the order of time"

# filters
run 0 cat -l I -t count "$dir/a.qslog"; lines 40; err '12 lost records are not shown'
run 0 cat -l W "$dir/a.qslog"; lines 4; silent
run 0 cat -t 'w*' -t count --site work.c:34 "$dir/a.qslog"; lines 8
run 0 cat --grep '^n=1.$' "$dir/a.qslog"; lines 10
run 0 cat --tid 200 "$dir/a.qslog" "$dir/b.qslog"; lines 52; silent
run 0 cat --since 2000-01-01 --until -0s "$dir/a.qslog"; lines 52
run 0 cat --since 2200-01-01 "$dir/a.qslog"; lines 0
run 0 cat --until 2000-01-01T00:00:00Z "$dir/a.qslog"; lines 0
run 2 cat --since soon "$dir/a.qslog"; err 'not a time'
run 2 cat -l X "$dir/a.qslog"; err 'V, D, I, W, E or F'

# stat
run 0 stat "$dir/a.qslog" "$dir/b.qslog"; silent
out '^96 records, 24 lost;'
out '^ *80 .* I count +count\.c:12 run +n=\{n\}$'
out '^ *8 +0 .* step +work\.c:34 step$'
out '^ *12 arena full +100 +100 main$'
run 0 stat --json "$dir/a.qslog"; lines 1
out '"records":48,"lost":12,'
out '"count":4,"open":0,"min":[0-9]+,'

# one file that is missing does not keep the others back
run 1 cat "$dir/missing" "$dir/a.qslog"; lines 52; err 'missing: No such file'

# not closed: everything is delivered, and it is said
run 3 cat "$dir/open.qslog"; lines 8; err 'not closed'
run 3 check "$dir/open.qslog"; out 'not closed: incomplete$'
run 0 check "$dir/a.qslog" "$dir/b.qslog"; lines 2; out 'a\.qslog: 48 records, 12 lost, .* closed: ok$'
run 3 check -q "$dir/open.qslog"; lines 0

# damaged: in the middle of the file
cp "$dir/a.qslog" "$dir/damaged.qslog"
size=$(stat -c %s "$dir/a.qslog")
printf '\377\376\375\374' | dd of="$dir/damaged.qslog" bs=1 seek=$((size / 2)) conv=notrunc status=none
cmp -s "$dir/a.qslog" "$dir/damaged.qslog" && fail "the file was not damaged"
run 3 check "$dir/damaged.qslog"; out 'damaged\.qslog: damaged at byte [0-9]+: '; out ': damaged'
run 3 cat "$dir/damaged.qslog"; err 'damaged at byte [0-9]+: '

# where the output goes
"$qslog" cat "$dir/a.qslog" >/dev/full 2>"$dir/err"
[ $? -eq 1 ] || fail "cat to a full disk: exit status"
err 'cannot write to standard output: No space left'
"$qslog" stat "$dir/a.qslog" >/dev/full 2>"$dir/err"
[ $? -eq 1 ] || fail "stat to a full disk: exit status"
"$qslog" help >/dev/full 2>"$dir/err"
[ $? -eq 1 ] || fail "help to a full disk: exit status"
# a reader that has gone before the first byte
mkfifo "$dir/fifo"
: <"$dir/fifo" &
exec 9>"$dir/fifo"
wait $!
"$qslog" cat "$dir/a.qslog" >&9 2>"$dir/err" || fail "cat to a closed pipe: exit status"
[ ! -s "$dir/err" ] || fail "cat to a closed pipe: something on standard error"
exec 9>&-

[ "$failures" -eq 0 ] || { echo "$failures failures"; exit 1; }
echo "ok"
