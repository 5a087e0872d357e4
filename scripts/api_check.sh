#!/usr/bin/env bash
# The HTTP API under requests that its own description generates, right and wrong ones: schemathesis,
# against a server of a run. A few minutes.
#   scripts/api_check.sh RUN [EXAMPLES]
# SCHEMATHESIS names its program; without one it is installed into .deps/. BUILD as in bench.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
run=${1:?usage: scripts/api_check.sh RUN [EXAMPLES]}
examples=${2:-50}
build=${BUILD:-build/release}

checker=${SCHEMATHESIS:-$PWD/.deps/schemathesis/bin/schemathesis}
if [ ! -x "$checker" ]; then
  python3 -m venv .deps/schemathesis
  .deps/schemathesis/bin/pip install -q 'schemathesis==4.32.5'
fi

scratch=$(mktemp -d)
log=$scratch/server.log
"$build/bin/safesail" serve --run "$run" --port 0 --max-new 64 2>"$log" &
server=$!
trap 'kill $server; rm -rf "$scratch"' EXIT
for _ in $(seq 300); do
  url=$(grep -o 'http://127.0.0.1:[0-9]*' "$log" || true)
  [ -n "$url" ] && break
  kill -0 $server || { cat "$log" >&2; exit 1; }
  sleep 0.2
done

config=$PWD/scripts/schemathesis.toml
cd "$scratch"  # it keeps notes where it runs
"$checker" --config-file "$config" run "$url/api/v1/openapi.json" \
  --max-examples "$examples" --generation-deterministic --request-timeout 60
