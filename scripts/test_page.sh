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

servers=()
trap 'kill "${servers[@]}" 2>/dev/null; wait "${servers[@]}" 2>/dev/null || true' EXIT
# Starts `safesail serve` on the run with these options; its address is in $url.
serve() {
  local log=build/page-test/serve-${#servers[@]}.log
  "$program" serve --run "$run" --port 0 --web build/web "$@" >"$log" 2>&1 &
  servers+=($!)
  for _ in $(seq 300); do
    url=$(grep -o 'http://127[^ ]*' "$log" || true)
    [ -n "$url" ] && return
    kill -0 "${servers[-1]}" 2>/dev/null || break
    sleep 0.2
  done
  cat "$log"
  exit 1
}
export SAFESAIL_TOKEN=secret
serve --no-model --token-env SAFESAIL_TOKEN
export SAFESAIL_GUARDED_URL=$url
serve
export SAFESAIL_URL=$url CHROMIUM=$chromium
npm --prefix web run --silent e2e -- "$@"
