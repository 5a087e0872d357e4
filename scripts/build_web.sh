#!/usr/bin/env bash
# Builds the page into build/web; does nothing where nothing has changed.
#   scripts/build_web.sh            packages by lock file, then the bundle
#   scripts/build_web.sh packages   only the packages
set -euo pipefail
cd "$(dirname "$0")/../web"

lock=node_modules/.lock
if ! cmp -s package-lock.json "$lock"; then
  echo "web: packages of the page into web/node_modules"
  PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent --no-audit --no-fund
  cp package-lock.json "$lock"
fi
[ "${1:-}" = packages ] && exit

page=../build/web/index.html
if [ ! -f "$page" ] || [ -n "$(find src public index.html package-lock.json ./*.config.* -newer "$page" -print -quit)" ]; then
  npm run --silent build -- --logLevel warn
fi
