#!/bin/sh
# lint.sh [FILE...] - clang-tidy (.clang-tidy, here and in bench/ and tests/) and
# cppcheck (tests/cppcheck.supp) over the files given, or all tracked .c files.
# Fails when one of the two has something to say; a tool that isn't there is
# named and left out (make deps-tools installs both).
cd "$(dirname "$0")/.." || exit 1
folders='-Icommon -Ibench -Ibench/show -Itests -Isocket/web'
export flags="-std=c11 -D_POSIX_C_SOURCE=200809L $folders
    $(pkg-config --cflags libcjson cunit 2>/dev/null)"
jobs=$(nproc)
bad=0

# shellcheck disable=SC2046 # names without spaces
[ $# -gt 0 ] || set -- $(git ls-files '*.c')

# Other versions say other things.
if clang-tidy --version 2>/dev/null | grep -q 'version 14\.'; then
    # One file each time: of several, version 14 mixes up what it has seen. On
    # stderr it counts what it found in other people's headers.
    # shellcheck disable=SC2016 # they are the inner shell's
    printf '%s\n' "$@" | xargs -P "$jobs" -n 1 sh -c \
        'clang-tidy --quiet "$1" -- $flags 2>/dev/null' sh || bad=1
else
    echo "skipped: no clang-tidy 14"
fi

if command -v cppcheck >/dev/null; then
    # Two macros of libraries that it doesn't find; and one configuration is
    # enough: ours.
    # shellcheck disable=SC2086 # words
    cppcheck --quiet --std=c11 --platform=unix64 --error-exitcode=1 \
        --enable=warning,performance,portability --inline-suppr \
        --suppressions-list=tests/cppcheck.supp -j "$jobs" \
        -D_POSIX_C_SOURCE=200809L '-DRB_GENERATE_INTERNAL(a,b,c,d,e)=' \
        '-DcJSON_ArrayForEach(e,a)=while((e=(a)->child))' $folders \
        "$@" || bad=1
else
    echo "skipped: no cppcheck"
fi
exit $bad
