#!/bin/sh
# bare_check.sh BUILD [ROUNDS] - is the benchmark's floor a floor?
#
# Measures each mechanism's bare ping-pong (16 bytes there, 128 back) in turn by
# BUILD/ipcbench and by BUILD/pingpong (tests/pingpong.c), which share no line;
# blocking on one CPU and spinning on two. What counts is the median of the
# ratios, each of two runs next to each other: when the machine changes its
# speed it changes for both. A row that doesn't agree gets more rounds, up to
# three times as many, and all of them count: chance dies out, a real
# difference stays.
#
# Exit: 0 all within 15 %; 1 one isn't; 64 usage.
export LC_ALL=C
bench=${1:-.}/ipcbench
pingpong=${1:-.}/pingpong
rounds=${2:-7}
if [ $# -lt 1 ] || ! [ -x "$bench" ] || ! [ -x "$pingpong" ]; then
    echo "usage: bare_check.sh BUILD [ROUNDS]; BUILD has ipcbench, pingpong" >&2
    exit 64
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP
: >"$tmp/pairs"
: >"$tmp/errors"

# PLACE: "1 0", the CPUs of client and server; "" = this machine has none.
cpus_of() {
    tr -d ' \t\n' <"$tmp/ours.json" |
        sed -n "s/.*\"cpus_$1\":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/p"
}

# MECHANISM WAIT PLACE: the benchmark's p50 in ns; "" = it has none.
ours() {
    rm -f "$tmp"/ours.*
    "$bench" --transports "$1" --wait "$2" --place "$3" --deadline none \
        --no-why --runs 1 --seconds 0.05 --json "$tmp/ours.json" \
        >"$tmp/said" 2>&1 || tail -n 1 "$tmp/said" >>"$tmp/errors"
    [ -r "$tmp/ours.csv" ] && awk -F, -v name="$1/$2/$3/bare/128" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == "p50_ns") p50 = i }
        $1 == name { print $p50 }' "$tmp/ours.csv"
}

# MECHANISM WAIT CPU CPU COUNT: the same of the other program.
theirs() {
    "$pingpong" "$1" "$2" "$3" "$4" 16 128 "$5" 2>>"$tmp/errors" |
        awk '{ print $2 }'
}

# As many round trips as take 0.05 s, if one takes so many ns.
count_for() {
    awk -v ns="${1:-5000}" 'BEGIN {
        n = ns > 0 ? int(5e7 / ns) : 0
        if (n < 500) n = 500
        if (n > 500000) n = 500000
        print n }'
}

# MECHANISM WAIT PLACE: one more pair, on the same CPUs.
pair() {
    a=$(ours "$1" "$2" "$3") b='' cpus=''
    [ -r "$tmp/ours.json" ] && cpus=$(cpus_of "$3")
    # shellcheck disable=SC2086 # two words
    [ -n "$cpus" ] && b=$(theirs "$1" "$2" $cpus "$(count_for "$a")")
    echo "$1 $2 $3 ${a:--} ${b:--} ${cpus:-none}" >>"$tmp/pairs"
}

# The table of all pairs so far; only "MECHANISM WAIT PLACE" of the rows that
# don't agree when `pending` is 1. Exit 1 when there are such rows.
table() {
    awk -v pending="$1" '
        function median(v, n,   i, k, x) {
            for (i = 2; i <= n; i++) {
                x = v[i]
                for (k = i - 1; k >= 1 && v[k] > x; k--) v[k + 1] = v[k]
                v[k + 1] = x
            }
            return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
        }
        {
            row = $1 " " $2 " " $3
            if (!(row in seen)) order[++rows] = row
            seen[row]++
            if ($6 == "none") absent[row] = 1
            if ($4 > 0) left[row]++
            if ($5 > 0) right[row]++
            if ($4 > 0 && $5 > 0) {
                n = ++good[row]
                a[row, n] = $4; b[row, n] = $5; q[row, n] = $4 / $5
            }
        }
        END {
            if (!pending)
                printf "%-22s%12s%12s   %s\n", "lowest p50", "benchmark",
                    "other", "median ratio of the pairs"
            for (r = 1; r <= rows; r++) {
                row = order[r]; n = good[row]; split(row, word)
                line = sprintf("%-8s%-7s%-7s", word[1], word[2], word[3])
                if (absent[row]) {
                    if (!pending) print line "  not here: only one CPU"
                    continue
                }
                if (!left[row] && !right[row]) {
                    if (!pending) print line "  not here: neither can"
                    continue
                }
                if (n < 3) {
                    bad++
                    if (pending) print row
                    else print line "  WRONG: measured only " n + 0 " times"
                    continue
                }
                for (i = 1; i <= n; i++) {
                    x[i] = a[row, i]; y[i] = b[row, i]; z[i] = q[row, i]
                }
                ratio = median(z, n); median(x, n); median(y, n) # sorts
                wrong = ratio > 1.15 || ratio < 1 / 1.15
                bad += wrong; judged++
                if (pending && wrong) print row
                if (!pending)
                    printf "%s%9d ns%9d ns   %.2f %s (%d pairs, %.2f to %.2f)\n",
                        line, x[1], y[1], ratio, wrong ? "WRONG" : "ok",
                        n, z[1], z[n]
            }
            if (!pending && !bad && judged)
                print "The benchmark'\''s floor and an independent program " \
                    "agree within 15 %."
            else if (!pending)
                print "WRONG: not all agree within 15 %. Is the machine " \
                    "quiet? Then one of the two is not the floor."
            exit bad > 0 || !judged
        }' "$tmp/pairs"
}

for wait_place in 'block same' 'spin cross'; do
    for mechanism in pipe fifo mqueue shm socket; do
        echo "$mechanism $wait_place"
    done
done >"$tmp/pending"
for try in 1 2 3; do
    round=0
    while [ "$round" -lt "$rounds" ]; do
        round=$((round + 1))
        [ -t 2 ] && printf '\rround %d of %d, try %d ' \
            "$round" "$rounds" "$try" >&2
        while read -r mechanism wait place; do
            pair "$mechanism" "$wait" "$place" "$round" </dev/null
        done <"$tmp/pending"
    done
    table 1 >"$tmp/next" && break
    mv "$tmp/next" "$tmp/pending"
done
[ -t 2 ] && printf '\r%30s\r' '' >&2
table 0
code=$?
[ $code -ne 0 ] && sort -u "$tmp/errors" >&2
exit $code
