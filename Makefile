# SPDX-License-Identifier: BSD-2-Clause
#
# qslog-trace: `make` builds, `make demo` shows, `make check` tests; `make help` lists the rest.
#
#   V=1          show the commands            O=DIR        build there instead of build/
#   WERROR=1     warnings are errors          SAN=address  with that sanitizer (see asan, tsan)
#   DEPS=no      only report what is missing, install nothing
#   TRACER=no    without qslog-trace, and what only it needs: BPF, libbpf, libelf. For cross
#                compilers: make TRACER=no CC=aarch64-linux-gnu-gcc (see tests/abi/arm64.sh)
#   PREFIX, DESTDIR, CC, CXX, CLANG, CFLAGS, LDFLAGS as usual
#
# What is linked into what. Sources are found by wildcard, a new file needs no line here.
#
#   usdt/*.c                             the runtime, compiled twice: as an application vendors it,
#                                        and with the in-process collector
#   userspace/*.c but trace_main.c       -> libuserspace.a, of which each program takes what it uses
#   decoder/*.c but main.c and cmd_*.c   -> libdecoder.a, likewise
#   bpf/NAME.bpf.c                       -> gen/NAME.skel.h
#
#   qslog-trace  = trace_main.c + libuserspace + libdecoder + libbpf libelf libseccomp zlib libzstd
#   qslog        = main.c cmd_*.c + libdecoder + libuserspace + libzstd
#   libqslog     = runtime + collector*.c + libuserspace + libzstd; only qslog_* is visible. The
#                  shared one is linked without libbpf and libelf, so it cannot depend on them.
#
# This file must be readable before anything is installed: what is missing is reported by
# scripts/deps.sh, on which every compilation depends, not while make reads it.

O ?= build
V ?= 0
CC = gcc
CXX = g++
CLANG ?= clang
OBJCOPY ?= objcopy
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
CFLAGS ?= -O2 -g
CXXFLAGS ?= $(CFLAGS)
SECONDS ?= 60

VERSION := $(shell cat VERSION)
SOVERSION := 0
ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m)))
BPFTOOL ?= $(shell BPFTOOL= scripts/deps.sh --bpftool 2>/dev/null)

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
Q := $(if $(filter 1,$(V)),,@)
say = @printf '  %-8s %s\n' $(1) $(2)

# ---- flags ----------------------------------------------------------------------------------

pc = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)

WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wwrite-strings -Wundef -Wvla \
	$(if $(filter 1,$(WERROR)),-Werror)
WARN_C := $(WARN) -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
INCLUDES := -Iusdt -Iuserspace -Idecoder -Ibpf -I$(O)/gen
# An empty _GNU_SOURCE does not clash with a file's own "#define _GNU_SOURCE".
BASE_CFLAGS = -std=gnu11 $(WARN_C) -fPIC -pthread -MMD -MP -DQSLOG_VERSION='"$(VERSION)"' \
	      $(SANFLAGS)
TOOL_CFLAGS = $(BASE_CFLAGS) -fvisibility=hidden -D_GNU_SOURCE= $(INCLUDES) \
	      $(call pc,--cflags libbpf libelf libzstd libxxhash libseccomp)
RUNTIME_CFLAGS = $(BASE_CFLAGS) -Iusdt -Iuserspace
BPF_CFLAGS = -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter \
	     $(if $(filter 1,$(WERROR)),-Werror) -MMD -MP -D__TARGET_ARCH_$(ARCH) \
	     -idirafter /usr/include/$(shell $(CC) -print-multiarch 2>/dev/null) \
	     -Ivmlinux -Iusdt -Ibpf $(call pc,--cflags libbpf)
ALL_LDFLAGS = -pthread $(SANFLAGS) $(LDFLAGS)
TRACER_LIBS = $(call pc,--libs libbpf libelf zlib libzstd libseccomp) -lm
CORE_LIBS = $(call pc,--libs libzstd)

# ---- sources --------------------------------------------------------------------------------

obj = $(patsubst %.c,$(O)/obj/%.o,$(1))

