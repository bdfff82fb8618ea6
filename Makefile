# SPDX-License-Identifier: MIT
# pbxpush: `make demo` shows it, `make check` proves it, `make help` lists the rest.

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR    ?= /lib/systemd/system
SYSUSERS   ?= /usr/lib/sysusers.d
BUILD      ?= build
CC         := $(if $(filter default,$(origin CC)),gcc,$(CC))
VERSION    := $(shell cat src/VERSION)

# Debian package for each library (pkg-config name), and the tools the targets need. Apple's servers
# are checked against ca-certificates; procps has the /bin/kill of the unit's ExecReload.
PKGS       := libnghttp2 libcrypto libssl jansson libevent libevent_pthreads sqlite3 inih libcurl \
              cmocka
DEBS       := gcc clang clang-format libclang-rt-14-dev pkg-config libnghttp2-dev libssl-dev \
              libjansson-dev libevent-dev libsqlite3-dev libinih-dev libcurl4-openssl-dev \
              libcmocka-dev python3 python3-h2 cppcheck openssl ca-certificates curl man-db procps systemd
# What the tests with real PBXes need besides.
E2E_DEBS   := kamailio kamailio-extra-modules

WARN       := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch-enum
CFLAGS     ?= -O3 -g
HARDEN     := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
LDHARDEN   := -pie -Wl,-z,relro,-z,now,--as-needed
ifdef SAN
CFLAGS     := -O1 -g
HARDEN     := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDHARDEN   := -fsanitize=address,undefined
endif
ifdef STRICT
WARN       += -Werror
endif
ALL_CFLAGS  = -std=c17 -D_GNU_SOURCE -DPBXPUSH_VERSION='"$(VERSION)"' -Iinclude $(WARN) $(HARDEN) \
              $(shell pkg-config --cflags $(PKGS)) $(CFLAGS) -MMD -MP
LIBS        = $(shell pkg-config --libs libnghttp2 libssl libcrypto jansson libevent \
              libevent_pthreads sqlite3 inih) -lm -pthread

JOBS       := $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
Q          := $(if $(V),,@)
say         = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

