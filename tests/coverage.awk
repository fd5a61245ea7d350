# coverage.awk - gcov's listings in, a table of the lab's files out
#
#     FOLDER/FILE.c     lines  run  %   branches  taken  %

/^ *-: *0:Source:/ {
    file = $0
    sub(/.*Source:/, "", file)
    ours = file ~ /^(common|pipe|fifo|mqueue|shm|socket)\//
    line = 0
    next
}
!ours { next }

# "     12:   34:text", "    #####:   34:text", "        -:   34:text"
/^ *[0-9#=*-]+: *[0-9]+:/ {
    split($0, part, ":")
    count = part[1]
    line = part[2] + 0
    gsub(/[ *]/, "", count)
    if (count == "-" || line == 0)
        next
    key = file ":" line
    if (!(key in text)) {
        lines[file]++
        text[key] = substr($0, length(part[1]) + length(part[2]) + 3)
        order[++known] = key
    }
    if (count !~ /^[#=]/ && !(key in run)) {
        run[key] = 1
        ran[file]++
    }
    branch = 0
    next
}
/^branch / {
    key = file ":" line ":" branch++
    if (!(key in seen)) {
        seen[key] = 1
        branches[file]++
    }
    if ($3 == "taken" && $4 + 0 > 0 && !(key in went)) {
        went[key] = 1
        taken[file]++
    }
}

function percent(part, all) {
    return all ? sprintf("%.1f", 100 * part / all) : "-"
}

function row(name, l, r, b, t) {
    printf "%-24s %6d %6d %6s %9d %6d %6s\n", name, l, r, percent(r, l), b, t,
        percent(t, b)
}

END {
    printf "%-24s %6s %6s %6s %9s %6s %6s\n", "", "lines", "run", "%",
        "branches", "taken", "%"
    n = 0
    for (f in lines)
        names[++n] = f
    for (i = 2; i <= n; i++) { # few: insertion sort
        for (j = i; j > 1 && names[j] < names[j - 1]; j--) {
            f = names[j]
            names[j] = names[j - 1]
            names[j - 1] = f
        }
    }
    for (i = 1; i <= n; i++) {
        f = names[i]
        row(f, lines[f], ran[f], branches[f], taken[f])
        folder = f
        sub(/\/.*/, "", folder)
        l[folder] += lines[f]
        r[folder] += ran[f]
        b[folder] += branches[f]
        t[folder] += taken[f]
        al += lines[f]
        ar += ran[f]
        ab += branches[f]
        at += taken[f]
    }
    print ""
    split("common pipe fifo mqueue shm socket", part, " ")
    for (i = 1; i <= 6; i++) {
        f = part[i]
        row(f "/", l[f], r[f], b[f], t[f])
        if (l[f] == 0 || 100 * r[f] < least * l[f]) {
            low = 1
            print "FAIL " f "/: fewer than " least " % of its lines"
        }
    }
    row("all", al, ar, ab, at)
    for (i = 1; i <= known; i++)
        if (!(order[i] in run))
            print order[i] ":" text[order[i]] >missed
    exit low
}
