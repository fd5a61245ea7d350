#!/bin/sh
# coverage.sh [LEAST] - which lines and branches of common/ and the chapters do
# the tests run? Builds everything anew into build/coverage, runs the suite and
# prints a table; the lines that nothing has run are in
# build/coverage/missed.txt. Fails when fewer than LEAST percent of the lines
# were run (90), or a test has failed.
#
# Rests on: gcc's --coverage and gcov(1).
least=${1:-90}
cd "$(dirname "$0")/.." || exit 1
build=build/coverage
rm -rf "$build"
mkdir -p "$build/gcov"

# -O0: each line is itself. Threads count in the same place: atomically.
# Programs that weren't built to be counted have nothing to write.
${CC:-gcc} -std=c11 -O2 -c -o "$build/exit_dump.o" tests/exit_dump.c || exit 1
# What can't write them needn't say so where a test reads what was said: a
# program that may open no file any more, or none of this size.
export GCOV_ERROR_FILE=/dev/null IPCLAB_TEST_SLOW=3
make -s -j"$(nproc)" BUILD="$build" BENCH_TESTS= \
    CFLAGS='-O0 -g --coverage -fprofile-update=atomic' \
    LDFLAGS="--coverage -Wl,--wrap=_exit $PWD/$build/exit_dump.o" \
    test >"$build/test.log" 2>&1
tests=$?
grep -v '^\(CC\|LD\|AR\) \|^profiling:' "$build/test.log"

# gcov reads .gcda and .gcno, and writes FILE.gcov: each line with how often it
# ran, and behind it, how often each of its branches was taken.
objects=$(cd "$build/obj" && ls common/*.gcda pipe/*.gcda fifo/*.gcda \
    mqueue/*.gcda shm/*.gcda socket/*.gcda)
for object in $objects; do
    source=${object%.gcda}.c
    gcov -b -c -t -o "$build/obj/$object" "$source" 2>/dev/null \
        >"$build/gcov/$(echo "$source" | tr / -)"
done

# The gateway is compiled in one go, and its counters are named after it.
for counters in "$build"/web/gateway.so-*.gcda; do
    [ -e "$counters" ] || continue # it isn't built here
    source=socket/web/$(basename "$counters" .gcda | sed 's/gateway.so-//').c
    gcov -b -c -t -o "$counters" "$source" 2>/dev/null \
        >"$build/gcov/$(echo "$source" | tr / -)"
done

# One table over all of them. A header's inline functions are compiled into
# each file that includes it: a line of theirs has run when it ran in one.
: >"$build/missed.txt"
awk -v least="$least" -v missed="$build/missed.txt" -f tests/coverage.awk \
    "$build"/gcov/*
table=$?
echo "lines that nothing has run: $build/missed.txt"
[ $tests -eq 0 ] && [ $table -eq 0 ]
