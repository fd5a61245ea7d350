# IPC Lab. `make help` lists what you would type.

# ---- settings; give them on the command line --------------------------------
# DEV=1      warnings are errors
# SAN=...    address, undefined or thread: built into build/SAN
# V=1        show whole commands
# SECONDS=60 how long soak and fuzz run
# PREFIX, DESTDIR   where `make install` puts the programs

PREFIX  ?= /usr/local
bindir  = $(PREFIX)/bin
libdir  = $(PREFIX)/lib/ipclab
INSTALL ?= install
VERSION = 0.1.0
SECONDS ?= 60

CFLAGS ?= -O2 -g
WARN = -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes \
       -Wmissing-prototypes -Wwrite-strings -Wconversion
ifeq ($(DEV),1)
WARN += -Werror
endif

BUILD = build$(if $(SAN),/$(SAN))
ifeq ($(SAN),)
else ifeq ($(SAN),address)
SANFLAGS = -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all
else ifeq ($(SAN),undefined)
SANFLAGS = -fsanitize=undefined -fno-sanitize-recover=all
else ifeq ($(SAN),thread)
# gcc says that it doesn't follow fences; clang doesn't know the option
SANFLAGS = -fsanitize=thread $(if $(findstring clang,$(CC)),,-Wno-tsan)
else
$(error SAN is address, undefined or thread, not '$(SAN)')
endif

# Asked when they are used, not when this file is read: `make deps` may just
# have installed what they ask for.
CJSON_CFLAGS = $(shell pkg-config --cflags libcjson 2>/dev/null)
CJSON_LIBS   = $(shell pkg-config --libs libcjson 2>/dev/null || echo -lcjson)
CUNIT_LIBS   = $(shell pkg-config --libs cunit 2>/dev/null || echo -lcunit)
REVISION     = $(shell git describe --always --dirty 2>/dev/null || echo unknown)

COMPILE = $(CC) -std=c11 -D_POSIX_C_SOURCE=200809L -Icommon -Ibench -Ibench/show \
          -Itests -MMD -MP -pthread $(WARN) $(CFLAGS) $(CPPFLAGS) $(SANFLAGS) $(CJSON_CFLAGS)
LINK    = $(CC) -pthread $(CFLAGS) $(SANFLAGS) $(LDFLAGS)

# ---- what is built from what --------------------------------------------------

CHAPTERS = pipe/pipe fifo/fifo mqueue/mqueue mqueue/quota shm/shm socket/socket
LIB = $(CHAPTERS) $(addprefix common/, transport rundir slots wait guard frame \
      cframe crc32 utf8 timestamp json schedule fileio journal_line journal_scan \
      journal_fresh journal_lock journal tokens store store_check wire server client)
ICS = $(addprefix common/ics_, file line read rule series value write zone)
CLI = $(ICS) $(addprefix common/, ipclab cmd cmd_serve cmd_events cmd_check cmd_web \
      exchange localtime week demo)
BENCH = $(addprefix bench/, ipcbench options plan sweep case measure lab bare \
        peer peers/folder peers/gets count count_perf count_strace stats machine \
        text) \
        $(addprefix bench/show/, table table_base table_block table_cell \
        table_compare table_lines table_machine table_noise table_price \
        table_sweep table_why report html html_table plot plot_bars plot_curves \
        plot_lines chart gnuplot svg compare)
BENCH_TESTS = test_bench test_ipcbench test_count test_machine test_compare \
              test_table test_html test_peers
DISK_TESTS = test_durability test_repair test_rounds
TESTS = test_schedule test_journal test_store test_wire test_server test_week test_ics \
        $(BENCH_TESTS) conformance test_crash test_cli test_access \
        test_exits test_neighbours test_threads test_gaps test_fuzz test_web $(DISK_TESTS)
# Two lanes side by side. All of a user's processes share one limit for message
# queues: what makes many stays in one lane.
LANE_1 = conformance:mqueue/ test_neighbours:mqueue/ test_crash test_cli test_exits \
         test_rounds test_access test_threads test_gaps test_fuzz test_web \
         $(filter test_ipcbench test_peers,$(TESTS))
LANE_2 = conformance:pipe/,fifo/,shm/,socket/ \
         test_neighbours:pipe/,fifo/,shm/,socket/ \
         $(filter-out conformance test_neighbours $(LANE_1),$(TESTS))
FUZZED = $(addprefix tests/fuzz/fuzz_, wire server client journal json import \
         ics time frame cframe)
