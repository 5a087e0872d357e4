#!/usr/bin/env bash
# Our speed beside transformers, llama.cpp and three SAE trainers: same machine, threads, weights and
# shapes, ours and theirs in turns. Markdown tables; about 20 minutes on two cores once set up, and an
# hour more for `explain`.
#   scripts/bench_peers.sh [ROUNDS] [lm] [sae] [explain]      default: 5 rounds of all parts
# The first call makes an environment of their own in .deps/peers (6 GB; builds llama.cpp). `explain`
# alone takes no more than llama.cpp's server, the models of `scripts/setup.sh qwen` and runs/demo.
# BUILD names another build folder than build/release.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build/release}
peers=.deps/peers
pins=scripts/packages/peers.txt
model=.deps/models/smollm2-135m-instruct-q4_1.gguf
python=$peers/venv/bin/python
rounds=${1:-5}
parts=("${@:2}")
[ ${#parts[@]} -gt 0 ] || parts=(lm sae explain)

say() { printf '\033[1mbench-peers:\033[0m %s\n' "$*" >&2; }
die() { printf 'bench-peers: %s\n' "$*" >&2; exit 1; }

install_environment() {
  cmp -s "$pins" "$peers/installed.txt" && return
  say "installing the peers into $peers (several GB; building llama.cpp takes minutes)"
  scripts/setup.sh peers
  python3 -m venv "$peers/venv"
  CMAKE_ARGS="-DGGML_NATIVE=ON" CMAKE_BUILD_PARALLEL_LEVEL=2 nice "$python" -m pip install \
    --disable-pip-version-check --no-binary llama-cpp-python --requirement "$pins" >"$peers/install.log" 2>&1 ||
    { tail -n 20 "$peers/install.log" >&2; die "pip failed; its log is $peers/install.log"; }
  cp "$pins" "$peers/installed.txt"
}

# The pinned bindings install llama.cpp's library alone; their source has its server, too.
build_server() {
  local source=$1 bindings=$2
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
    --dest "$source" "$bindings" &&
    tar -xf "$source"/llama_cpp_python-*.tar.gz -C "$source" --strip-components 1 &&
    cmake -S "$source/vendor/llama.cpp" -B "$source/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
      -DBUILD_SHARED_LIBS=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_USE_PREBUILT_UI=OFF &&
    nice cmake --build "$source/build" --target llama-server --parallel 2
}

# install_server FILE: the version is part of its name.
install_server() {
  local source=$peers/llama.cpp
  [ -x "$1" ] && return
  say "building llama.cpp's server (many minutes)"
  rm -rf "$source"
  mkdir -p "$source"
  build_server "$source" "$bindings" >"$peers/server.log" 2>&1 ||
    { tail -n 20 "$peers/server.log" >&2; die "no server; its log is $peers/server.log"; }
  mv "$source/build/bin/llama-server" "$1"
  rm -rf "$source"
}

compared=()  # by compare.py
for part in "${parts[@]}"; do
  case $part in
    lm | sae) compared+=("$part") ;;
    explain) ;;
    *) die "expected lm, sae or explain, got $part" ;;
  esac
done

scripts/machine.sh

if [ ${#compared[@]} -gt 0 ]; then
  install_environment
  bf16=$peers/smollm2-135m-instruct-bf16.gguf
  [ -f "$bf16" ] || "$python" scripts/peers/lm_llama.py --bf16 "$model" "$bf16" 2>"$peers/convert.log"
  cmake --build "$build" --target bench_on_request >"$build/bench.log" || { cat "$build/bench.log" >&2; exit 1; }
  log=$peers/compare.log
  : >"$log"
  "$python" scripts/peers/compare.py "$build/bin/bench_on_request" "$model" "$bf16" "$log" "$rounds" "${compared[@]}"
fi

if [[ " ${parts[*]} " == *" explain "* ]]; then
  bindings=$(grep '^llama-cpp-python==' "$pins")
  server=$peers/llama-server-${bindings#*==}
  install_server "$server"
  echo
  scripts/bench_explainer.py --peer "$server" --rounds "$rounds" --log "$peers/explain.log" "$build/bin/safesail" \
    .deps/models/qwen2.5-coder-{0.5b,1.5b}-instruct-q4_k_m.gguf
fi
