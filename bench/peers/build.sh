# shellcheck shell=bash disable=SC2154 # variables of peers.sh
# SPDX-License-Identifier: BSD-2-Clause
#
# build.sh - a part of peers.sh: which peers are here, and the programs of all contestants. Each is
# the worker, bench_calls.c compiled with its calls, and its own part.

# ---- what is here ---------------------------------------------------------------------------

# The packages that a peer needs and that are not here.
missing() {
	case $1 in
	spdlog-*) pkg-config --exists spdlog && command -v "${CXX:-g++}" >/dev/null ||
		echo libspdlog-dev pkg-config g++ ;;
	lttng)
		command -v lttng lttng-sessiond >/dev/null || echo lttng-tools
		echo '#include <lttng/tracepoint.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1 ||
			echo liblttng-ust-dev
		command -v babeltrace2 >/dev/null || echo babeltrace2 ;;
	uftrace) command -v uftrace >/dev/null || echo uftrace ;;
	perf) command -v perf >/dev/null || echo linux-perf ;;
	bpftrace) command -v bpftrace >/dev/null || echo bpftrace ;;
	esac
	case $1 in
	perf | bpftrace) echo '#include <sys/sdt.h>' | "${CC:-gcc}" -E - >/dev/null 2>&1 ||
		echo systemtap-sdt-dev ;;
	esac
}

# Sets `peers` to those that can be measured, and says why the others cannot.
peers_choose() {
	local peer packages wanted=${PEERS:-$all_peers} all_missing=

	for peer in $wanted; do
		case " $all_peers " in
		*" $peer "*) all_missing="$all_missing $(missing "$peer" | tr '\n' ' ')" ;;
		*) fail "no such peer: $peer (there are: $all_peers)" ;;
		esac
	done
	if [ "${PEERS_INSTALL:-}" = yes ] && [ -n "${all_missing// /}" ]; then
		# shellcheck disable=SC2086
		DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
			$all_missing >&2 || fail "apt-get could not install:$all_missing"
	fi
	peers=
	for peer in $wanted; do
		[[ " $all_peers " = *" $peer "* ]] || continue
		packages=$(missing "$peer" | tr '\n' ' ')
		if [ -n "$packages" ]; then
			say "# $peer is not measured, it is not installed:" \
				"apt-get install $packages"
		elif [ "$(id -u)" != 0 ] && [[ $peer = perf || $peer = bpftrace ]]; then
			say "# $peer is not measured: needs root"
		else
			peers="$peers $peer"
		fi
	done
	contestants=qslog-inproc
	if [ "$(id -u)" = 0 ]; then
		contestants="$contestants qslog-kernel"
	else
		say "# qslog-kernel is not measured: needs root"
	fi
}

# ---- programs -------------------------------------------------------------------------------

cflags=(-O2 -g -pthread "-DQSLOG_VERSION=\"bench\"" -I"$here/peers" -I"$here"
	-I"$top/userspace" -I"$top/decoder")

cc() { "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE= -Wall -Wextra "${cflags[@]}" "$@"; }

# compile NAME SOURCE... [-D...]: the peer's part; `calls` is the header with its calls, or empty.
compile() {
	local name=$1 obj=$out/$1 source shim=(-I"$top/usdt")
	shift

	[ -z "$calls" ] ||
		shim=(-I"$here/peers/shim" -I"$top/usdt" "-DPEER_CALLS=\"$calls\"")
	cc "${shim[@]}" -c "$here/bench_calls.c" -o "$obj.calls.o" || return 1
	for source; do
		case $source in
		*.cpp) # shellcheck disable=SC2046
			"${CXX:-g++}" -std=c++17 -Wall -Wextra "${cflags[@]}" $(pkg-config \
				--cflags spdlog) "${defines[@]}" -c "$here/peers/$source" \
				-o "$obj.${source%.*}.o" ;;
		uftrace_work.c) cc -pg -c "$here/peers/$source" -o "$obj.work.o" ;;
		*) cc "${shim[@]}" "${defines[@]}" -c "$here/peers/$source" \
			-o "$obj.${source%.*}.o" ;;
		esac || return 1
	done
}

# link NAME LIBRARIES...
link() {
	local name=$1 parts="$build/obj/bench" linker=${CC:-gcc}
	shift

	case $name in spdlog-*) linker=${CXX:-g++} ;; esac
	"$linker" -pthread -o "$out/$name" "$out/$name".*.o "$out/worker.o" \
		"$parts/bench_util.o" "$parts/bench_pace.o" "$@" -lm
}

program_build() {
	local calls='' defines=() name=$1 parts=$build/obj

	rm -f "$out/$name" "$out/$name".*.o
	case $name in
	qslog-*)
		[ "$name" = qslog-inproc ] || defines=(-DPEER_KERNEL)
		# shellcheck disable=SC2046
		compile "$name" qslog.c &&
			link "$name" "$parts/bench/bench_tracer.o" "$parts/bench/bench_check.o" \
				-Wl,--start-group "$parts/libdecoder.a" "$parts/libuserspace.a" \
				"$parts/libruntime.a" -Wl,--end-group \
				$(pkg-config --libs libbpf libelf zlib libzstd) ;;
	spdlog-*)
		calls=spdlog_calls.h
		[ "$name" = spdlog-sync ] || defines=(-DPEER_ASYNC)
		# shellcheck disable=SC2046
		compile "$name" spdlog.cpp && link "$name" $(pkg-config --libs spdlog) ;;
	lttng) calls=lttng_calls.h && compile "$name" lttng.c &&
		link "$name" -llttng-ust -ldl ;;
	uftrace) calls=uftrace_calls.h && compile "$name" uftrace.c uftrace_work.c &&
		link "$name" ;;
	perf | bpftrace) calls=sdt_calls.h && compile "$name" sdt.c && link "$name" ;;
	esac
}

programs_build() {
	local name built=

	mkdir -p "$out" || exit 1
	cc -c "$here/peers/worker.c" -o "$out/worker.o" || exit 1
	for name in $contestants; do
		if program_build "$name"; then
			built="$built $name"
		else
			fail "$name cannot be built"
		fi
	done
	contestants=$built
}
