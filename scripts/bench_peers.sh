#!/usr/bin/env bash
# Our speed beside transformers, llama.cpp and three SAE trainers: same machine, threads, weights and
# shapes, ours and theirs in turns. Markdown tables; about 20 minutes on two cores once set up.
#   scripts/bench_peers.sh [ROUNDS] [lm] [sae]      default: 5 rounds of both parts
# The first call makes an environment of their own in .deps/peers (6 GB; builds llama.cpp).
# BUILD names another build folder than build/release.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build/release}
peers=.deps/peers
pins=scripts/packages/peers.txt
model=.deps/models/smollm2-135m-instruct-q4_1.gguf
python=$peers/venv/bin/python

say() { printf '\033[1mbench-peers:\033[0m %s\n' "$*" >&2; }
die() { printf 'bench-peers: %s\n' "$*" >&2; exit 1; }

if ! cmp -s "$pins" "$peers/installed.txt"; then
  say "installing the peers into $peers (several GB; building llama.cpp takes minutes)"
  scripts/setup.sh peers
  python3 -m venv "$peers/venv"
  CMAKE_ARGS="-DGGML_NATIVE=ON" CMAKE_BUILD_PARALLEL_LEVEL=2 nice "$python" -m pip install \
    --disable-pip-version-check --no-binary llama-cpp-python --requirement "$pins" >"$peers/install.log" 2>&1 ||
    { tail -n 20 "$peers/install.log" >&2; die "pip failed; its log is $peers/install.log"; }
  cp "$pins" "$peers/installed.txt"
fi

bf16=$peers/smollm2-135m-instruct-bf16.gguf
[ -f "$bf16" ] || "$python" scripts/peers/lm_llama.py --bf16 "$model" "$bf16" 2>"$peers/convert.log"

cmake --build "$build" --target bench_on_request >"$build/bench.log" || { cat "$build/bench.log" >&2; exit 1; }

scripts/machine.sh
log=$peers/compare.log
: >"$log"
"$python" scripts/peers/compare.py "$build/bin/bench_on_request" "$model" "$bf16" "$log" "$@"
