// The training curves of a run, read back from its `metrics.jsonl`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "train/evaluation_cells.h"

namespace safesail {

struct TrainingPoint {
  double tokens = 0, loss = 0, fvu = 0, l0 = 0;
  double n_dead = 0;
};

struct TrainingCurve {
  SaeIdentity id;  ///< as far as the lines tell it
  std::vector<TrainingPoint> points;
};

/// In the order in which SAEs first appear, thinned to a few hundred points each. No file: no
/// curves. Lines that are not records of an SAE are passed over; numbers that are missing are NaN.
std::vector<TrainingCurve> read_training_curves(const fs::path& metrics);

}  // namespace safesail
