# SPDX-License-Identifier: MIT
# Armchair: `make help` lists the targets.  Variants are said aloud: SAN=address|thread, CC=clang; each builds in its own folder.
# CUDA=1 adds the object for NVIDIA GPUs.

SHELL   := /bin/bash
CC      ?= cc
PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=
CUDA    ?=
comma   := ,

variant := $(if $(SAN),-$(SAN))$(if $(findstring clang,$(CC)),-clang)
B       := build$(variant)

WARN    := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes
CFLAGS  ?= -O3 -g
# -fno-math-errno lets sqrt be one instruction; -ffast-math is never used: it makes isfinite always true.
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -fopenmp -fno-math-errno -fno-trapping-math -MMD -MP -Ilib -I. $(WARN) $(CFLAGS) \
              $(if $(SAN),-fsanitize=$(SAN)$(if $(filter address,$(SAN)),$(comma)undefined) -fno-omit-frame-pointer) \
              $(if $(LIBFUZZER),-fsanitize=fuzzer-no-link)
LIBS    := -ldnnl -larchive -lpng -ljpeg -lwebp -lwebpdemux -lutf8proc -ljansson -ldeflate -lmd -lm
ALL_LDFLAGS := -fopenmp $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN)$(if $(filter address,$(SAN)),$(comma)undefined))

