#!/bin/sh
# valgrind.sh [--all] FOLDER - the conformance suite under valgrind's memcheck:
# no byte is read before it was written, none beyond its end, and no process
# loses memory, whichever way it ends. FOLDER has the program (build/tests).
# Without --all only blocking cases, and not the longest.
# Closes with: N passed, N failed
cases=/block/
long='(race|come-and-go|begun-sends|woken|[0-9]+-clients|policies|mechanism|depth)'
if [ "$1" = --all ]; then
    shift
    cases=.
    # Sends that take most of their deadline of 50 ms; signals that come while
    # somebody sleeps. Here they come too late, or too early.
    long='(begun-sends|woken)'
fi
dir=${1:-build/tests}

if ! command -v valgrind >/dev/null; then
    echo "skipped: no valgrind (make deps-tools installs it)"
    echo "0 passed, 0 failed"
    exit 0
fi

# Under valgrind all is some twenty times slower: the harness gives more time.
export IPCLAB_TEST_SLOW=10
export program="$dir/conformance" logs="$dir/valgrind"
rm -f "$logs".*

# A dozen cases each time, two times side by side. Every process of every case
# is looked at, and ends with 99 where something was found: so its case fails.
# What is still reachable when a process ends isn't lost: the kernel has it.
# No debugger can come: its FIFOs in /tmp would outlive all that is killed here.
batches() { # SIDE-BY-SIDE FILTER...
    lanes=$1
    shift
    "$program" -l | grep -e "$cases" | grep -Ev "/$long\$" | grep "$@" |
        sed 's/^/-k/' | xargs -n 12 -P "$lanes" sh -c '
        valgrind --quiet --vgdb=no --trace-children=yes --error-exitcode=99 \
            --leak-check=full --show-leak-kinds=definite \
            --errors-for-leak-kinds=definite --num-callers=20 \
            "$program" "$@" >"$logs.$$" 2>&1
        grep -v "^  skipped" "$logs.$$"
        tail -n 1 "$logs.$$" | grep -q " passed, " ||
            echo "valgrind: 0 passed, 1 failed" >>"$logs.$$"' sh
}

batches 2 -v ^mqueue/
batches 1 ^mqueue/ # a user has one limit for all message queues

sed -n 's/^.*: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$logs".* | awk '
    { passed += $1; failed += $2 }
    END {
        print passed + 0 " passed, " failed + 0 " failed"
        exit failed > 0 || passed == 0
    }'
