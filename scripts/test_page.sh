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

# An atlas that came from elsewhere: its SAEs are not called as their sites are.
imported=build/page-test/imported.sqlite
if [ ! -e "$imported" ]; then
  rm -rf build/page-test/exported
  "$program" atlas export --atlas "$run" --to neuronpedia --out build/page-test/exported
  "$program" atlas import build/page-test/exported --atlas "$imported.part"
  "$program" atlas landscape --atlas "$imported.part"
  mv "$imported.part" "$imported"
fi

servers=()
trap 'kill "${servers[@]}" 2>/dev/null; wait "${servers[@]}" 2>/dev/null || true' EXIT
# Starts `safesail serve` with these options; its address is in $url.
serve() {
  local log=build/page-test/serve-${#servers[@]}.log
  "$program" serve --port 0 --web build/web "$@" >"$log" 2>&1 &
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
serve --run "$run" --no-model --token-env SAFESAIL_TOKEN
export SAFESAIL_GUARDED_URL=$url
serve --atlas "$imported"
export SAFESAIL_IMPORTED_URL=$url
serve --run "$run" --no-model
export SAFESAIL_MORTAL_URL=$url SAFESAIL_MORTAL_PID=${servers[-1]}
serve --run "$run"
export SAFESAIL_URL=$url CHROMIUM=$chromium
npm --prefix web run --silent e2e -- "$@"
