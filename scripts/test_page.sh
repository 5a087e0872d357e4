#!/usr/bin/env bash
# The page as people use it: Debian's Chromium on the real server, on a small real run that is made
# first (a minute). Screenshots land in build/screenshots.
#   scripts/test_page.sh PROGRAM [playwright arguments]
set -euo pipefail
program=$(realpath "$1")
shift
cd "$(dirname "$0")/.."
chromium=$(command -v "${CHROMIUM:-chromium}") || { echo "no Chromium here: skipped"; exit 77; }

run=build/page-test/run
mkdir -p "$run"
cp tests/page_run.toml "$run/safesail.toml"
"$program" run "$run/safesail.toml"

log=build/page-test/serve.log
"$program" serve --run "$run" --port 0 --web build/web >"$log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
for _ in $(seq 300); do
  url=$(grep -o 'http://127[^ ]*' "$log" || true)
  [ -n "$url" ] && break
  kill -0 $server 2>/dev/null || { cat "$log"; exit 1; }
  sleep 0.2
done
[ -n "$url" ] || { cat "$log"; exit 1; }
SAFESAIL_URL=$url CHROMIUM=$chromium npm --prefix web run --silent e2e -- "$@"