SOAK = $(addprefix tests/, soak soak_client soak_look soak_run soak_server soak_watch)
CRASH = $(addprefix tests/, crash_cell crash_check crash_roles crash_run crash_step \
        crash_stop crash_sweep crash_table crash_traces)

obj = $(addprefix $(BUILD)/obj/, $(addsuffix .o, $(1)))
LIB_A = $(BUILD)/libipclab.a
TEST_BINS = $(addprefix $(BUILD)/tests/, $(TESTS))
SOURCES = $(LIB) $(CLI) $(BENCH) $(addprefix tests/, harness world faults promises \
          hostile fakes pingpong disk $(TESTS)) $(CRASH) $(SOAK) $(FUZZED) \
          $(addprefix tests/fuzz/, folder live strike)

PEERS = tcp zmq nng redis sqlite file

all: $(BUILD)/ipclab $(BUILD)/ipcbench

$(BUILD)/ipclab: $(call obj,$(CLI)) $(LIB_A)
$(BUILD)/ipcbench: $(call obj,$(BENCH)) $(LIB_A)
$(BUILD)/tests/test_ics: $(call obj,$(ICS) common/exchange common/localtime)
$(BUILD)/tests/test_week: $(call obj,common/week common/localtime)
$(addprefix $(BUILD)/tests/, $(BENCH_TESTS)): \
    $(call obj,$(filter-out bench/ipcbench,$(BENCH)) tests/fakes)
$(TEST_BINS): $(BUILD)/tests/%: $(BUILD)/obj/tests/%.o \
              $(BUILD)/obj/tests/harness.o $(LIB_A)
$(BUILD)/tests/conformance: $(call obj,$(addprefix tests/, world faults promises \
                              hostile))
$(BUILD)/tests/test_crash: $(call obj,$(CRASH))
$(addprefix $(BUILD)/tests/test_, access exits gaps neighbours threads): \
    $(call obj,tests/world)
$(BUILD)/tests/test_fuzz: $(call obj,tests/world $(FUZZED) $(addprefix tests/fuzz/, \
    folder live strike) $(ICS) $(addprefix common/, exchange localtime))
$(call obj,$(FUZZED)): DEFS = -DLLVMFuzzerTestOneInput=$(notdir $*)
# Their server is the one of `serve`, forked as demo does.
$(addprefix $(BUILD)/tests/, $(DISK_TESTS)): $(call obj,tests/disk \
    $(addprefix common/, cmd cmd_serve exchange localtime))
$(TEST_BINS): TEST_LIBS = $(CUNIT_LIBS)

$(BUILD)/pingpong: $(call obj,tests/pingpong) $(LIB_A)
$(BUILD)/soak: $(call obj,$(SOAK)) $(LIB_A)

# What people would use instead: each a shared object that ipcbench loads when it
# measures it, and that is left out where its library isn't installed. What it
# needs of the lab, ipcbench exports.
$(BUILD)/ipclab $(BUILD)/ipcbench $(addprefix $(BUILD)/tests/, $(BENCH_TESTS)): \
    LDLIBS += -rdynamic
peers: $(addprefix $(BUILD)/peers/, $(addsuffix .so, $(PEERS)))
zmq_NEEDS    = libzmq zmq.h -lzmq
nng_NEEDS    = nng nng/nng.h -lnng
redis_NEEDS  = hiredis hiredis/hiredis.h -lhiredis
sqlite_NEEDS = sqlite3 sqlite3.h -lsqlite3
# 1 pkg-config's name, 2 header, 3 library
needs = $(word $(1),$($*_NEEDS))
$(BUILD)/peers/%.so: bench/peers/%.c $(BUILD)/settings | $(BUILD)/found \
                         $(filter deps-peers,$(MAKECMDGOALS))
	$(Q)mkdir -p $(@D)
	$(Q)flags=`pkg-config --cflags $(call needs,1) 2>/dev/null`; \
	libs=`pkg-config --libs $(call needs,1) 2>/dev/null || echo $(call needs,3)`; \
	if [ -z '$(call needs,2)' ] || echo '#include <$(call needs,2)>' | \
	    $(CC) $$flags -E -x c - >/dev/null 2>&1; then \
	    $(if $(V),set -x;) echo "CC $<"; \
	    $(COMPILE) $$flags -fPIC -shared $(LDFLAGS) -o $@ $< $$libs; \
	else echo "skipped: peer $* (no <$(call needs,2)>; make deps-peers installs it)"; fi

