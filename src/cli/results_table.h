// The table that ends a training run or an evaluation.
#pragma once

#include <string>

#include "train/run.h"

namespace safesail {

/// One line an SAE, within 100 columns: site, architecture, k, width, L0, FVU, what splicing costs
/// and the share of the loss that it recovers, dead features, tokens a second of its own training
/// steps where it was trained just now; with half widths of 95 % intervals.
std::string results_table(const std::vector<CellResult>& cells);

/// "model 1.9 k tokens/s, 9 SAEs together 8.2 k tokens/s, 3:10 in all"
std::string speed_line(const RunResult& result);

}  // namespace safesail