lib_src := $(wildcard lib/*/*.c lib/*/*/*.c)
lib_obj := $(lib_src:%.c=$(B)/%.o)
# The CPU's kernels once more for each instruction set (lib/compute/cpu/isa.h).
kernels := $(filter-out %/dnnl.c,$(wildcard lib/compute/cpu/*.c))
ifneq ($(findstring x86_64,$(shell $(CC) -dumpmachine 2>/dev/null)),)
lib_obj += $(kernels:%.c=$(B)/%.v3.o) $(kernels:%.c=$(B)/%.v4.o)
endif
cmd_src := $(filter-out cmd/tool%.c,$(wildcard cmd/*.c))
tool_obj := $(patsubst %.c,$(B)/%.o,$(wildcard cmd/tool*.c))
programs := $(cmd_src:cmd/%.c=$(B)/bin/%)
cuda_src := $(wildcard lib/compute/cuda/*.cu)
unit    := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/unit/*.c tests/ops/*.c))
fuzz    := $(patsubst tests/%.c,$(B)/tests/%,$(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
bench   := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/bench/*.c))

.PHONY: all tests deps check check-slurm check-gpu bench-gpu demo emoji bench asan tsan fuzz install uninstall bundle clean \
        help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

cuda_so := $(B)/bin/libarmchair_cuda.so
all: $(programs) $(if $(CUDA),$(cuda_so))

# Objects are rebuilt when the flags change.
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@
FORCE:

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ISA) -c -o $@ $<
$(B)/%.v3.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ISA) -DCPU_ISA=v3 -march=x86-64-v3 -c -o $@ $<
$(B)/%.v4.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ISA) -DCPU_ISA=v4 -march=x86-64-v4 -mprefer-vector-width=512 -c -o $@ $<
$(B)/lib/compute/cpu/%.o: ISA := -ffp-contract=fast

$(B)/libarmchair.a: $(lib_obj)
	@rm -f $@; $(AR) rcs $@ $^

$(B)/bin/%: $(B)/cmd/%.o $(tool_obj) $(B)/libarmchair.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(B)/libarmchair.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcmocka $(LIBS) -lz
$(B)/tests/ops/%: $(B)/tests/ops/%.o $(B)/libarmchair.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcmocka $(LIBS) -lz
# A harness is one function; replay.c gives it a main over corpus files, libFuzzer one that searches.
fuzz_main := $(if $(LIBFUZZER),,$(B)/tests/fuzz/replay.o)
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(fuzz_main) $(B)/libarmchair.a
	$(CC) $(ALL_LDFLAGS) $(if $(LIBFUZZER),-fsanitize=fuzzer) -o $@ $^ $(LIBS) -lz
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(B)/libarmchair.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lz

# ---- the CUDA backend ------------------------------------------------------------------------------------------------

# A shared object beside the programs, which load it when they are asked for a GPU.  Ampere, Hopper, and PTX for what comes.
ifeq ($(origin NVCC),undefined)
NVCC    := $(or $(shell command -v nvcc 2>/dev/null),$(wildcard /usr/local/cuda/bin/nvcc))
endif
CUDA_ARCH ?= -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90a,code=sm_90a \
             -gencode=arch=compute_90,code=compute_90
NVCC_OPT ?= -O3 -lineinfo
NVCC_FLAGS := -std=c++20 $(NVCC_OPT) -Ilib $(CUDA_ARCH) \
              -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra,-Wno-unused-parameter,-Wno-missing-field-initializers
$(if $(CUDA),$(if $(NVCC),,$(error CUDA=1: nvcc is neither on PATH nor in /usr/local/cuda/bin; NVCC=FILE names another)))

$(B)/cuda/flags: FORCE
	@mkdir -p $(@D); echo '$(NVCC) $(NVCC_FLAGS)' | cmp -s - $@ || echo '$(NVCC) $(NVCC_FLAGS)' > $@
$(B)/cuda/%.o: lib/compute/cuda/%.cu $(B)/cuda/flags
	@mkdir -p $(@D)
	$(NVCC) $(NVCC_FLAGS) -MMD -MP -c -o $@ $<
# cuBLASLt, and cuDNN where the object asks for it: beside the object, LD_LIBRARY_PATH, CUDA's own place, the system's.
$(cuda_so): $(cuda_src:lib/compute/cuda/%.cu=$(B)/cuda/%.o)
	@mkdir -p $(@D)
	$(NVCC) -shared $(CUDA_ARCH) -o $@ $^ -lcublasLt -ldl \
	    -Xlinker -z,defs,--enable-new-dtags,-rpath,'$$ORIGIN:/usr/local/cuda/lib64'
# The same files for the host, for tests without a GPU: tests/emulator/cuda_runtime.h.
emulated := $(B)/emulator/libarmchair_cuda.so
EMULATOR_FLAGS := -std=c++20 -O2 -g -fPIC -fvisibility=hidden -MMD -MP -Itests/emulator -Ilib -Wall -Wextra \
                  -Wno-unused-function -Wno-unknown-pragmas -Wno-clobbered -Wno-missing-field-initializers \
                  $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
$(B)/emulator/%.o: lib/compute/cuda/%.cu
	@mkdir -p $(@D)
	$(CXX) $(EMULATOR_FLAGS) -x c++ -c -o $@ $<
$(B)/emulator/%.o: tests/emulator/%.cc
	@mkdir -p $(@D)
	$(CXX) $(EMULATOR_FLAGS) -c -o $@ $<
$(emulated): $(cuda_src:lib/compute/cuda/%.cu=$(B)/emulator/%.o) \
             $(patsubst tests/emulator/%.cc,$(B)/emulator/%.o,$(wildcard tests/emulator/*.cc))
	$(CXX) -shared $(if $(SAN),-fsanitize=$(SAN)) -o $@ $^

tests: $(programs) $(unit) $(if $(wildcard tests/fuzz/replay.c),$(fuzz))

# ---- dependencies ----------------------------------------------------------------------------------------------------

# Debian 12 and Ubuntu 24.04 names; README says why each.
packages := gcc g++ libc6-dev libdnnl-dev libarchive-dev libpng-dev libjpeg-dev libwebp-dev libutf8proc-dev \
            libjansson-dev libdeflate-dev libmd-dev librandom123-dev \
            libcmocka-dev zlib1g-dev bats perl mandoc python3 jq xz-utils bzip2

deps:
	@missing=$$(for p in $(packages); do \
	    dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || printf '%s ' $$p; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null || [ -t 0 ]; then as_root=sudo; \
	else echo "make deps: please have these packages installed: $$missing" >&2; exit 1; fi; \
	echo "make deps: installing $$missing"; \
	$$as_root apt-get update -qq && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null

# ---- tests -----------------------------------------------------------------------------------------------------------

# As many jobs as processors where no -j was given.
jobs = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

# The CUDA sources twice: for the host, to run them, and by nvcc where it is found, for one architecture to save time.
# Sanitizers see the host's part alone: with the emulator's fibers they are too slow for a whole run (CONTRIBUTING.md).
check: deps
	@$(MAKE) --no-print-directory $(jobs) all tests $(if $(SAN),,$(emulated))
	@$(if $(NVCC),$(if $(SAN),,$(MAKE) --no-print-directory $(jobs) B=$(B)/nvcc CUDA_ARCH=-arch=sm_90a \
	    NVCC_OPT="-O3 -Xcicc -O1 -Xptxas -O0" \
	    $(B)/nvcc/bin/libarmchair_cuda.so))
	@BUILD=$(B) tests/run.sh

# On a machine with an NVIDIA GPU: the operations, and the whole flow, small, on it.
check-gpu: deps
	@$(MAKE) --no-print-directory $(jobs) CUDA=1 all tests
	@BUILD=$(B) tests/gpu/check.sh

bench-gpu: deps
	@$(MAKE) --no-print-directory $(jobs) CUDA=1 all $(bench)
	@BUILD=$(B) python3 tests/bench/gpu.py
	-@PATH=$(abspath $(B))/bin:$$PATH python3 tests/bench/gpu_twelve.py # a smaller card has no room for it, and it says so

# A real Slurm on this machine, as root: tests/slurm/run.sh.
check-slurm: deps
	@$(MAKE) --no-print-directory deps packages='slurm-wlm munge' all
	@BUILD=$(B) tests/slurm/run.sh

asan:
	@$(MAKE) --no-print-directory SAN=address check

# gcc's OpenMP runtime is not instrumented, and its barriers would all look like races: clang's, with its Archer tool, is.
tsan:
	@$(MAKE) --no-print-directory SAN=thread CC=clang check

# Coverage-guided fuzzing for FUZZ_SECONDS each, with clang's libFuzzer; `make check` replays the kept corpus.
FUZZ_SECONDS ?= 60
fuzz:
	@$(MAKE) --no-print-directory B=build-fuzz CC=clang SAN=address LIBFUZZER=1 build-fuzz/fuzzers
	@for f in $(notdir $(basename $(wildcard tests/fuzz/*.c))); do [ $$f = replay ] && continue; \
	    mkdir -p build-fuzz/corpus/$$f; \
	    build-fuzz/tests/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -timeout=20 \
	        build-fuzz/corpus/$$f tests/fuzz/corpus/$$f || exit 1; done
$(B)/fuzzers: $(fuzz)
	@touch $@

bench: deps
	@$(MAKE) --no-print-directory all $(bench)
	@BUILD=$(B) tests/bench/run.sh

# ---- the demo --------------------------------------------------------------------------------------------------------

demo: deps
	@$(MAKE) --no-print-directory all
	@PATH="$(CURDIR)/$(B)/bin:$$PATH" pipelines/demo.sh out/demo

emoji: deps
	@$(MAKE) --no-print-directory deps packages='fonts-noto-color-emoji unicode-data pango1.0-tools' all
	@PATH="$(CURDIR)/$(B)/bin:$$PATH" pipelines/emoji.sh out/emoji

# ---- installation ----------------------------------------------------------------------------------------------------

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 \
	    $(DESTDIR)$(PREFIX)/share/doc/armchair/formats $(DESTDIR)$(PREFIX)/share/armchair
	install -m 755 $(programs) $(DESTDIR)$(PREFIX)/bin
	if [ -e $(cuda_so) ]; then install -D -m 755 $(cuda_so) $(DESTDIR)$(PREFIX)/lib/armchair/$(notdir $(cuda_so)); fi
	install -m 644 man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 README.md NEWS.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/armchair
	install -m 644 formats/*.md $(DESTDIR)$(PREFIX)/share/doc/armchair/formats
	install -m 644 pipelines/boilerplate.ere $(DESTDIR)$(PREFIX)/share/armchair

uninstall:
	rm -f $(programs:$(B)/bin/%=$(DESTDIR)$(PREFIX)/bin/%) \
	    $(patsubst man/%.1,$(DESTDIR)$(PREFIX)/share/man/man1/%.1,$(wildcard man/*.1)) \
	    $(patsubst man/%.5,$(DESTDIR)$(PREFIX)/share/man/man5/%.5,$(wildcard man/*.5))
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/armchair $(DESTDIR)$(PREFIX)/share/armchair $(DESTDIR)$(PREFIX)/lib/armchair

# One folder, and an archive of it, that runs on other machines: programs, libraries, the CUDA object where nvcc is found, and
# what checks and times a GPU.  The programs are linked once more, to look for libraries in the folder.
bundle := $(B)/armchair-$(shell sed -n 's/^.define TOOL_VERSION "\(.*\)"/\1/p' cmd/tool.h)-$(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
bundled_tests := $(patsubst tests/%.c,$(B)/bundle/tests/%,$(wildcard tests/ops/*.c) \
                 $(shell grep -l device_open.h tests/unit/*.c; grep -l device_open tests/bench/*.c))
libraries_in = -s -Wl,--disable-new-dtags,-rpath,'$$ORIGIN/$(1)'

bundle: deps
	@$(MAKE) --no-print-directory deps packages='zstd binutils'
	@rm -rf $(bundle)
	@$(MAKE) --no-print-directory $(jobs) $(if $(NVCC),CUDA=1) DESTDIR= PREFIX=$(abspath $(bundle)) \
	    programs='$(programs:$(B)/bin/%=$(B)/bundle/bin/%)' install $(bundled_tests)
	@BUILD=$(B) tools/bundle.sh $(bundle)

$(B)/bundle/bin/%: $(B)/cmd/%.o $(tool_obj) $(B)/libarmchair.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(call libraries_in,../lib) -o $@ $^ $(LIBS)
$(B)/bundle/tests/%: $(B)/tests/%.o $(B)/libarmchair.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) $(call libraries_in,../../lib) -o $@ $^ -lcmocka $(LIBS) -lz

help:
	@echo 'make              build the programs into $(B)/bin'
	@echo 'make check        install what is missing, build, run all tests'
	@echo 'make check-slurm  as root: a job array on a real Slurm of two nodes, started and killed here'
	@echo 'make check-gpu    on a machine with an NVIDIA GPU: test the operations and the whole flow on it'
	@echo 'make demo         install what is missing, build, learn to draw from captions, judge the drawings'
	@echo 'make emoji        the same with the emoji of a font: real pictures, real captions'
	@echo 'make deps         install missing packages (apt; as root or through sudo)'
	@echo 'make bench        time the operations and models'
	@echo 'make bench-gpu    time training and sampling on an NVIDIA GPU'
	@echo 'make asan, tsan   make check under the address or thread sanitizer (own build folders)'
	@echo 'make fuzz         fuzz the readers with libFuzzer (clang), FUZZ_SECONDS each'
	@echo 'make install      programs, man pages and format pages under DESTDIR PREFIX ($(PREFIX))'
	@echo 'make uninstall    take them away again'
	@echo 'make bundle       a folder and an archive of programs and libraries that run on other machines, with their GPU'
	@echo 'make clean        remove all build folders'
	@echo 'variables: CC=clang, CFLAGS, SAN=address|thread; CUDA=1 builds the object for NVIDIA GPUs, NVCC, CUDA_ARCH'

-include $(shell find $(B) -name '*.d' 2>/dev/null)

clean:
	rm -rf build build-*
