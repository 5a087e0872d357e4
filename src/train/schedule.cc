#include <algorithm>
#include <cmath>

#include "train/grid.h"

namespace safesail {

double default_learning_rate(std::int64_t n_features) {
  return 2e-4 / std::sqrt(static_cast<double>(n_features) / 16384);
}

double learning_rate(const GridConfig& config, std::uint64_t tokens_seen) {
  const double peak = config.lr > 0 ? config.lr : default_learning_rate(config.n_features);
  const double share = static_cast<double>(tokens_seen) / static_cast<double>(config.n_tokens);
  const double up = config.warmup_share > 0 ? share / config.warmup_share : 1;
  const double down = config.decay_share > 0 ? (1 - share) / config.decay_share : 1;
  return peak * std::clamp(std::min(up, down), 0.0, 1.0);
}

}  // namespace safesail
