// The report of an evaluation: one HTML file that stands alone, with plots and every number.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "train/evaluate.h"
#include "train/training_curves.h"

namespace safesail {

struct Report {
  std::string title;
  /// What was evaluated on what, and how to do it again: "model", "corpus", "seed", "command"...
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<CellResult> cells;
  std::vector<TrainingCurve> training;
};

std::string to_html(const Report& report);

/// Writes atomically.
void write_report(const fs::path& path, const Report& report);

}  // namespace safesail
