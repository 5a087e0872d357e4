#include <algorithm>
#include <cmath>

#include "train/grid.h"

namespace safesail {
namespace {

double share_of_budget(const GridConfig& config, std::uint64_t tokens_seen) {
  return static_cast<double>(tokens_seen) / static_cast<double>(config.n_tokens);
}

}  // namespace

double default_learning_rate(std::int64_t n_features, double n_steps) {
  constexpr double kLongRun = 10'000;
  const double shortness = std::sqrt(kLongRun / std::clamp(n_steps, 100.0, kLongRun));
  return 2e-4 / std::sqrt(static_cast<double>(n_features) / 16384) * shortness;
}

double peak_learning_rate(const GridConfig& config, std::int64_t n_features) {
  const double n_steps =
      static_cast<double>(config.n_tokens) / static_cast<double>(config.batch_tokens);
  return config.lr > 0 ? config.lr : default_learning_rate(n_features, n_steps);
}

double learning_rate(const GridConfig& config, std::int64_t n_features, std::uint64_t tokens_seen) {
  const double share = share_of_budget(config, tokens_seen);
  const double up = config.warmup_share > 0 ? share / config.warmup_share : 1;
  const double down = config.decay_share > 0 ? (1 - share) / config.decay_share : 1;
  return peak_learning_rate(config, n_features) * std::clamp(std::min(up, down), 0.0, 1.0);
}

std::int64_t annealed_k(const GridConfig& config, const SaeSpec& spec, std::uint64_t tokens_seen) {
  const double share = share_of_budget(config, tokens_seen);
  if (spec.k == 0 || share >= config.k_anneal_share) return spec.k;
  const auto start = static_cast<double>(std::min(kAnnealFactor * spec.k, spec.n_features));
  const double left = 1 - share / config.k_anneal_share;
  return spec.k + std::llround(left * (start - static_cast<double>(spec.k)));
}

}  // namespace safesail
