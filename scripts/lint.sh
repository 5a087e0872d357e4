#!/usr/bin/env bash
# Format, include directions, names, contrast pairs, the page, the fuzz targets and clang-tidy; fails on the first kind that finds something.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t sources < <(git ls-files -co --exclude-standard 'src/*.cc' 'src/*.h' 'tests/*.cc' 'tests/*.h' 'bench/*.cc' 'bench/*.h' 'fuzz/*.cc' 'fuzz/*.h')
echo "lint: clang-format (${#sources[@]} files)"
clang-format --dry-run --Werror "${sources[@]}"

echo "lint: include directions"
python3 scripts/check_includes.py

echo "lint: one type a name"
python3 scripts/check_names.py

echo "lint: contrast pairs"
python3 scripts/check_pairs.py data/pairs/*.jsonl

echo "lint: page"
scripts/build_web.sh packages
npm --prefix web run --silent lint
npm --prefix web run --silent check

# Their build is clang's own and part of no other command: a target must not rot unseen.
echo "lint: fuzz targets"
torch=$(sed -n 's/^set(SAFESAIL_TORCH_DIR "\(.*\)")$/\1/p' .deps/torch.cmake)
printf '%s\n' fuzz/*.cc | xargs -P "$(nproc)" -n 1 clang++ -fsyntax-only -std=c++20 -Isrc -idirafter "$torch/include" \
  -Wall -Wextra -Werror -Wno-missing-field-initializers

# clang cannot read gcc's precompiled headers, so tidy has a configuration of its own.
echo "lint: clang-tidy"
cmake --preset tidy >build-tidy.log 2>&1 || { cat build-tidy.log; exit 1; }
rm -f build-tidy.log
cmake --build build/tidy --target safesail_text_rs_build safesail_plain_pch safesail_aten_pch >/dev/null
python3 scripts/tidy.py build/tidy