BPF_SRCS := $(wildcard bpf/*.bpf.c)
SKELS := $(patsubst bpf/%.bpf.c,$(O)/gen/%.skel.h,$(BPF_SRCS))
TRACER_SRCS := userspace/trace_main.c
ifeq ($(TRACER),no)
TRACER_SRCS += $(shell grep -lsE '(kernel|skel)\.h"|<(bpf/|gelf\.h|seccomp\.h)' userspace/*.c)
endif
USERSPACE_SRCS := $(filter-out $(TRACER_SRCS),$(wildcard userspace/*.c))
COLLECTOR_SRCS := $(wildcard userspace/collector*.c)
QSLOG_SRCS := $(wildcard decoder/main.c decoder/cmd_*.c)
DECODER_SRCS := $(filter-out $(QSLOG_SRCS),$(wildcard decoder/*.c))
RUNTIME_SRCS := $(wildcard usdt/*.c)
# Which files include a skeleton is known only once they have been compiled: the first time, all
# files that say so wait for it.
SKEL_USERS := $(shell grep -ls 'skel\.h"' userspace/*.c)

RUNTIME_OBJS := $(call obj,$(RUNTIME_SRCS))
RUNTIME_INPROC_OBJS := $(RUNTIME_OBJS:.o=.inproc.o)
LIBUSERSPACE := $(O)/obj/libuserspace.a
LIBDECODER := $(O)/obj/libdecoder.a
LIBRUNTIME := $(O)/obj/libruntime.a
STATIC_PARTS := -Wl,--start-group $(LIBDECODER) $(LIBUSERSPACE) $(LIBRUNTIME) -Wl,--end-group
STATIC_PARTS_DEPS := $(LIBDECODER) $(LIBUSERSPACE) $(LIBRUNTIME)

# Examples: examples/NAME.c is a program; examples/kvd/ has two, kvd.c and kvd_load.c, and all other
# files of the folder go into both.
# Bridges from other loggers are built where those are installed.
HAVE_SPDLOG := $(call pc,--modversion spdlog)
EXAMPLES := $(patsubst examples/%.c,$(O)/%,$(wildcard examples/*.c)) \
	    $(patsubst examples/%.cpp,$(O)/%,$(filter-out \
		$(if $(HAVE_SPDLOG),,examples/spdlog_bridge.cpp),$(wildcard examples/*.cpp)))
KVD_HELPERS := $(filter-out examples/kvd/kvd.c examples/kvd/kvd_load.c,$(wildcard examples/kvd/*.c))
EXAMPLES += $(if $(wildcard examples/kvd/kvd.c),$(O)/kvd) \
	    $(if $(wildcard examples/kvd/kvd_load.c),$(O)/kvd-load)

UNIT_SRCS := $(wildcard tests/unit/test_*.c)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(O)/tests/%,$(UNIT_SRCS))
E2E_SRCS := $(wildcard tests/e2e/test_*.c)
TEST_HELPERS := $(filter-out $(UNIT_SRCS) $(E2E_SRCS), \
		$(wildcard tests/unit/*.c tests/e2e/*.c))
E2E_TESTS := $(patsubst tests/e2e/%.c,$(O)/tests/e2e/%,$(E2E_SRCS))
FIXTURE_SRCS := $(wildcard tests/fixtures/*.c)
# Programs that make and show files for tests/golden: each of one source.
GOLDEN_TOOLS := $(patsubst tests/golden/%.c,$(O)/tests/golden/%,$(wildcard tests/golden/*.c))
FIXTURE_LIBS := $(filter tests/fixtures/lib%,$(FIXTURE_SRCS))
FIXTURE_PROGRAMS := $(filter-out $(FIXTURE_LIBS),$(FIXTURE_SRCS))
FIXTURES := $(FIXTURE_PROGRAMS:%.c=$(O)/%) $(FIXTURE_PROGRAMS:%.c=$(O)/%.inproc) \
	    $(FIXTURE_LIBS:%.c=$(O)/%.so)
# Scripts that others source, by these names, are not tests.
NOT_TESTS := %/lib.sh %/common.sh %/helpers.sh %/fuzz/run.sh
# What the cross build for arm64 links with, and whether deps.sh can get it: not where the tests run
# on arm64 anyway, and not where there is no apt-get.
ARM64_ROOT := $(abspath $(O))/arm64-root
NOT_TESTS += $(shell scripts/deps.sh --wants-arm64 || echo %/arm64.sh)
SCRIPT_TESTS = $(foreach d,$(1),$(filter-out $(NOT_TESTS),$(wildcard tests/$(d)/*.sh)))

# Fuzz targets: tests/fuzz/fuzz_NAME.c is one, tests/fuzz/make_NAME.c a program that makes seeds for
# them; other files are their helpers.
FUZZ_SRCS := $(wildcard tests/fuzz/fuzz_*.c tests/fuzz/make_*.c)
FUZZ_HELPERS := $(filter-out $(FUZZ_SRCS),$(wildcard tests/fuzz/*.c))
# In an ordinary build they are only compiled, so that they keep up with what they use.
FUZZ_CHECKED := $(call obj,$(FUZZ_SRCS) $(FUZZ_HELPERS))
FUZZ_PROGRAMS := $(patsubst tests/fuzz/%.c,$(O)/%,$(FUZZ_SRCS))

# Benchmarks: bench/NAME.c is a program if NAME is one of these; other files are their helpers.
# bench/NAME.sh, where there is one, runs it (and bench-record runs bench-code too).
BENCH_NAMES := record code kernel writer decode size grep peers sched
BENCH_SRCS := $(wildcard $(BENCH_NAMES:%=bench/%.c))
BENCH_HELPERS := $(filter-out $(BENCH_SRCS),$(wildcard bench/*.c))
BENCH_BINS := $(patsubst bench/%.c,$(O)/bench/%,$(BENCH_SRCS))
BENCHES := $(strip $(foreach n,$(BENCH_NAMES), \
	     $(if $(wildcard bench/$(n).c bench/$(n).sh),bench-$(n))))

# ---- targets --------------------------------------------------------------------------------

PROGRAMS := $(if $(filter no,$(TRACER)),,$(if $(wildcard userspace/trace_main.c),$(O)/qslog-trace)) \
	    $(if $(QSLOG_SRCS),$(O)/qslog)
LIBRARIES := $(if $(COLLECTOR_SRCS),$(O)/libqslog.a $(O)/libqslog.so $(O)/qslog.pc)

# What a started program, script or test needs to know about this build.
TEST_ENV = BUILD='$(abspath $(O))' CC='$(CC)' CXX='$(CXX)' CLANG='$(CLANG)' BPFTOOL='$(BPFTOOL)' \
	   VERSION='$(VERSION)' SAN='$(SAN)' MAKE='$(MAKE)'
PARALLEL = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: all
all: $(PROGRAMS) $(LIBRARIES) $(EXAMPLES) ## build everything (default)

.PHONY: deps
deps: ## install what the build and the tests need
	$(Q)DEPS='$(or $(DEPS),yes)' ARM64_ROOT='$(ARM64_ROOT)' CC='$(CC)' CXX='$(CXX)' CLANG='$(CLANG)' scripts/deps.sh check

.PHONY: check
check: ## set up, build and run all tests (as root; SKIP_BPF=1 leaves out those that need BPF)
	$(Q)$(MAKE) --no-print-directory deps
	$(Q)$(MAKE) --no-print-directory $(PARALLEL) all tests
	$(Q)$(MAKE) --no-print-directory check-run

.PHONY: tests
tests: $(UNIT_TESTS) $(E2E_TESTS) $(FIXTURES) $(GOLDEN_TOOLS) $(FUZZ_CHECKED) ## build the tests

.PHONY: check-run
check-run:
	$(Q)$(TEST_ENV) tests/run.sh $(UNIT_TESTS) $(call SCRIPT_TESTS,layering abi cli) \
		$(E2E_TESTS) $(call SCRIPT_TESTS,e2e fuzz)

ifneq ($(wildcard scripts/demo.sh),)
DYNAMIC_HELP += "demo         set up, build, and show what it does"
.PHONY: demo
demo:
	$(Q)$(MAKE) --no-print-directory deps
	$(Q)$(MAKE) --no-print-directory $(PARALLEL) all
	$(Q)$(TEST_ENV) scripts/demo.sh
endif

ifneq ($(BENCHES),)
DYNAMIC_HELP += "bench        all of:$(BENCHES:%= %)"
.PHONY: bench bench-programs $(BENCHES)
bench: $(filter-out bench-code,$(BENCHES))
bench-programs: $(BENCH_BINS)
$(BENCHES): bench-%: all bench-programs
	$(Q)$(TEST_ENV) CORPUS='$(CORPUS)' $(if $(wildcard bench/$*.sh),bench/$*.sh,$(O)/bench/$*)
endif

.PHONY: crash-soak
crash-soak: all tests ## kill an application ROUNDS times (1000) and recover what it recorded
	$(Q)$(TEST_ENV) ROUNDS='$(or $(ROUNDS),1000)' $(O)/tests/e2e/test_recover

.PHONY: kill-soak
kill-soak: all tests ## kill ROUNDS traced applications (1000) and a tenth as many tracers, in three ways
	$(Q)$(TEST_ENV) ROUNDS='$(or $(ROUNDS),1000)' $(O)/tests/e2e/test_kill

.PHONY: writer-soak
writer-soak: all tests ## kill a writer ROUNDS times (1000), also while it rotates
	$(Q)$(TEST_ENV) ROUNDS='$(or $(ROUNDS),1000)' $(O)/tests/e2e/test_writer_soak

.PHONY: soak
soak: all tests ## the tests of safe recording and of time at length (three quarters of an hour)
	$(Q)SOAK=1 TEST_TIMEOUT=3600 $(TEST_ENV) tests/run.sh $(O)/tests/e2e/test_safety \
		$(O)/tests/e2e/test_time

.PHONY: asan
asan: ## unit and command line tests with address and undefined-behaviour sanitizers
	$(Q)$(MAKE) --no-print-directory $(PARALLEL) O=$(O)/asan SAN=address,undefined all tests
	$(Q)$(MAKE) --no-print-directory O=$(O)/asan SAN=address,undefined san-run

.PHONY: tsan
tsan: ## unit and command line tests with the thread sanitizer
	$(Q)$(MAKE) --no-print-directory $(PARALLEL) O=$(O)/tsan SAN=thread all tests
	$(Q)$(MAKE) --no-print-directory O=$(O)/tsan SAN=thread san-run

.PHONY: san-run
san-run:
	$(Q)$(TEST_ENV) tests/run.sh $(UNIT_TESTS) $(call SCRIPT_TESTS,cli)

FORMATTED := $(wildcard usdt/*.[ch] userspace/*.[ch] decoder/*.[ch] bpf/*.[ch] bench/*.[ch] \
	     bench/*/*.[ch] bench/*/*/*.[ch] examples/*.[ch] examples/*/*.[ch] tests/*/*.[ch])

# All that a fuzz target is linked with is compiled anew with clang, its instrumentation and
# sanitizers, and without the verification of checksums (file_hash_fits() in file_format.h). It does not
# look for files of other processes (SAFE_DIR). (pointer-overflow: NULL + 0, which it complains of, is
# where there is nothing, and harmless. Warnings are for the ordinary build.)
FUZZ_FLAGS = O=$(O)/fuzz WERROR=0 CC='$(CLANG)' SAN=fuzzer-no-link,address,undefined CFLAGS='-O1 -g -fno-sanitize=pointer-overflow' \
	     CPPFLAGS='-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION -DSAFE_DIR=\"/nonexistent\"'
.PHONY: fuzz
fuzz: ## fuzz each target for SECONDS (60), or only FUZZ=NAME; corpora stay in build/fuzz/corpus
	$(Q)DEPS='$(or $(DEPS),yes)' CLANG='$(CLANG)' scripts/deps.sh fuzz
	$(Q)$(MAKE) --no-print-directory $(PARALLEL) $(FUZZ_FLAGS) fuzz-programs
	$(Q)FUZZ_BUILD='$(abspath $(O))/fuzz' FUZZ_SECONDS='$(SECONDS)' tests/fuzz/run.sh $(FUZZ)

.PHONY: vmtest
vmtest: ## boot Debian's kernels 6.1 and 6.12 (or KERNELS=) in qemu, with end-to-end tests inside
	$(Q)DEPS='$(or $(DEPS),yes)' CC='$(CC)' CLANG='$(CLANG)' scripts/deps.sh vm
	$(Q)$(MAKE) --no-print-directory $(PARALLEL) all tests
	$(Q)$(TEST_ENV) tests/vm/vmtest.sh $(KERNELS)

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_PROGRAMS)

.PHONY: lint
lint: ## static checks: layering, cppcheck, clang's warnings, shellcheck
	$(Q)$(TEST_ENV) FORMATTED='$(FORMATTED)' INCLUDES='$(INCLUDES)' scripts/lint.sh

.PHONY: format
format: ## clang-format all C sources in place
	$(Q)command -v clang-format >/dev/null || { echo "format: no clang-format here" >&2; exit 1; }
	$(Q)clang-format -i $(FORMATTED)

.PHONY: vmlinux
vmlinux: ## make vmlinux/vmlinux.h anew from the running kernel
	$(Q)scripts/vmlinux-min.sh > $(O)/vmlinux.h.new && mv $(O)/vmlinux.h.new vmlinux/vmlinux.h

MAN_PAGES := $(wildcard docs/man/*.1 docs/man/*.3 docs/man/*.7 docs/*.1)

.PHONY: install
install: all ## install under DESTDIR/PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 usdt/qslog.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(O)/libqslog.a $(DESTDIR)$(LIBDIR)
	install -m 755 $(O)/libqslog.so $(DESTDIR)$(LIBDIR)/libqslog.so.$(VERSION)
	ln -sf libqslog.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libqslog.so.$(SOVERSION)
	ln -sf libqslog.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libqslog.so
	install -m 644 $(O)/qslog.pc $(DESTDIR)$(LIBDIR)/pkgconfig
	$(foreach m,$(MAN_PAGES),install -D -m 644 $(m) \
		$(DESTDIR)$(PREFIX)/share/man/man$(patsubst .%,%,$(suffix $(m)))/$(notdir $(m)) &&) true

.PHONY: clean
clean: ## remove what was built
	$(if $(filter / . ..,$(O)),$(error O=$(O) is not a build directory))rm -rf $(O)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "%-12s %s\n", $$1, $$2 }' Makefile
	@printf '%s\n' $(DYNAMIC_HELP)

# ---- rules ----------------------------------------------------------------------------------

# Everything is compiled anew when the flags change. (Written only when they differ.)
FLAGS_NOW = $(CC) $(CLANG) $(CFLAGS) $(BASE_CFLAGS) $(BPF_CFLAGS) $(ALL_LDFLAGS)
.PHONY: FORCE
$(O)/obj/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(call quote,$(FLAGS_NOW)) | cmp -s - $@ || \
		printf '%s\n' $(call quote,$(FLAGS_NOW)) > $@
quote = '$(subst ','\'',$(1))'

# Missing packages are named before the first compiler error. Done once per build directory.
NEED := $(O)/obj/need
$(NEED): scripts/deps.sh
	@mkdir -p $(@D)
	@$(if $(filter no,$(TRACER)),,DEPS=no CC='$(CC)' CXX='$(CXX)' CLANG='$(CLANG)' scripts/deps.sh build)
	@touch $@

$(O)/obj/bpf/%.bpf.o: bpf/%.bpf.c $(O)/obj/flags | $(NEED)
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MF $(@:.o=.d) -MT $@ -c $< -o $(@:.o=.dwarf.o)
	$(Q)$(BPFTOOL) gen object $@ $(@:.o=.dwarf.o)

# The object without DWARF (BTF stays) becomes part of the tracer; struct NAME_bpf is its name.
$(O)/gen/%.skel.h: $(O)/obj/bpf/%.bpf.o
	$(call say,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# SYSCALL(name) for each that the compiler's machine has.
$(O)/gen/syscall_table.h: $(O)/obj/flags | $(NEED)
	@mkdir -p $(@D)
	$(Q)printf '#include <asm/unistd.h>\n' | $(CC) $(CPPFLAGS) -dM -E - | sed -n \
		-e '/__NR_\(syscalls\|arch_specific_syscall\) /d' \
		-e 's/^#define __NR_\([a-z0-9_]*\) .*/SYSCALL(\1)/p' | LC_ALL=C sort > $@
$(call obj,userspace/syscall_names.c): | $(O)/gen/syscall_table.h

$(O)/obj/usdt/%.o: usdt/%.c $(O)/obj/flags | $(NEED)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(RUNTIME_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(O)/obj/usdt/%.inproc.o: usdt/%.c $(O)/obj/flags | $(NEED)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(RUNTIME_CFLAGS) -DQSLOG_WITH_COLLECTOR $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(call obj,$(SKEL_USERS)): | $(SKELS)

# These hold functions of the public API, which an application links to.
$(call obj,$(COLLECTOR_SRCS)): TOOL_CFLAGS += -fvisibility=default

$(O)/obj/%.o: %.c $(O)/obj/flags | $(NEED)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -I$(<D) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

$(O)/obj/%.o: %.cpp $(O)/obj/flags | $(NEED)
	$(call say,CXX,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 $(WARN) -pthread -MMD -MP $(SANFLAGS) -Iusdt $(CPPFLAGS) $(CXXFLAGS) \
		-c $< -o $@

define archive
	$(call say,AR,$@)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)
endef
$(LIBUSERSPACE): $(call obj,$(USERSPACE_SRCS))
	$(archive)
$(LIBDECODER): $(call obj,$(DECODER_SRCS))
	$(archive)
$(LIBRUNTIME): $(RUNTIME_INPROC_OBJS)
	$(archive)

link = $(Q)$(CC) $(ALL_LDFLAGS) -o $@

$(O)/qslog-trace: $(call obj,userspace/trace_main.c) $(STATIC_PARTS_DEPS)
	$(call say,LINK,$@)
	$(link) $(filter %.o,$^) $(STATIC_PARTS) $(TRACER_LIBS)

$(O)/qslog: $(call obj,$(QSLOG_SRCS)) $(STATIC_PARTS_DEPS)
	$(call say,LINK,$@)
	$(link) $(filter %.o,$^) $(STATIC_PARTS) $(CORE_LIBS) -lm

# The static library is one object: what the collector uses of libuserspace.a is inside, and its
# names are local, so that they cannot clash with an application's. (_.stapsdt.base is common to
# all objects with USDT probes: it has to stay global for the linker to merge them.)
$(O)/libqslog.a: $(RUNTIME_INPROC_OBJS) $(call obj,$(COLLECTOR_SRCS)) $(LIBUSERSPACE)
	$(call say,AR,$@)
	$(Q)$(CC) -r -nostdlib -o $(O)/obj/libqslog.all.o $^
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='qslog_*' \
		--keep-global-symbol='_.stapsdt.base' $(O)/obj/libqslog.all.o $(O)/obj/libqslog.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $(O)/obj/libqslog.o

$(O)/libqslog.so: $(RUNTIME_INPROC_OBJS) $(call obj,$(COLLECTOR_SRCS)) $(LIBUSERSPACE) \
		  packaging/libqslog.map
	$(call say,LINK,$@)
	$(link) -shared -Wl,-soname,libqslog.so.$(SOVERSION) \
		-Wl,--version-script=packaging/libqslog.map \
		$(if $(SAN),,-Wl,--no-undefined) -Wl,-z,relro,-z,now -Wl,--as-needed \
		$(filter %.o %.a,$^) $(CORE_LIBS)
	@ln -sf $(@F) $(O)/libqslog.so.$(SOVERSION)

$(O)/qslog.pc: packaging/qslog.pc.in VERSION $(O)/obj/flags
	$(call say,GEN,$@)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' $< > $@

# Examples are built as an application is: the header, their own flags, and libqslog.
APP = $(Q)$(CC) -std=gnu11 $(WARN) -Iusdt $(SANFLAGS) $(CPPFLAGS) $(CFLAGS)
$(O)/kvd: examples/kvd/kvd.c
$(O)/kvd-load: examples/kvd/kvd_load.c
$(O)/kvd $(O)/kvd-load: $(KVD_HELPERS) $(wildcard examples/kvd/*.h) usdt/qslog.h \
			$(O)/libqslog.a $(O)/obj/flags
	$(call say,APP,$@)
	$(APP) -Iexamples/kvd -o $@ $(filter examples/kvd/%.c,$^) $(O)/libqslog.a \
		$(ALL_LDFLAGS) $(CORE_LIBS)

$(O)/%: examples/%.c usdt/qslog.h $(O)/libqslog.a $(O)/obj/flags
	$(call say,APP,$@)
	$(APP) -o $@ $< $(O)/libqslog.a $(ALL_LDFLAGS) $(CORE_LIBS)

$(O)/obj/examples/spdlog_bridge.o: CPPFLAGS += $(call pc,--cflags spdlog)
$(O)/spdlog_bridge: EXAMPLE_LIBS = $(call pc,--libs spdlog)
$(O)/%: $(O)/obj/examples/%.o $(O)/libqslog.a
	$(call say,APP,$@)
	$(Q)$(CXX) -o $@ $< $(O)/libqslog.a $(ALL_LDFLAGS) $(EXAMPLE_LIBS) $(CORE_LIBS)

CMOCKA_LIBS = $(call pc,--libs cmocka)
$(O)/obj/libtesting.a: $(call obj,$(TEST_HELPERS))
	$(archive)

define link_test
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(link) $< $(O)/obj/libtesting.a $(STATIC_PARTS) $(TRACER_LIBS) $(CMOCKA_LIBS)
endef
$(O)/tests/test_%: $(O)/obj/tests/unit/test_%.o $(O)/obj/libtesting.a $(STATIC_PARTS_DEPS)
	$(link_test)
$(O)/tests/e2e/test_%: $(O)/obj/tests/e2e/test_%.o $(O)/obj/libtesting.a $(STATIC_PARTS_DEPS)
	$(link_test)

$(O)/tests/golden/%: $(O)/obj/tests/golden/%.o $(STATIC_PARTS_DEPS)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(link) $< $(STATIC_PARTS) $(CORE_LIBS) -lm

# Fixtures are programs as users build them for kernel mode: two vendored files, libc only; and,
# as NAME.inproc, for in-process mode: with libqslog. (-rdynamic: libraries may use their runtime.)
FIXTURE_HEADERS := $(wildcard tests/fixtures/*.h)
$(O)/tests/fixtures/%: tests/fixtures/%.c $(FIXTURE_HEADERS) $(wildcard usdt/*) $(O)/obj/flags | $(NEED)
	$(call say,APP,$@)
	@mkdir -p $(@D)
	$(APP) -rdynamic -o $@ $< $(RUNTIME_SRCS) $(ALL_LDFLAGS)

$(O)/tests/fixtures/%.inproc: tests/fixtures/%.c $(FIXTURE_HEADERS) usdt/qslog.h $(O)/libqslog.a \
			      $(O)/obj/flags
	$(call say,APP,$@)
	@mkdir -p $(@D)
	$(APP) -DQSLOG_INPROC -o $@ $< $(O)/libqslog.a $(ALL_LDFLAGS) $(CORE_LIBS)

$(O)/tests/fixtures/lib%.so: tests/fixtures/lib%.c $(wildcard usdt/*) $(O)/obj/flags | $(NEED)
	$(call say,APP,$@)
	@mkdir -p $(@D)
	$(APP) -fPIC -shared -o $@ $< $(ALL_LDFLAGS)

$(O)/bench/%: $(O)/obj/bench/%.o $(call obj,$(BENCH_HELPERS)) $(STATIC_PARTS_DEPS)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(link) $(filter %.o,$^) $(STATIC_PARTS) $(TRACER_LIBS)

# Only in a build with FUZZ_FLAGS: see `fuzz`.
$(O)/fuzz_%: $(O)/obj/tests/fuzz/fuzz_%.o $(call obj,$(FUZZ_HELPERS)) $(STATIC_PARTS_DEPS)
	$(call say,LINK,$@)
	$(link) -fsanitize=fuzzer $(filter %.o,$^) $(STATIC_PARTS) $(TRACER_LIBS)

$(O)/make_%: $(O)/obj/tests/fuzz/make_%.o $(call obj,$(FUZZ_HELPERS)) $(STATIC_PARTS_DEPS)
	$(call say,LINK,$@)
	$(link) $(filter %.o,$^) $(STATIC_PARTS) $(TRACER_LIBS)

.SECONDARY:
-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
