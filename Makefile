# banter: build, try, test, install. `make help` lists the targets.
#
# Variables for the command line or the environment:
#   CC CPPFLAGS CFLAGS LDFLAGS        as everywhere; what the sources need is added, never replaced
#   SANITIZE=address|thread|fuzz      an instrumented build (address: with UBSan), in a folder of its own
#   BUILD=FOLDER                      where all output goes; build, or build/$(SANITIZE)
#   NATS=no                           without banterd-nats.so, and so without the addresses and handlers that begin with nats:
#   LTO=no                            without link-time optimisation, as SANITIZE always is
#   WERROR=1                          warnings are errors, those of the linker too
#   V=1                               show whole command lines
#   PYTEST_ARGS='-k quit'             more arguments for pytest
#   BENCH='measure idle/memory'       what `make bench` does instead of everything; see tests/bench/run --help
#   FOR=10m                           how long `make fuzz` tries, in all; FUZZ='frame hello' is what
#   DEPS=no                           never install a package
#   PREFIX DESTDIR BINDIR SBINDIR LIBDIR MANDIR INCLUDEDIR PKGCONFIGDIR DOCDIR BASHCOMPLETIONDIR ZSHCOMPLETIONDIR
#   FISHCOMPLETIONDIR
#                                     where `make install` puts things

VERSION := 0.1.0

ifdef SANITIZE
BUILD ?= build/$(SANITIZE)
else
BUILD ?= build
endif

