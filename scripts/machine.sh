#!/usr/bin/env bash
# One line that says on what a speed was measured: CPU, cores, memory, commit, load before the run.
set -euo pipefail
cd "$(dirname "$0")/.."
cpu=$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)
vectors=$(grep -o -w -m1 -E 'avx512_bf16|amx_bf16|avx512f|avx2' /proc/cpuinfo | sort -u | paste -sd ' ')
memory=$(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo)
commit=$(git rev-parse --short HEAD)
git diff --quiet HEAD -- src bench 2>/dev/null || commit+=" with changes"
echo "$cpu ($vectors), $(nproc) cores, $memory of memory; commit $commit; load average before $(cut -d ' ' -f 1 /proc/loadavg)"
