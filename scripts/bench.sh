#!/usr/bin/env bash
# Speed of this machine on our own work, beside what its bare matrix products and memory reach in the
# same run, as Markdown tables. A few minutes; half an hour more where the two models of `scripts/setup.sh qwen` and
# runs/demo are there.
#   scripts/bench.sh [REPEATS]
# BUILD names another build folder than build/release.
set -euo pipefail
cd "$(dirname "$0")/.."
repeats=${1:-7}
build=${BUILD:-build/release}
threads=$(nproc)
export OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads
export GOMP_SPINCOUNT=1000  # as the program sets it for itself
model=.deps/models/smollm2-135m-instruct-q4_1.gguf
corpus=.deps/corpora/wordnet.jsonl
shapes=(576,4608,32,1024 2048,20480,200,4096)

cmake --build "$build" --target bench_prefill bench_sae_step bench_grid bench_tokenize bench_roofline bench_atlas bench_serve bench_diagnose bench_explain bench_constraint >"$build/bench.log" ||
  { cat "$build/bench.log" >&2; exit 1; }

scripts/machine.sh
lines=$build/bench.jsonl
bin=$build/bin
{
  "$bin/bench_roofline" "$model" "${shapes[@]}"
  "$bin/bench_prefill" "$model" bf16 "$threads" "$repeats"
  "$bin/bench_tokenize" "$model" "$corpus"
  "$bin/bench_sae_step" --steps "$repeats" "${shapes[@]}"
  "$bin/bench_sae_step" --steps "$repeats" --arch all "${shapes[-1]}"
  "$bin/bench_grid" "$model" "$corpus"
} >"$lines"
python3 scripts/bench_table.py "$lines"
echo
"$bin/bench_atlas" "$build/bench_atlas.sqlite"  # makes a million features, the first time
echo
[ -f "$build/bench_serve.sqlite" ] || "$bin/bench_atlas" "$build/bench_serve.sqlite" 100000 >/dev/null
"$bin/bench_serve" "$build/bench_serve.sqlite"
echo
"$bin/bench_diagnose" "$model" "$repeats"  # what features cost a chat, and 32 chats at once
echo
"$bin/bench_explain" "$model" "$corpus"  # what prompts have in common, read once and each time
"$bin/bench_constraint" "$model" "$repeats"  # what a form costs an answer
echo
# What people wait for: explanations and scores by models that write
scripts/bench_explainer.py --log "$build/bench_explainer.log" "$bin/safesail" \
  .deps/models/qwen2.5-coder-{0.5b,1.5b}-instruct-q4_k_m.gguf
echo
scripts/bench_memory.py "$bin/safesail" "$model" "$corpus"
echo
scripts/bench_busy.py "$bin" "$model" "$corpus"  # beside a busy loop