MAINS      := src/daemon/main.c src/ctl/main.c
LIB_SRC    := $(filter-out $(MAINS),$(wildcard src/*/*.c))
SIM_SRC    := $(wildcard tests/simulator/*.c)
UNIT_SRC   := $(wildcard tests/unit/*.c)
FLOW_SRC   := $(wildcard tests/flow/test_*.c)
BENCH_SRC  := $(wildcard tests/bench/*.c)
FLOW_LIB   := $(filter-out $(FLOW_SRC),$(wildcard tests/flow/*.c))
obj         = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB        := $(BUILD)/libpbxpush.a
PROGRAMS   := $(BUILD)/pbxpushd $(BUILD)/pbxpushctl
SIMULATOR  := $(BUILD)/apns-simulator
UNIT       := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
FLOW       := $(patsubst tests/flow/%.c,$(BUILD)/flow/%,$(FLOW_SRC))
BENCH      := $(BUILD)/load
C_FILES     = $(shell find src include tests -name '*.[ch]')

.PHONY: all programs tests help demo bench e2e check check-layers check-format deps lint format \
        install uninstall clean
.DELETE_ON_ERROR:
.SECONDARY:

all: programs
programs: $(PROGRAMS)
tests: $(PROGRAMS) $(SIMULATOR) $(UNIT) $(FLOW) $(BENCH)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

$(BUILD)/pbxpushd: $(call obj,src/daemon/main.c) $(LIB)
$(BUILD)/pbxpushctl: $(call obj,src/ctl/main.c) $(LIB)
$(SIMULATOR): $(call obj,$(SIM_SRC)) $(LIB)
$(BENCH): $(call obj,$(BENCH_SRC)) $(LIB)
$(UNIT): $(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(LIB)
$(FLOW): $(BUILD)/flow/%: $(BUILD)/obj/tests/flow/%.o $(call obj,$(FLOW_LIB)) $(LIB)
$(UNIT) $(FLOW): LIBS += -lcmocka
$(BUILD)/unit/%_oom: LDHARDEN += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(FLOW): LDHARDEN += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup

$(PROGRAMS) $(SIMULATOR) $(UNIT) $(FLOW) $(BENCH):
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDHARDEN) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

$(LIB): $(call obj,$(LIB_SRC))
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/obj/%.o: %.c Makefile src/VERSION | $(BUILD)/.libraries
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# A missing library is named by the Debian package that brings it.
$(BUILD)/.libraries: Makefile
	@mkdir -p $(@D)
	@command -v pkg-config >/dev/null || { echo "missing: pkg-config (run 'make deps')" >&2; exit 1; }
	@ok=1; for p in $(PKGS); do pkg-config --exists $$p && continue; ok=0; \
	  d=$$(printf '%s\n' $(DEBS) | grep -- "$$(printf %s "$$p" | sed 's/^lib//; s/_.*//; s/crypto/ssl/')" | head -1); \
	  echo "missing library $$p: Debian package $$d (run 'make deps')" >&2; done; [ $$ok = 1 ]
	@touch $@

deps: ## install the Debian packages that are missing (silent when none is)
	@missing=; for d in $(DEBS); do dpkg-query -W -f '$${Status}\n' $$d 2>/dev/null | \
	  grep -q 'ok installed' || missing="$$missing $$d"; done; \
	[ -z "$$missing" ] || { sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  command -v $${sudo:-env} >/dev/null || \
	  { echo "missing, and no sudo; as root: apt-get install$$missing" >&2; exit 1; }; \
	  echo "installing:$$missing"; \
	  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }

demo: deps ## see a call wake a simulated phone
	@$(MAKE) --no-print-directory $(JOBS) programs $(SIMULATOR)
	@PBXPUSH_BUILD=$(BUILD) python3 tests/demo/demo.py

bench: DEBS += nghttp2-client
bench: deps ## measure speed and memory beside h2load (build/bench.json)
	@$(MAKE) --no-print-directory $(JOBS) programs $(SIMULATOR) $(BENCH)
	@PBXPUSH_BUILD=$(BUILD) python3 tests/bench/bench.py

e2e: DEBS += $(E2E_DEBS)
e2e: deps ## calls to sleeping phones through a real Kamailio
	@$(MAKE) --no-print-directory $(JOBS) programs $(SIMULATOR)
	@PBXPUSH_BUILD=$(BUILD) python3 tests/run.py tests/e2e/

# Strict builds with both compilers, then every test under ASan and UBSan.
check: DEBS += $(E2E_DEBS)
check: deps ## run every test (what CI runs)
	@$(MAKE) --no-print-directory check-layers check-format lint
	@$(MAKE) --no-print-directory $(JOBS) STRICT=1 CC=gcc BUILD=$(BUILD)/gcc programs
	@$(MAKE) --no-print-directory $(JOBS) STRICT=1 CC=clang BUILD=$(BUILD)/clang tests
	@$(MAKE) --no-print-directory $(JOBS) STRICT=1 SAN=1 BUILD=$(BUILD)/san tests
	@PBXPUSH_BUILD=$(BUILD)/san python3 tests/run.py

check-layers: ## prove which folder includes which
	@tests/check_layers.sh

check-format: ## prove that clang-format would change nothing
	@clang-format --dry-run -Werror $(C_FILES)

format: ## let clang-format have its way
	@clang-format -i $(C_FILES)

lint: ## static analysis
	@cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr -Iinclude \
	  --include=/usr/include/$(shell $(CC) -print-multiarch)/sys/queue.h \
	  --include=/usr/include/jansson.h -DPBXPUSH_VERSION='""' src

SBIN := $(DESTDIR)$(PREFIX)/sbin
BIN  := $(DESTDIR)$(PREFIX)/bin
MAN  := $(DESTDIR)$(PREFIX)/share/man
DOC  := $(DESTDIR)$(PREFIX)/share/doc/pbxpush
CONF := $(DESTDIR)$(SYSCONFDIR)/pbxpush

install: all ## install; an existing configuration stays as it is
	install -D -m 0755 $(BUILD)/pbxpushd $(SBIN)/pbxpushd
	install -D -m 0755 $(BUILD)/pbxpushctl $(BIN)/pbxpushctl
	install -d -m 0755 $(CONF)
	test -e $(CONF)/pbxpush.conf || install -m 0644 conf/pbxpush.conf $(CONF)/pbxpush.conf
	install -D -m 0644 conf/pbxpush.conf $(DOC)/pbxpush.conf.example
	install -D -m 0644 README.md $(DOC)/README.md
	install -D -m 0644 -t $(DOC)/payload conf/payload/*
	install -D -m 0644 -t $(DOC)/app conf/app/*
	install -D -m 0755 -t $(DOC)/pbx/generic conf/pbx/generic/*.sh conf/pbx/generic/*.py
	install -D -m 0644 -t $(DOC)/pbx/generic conf/pbx/generic/*.conf
	install -D -m 0644 -t $(DOC)/pbx/kamailio conf/pbx/kamailio/*
	install -D -m 0644 -t $(MAN)/man8 src/man/pbxpushd.8 src/man/pbxpushctl.8
	install -D -m 0644 -t $(MAN)/man5 src/man/pbxpush.conf.5
	install -D -m 0644 systemd/pbxpush.sysusers $(DESTDIR)$(SYSUSERS)/pbxpush.conf
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/sbin/|$(PREFIX)/sbin/|' systemd/pbxpushd.service > $(DESTDIR)$(UNITDIR)/pbxpushd.service

uninstall: ## remove what install put there; configuration and directory stay
	rm -f $(SBIN)/pbxpushd $(BIN)/pbxpushctl $(MAN)/man8/pbxpushd.8 $(MAN)/man8/pbxpushctl.8 \
	  $(MAN)/man5/pbxpush.conf.5 $(DESTDIR)$(SYSUSERS)/pbxpush.conf \
	  $(DESTDIR)$(UNITDIR)/pbxpushd.service
	rm -rf $(DOC)

clean: ## remove build/
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
