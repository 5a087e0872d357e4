// What selection would find in SAEs that have learnt nothing: TopKs of random directions, with the
// site, width and sparsity of the trained ones. Features of random directions fire too, on more or
// less anything, and some on the words of a concept; what is found in them is the floor of what is
// found in the others.
#pragma once

#include <cstdint>
#include <vector>

#include "train/evaluation_cells.h"

namespace safesail {

struct RandomFloor {
  std::vector<EvaluationCell> cells;
  /// Of each trained SAE its place in `cells`; -1: it aims at no k, so that none is like it.
  std::vector<std::int64_t> of;

  /// One for all SAEs with the same site, width and k.
  RandomFloor(const std::vector<EvaluationCell>& trained, std::uint64_t seed);
};

}  // namespace safesail
