#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"

namespace safesail {

void check_sampling(const SamplingConfig& config) {
  if (!(config.temperature >= 0) || !std::isfinite(config.temperature))
    bad_input("temperature", fmt::format("expected 0 or more, got {}", config.temperature),
              "use 0 for the most likely token, 1 for the model's own distribution");
  if (config.top_k < 0)
    bad_input("top_k", fmt::format("expected 0 or more, got {}", config.top_k),
              "use 0 for all tokens");
  if (!(config.top_p > 0 && config.top_p <= 1))
    bad_input("top_p", fmt::format("expected a share in (0, 1], got {}", config.top_p),
              "use 1 for all tokens");
}

std::vector<TokenProbability> sampling_distribution(std::span<const float> logits,
                                                    const SamplingConfig& config) {
  SAFESAIL_CHECK(!logits.empty());
  const auto greedy = std::max_element(logits.begin(), logits.end());
  if (config.temperature == 0) return {{static_cast<std::int32_t>(greedy - logits.begin()), 1.0}};

  // Unnormalised probabilities, relative to the highest.
  std::vector<TokenProbability> tokens(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i)
    tokens[i] = {static_cast<std::int32_t>(i),
                 std::exp((static_cast<double>(logits[i]) - *greedy) / config.temperature)};
  const auto likelier = [](const TokenProbability& a, const TokenProbability& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
  };
  if (config.top_k > 0 && static_cast<std::size_t>(config.top_k) < tokens.size()) {
    std::nth_element(tokens.begin(), tokens.begin() + config.top_k, tokens.end(), likelier);
    tokens.resize(static_cast<std::size_t>(config.top_k));
  }
  std::sort(tokens.begin(), tokens.end(), likelier);

  double total = 0;
  for (const TokenProbability& token : tokens) total += token.probability;
  if (config.top_p < 1) {
    double held = 0;
    std::size_t kept = 0;
    while (kept < tokens.size() && held < config.top_p * total) held += tokens[kept++].probability;
    tokens.resize(std::max<std::size_t>(kept, 1));
    total = held;
  }
  for (TokenProbability& token : tokens) token.probability /= total;
  return tokens;
}

Sampler::Sampler(const SamplingConfig& config, std::uint64_t stream)
    : config_(config), rng_(config.seed, stream) {}

std::int32_t Sampler::next(std::span<const float> logits) {
  const std::vector<TokenProbability> tokens = sampling_distribution(logits, config_);
  if (tokens.size() == 1) return tokens.front().id;
  double left = rng_.uniform();
  for (const TokenProbability& token : tokens) {
    left -= token.probability;
    if (left < 0) return token.id;
  }
  return tokens.back().id;  // rounding left a crumb
}

}  // namespace safesail
