# SPDX-License-Identifier: MIT
# Armchair: `make help` lists the targets.  Variants are said aloud: SAN=address|thread, CC=clang; each builds in its own folder.

SHELL   := /bin/bash
CC      ?= cc
PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=
comma   := ,

variant := $(if $(SAN),-$(SAN))$(if $(findstring clang,$(CC)),-clang)
B       := build$(variant)

WARN    := -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes
CFLAGS  ?= -O3 -g
# -fno-math-errno lets sqrt be one instruction; -ffast-math is never used: it makes isfinite always true.
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -fopenmp -fno-math-errno -fno-trapping-math -MMD -MP -Ilib -I. $(WARN) $(CFLAGS) \
              $(if $(SAN),-fsanitize=$(SAN)$(if $(filter address,$(SAN)),$(comma)undefined) -fno-omit-frame-pointer)
LIBS    := -ldnnl -larchive -lpng -ljpeg -lwebp -lwebpdemux -lutf8proc -ljansson -lz -lmd -lm
ALL_LDFLAGS := -fopenmp $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN)$(if $(filter address,$(SAN)),$(comma)undefined))

lib_src := $(wildcard lib/*/*.c lib/*/*/*.c)
lib_obj := $(lib_src:%.c=$(B)/%.o)
cmd_src := $(filter-out cmd/tool.c,$(wildcard cmd/*.c))
programs := $(cmd_src:cmd/%.c=$(B)/bin/%)
unit    := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/unit/*.c tests/ops/*.c))
fuzz    := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/fuzz/*.c))
bench   := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/bench/*.c))

.PHONY: all deps check demo bench asan tsan fuzz install uninstall clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(programs)

# Objects are rebuilt when the flags change.
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@
FORCE:

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/libarmchair.a: $(lib_obj)
	@rm -f $@; ar rcs $@ $^

$(B)/bin/%: $(B)/cmd/%.o $(B)/cmd/tool.o $(B)/libarmchair.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(B)/libarmchair.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcmocka $(LIBS)
$(B)/tests/ops/%: $(B)/tests/ops/%.o $(B)/libarmchair.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcmocka $(LIBS)
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/libarmchair.a
	$(CC) $(ALL_LDFLAGS) $(FUZZ_LDFLAGS) -o $@ $^ $(LIBS)
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(B)/libarmchair.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

tests: $(programs) $(unit)

-include $(shell find $(B) -name '*.d' 2>/dev/null)

clean:
	rm -rf build build-*
