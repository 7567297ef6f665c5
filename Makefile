# ifud: everything is built into build/, the programs into build/bin/.
#
#   make            programs and libraries
#   make check      build and run every unit test (tests/*/test_*.c)
#   make asan       the tests under the address and undefined-behaviour sanitizers
#   make tsan       the tests under the thread sanitizer
#   make lint       cppcheck, include directions, the tour; gcc -fanalyzer as advice
#   make install    DESTDIR= PREFIX=/usr/local SYSCONFDIR=/etc: programs, docs, manual pages,
#                   completion, unit files and, where there is none, the configuration
#                   (scripts/install does the rest)
#   make uninstall  the same; configuration and data stay
#
# A new .c file below common/, stages/, jobs/, config/, daemon/ or cli/ is found by itself,
# and so is a new test: no list is kept here.

B       ?= build
CC      ?= gcc
PREFIX  ?= /usr/local
SYSCONFDIR ?= /etc
# SANITIZE=asan (address and undefined behaviour), tsan (threads) or fuzz (libFuzzer, with
# CC=clang; see scripts/fuzz); use another B with it
SANITIZE ?=
ifeq ($(SANITIZE),asan)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT := -O1 -g
else ifeq ($(SANITIZE),fuzz)
SAN := -fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT := -O1 -g
else ifeq ($(SANITIZE),tsan)
SAN := -fsanitize=thread
OPT := -O1 -g
endif
OPT     ?= -O2 -g
WERROR  ?= $(if $(CI),-Werror)

PKGS    := libuv cfitsio jansson sqlite3 yaml-0.1 zlib liblz4 cairo libcrypto fftw3f
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
           -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Wundef \
           -Wconversion -Wno-sign-conversion -Wdouble-promotion
CPPFLAGS += -I. -D_GNU_SOURCE -DIFUD_VERSION='"$(shell cat VERSION)"' \
           $(shell pkg-config --cflags $(PKGS))
CFLAGS  ?=
ALL_CFLAGS = -std=c17 $(OPT) $(WARN) $(WERROR) $(SAN) -fno-math-errno -ffp-contract=off \
           -pthread $(CFLAGS)
LDLIBS  += $(shell pkg-config --libs $(PKGS)) -lm -pthread
LDFLAGS += $(SAN) -Wl,--as-needed

MAINS   := daemon/ifud.c cli/ifuctl.c cli/ifurun.c cli/ifusim.c
MAINS   := $(wildcard $(MAINS))
SRCS    := $(filter-out $(MAINS),$(sort $(shell find common stages jobs config daemon cli -name '*.c')))
OBJS    := $(SRCS:%.c=$(B)/%.o)
LIB     := $(B)/libifud.a
BINS    := $(patsubst %.c,$(B)/bin/%,$(notdir $(MAINS)))
TESTSRC := $(sort $(shell find tests -name 'test_*.c'))
TESTS   := $(TESTSRC:%.c=$(B)/%)
# libraries for LD_PRELOAD that break things on purpose
FAULTSRC := tests/fault/poison.c tests/fault/shim.c
FAULTS  := $(FAULTSRC:%.c=$(B)/%.so)
HELPSRC := $(filter-out $(TESTSRC) $(FAULTSRC),$(sort $(shell find tests -name '*.c')))
HELPOBJ := $(HELPSRC:%.c=$(B)/%.o)

all: $(BINS)

$(B)/%.o: %.c VERSION Makefile
	@mkdir -p $(@D)
	@echo "CC $<"
	@$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# the version of the code in products: a hash of all that results may depend on
CODESRC := $(sort $(shell find common stages jobs -name '*.[ch]'))
$(B)/jobs/job_code.o: $(CODESRC)
$(B)/jobs/job_code.o: CPPFLAGS += -DIFUD_CODE='"$(shell cat $(CODESRC) | sha256sum | cut -c1-16)"'

$(LIB): $(OBJS)
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcs $@ $(OBJS)

define main_rule
$(B)/bin/$(basename $(notdir $(1))): $(B)/$(1:.c=.o) $(LIB)
	@mkdir -p $$(@D)
	@echo "LD $$@"
	@$(CC) $(LDFLAGS) -rdynamic -o $$@ $$< $(LIB) $(LDLIBS)
endef
$(foreach m,$(MAINS),$(eval $(call main_rule,$(m))))

$(B)/tests/%: $(B)/tests/%.o $(HELPOBJ) $(LIB)
	@echo "LD $@"
	@$(CC) $(LDFLAGS) -o $@ $< $(HELPOBJ) $(LIB) $(shell pkg-config --libs check) $(LDLIBS)

