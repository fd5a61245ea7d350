#!/bin/sh
# run.sh FOLDER PROGRAM... - runs the test programs, JUnit XML beside each, and
# closes with one line: N passed, N failed.
dir=$1
shift
passed=0 failed=0
for t; do
    rm -f "$dir/$t.xml"
    "$dir/$t" -x "$dir/$t.xml" >"$dir/$t.log" 2>&1
    code=$?
    grep -v '^  skipped' "$dir/$t.log"
    set -- $(sed -n 's/^.*: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' \
        "$dir/$t.log" | tail -n 1)
    passed=$((passed + ${1:-0}))
    failed=$((failed + ${2:-0}))
    # It ended before it could count, or says less than its exit code.
    if [ $# -ne 2 ] || { [ $code -ne 0 ] && [ "$2" -eq 0 ]; }; then
        echo "FAIL $t: exit code $code"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