# The timetable page: a gateway that `ipclab web` loads, and the page's files.
WEB = $(addprefix socket/web/, api api_call api_events api_files api_ways door \
      gateway guests reply shelf watch way web)
PAGE = $(wildcard socket/web/page/*)
web: all $(BUILD)/web/gateway.so
	$(Q)$(BUILD)/ipclab web
$(BUILD)/web/gateway.so: $(addsuffix .c, $(WEB)) $(wildcard socket/web/*.h common/*.h) \
                         $(PAGE) $(BUILD)/settings | \
                         $(BUILD)/found $(filter deps-web,$(MAKECMDGOALS))
	$(Q)mkdir -p $(@D)
	$(Q)if echo '#include <microhttpd.h>' | $(CC) -E -x c - >/dev/null 2>&1; then \
	    $(if $(V),set -x;) echo "LD web/gateway.so"; \
	    $(filter-out -MMD -MP,$(COMPILE)) -Isocket/web -fPIC -shared $(LDFLAGS) -o $@ \
	        $(filter %.c,$^) -lmicrohttpd $(CJSON_LIBS) && \
	    cp $(PAGE) $(@D); \
	else echo "skipped: the page's gateway (no <microhttpd.h>; make deps-web \
	installs it)"; fi

# Calls that a test makes fail, or stop half-way: they go through the test.
wrap = $(addprefix -Wl$(comma)--wrap=,$(1))
comma = ,
$(BUILD)/tests/test_journal: WRAP = $(call wrap,fdatasync ftruncate)
$(BUILD)/tests/test_store: WRAP = $(call wrap,fdatasync)
$(BUILD)/tests/test_table: WRAP = $(call wrap,peer_find)
$(BUILD)/tests/test_count: WRAP = $(call wrap,poll)
$(BUILD)/tests/test_peers: WRAP = $(call wrap,bench_event)
$(BUILD)/tests/test_machine: WRAP = $(call wrap,fopen getrusage sched_getaffinity)
$(BUILD)/soak: WRAP = $(call wrap,calloc free malloc realloc)
$(addprefix $(BUILD)/tests/, $(DISK_TESTS)): WRAP = $(call wrap,open read write pwrite \
    fdatasync fsync ftruncate rename link unlink fchmod fchown)
$(BUILD)/tests/test_gaps: WRAP = $(call wrap,calloc malloc realloc)
$(BUILD)/tests/test_threads: WRAP = $(call wrap,fdatasync memcpy mmap mq_close \
    munmap)
$(BUILD)/tests/test_access: WRAP = $(call wrap,fstat)
$(BUILD)/tests/test_exits: WRAP = $(call wrap,clock_gettime mq_timedreceive \
    mq_timedsend sem_clockwait sem_timedwait)
$(BUILD)/tests/conformance: WRAP = $(call wrap,read write writev sendmsg \
    mq_send mq_timedsend sem_post)
$(BUILD)/tests/test_crash: WRAP = $(call wrap,bind close connect fcntl fdatasync \
    fsync memcpy mkfifoat mmap mq_close mq_open mq_timedreceive mq_timedsend \
    mq_unlink munmap read sem_post sendmsg shm_unlink tp_srv_recv unlinkat write \
    writev)

$(LIB_A): $(call obj,$(LIB)) $(BUILD)/settings
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)

$(BUILD)/ipclab $(BUILD)/ipcbench $(BUILD)/pingpong $(BUILD)/soak $(TEST_BINS):
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(LINK) $(WRAP) -o $@ $(filter %.o,$^) $(LIB_A) $(TEST_LIBS) \
	    $(CJSON_LIBS) -lrt -ldl -lm $(LDLIBS)

$(BUILD)/obj/%.o: %.c $(BUILD)/settings | $(BUILD)/found
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) $(DEFS) -c -o $@ $<

revealed = $(call obj,bench/show/report bench/show/html)
$(revealed): DEFS = -DIPCLAB_REV='"$(REVISION)"' \
    -DIPCLAB_CFLAGS='"$(subst ",,$(CFLAGS))"'
$(revealed): $(BUILD)/revision

# What everything was built with: other settings build everything anew.
$(BUILD)/settings: remember = $(COMPILE) $(LINK)
$(BUILD)/revision: remember = $(REVISION)
$(BUILD)/settings $(BUILD)/revision: FORCE | $(filter clean deps%,$(MAKECMDGOALS))
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(subst ','\'',$(remember))' | cmp -s - $@ || \
	    echo '$(subst ','\'',$(remember))' > $@

# One clear sentence instead of a page of compiler errors.
$(BUILD)/found: | $(filter clean deps%,$(MAKECMDGOALS))
	$(Q)mkdir -p $(@D)
	$(Q)for h in cjson/cJSON.h bsd/sys/tree.h; do \
	    printf '#include <stdio.h>\n#include <%s>\n' $$h | \
	    $(CC) $(CJSON_CFLAGS) -E -x c - >/dev/null 2>&1 || { \
	    echo "make: <$$h> is missing. Type: make deps" >&2; exit 1; }; done
	$(Q)touch $@

-include $(patsubst %.o,%.d,$(call obj,$(SOURCES))) \
         $(addprefix $(BUILD)/peers/, $(addsuffix .d, $(PEERS)))

# ---- what you would type --------------------------------------------------------

tests: $(addprefix $(BUILD)/tests/, $(TESTS))

test: all tests peers $(BUILD)/web/gateway.so
	$(Q)IPCLAB_BIN=$(BUILD)/ipclab \
	    sh tests/run.sh $(BUILD)/tests '$(LANE_1)' '$(LANE_2)'

# The crash matrix for all ways to wait; `make test` has it for blocking.
crash: $(BUILD)/tests/test_crash
	$(Q)$(BUILD)/tests/test_crash --all

# Measures it, and puts the table into tests/README.md.
crash-table: $(BUILD)/tests/test_crash
	$(Q)$(BUILD)/tests/test_crash --table >$(BUILD)/crash.md
	$(Q)sed -e '/crash matrix: begin/r $(BUILD)/crash.md' \
	    -e '/crash matrix: begin/,/crash matrix: end/{//!d}' \
	    tests/README.md >$(BUILD)/crash-readme.md
	$(Q)cp $(BUILD)/crash-readme.md tests/README.md

# Again and again the server or a writer is killed: is all there, and once?
ROUNDS ?= 1000
kill-rounds: all $(BUILD)/tests/test_rounds
	$(Q)IPCLAB_BIN=$(BUILD)/ipclab IPCLAB_ROUNDS=$(ROUNDS) \
	    $(if $(SEED),IPCLAB_SEED=$(SEED)) $(BUILD)/tests/test_rounds

# The page in a real browser. ONLY=TEXT: the tests whose names contain it;
# SHOTS=FOLDER: pictures of all states, to be looked at.
test-web: all $(BUILD)/web/gateway.so | $(filter deps-web,$(MAKECMDGOALS))
	$(Q)SHOTS='$(SHOTS)' sh tests/web/run.sh $(BUILD) $(if $(ONLY),'$(ONLY)')

# What tools say: which lines no test runs, what is read before it is written,
# what looks wrong.
coverage:
	$(Q)sh tests/coverage.sh
memcheck: $(BUILD)/tests/conformance
	$(Q)sh tests/valgrind.sh $(BUILD)/tests
lint:
	$(Q)sh tests/lint.sh

# ---- fuzzing ------------------------------------------------------------------

# libFuzzer comes with clang: objects of its own, whatever CC is.
TARGETS = $(patsubst tests/fuzz/fuzz_%,%,$(FUZZED))
FUZZERS = $(addprefix $(BUILD)/fuzz/, $(TARGETS))
fuzz_obj = $(addprefix $(BUILD)/fuzz/obj/, $(addsuffix .o, $(1)))
FUZZ_WITH = $(LIB) $(ICS) common/exchange common/localtime tests/fuzz/folder \
            tests/fuzz/libfuzzer
FUZZ_SAN = address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

$(BUILD)/fuzz/%: private CC = clang
$(BUILD)/fuzz/obj/%.o: private SANFLAGS = -fsanitize=fuzzer-no-link,$(FUZZ_SAN)
$(BUILD)/fuzz/obj/%.o: %.c $(BUILD)/settings | $(BUILD)/found
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) $(DEFS) -c -o $@ $<

$(FUZZERS): private SANFLAGS = -fsanitize=fuzzer,$(FUZZ_SAN)
$(FUZZERS): $(BUILD)/fuzz/%: $(BUILD)/fuzz/obj/tests/fuzz/fuzz_%.o \
            $(call fuzz_obj,$(FUZZ_WITH))
	$(call say,LD,$@)
	$(Q)$(LINK) -o $@ $^ $(CJSON_LIBS) -lrt -ldl -lm $(LDLIBS)

-include $(patsubst %.o,%.d,$(call fuzz_obj,$(FUZZED) $(FUZZ_WITH)))

# Looks for inputs that reach new code, and for those that fail. What it finds
# is kept in build/fuzz/found/TARGET; tests/README.md says what to do with it.
fuzz:
	$(Q)mkdir -p $(BUILD)/fuzz
	$(Q)if echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | \
	    clang -fsanitize=fuzzer -o $(BUILD)/fuzz/probe -x c - 2>/dev/null; \
	then $(MAKE) --no-print-directory fuzz-run; \
	else echo "skipped: fuzz (no clang with libFuzzer: apt-get install clang)"; fi

fuzz-run: $(FUZZERS)
	$(Q)dir=/dev/shm; [ -d $$dir ] || dir=/tmp; \
	FUZZ_DIR=`mktemp -d $$dir/ipclab-fuzz-XXXXXX` || exit 1; export FUZZ_DIR; \
	trap 'rm -rf "$$FUZZ_DIR"' EXIT; trap 'exit 1' HUP INT TERM; \
	n=0; for t in $(or $(TARGET),$(TARGETS)); do \
	    mkdir -p $(BUILD)/fuzz/found/$$t; echo "fuzz: $$t"; \
	    $(BUILD)/fuzz/$$t $(if $(RUNS),-runs=$(RUNS),-max_total_time=$(SECONDS)) \
	        -max_len=1500 -timeout=60 -print_final_stats=1 -verbosity=0 \
	        -artifact_prefix=$(BUILD)/fuzz/failed-$$t- \
	        $(BUILD)/fuzz/found/$$t tests/fuzz/corpus/$$t || \
	        { echo "fuzz: $$n passed, 1 failed: $$t"; exit 1; }; \
	    n=$$((n + 1)); done; echo "fuzz: $$n passed, 0 failed"

# A server between honest and hostile clients, SECONDS for each case.
fuzz-live: $(BUILD)/tests/test_fuzz
	$(Q)FUZZ_SECONDS=$(SECONDS) $(BUILD)/tests/test_fuzz -v -k live/

# 64 clients come, go and die for so long: does anything grow, is anything lost?
soak: $(BUILD)/soak
	$(Q)$(BUILD)/soak $(if $(SEED),--seed '$(SEED)') '$(SECONDS)'

bench: all
	$(Q)mkdir -p $(BUILD)/bench
	$(Q)$(BUILD)/ipcbench --json $(BUILD)/bench/results.json

# Everything: all waits, placements, sweeps and peers; about a quarter of an hour.
bench-full: all peers
	$(Q)mkdir -p $(BUILD)/bench
	$(Q)$(BUILD)/ipcbench --wait all --place all --sweep all --runs 10 \
	    --json $(BUILD)/bench/results.json

# The base is looked at, and kept, before anything is measured: it may be the
# very file that the new results will replace.
bench-compare: all
	$(Q)test -n '$(BASE)' || { \
	    echo 'make bench-compare BASE=old.json: which results?' >&2; exit 64; }
	$(Q)$(BUILD)/ipcbench --compare '$(BASE)' '$(BASE)' >/dev/null
	$(Q)mkdir -p $(BUILD)/bench
	$(Q)cp '$(BASE)' $(BUILD)/bench/base.json
	$(Q)$(MAKE) -s bench
	$(Q)$(BUILD)/ipcbench --compare $(BUILD)/bench/base.json \
	    $(BUILD)/bench/results.json $(if $(THRESHOLD),--threshold $(THRESHOLD))

# Is the floor right? Ours against a ping-pong that shares no code with it.
bench-check: all $(BUILD)/pingpong
	$(Q)sh tests/bare_check.sh $(BUILD)

demo: all
	$(Q)$(BUILD)/ipclab demo

install: all
	$(INSTALL) -d '$(DESTDIR)$(bindir)'
	$(INSTALL) $(BUILD)/ipclab $(BUILD)/ipcbench '$(DESTDIR)$(bindir)'
	$(Q)for p in $(wildcard $(BUILD)/peers/*.so); do \
	    $(INSTALL) -d '$(DESTDIR)$(libdir)/peers' && \
	    $(INSTALL) $$p '$(DESTDIR)$(libdir)/peers' || exit 1; done
	$(Q)if [ -e $(BUILD)/web/gateway.so ]; then \
	    $(INSTALL) -d '$(DESTDIR)$(libdir)/web' && \
	    $(INSTALL) $(BUILD)/web/* '$(DESTDIR)$(libdir)/web'; fi

install-strip:
	$(MAKE) INSTALL='$(INSTALL) -s' install

uninstall:
	rm -f '$(DESTDIR)$(bindir)/ipclab' '$(DESTDIR)$(bindir)/ipcbench'
	rm -rf '$(DESTDIR)$(libdir)'

clean:
	rm -rf build

# Installs through apt what is missing for build, tests and benchmark.
PACKAGES = gcc libc6-dev make pkg-config libcjson-dev libcunit1-dev libbsd-dev

deps:
	$(Q)sh .ci/deps $(PACKAGES)

# What the benchmark can compare with, and its pictures.
deps-peers:
	$(Q)sh .ci/deps libzmq3-dev libnng-dev libhiredis-dev redis-tools \
	    libsqlite3-dev

# For test-web also a browser, Debian's own, and what drives it: two packages of
# npm with their checksums. What is there already is used; Node 18 is enough.
absent = $$(command -v $(1) >/dev/null || echo $(2))
deps-web: deps
	$(Q)sh .ci/deps libmicrohttpd-dev python3-icalendar \
	    $(if $(filter test-web,$(MAKECMDGOALS)),$(call absent,chromium,chromium) \
	    $(call absent,node,nodejs) $(call absent,npm,npm))
	$(if $(filter test-web,$(MAKECMDGOALS)),$(Q)mkdir -p $(BUILD)/web-tests && \
	    cp tests/web/package*.json $(BUILD)/web-tests && \
	    cd $(BUILD)/web-tests && npm ci --loglevel=error --ignore-scripts --no-audit --no-fund)

deps-tools:
	$(Q)sh .ci/deps clang clang-format clang-tidy cppcheck valgrind

deps-plots:
	$(Q)sh .ci/deps gnuplot-nox

help:
	@echo "make deps         install what is missing (Debian, Ubuntu)"
	@echo "make              build build/ipclab and build/ipcbench"
	@echo "make test         run all tests"
	@echo "make kill-rounds  ROUNDS=$(ROUNDS): kill -9, and nothing is lost (5 min)"
	@echo "make soak         SECONDS=$(SECONDS): 64 clients come, go and die; nothing grows"
	@echo "make crash        kill -9 at every step, over every transport (2 min)"
	@echo "make test-web     the page in a real browser (make deps-web test-web)"
	@echo "make coverage     which lines the tests run (3 min)"
	@echo "make memcheck     the transports' suite under valgrind (1 min)"
	@echo "make lint         clang-tidy and cppcheck (2 min)"
	@echo "make fuzz         libFuzzer, SECONDS=$(SECONDS) or RUNS= each, TARGET=all"
	@echo "make fuzz-live    hostile clients, SECONDS=$(SECONDS) for each case"
	@echo "make bench        compare the five mechanisms on this machine (1 min)"
	@echo "make bench-full   sizes, clients, depth, idle time, load ... (20 min)"
	@echo "make bench-compare BASE=old.json   what is better or worse than then"
	@echo "make bench-check  our floor against an independent ping-pong"
	@echo "make deps-plots   gnuplot, for the pictures in report.html"
	@echo "make deps-peers   ZeroMQ, nng, Redis, SQLite, to compare with"
	@echo "make deps-tools   clang, clang-tidy, cppcheck, valgrind"
	@echo "make web          the timetable as a page (make deps-web: what it needs)"
	@echo "make demo         a tour of about a minute"
	@echo "make install      PREFIX=$(PREFIX) DESTDIR=$(DESTDIR); also uninstall"
	@echo "make clean        remove build/"
	@echo "settings: DEV=1  SAN=address|undefined|thread  V=1  CC=clang"

.PHONY: all tests peers test test-web web crash crash-table kill-rounds soak fuzz \
        fuzz-run fuzz-live coverage memcheck lint bench bench-full bench-compare \
        bench-check demo install install-strip uninstall clean deps deps-peers \
        deps-plots deps-tools deps-web help FORCE
.DELETE_ON_ERROR:

Q = $(if $(V),,@)
say = @$(if $(V),:,echo "$(1) $(patsubst $(BUILD)/%,%,$(2))")
