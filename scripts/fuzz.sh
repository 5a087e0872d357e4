#!/usr/bin/env bash
# Runs each fuzz target for SECONDS (default 60) from its committed seeds; fails on the first finding.
#   scripts/fuzz.sh [SECONDS] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(sed -n 's/^safesail_fuzz(\([a-z_0-9]*\) .*/\1/p' fuzz/CMakeLists.txt)

for target in "${targets[@]}"; do
  found=build/fuzz/corpus/$target
  mkdir -p "$found" build/fuzz/findings
  echo "fuzz: $target for $seconds s"
  build/fuzz/bin/"$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix=build/fuzz/findings/"$target"- "$found" fuzz/corpus/"$target" 2>"build/fuzz/$target.log" ||
    { tail -n 40 "build/fuzz/$target.log"; exit 1; }
  grep -E 'number_of_executed_units|peak_rss' "build/fuzz/$target.log"
done
