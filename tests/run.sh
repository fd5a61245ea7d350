#!/bin/sh
# run.sh FOLDER LANE... - runs test programs, JUnit XML beside each, and closes
# with one line: N passed, N failed.
#
# A lane is a list of programs, which run one after another; the lanes run side
# by side. PROGRAM:TEXT,TEXT runs only the cases whose names contain a TEXT.
dir=$1
shift

# One program: what it printed, and a file with its two numbers.
run() {
    program=${1%%:*}
    name=$(echo "$1" | tr :/, -__ | tr -s _-)
    log=$dir/$name.log
    keys=
    case $1 in *:*) keys=$(echo ",${1#*:}" | sed 's/,/ -k /g') ;; esac
    rm -f "$dir/$name.xml"
    # shellcheck disable=SC2086 # options, with spaces between
    "$dir/$program" $keys -x "$dir/$name.xml" >"$log" 2>&1
    code=$?
    # shellcheck disable=SC2046 # two words
    set -- $(sed -n 's/^.*: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' \
        "$log" | tail -n 1)
    # It ended before it could count, or says less than its exit code.
    if [ $# -ne 2 ] || { [ $code -ne 0 ] && [ "$2" -eq 0 ]; }; then
        echo "FAIL $name: exit code $code" >>"$log"
        set -- "${1:-0}" $((${2:-0} + 1))
    fi
    grep -v '^  skipped' "$log"
    echo "$1 $2" >"$dir/$name.tally"
}

if [ "$1" = --lane ]; then
    shift
    for program; do run "$program"; done
    exit 0
fi

rm -f "$dir"/*.tally
# With xargs, and not with &: a Ctrl-C has to reach the programs, too.
printf '%s\n' "$@" | xargs -P "$#" -I '{}' sh -c 'sh "$0" "$1" --lane $2' \
    "$0" "$dir" '{}'
programs=$(echo "$*" | wc -w)
cat "$dir"/*.tally | awk -v programs="$programs" '
    { passed += $1; failed += $2 }
    END {
        failed += programs - NR # what was stopped
        print passed + 0 " passed, " failed + 0 " failed"
        exit failed > 0
    }'