# never sanitized: they are loaded before everything else
$(B)/tests/fault/%.so: tests/fault/%.c tests/fault/shim.h Makefile
	@mkdir -p $(@D)
	@echo "CC $<"
	@$(CC) $(CPPFLAGS) -std=c17 -O1 -g $(WARN) $(WERROR) -fPIC -shared -o $@ $< -ldl

MANS    := $(patsubst docs/man/%.in,$(B)/man/%,$(wildcard docs/man/*.in))

tests: $(TESTS) $(BINS) $(FAULTS)

# One program for all targets of tests/fuzz; SANITIZE=fuzz
FUZZOBJ := $(filter $(B)/tests/fuzz/%,$(HELPOBJ))
$(B)/fuzz: $(FUZZOBJ) $(LIB)
	@echo "LD $@"
	@$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(FUZZOBJ) $(LIB) $(LDLIBS)

check: tests $(MANS)
	@scripts/check-man $(MANS)
	@scripts/doc-parameters --check $(B)/bin/ifurun
	@$(B)/bin/ifud --config config/ifud.json --check-config
	@scripts/run-tests $(B) $(TESTS)

asan:
	$(MAKE) B=build-asan SANITIZE=asan check

tsan:
	$(MAKE) B=build-tsan SANITIZE=tsan check

# gcc 12's analyzer raises false alarms in C: its findings are shown, not counted
lint: lint-fast
	$(MAKE) B=build-analyze OPT='-O1 -fanalyzer' WERROR= all 2>&1 | tee build-analyze.log | grep -A4 'Wanalyzer' || true

lint-fast:
	scripts/check-includes
	scripts/check-tour
	cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr \
	    --suppress=normalCheckLevelMaxBranches -D_GNU_SOURCE -I. \
	    --error-exitcode=1 common stages jobs config daemon cli

format:
	clang-format-16 -i $(shell find common stages jobs config daemon cli tests -name '*.[ch]')

DOCDIR  := $(PREFIX)/share/doc/ifud
MANDIR  := $(PREFIX)/share/man
COMPDIR := $(PREFIX)/share/bash-completion/completions
# cli/ifuctl.bash completes the words of these
COMPLETIONS := ifuctl ifurun ifud
UNITDIR := $(PREFIX)/lib/systemd
INSTALL_DATA = install -D -m 644
# The unit names the places where things are installed.
UNIT     = sed -e 's|@BINDIR@|$(PREFIX)/bin|' -e 's|@CONFDIR@|$(SYSCONFDIR)/ifud|' -e 's|@DOCDIR@|$(DOCDIR)|'

# Manual pages: what the programs say of themselves is filled in (scripts/make-man).
$(B)/man/%: docs/man/%.in scripts/make-man VERSION $(BINS)
	@mkdir -p $(@D)
	@scripts/make-man $(B)/bin $< >$@.part && mv $@.part $@

man: $(MANS)

install: all man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(UNITDIR)/system $(DESTDIR)$(DOCDIR)
	install -m 755 $(BINS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 README.md $(wildcard docs/*.*) $(DESTDIR)$(DOCDIR)
	$(foreach m,$(MANS),$(INSTALL_DATA) $(m) $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m)) &&) true
	$(foreach c,$(COMPLETIONS),$(INSTALL_DATA) cli/ifuctl.bash $(DESTDIR)$(COMPDIR)/$(c) &&) true
	$(UNIT) systemd/ifud.service >$(DESTDIR)$(UNITDIR)/system/ifud.service
	chmod 644 $(DESTDIR)$(UNITDIR)/system/ifud.service
	$(INSTALL_DATA) systemd/ifud.catalog $(DESTDIR)$(UNITDIR)/catalog/ifud.catalog
	$(INSTALL_DATA) systemd/ifud.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/ifud.conf
	$(INSTALL_DATA) systemd/ifud.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/ifud.conf
	test -e $(DESTDIR)$(SYSCONFDIR)/ifud/ifud.json || \
	    $(INSTALL_DATA) config/ifud.json $(DESTDIR)$(SYSCONFDIR)/ifud/ifud.json

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(notdir $(BINS)))
	rm -f $(DESTDIR)$(UNITDIR)/system/ifud.service $(DESTDIR)$(UNITDIR)/catalog/ifud.catalog
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/ifud.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/ifud.conf
	rm -f $(foreach m,$(MANS),$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))
	rm -f $(addprefix $(DESTDIR)$(COMPDIR)/,$(COMPLETIONS))
	rm -rf $(DESTDIR)$(DOCDIR)

clean:
	rm -rf build build-asan build-tsan build-fuzz build-analyze build-analyze.log

.PHONY: all tests check man asan tsan lint lint-fast format install uninstall clean
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
