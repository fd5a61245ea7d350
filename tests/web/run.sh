#!/bin/sh
# run.sh BUILD [TEXT] - the page in a real browser; closes with one line:
# N passed, N failed. Skipped, in one line, where something isn't installed.
#
# BUILD/web-tests has the packages, and gets a picture of each page that failed.
# TEXT: only the tests whose names contain it. SHOTS=FOLDER saves pictures of
# every state that people should look at.
build=$(cd "$1" && pwd)
here=$(dirname "$0")
export WEB_TESTS="$build/web-tests"
export IPCLAB_BIN="${IPCLAB_BIN:-$build/ipclab}"
CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v google-chrome)}
export CHROMIUM
export JUNIT="$build/tests/page.xml"

skip() {
    echo "skipped: the page in a browser ($1)"
    echo "0 passed, 0 failed"
    exit 0
}
[ -f "${IPCLAB_BIN%/*}/web/gateway.so" ] || skip "no gateway: make deps-web all"
[ -n "$CHROMIUM" ] || skip "no chromium: make deps-web test-web"
command -v node >/dev/null || skip "no node: make deps-web test-web"
node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' ||
    skip "node $(node --version) is too old for playwright-core: 18 or later"
{ [ -d "$WEB_TESTS/node_modules/playwright-core" ] &&
    [ -d "$WEB_TESTS/node_modules/axe-core" ]; } ||
    skip "no playwright-core: make deps-web test-web"
rm -f "$WEB_TESTS"/failed-*.png "$JUNIT"
mkdir -p "$build/tests"
exec node "$here/run.mjs" ${2:+"$2"}