# Of what make takes for a list or a pattern there would be files in other places.
ifneq ($(words $(BUILD))$(strip $(foreach wrong,: % ' ",$(findstring $(wrong),$(BUILD)))),1)
$(error BUILD=$(BUILD): make can't work with this name of a folder; choose one without blanks and : % ' ")
endif

# What is installed is what was built: without these on its own command line, `make install` has those of the build.
settings := CC CPPFLAGS CFLAGS LDFLAGS LDLIBS LTO SANITIZE WERROR NATS
ifneq ($(filter install,$(MAKECMDGOALS)),)
-include $(BUILD)/settings
endif

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
# Anybody may run the server, and sbin is not in everybody's PATH.
SBINDIR ?= $(BINDIR)
LIBDIR ?= $(PREFIX)/lib
MANDIR ?= $(PREFIX)/share/man
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(PREFIX)/lib/pkgconfig
DOCDIR ?= $(PREFIX)/share/doc/banter
BASHCOMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
# Where zsh looks for what an administrator installs; a package's place is vendor-completions.
ZSHCOMPLETIONDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPLETIONDIR ?= $(PREFIX)/share/fish/vendor_completions.d
INSTALL ?= install
PYTHON ?= /usr/bin/python3
BENCH ?=
CORES := $(shell nproc 2>/dev/null || echo 2)
# End-to-end tests mostly wait.
PYTEST_JOBS ?= $(shell expr $(CORES) '*' 2)

# ---- flags

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual \
            -Wwrite-strings -Wformat=2 -Wvla -Wundef
ifneq ($(filter-out 0 no,$(WERROR)),)
WARNINGS += -Werror
fatal_warnings := -Wl,--fatal-warnings
endif

ifeq ($(SANITIZE),)
sanitize :=
else ifeq ($(SANITIZE),address)
sanitize := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SANITIZE),thread)
sanitize := -fsanitize=thread -fno-omit-frame-pointer
else ifeq ($(SANITIZE),fuzz)
# clang's; what `make fuzz` builds. Each program of tests/fuzz/ is linked with -fsanitize=fuzzer, too.
sanitize := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
$(error SANITIZE=$(SANITIZE) is not known; it can be address, thread or fuzz)
endif

# What makes a mistake in memory end the program, and not take it over. The library's checks need an optimising compiler;
# packagers bring flags of their own for them.
hardening := -fstack-protector-strong -fPIE
ifeq ($(SANITIZE)$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),)
ifneq ($(filter-out -O0,$(filter -O%,$(CFLAGS))),)
hardening += -D_FORTIFY_SOURCE=2
endif
endif
link_hardening := -pie -Wl,-z,relro -Wl,-z,now

# Debian's clang brings the plugin that the linker needs for its objects.
ifeq ($(filter 0 no,$(LTO))$(SANITIZE),)
lto := -flto=auto
endif

includes := -I. -Iserver/include -D_GNU_SOURCE -DBANTER_VERSION='"$(VERSION)"'
# For what finds the modules for TLS.
libdir := -DBANTER_LIBDIR='"$(LIBDIR)"'
# $(1): $(lto), or nothing.
compile = $(CC) -std=gnu17 $(includes) $(WARNINGS) $(sanitize) $(hardening) $(1) -pthread $(CPPFLAGS) $(CFLAGS)
link = $(CC) $(WARNINGS) $(sanitize) $(hardening) $(1) $(CFLAGS) $(link_hardening) $(fatal_warnings) $(LDFLAGS) \
       -pthread -o $@ $(filter %.o,$^) $(libs) $(LDLIBS)

ifneq ($(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),)
say = @
else ifneq ($(V),)
say =
else
say = @printf '  %-5s %s\n' $(1) $@;
endif

# ---- what is made of what

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
# The same for a program that is optimised as a whole. The many small ones of the tests and benchmarks are not: each
# would take as long to link as the server. So there are two kinds of objects, whose folders never mix.
whole = $(if $(lto),$(1:$(BUILD)/obj/%=$(BUILD)/lto/%),$(1))
# The unit test's sources among $(2) that include a header of folder $(1).
including = $(if $(2),$(shell grep -l '^.include "$(1)/' $(2)))

common := $(call objects,$(wildcard common/*.c))
# The server's rooms; server/handlers/examples/ is for who writes plugins, and no part of it.
server_rooms := server server/admin server/engine server/log server/net server/session server/handlers \
                server/handlers/program
# What the server itself has of its module for NATS.
nats_in_server := server/nats/library.c server/nats/words.c
server := $(call objects,$(wildcard $(addsuffix /*.c,$(server_rooms))) $(nats_in_server))
client_rooms := client client/terminal client/batch
client := $(call objects,$(wildcard $(addsuffix /*.c,$(client_rooms))))
server_parts := $(filter-out $(BUILD)/obj/server/main.o,$(server))
client_parts := $(filter-out $(BUILD)/obj/client/main.o,$(client))
# The client's module for TLS has a copy of common/ of its own.
tls_rooms := common/tls client/tls
tls_parts := $(call objects,$(wildcard $(addsuffix /*.c,$(tls_rooms))))
in_modules := $(filter-out common/module.c,$(wildcard common/*.c common/tls/*.c))
tls := $(patsubst %.c,$(BUILD)/pic/%.o,$(in_modules) $(wildcard client/tls/*.c))
# The server's, too.
server_tls_parts := $(call objects,$(wildcard server/tls/*.c common/tls/*.c))
server_tls := $(patsubst %.c,$(BUILD)/pic/%.o,$(in_modules) $(wildcard server/tls/*.c))

# The server's module for NATS uses the server's functions, too: those of exports.
nats_parts := $(call objects,$(filter-out $(nats_in_server),$(wildcard server/nats/*.c)))
nats := $(patsubst %.c,$(BUILD)/pic/%.o,$(in_modules) $(filter-out server/nats/library.c,$(wildcard server/nats/*.c)) server/engine/heap.c server/engine/inbox.c)
with_nats := $(if $(filter no,$(NATS)),,$(BUILD)/banterd-nats.so)

unit_sources := $(wildcard tests/unit/test_*.c)
unit_helpers := $(call objects,$(filter-out $(unit_sources),$(wildcard tests/unit/*.c)))
unit := $(unit_sources:tests/unit/%.c=$(BUILD)/tests/%)
test_handlers := $(call objects,$(wildcard tests/handlers/*.c))

# Each fuzz_NAME.c is a program.
fuzz_sources := $(wildcard tests/fuzz/fuzz_*.c)
fuzz_parts := $(call objects,tests/unit/frame_splitter.c)
fuzz := $(fuzz_sources:tests/fuzz/fuzz_%.c=$(BUILD)/fuzz/%)

# A bench source with a main() is a program; the others are parts of all of them, but for those of the load generator.
bench_sources := $(wildcard tests/bench/*.c tests/bench/peers/*.c)
bench_mains := $(if $(bench_sources),$(shell grep -l '^int main\>' $(bench_sources)))
load_sources := $(patsubst %,tests/bench/%.c,connection question secure traffic)
bench_parts := $(call objects,$(filter-out $(bench_mains) $(load_sources),$(bench_sources)) tests/handlers/work.c)
bench := $(addprefix $(BUILD)/bench/,$(notdir $(bench_mains:.c=)))
# Those that ask NATS and gearman, which only run-cluster needs.
askers := $(patsubst tests/bench/askers/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/askers/*.c))

pages := $(wildcard man/*.[1-8])
examples := $(wildcard server/handlers/examples/*.c)
scripts := $(shell grep -l '^\#!/bin/' .ci/run tests/tools/* debian/tests/* debian/banterd.*) common/completion.bash
c_sources := $(wildcard $(addsuffix /*.c,common $(server_rooms) server/handlers/examples $(client_rooms) $(tls_rooms) server/tls server/nats \
                                         tests/unit tests/fuzz tests/handlers tests/end_to_end/plugins tests/faults \
                                         tests/bench tests/bench/peers tests/bench/askers))
c_headers := $(wildcard $(addsuffix /*.h,common $(server_rooms) server/include/banter $(client_rooms) $(tls_rooms) server/tls server/nats \
                                         tests/unit tests/fuzz tests/handlers tests/faults tests/bench \
                                         tests/bench/peers tests/bench/askers))

tests_environment = BUILD='$(BUILD)' PYTHON='$(PYTHON)' JOBS='$(CORES)' PYTEST_JOBS='$(PYTEST_JOBS)' \
                    SANITIZE='$(SANITIZE)' CC='$(CC)' MAKE='$(MAKE)' UNIT='$(unit)'

.PHONY: all without-nats deps run check check-unit check-end-to-end tests faults client-faults bench-programs compare other-clients other-servers restarts cluster bench-cluster lint format install uninstall deb check-deb clean help bench instructions fuzz fuzz-programs FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/banterd $(BUILD)/banter $(BUILD)/banter-tls.so $(BUILD)/banterd-tls.so $(or $(with_nats),without-nats) ## build both programs (the default)

# What the server is linked with; and of its functions plugins see those of banter/handler.h.
server_libs := -lunistring -Wl,--export-dynamic-symbol='banter_reply_*' -Wl,--export-dynamic-symbol-list=server/nats/exports
client_libs := -lreadline -ltinfo
tls_libs := -lssl -lcrypto
nats_libs := -lnats -lcrypto

$(BUILD)/banterd: libs = $(server_libs)
$(BUILD)/banterd: $(call whole,$(server) $(common))
	$(call say,LINK)$(call link,$(lto))

$(BUILD)/banter: libs = $(client_libs)
$(BUILD)/banter: $(call whole,$(client) $(common))
	$(call say,LINK)$(call link,$(lto))

# clang brings a sanitizer's functions with a program only.
$(BUILD)/banter-tls.so $(BUILD)/banterd-tls.so: libs = -shared $(if $(SANITIZE),,-Wl,-z,defs) $(tls_libs)
$(BUILD)/banter-tls.so: $(tls)
$(BUILD)/banterd-tls.so: $(server_tls)
$(BUILD)/banter-tls.so $(BUILD)/banterd-tls.so:
	$(call say,LINK)$(filter-out -pie,$(link))

$(BUILD)/banterd-nats.so: libs = -shared $(nats_libs)
$(BUILD)/banterd-nats.so: $(nats)
	$(call say,LINK)$(filter-out -pie,$(link))

without-nats:
	@echo '  NATS=$(NATS): without banterd-nats.so; banterd refuses what begins with nats:'

# The server with the handler that tests steer; see tests/handlers/.
$(BUILD)/tests/banterd-test: libs = $(server_libs)
$(BUILD)/tests/banterd-test: $(call whole,$(filter-out $(BUILD)/obj/server/handlers/table.o,$(server)) \
                                          $(test_handlers) $(common))
	@mkdir -p $(@D)
	$(call say,LINK)$(call link,$(lto))

# It looks for its modules beside itself.
$(BUILD)/tests/%.so: $(BUILD)/%.so
	@mkdir -p $(@D)
	@ln -sf ../$(@F) $@
$(BUILD)/tests/banterd-test: | $(patsubst $(BUILD)/%,$(BUILD)/tests/%,$(BUILD)/banterd-tls.so $(with_nats))

# The same, with calls that can be made to fail; see tests/faults/. The linker puts a function of faults.c in the place
# of each, which it can't do with what is optimised as a whole.
faulty := malloc calloc realloc aligned_alloc strdup mmap accept4 epoll_create1 epoll_ctl epoll_wait recv send writev \
          eventfd timerfd_create pthread_create pipe2 clone open read write __read_chk __recv_chk __open_2
wrapped := $(faulty:%=-Wl,--wrap=%)
$(BUILD)/faults/banterd: libs = $(server_libs) $(wrapped) -Wl,--export-dynamic-symbol='__wrap_*'
$(BUILD)/faults/banterd: $(filter-out $(BUILD)/obj/server/handlers/table.o,$(server)) $(test_handlers) $(common) \
                         $(call objects,tests/faults/faults.c)
	@mkdir -p $(@D)
	$(call say,LINK)$(link)

$(BUILD)/faults/banter: libs = $(client_libs) $(wrapped) -Wl,--export-dynamic-symbol='__wrap_*'
$(BUILD)/faults/banter: $(client) $(common) $(call objects,tests/faults/faults.c)
	@mkdir -p $(@D)
	$(call say,LINK)$(link)

# Their modules, whose calls are the program's, and so are those of OpenSSL for memory.
$(BUILD)/faults/banterd-tls.so: $(server_tls)
$(BUILD)/faults/banter-tls.so: $(tls)
$(BUILD)/faults/banterd-tls.so $(BUILD)/faults/banter-tls.so: libs = -shared $(wrapped) $(tls_libs)
$(BUILD)/faults/banterd-tls.so $(BUILD)/faults/banter-tls.so: $(BUILD)/pic/tests/faults/openssl.o
	@mkdir -p $(@D)
	$(call say,LINK)$(filter-out -pie,$(link))

# Each unit test is a program of its own, with common/ and those parts whose headers it includes.
$(unit): libs = -lcmocka $(unit_libs)
$(unit): $(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(unit_helpers) $(common)
	@mkdir -p $(@D)
	$(call say,LINK)$(link)
program_of = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(call including,$(1),$(unit_sources)))
with_server := $(call program_of,server)
with_client := $(call program_of,client)
with_tls := $(sort $(foreach room,$(tls_rooms),$(call program_of,$(room))))
with_server_tls := $(call program_of,server/tls)
with_bench := $(call program_of,tests/bench)
$(with_server): $(server_parts)
$(with_server): unit_libs += $(server_libs)
$(with_client): $(client_parts)
$(with_client): unit_libs += $(client_libs)
$(with_tls): $(tls_parts)
$(with_tls): unit_libs += $(tls_libs)
$(with_server_tls): $(server_tls_parts)
$(with_server_tls): unit_libs += $(tls_libs)
$(with_bench): $(bench_parts)
# The first test decides which call for memory fails, the third which read or write; the second knows of each read.
$(BUILD)/tests/test_memory_out: unit_libs += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$(BUILD)/tests/test_turn_bounds: unit_libs += -Wl,--wrap=recv
$(BUILD)/tests/test_socket_failure: unit_libs += -Wl,--wrap=recv,--wrap=send
# One handler alone: the test makes the replies itself.
$(BUILD)/tests/test_hello: $(BUILD)/obj/server/handlers/hello.o
$(BUILD)/tests/test_hello: unit_libs = -lunistring
# Of the module for NATS what knows no libnats; the third has a link of its own.
$(BUILD)/tests/test_nats_service: $(call objects,server/nats/micro.c server/nats/quota.c)
$(BUILD)/tests/test_nats_shards: $(call objects,server/nats/shards.c)
$(BUILD)/tests/test_nats_front: $(call objects,server/nats/front.c server/nats/front_tries.c server/nats/shards.c)
$(BUILD)/tests/test_nats_nkey: $(call objects,server/nats/nkey.c)
$(BUILD)/tests/test_nats_nkey: unit_libs += -lcrypto

# Each is linked with as few parts as can be: after each try libFuzzer looks at all that it has.
$(fuzz): private sanitize += -fsanitize=fuzzer
$(fuzz): libs = $(fuzz_libs)
$(fuzz): $(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(fuzz_parts) $(common)
	@mkdir -p $(@D)
	$(call say,LINK)$(link)
$(BUILD)/fuzz/frame: $(BUILD)/obj/server/session/telnet.o
$(BUILD)/fuzz/answer: $(BUILD)/obj/server/handlers/program/answer.o
$(BUILD)/fuzz/tagged: $(server_parts)
$(BUILD)/fuzz/tagged: fuzz_libs = $(server_libs)
$(BUILD)/fuzz/server: $(server_parts) $(call objects,tests/fuzz/services.c tests/handlers/work.c)
$(BUILD)/fuzz/server: fuzz_libs = $(server_libs)
$(BUILD)/fuzz/lobby: $(server_parts) $(server_tls_parts) $(call objects,tests/fuzz/services.c tests/handlers/work.c)
$(BUILD)/fuzz/lobby: fuzz_libs = $(server_libs) $(tls_libs)
$(BUILD)/fuzz/address: fuzz_libs = -Wl,--wrap=getaddrinfo
$(BUILD)/fuzz/client: $(call objects,$(wildcard client/conversation*.c) client/transport.c client/tls_module.c)
$(BUILD)/fuzz/tls: $(call objects,$(wildcard client/tls/*.c)) $(server_tls_parts)
$(BUILD)/fuzz/tls: fuzz_libs = $(tls_libs)
$(BUILD)/fuzz/hello: $(BUILD)/obj/server/handlers/hello.o
$(BUILD)/fuzz/http: $(BUILD)/obj/server/admin/http.o
$(BUILD)/fuzz/hello: fuzz_libs = -lunistring
$(BUILD)/fuzz/who: $(patsubst %,$(BUILD)/obj/server/net/%.o,who who_read networks)
$(BUILD)/fuzz/proxy: $(BUILD)/obj/server/net/proxy.o
$(BUILD)/fuzz/text: $(patsubst %,$(BUILD)/obj/server/log/%.o,events json render stamp text) $(BUILD)/obj/client/printable.o

vpath %.o $(BUILD)/obj/tests/bench $(BUILD)/obj/tests/bench/peers
$(bench): libs = $(bench_libs)
$(BUILD)/bench/load: bench_libs = $(tls_libs)
$(BUILD)/bench/load: $(call objects,$(load_sources))
$(BUILD)/bench/uv_line: bench_libs = -luv
$(BUILD)/bench/event_line: bench_libs = -levent_core
$(foreach source,$(bench_mains),$(eval $(BUILD)/bench/$(basename $(notdir $(source))): $(call objects,$(source))))
$(bench): $(bench_parts) $(common)
	@mkdir -p $(@D)
	$(call say,LINK)$(link)

$(askers): $(BUILD)/bench/%: $(BUILD)/obj/tests/bench/askers/%.o $(common)
	@mkdir -p $(@D)
	$(call say,LINK)$(link)
$(BUILD)/bench/nats_asker: libs = -lnats
$(BUILD)/bench/gearman_asker $(BUILD)/bench/gearman_worker: libs = -lgearman

# Objects of different flags never meet: this file changes with the command line, and all depend on it.
quoted = '$(subst ','\'',$(1))'
# An assignment of the variable, as make reads it.
hash := \#
setting = $(1) := $(subst $(hash),\$(hash),$(subst $$,$$$$,$($(1))))
flags := $(call compile,$(lto)) | $(link_hardening) $(fatal_warnings) $(LDFLAGS) $(LDLIBS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(call quoted,$(flags)) | cmp -s - $@ || \
	    { printf '%s\n' $(foreach name,$(settings),$(call quoted,$(call setting,$(name)))) > $(BUILD)/settings && \
	      printf '%s\n' $(call quoted,$(flags)) > $@; }

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(BUILD)/deps-build
	@mkdir -p $(@D)
	$(call say,CC)$(compile) -MMD -MP -c -o $@ $<

# Nothing of a module meets the program's own but by its one symbol.
$(BUILD)/pic/%.o: %.c $(BUILD)/flags | $(BUILD)/deps-build
	@mkdir -p $(@D)
	$(call say,CC)$(compile) -fPIC -fvisibility=hidden -MMD -MP -c -o $@ $<

$(BUILD)/lto/%.o: %.c $(BUILD)/flags | $(BUILD)/deps-build
	@mkdir -p $(@D)
	$(call say,CC)$(call compile,$(lto)) -MMD -MP -c -o $@ $<

$(call objects,$(unit_sources)): | $(BUILD)/deps-test
$(call objects,$(bench_sources)): | $(BUILD)/deps-bench
$(patsubst $(BUILD)/bench/%,$(BUILD)/obj/tests/bench/askers/%.o,$(askers)): | $(BUILD)/deps-cluster

-include $(patsubst %.o,%.d,$(sort $(call objects,$(c_sources)) \
                                   $(call whole,$(server) $(client) $(common) $(test_handlers)) $(tls) $(server_tls) $(nats)))

# Where modules are installed; only their finder depends on that.
$(BUILD)/libdir: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(LIBDIR)' | cmp -s - $@ || printf '%s\n' '$(LIBDIR)' > $@
$(BUILD)/obj/common/module.o $(BUILD)/lto/common/module.o: $(BUILD)/libdir
$(BUILD)/obj/common/module.o $(BUILD)/lto/common/module.o: private includes += $(libdir)

# ---- what must be installed

get_deps = CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' PYTHON='$(PYTHON)' DEPS='$(DEPS)' NATS='$(NATS)' tests/tools/deps

deps: ## install what building and testing need (apt-get; nothing where all is there)
	@$(get_deps) build test bench

# Looked for once in each build folder. What several goals need is installed at once, by the first of them.
testing := $(filter check% tests,$(MAKECMDGOALS))
$(BUILD)/deps-build:
	@mkdir -p $(@D)
	@$(get_deps) build $(if $(testing),test bench) && touch $@
$(BUILD)/deps-test: | $(BUILD)/deps-build
	@$(get_deps) test bench && touch $@
$(BUILD)/deps-bench: | $(BUILD)/deps-build $(if $(testing),$(BUILD)/deps-test)
	@$(get_deps) bench && touch $@
$(BUILD)/deps-beside: | $(BUILD)/deps-build
	@$(get_deps) beside && touch $@
$(BUILD)/deps-cluster: | $(BUILD)/deps-build
	@$(get_deps) test bench cluster && touch $@
$(BUILD)/deps-compare: | $(BUILD)/deps-build
	@$(get_deps) test compare && touch $@
$(BUILD)/deps-clients: | $(BUILD)/deps-build
	@$(get_deps) clients && touch $@
$(BUILD)/deps-servers: | $(BUILD)/deps-build
	@$(get_deps) servers && touch $@
$(BUILD)/deps-instructions: | $(BUILD)/deps-build
	@$(get_deps) bench instructions && touch $@
$(BUILD)/deps-deb: | $(BUILD)/deps-build
	@$(get_deps) deb && touch $@
$(BUILD)/deps-root: | $(BUILD)/deps-deb
	@$(get_deps) root && touch $@
$(BUILD)/deps-lint: | $(BUILD)/deps-build
	@$(get_deps) lint && touch $@

# ---- try, test

run: all ## start a server on a free port, and a client that talks to it
	@tests/tools/run-pair '$(BUILD)'

# Instrumented, the load generators and peers have no tests.
tests: all $(unit) $(BUILD)/tests/banterd-test $(if $(SANITIZE),,$(bench)) | $(BUILD)/deps-test ## build all that the tests need

check: tests ## run all tests; the last line counts them
	@$(tests_environment) tests/tools/check unit end-to-end -- $(PYTEST_ARGS)

check-unit: $(unit) | $(BUILD)/deps-test ## run the unit tests
	@$(tests_environment) tests/tools/check unit

check-end-to-end: tests ## run the tests of the real programs; PYTEST_ARGS='-k NAME' selects
	@$(tests_environment) tests/tools/check end-to-end -- $(PYTEST_ARGS)

fuzz-programs: $(fuzz) ## build the fuzzers (with CC=clang SANITIZE=fuzz)

FOR ?= 2m
fuzz: ## feed the parsers and a server with what hurts, for FOR=10m in all; needs clang
	@CC=clang CPPFLAGS='$(CPPFLAGS)' PYTHON='$(PYTHON)' DEPS='$(DEPS)' tests/tools/deps build fuzz
	@$(MAKE) --no-print-directory CC=clang SANITIZE=fuzz BUILD='$(BUILD)/fuzz' fuzz-programs
	@'$(PYTHON)' tests/fuzz/run --programs '$(BUILD)/fuzz/fuzz' --for '$(FOR)' $(FUZZ)

faults: $(BUILD)/faults/banterd $(BUILD)/faults/banterd-tls.so | $(BUILD)/deps-test ## let each call of the server fail (half an hour; FAULTS='--share' for a part)
	@$(tests_environment) tests/faults/run $(FAULTS)

client-faults: all $(BUILD)/faults/banter $(BUILD)/faults/banter-tls.so | $(BUILD)/deps-test ## the same with the client (five minutes)
	@$(tests_environment) tests/faults/run-client $(FAULTS)

bench: all $(BUILD)/tests/banterd-test $(bench) | $(BUILD)/deps-beside ## measure beside all peers (30 minutes; BENCH='measure CELL' for less)
	@BANTER_BUILD='$(abspath $(BUILD))' tests/bench/run $(or $(BENCH),all)

instructions: all $(bench) | $(BUILD)/deps-instructions ## count the server's instructions for a request (a minute; INSTRUCTIONS=--check: no more than are kept)
	@BANTER_BUILD='$(abspath $(BUILD))' tests/bench/run instructions $(INSTRUCTIONS)

bench-programs: all $(bench) ## build the load generators and the peers to measure against

bench-cluster: all $(bench) $(askers) | $(BUILD)/deps-cluster ## measure a front and a worker machine beside libnats, gearman and HAProxy (five minutes)
	@BANTER_BUILD='$(abspath $(BUILD))' '$(PYTHON)' tests/bench/run-cluster $(BENCH)

compare: all | $(BUILD)/deps-compare ## try banter beside nc, redis-cli and others, and say what was seen
	@'$(PYTHON)' tests/compare/run --banter '$(BUILD)/banter'

other-clients: all | $(BUILD)/deps-clients ## try banterd with postmap, haproxy, finger and others as clients
	@BANTER_BUILD='$(abspath $(BUILD))' '$(PYTHON)' tests/tools/other-clients

other-servers: all | $(BUILD)/deps-servers ## try banter with redis, mpd, Node, Twisted and others as servers
	@BANTER_BUILD='$(abspath $(BUILD))' '$(PYTHON)' tests/tools/other-servers

restarts: all | $(BUILD)/deps-test ## restart servers under clients that must notice nothing, at full size (half a minute)
	@BANTER_BUILD='$(abspath $(BUILD))' '$(PYTHON)' tests/restarts/run

cluster: all | $(BUILD)/deps-test ## let machines of a NATS cluster fail under load, at full size (ten minutes; CLUSTER='lost --seed 2' for one)
	@BANTER_BUILD='$(abspath $(BUILD))' '$(PYTHON)' tests/cluster/run $(CLUSTER)

lint: | $(BUILD)/deps-lint ## check who includes whom, format, C, man pages and scripts
	'$(PYTHON)' tests/tools/rooms
	clang-format --dry-run -Werror $(c_sources) $(c_headers)
	printf '%s\n' $(c_sources) | xargs -P $(CORES) -n 3 sh -c \
	    'clang-tidy --quiet --warnings-as-errors="*" "$$@" -- -std=gnu17 $(subst ','\'',$(includes) $(libdir))' sh
	! mandoc -T lint -W style $(pages) 2>&1 | grep -v -e 'referenced manual not found' -e 'mandoc.db lacks'
	shellcheck $(scripts)

format: | $(BUILD)/deps-lint ## put the C sources into the format that lint wants
	clang-format -i $(c_sources) $(c_headers)

# ---- install

# For pkg-config; what is under the prefix is told relative to it, so that the whole can be moved.
pc_values = -e 's|@VERSION@|$(VERSION)|; s|@PREFIX@|$(PREFIX)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@DOCDIR@|$(DOCDIR)|' \
            -e '2,$$s|=$(PREFIX)/|=$${prefix}/|'

places := PREFIX BINDIR SBINDIR LIBDIR MANDIR INCLUDEDIR PKGCONFIGDIR DOCDIR BASHCOMPLETIONDIR \
          ZSHCOMPLETIONDIR FISHCOMPLETIONDIR
# A relative one would be in this folder, and wrong in banter.pc.
ifneq ($(filter install uninstall,$(MAKECMDGOALS)),)
$(foreach place,$(places),$(if $(filter /%,$(firstword $($(place)))),,$(error \
    $(place)=$($(place)): it must begin with /$(if $(filter ~%,$($(place))),; write $$HOME in the place of ~))))
endif

# Which folders install has made, so that uninstall removes these, and no others.
made := '$(DESTDIR)$(DOCDIR)/.made'
folders = '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(SBINDIR)' '$(DESTDIR)$(LIBDIR)/banter' \
          $(patsubst .%,'$(DESTDIR)$(MANDIR)'/man%,$(sort $(suffix $(pages)))) \
          '$(DESTDIR)$(INCLUDEDIR)/banter' '$(DESTDIR)$(PKGCONFIGDIR)' '$(DESTDIR)$(DOCDIR)/examples' \
          '$(DESTDIR)$(BASHCOMPLETIONDIR)' '$(DESTDIR)$(ZSHCOMPLETIONDIR)' '$(DESTDIR)$(FISHCOMPLETIONDIR)'

install: all ## install under $(DESTDIR)$(PREFIX)
	@made=$$(for folder in $(folders); do \
	    while [ ! -d "$$folder" ]; do printf '%s\n' "$$folder"; folder=$$(dirname "$$folder"); done; \
	done | sort -u) && $(INSTALL) -d '$(DESTDIR)$(DOCDIR)' && { [ -z "$$made" ] || printf '%s\n' "$$made" >> $(made); }
	$(INSTALL) -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(SBINDIR)'
	$(INSTALL) -m 755 $(BUILD)/banter '$(DESTDIR)$(BINDIR)/banter'
	$(INSTALL) -m 755 $(BUILD)/banterd '$(DESTDIR)$(SBINDIR)/banterd'
	$(INSTALL) -d '$(DESTDIR)$(LIBDIR)/banter'
	$(INSTALL) -m 644 $(BUILD)/banter-tls.so '$(DESTDIR)$(LIBDIR)/banter/banter-tls.so'
	$(INSTALL) -m 644 $(BUILD)/banterd-tls.so $(with_nats) '$(DESTDIR)$(LIBDIR)/banter'
	for page in $(notdir $(pages)); do \
	    folder='$(DESTDIR)$(MANDIR)'/man$${page##*.}; \
	    $(INSTALL) -d "$$folder" && $(INSTALL) -m 644 man/$$page "$$folder/$$page" || exit; \
	done
	$(INSTALL) -d '$(DESTDIR)$(INCLUDEDIR)/banter' '$(DESTDIR)$(PKGCONFIGDIR)' '$(DESTDIR)$(DOCDIR)/examples'
	$(INSTALL) -m 644 server/include/banter/handler.h '$(DESTDIR)$(INCLUDEDIR)/banter/handler.h'
	sed $(pc_values) server/banter.pc.in > '$(DESTDIR)$(PKGCONFIGDIR)/banter.pc'
	chmod 644 '$(DESTDIR)$(PKGCONFIGDIR)/banter.pc'
	$(INSTALL) -m 644 $(examples) '$(DESTDIR)$(DOCDIR)/examples'
	$(INSTALL) -m 644 LICENSE README.md '$(DESTDIR)$(DOCDIR)'
	$(INSTALL) -d '$(DESTDIR)$(BASHCOMPLETIONDIR)'
	$(INSTALL) -m 644 common/completion.bash '$(DESTDIR)$(BASHCOMPLETIONDIR)/banter'
	ln -sf banter '$(DESTDIR)$(BASHCOMPLETIONDIR)/banterd'
	$(INSTALL) -d '$(DESTDIR)$(ZSHCOMPLETIONDIR)' '$(DESTDIR)$(FISHCOMPLETIONDIR)'
	$(INSTALL) -m 644 common/completion.zsh '$(DESTDIR)$(ZSHCOMPLETIONDIR)/_banter'
	$(INSTALL) -m 644 common/completion.fish '$(DESTDIR)$(FISHCOMPLETIONDIR)/banter.fish'
	ln -sf banter.fish '$(DESTDIR)$(FISHCOMPLETIONDIR)/banterd.fish'

uninstall: ## remove what install put there
	rm -f '$(DESTDIR)$(BINDIR)/banter' '$(DESTDIR)$(SBINDIR)/banterd' '$(DESTDIR)$(LIBDIR)/banter/banter-tls.so' \
	    '$(DESTDIR)$(LIBDIR)/banter/banterd-tls.so' '$(DESTDIR)$(LIBDIR)/banter/banterd-nats.so'
	for page in $(notdir $(pages)); do rm -f '$(DESTDIR)$(MANDIR)'/man$${page##*.}/$$page; done
	rm -f '$(DESTDIR)$(INCLUDEDIR)/banter/handler.h' '$(DESTDIR)$(PKGCONFIGDIR)/banter.pc' \
	    $(patsubst %,'$(DESTDIR)$(DOCDIR)/examples/%',$(notdir $(examples))) \
	    '$(DESTDIR)$(BASHCOMPLETIONDIR)/banter' '$(DESTDIR)$(BASHCOMPLETIONDIR)/banterd' \
	    '$(DESTDIR)$(ZSHCOMPLETIONDIR)/_banter' \
	    '$(DESTDIR)$(FISHCOMPLETIONDIR)/banter.fish' '$(DESTDIR)$(FISHCOMPLETIONDIR)/banterd.fish' \
	    '$(DESTDIR)$(DOCDIR)/LICENSE' '$(DESTDIR)$(DOCDIR)/README.md'
	@[ ! -e $(made) ] || { folders=$$(sort -ru $(made)) && rm -f $(made) && \
	    printf '%s\n' "$$folders" | while IFS= read -r folder; do rmdir "$$folder" 2>/dev/null || :; done; }

# From a copy of the sources, with the flags of a package and not those of this make.
deb: | $(BUILD)/deps-deb ## build Debian packages, into build/deb
	rm -rf '$(BUILD)/deb'
	mkdir -p '$(BUILD)/deb/banter-$(VERSION)'
	if [ -e .git ]; then git ls-files -z; else find . -name build -prune -o -type f -print0; fi | \
	    tar -c --null --files-from=- | tar -x -C '$(BUILD)/deb/banter-$(VERSION)'
	cd '$(BUILD)/deb/banter-$(VERSION)' && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u BUILD -u SANITIZE -u LTO -u WERROR \
	    DEB_BUILD_OPTIONS="nocheck parallel=$(CORES) $$DEB_BUILD_OPTIONS" dpkg-buildpackage -us -uc
	rm -rf '$(BUILD)/deb/banter-$(VERSION)'
	@ls $(BUILD)/deb/*.deb

check-deb: deb | $(BUILD)/deps-root ## try the packages in a Debian of their own, as root (five minutes)
	@tests/tools/check-deb '$(BUILD)'

clean: ## remove all output (of this BUILD)
	rm -rf '$(BUILD)'

help: ## this list
	@echo 'make [TARGET]... [VARIABLE=VALUE]...'
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo 'Variables, with what they are now:'
	@echo '  BUILD=$(BUILD) SANITIZE=$(SANITIZE) WERROR=$(WERROR) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)'
	@echo '  CC=$(CC) CFLAGS="$(CFLAGS)"; the top of the Makefile tells what they mean'
