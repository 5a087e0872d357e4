#include "model/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <fmt/format.h>
#include <optional>

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

namespace {

bool likelier(const TokenProbability& a, const TokenProbability& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
}

/// Tokens from the likeliest on, put in order as they are asked for: a draw looks at a few of a
/// vocabulary, whose whole sorting takes longer than some models' pass.
class Likeliest {
 public:
  explicit Likeliest(std::vector<TokenProbability>& tokens) : tokens_(tokens) {}

  const TokenProbability& operator[](std::size_t i) {
    while (i >= n_ordered_) order(std::min(tokens_.size(), std::max<std::size_t>(64, 4 * i)));
    return tokens_[i];
  }

 private:
  void order(std::size_t n) {
    const auto at = [&](std::size_t i) { return tokens_.begin() + static_cast<std::ptrdiff_t>(i); };
    if (n < tokens_.size()) std::nth_element(at(n_ordered_), at(n), tokens_.end(), likelier);
    std::sort(at(n_ordered_), at(n), likelier);
    n_ordered_ = n;
  }

  std::vector<TokenProbability>& tokens_;
  std::size_t n_ordered_ = 0;
};

double sum(const std::vector<TokenProbability>& tokens) {
  double total = 0;
  for (const TokenProbability& token : tokens) total += token.probability;
  return total;
}

/// Calls `visit` with each id below `n`, or with those whose bits are set.
template <class Visit>
void visit_ids(std::size_t n, std::span<const std::uint32_t> bits, Visit visit) {
  if (bits.empty())
    for (std::size_t id = 0; id < n; ++id) visit(id);
  for (std::size_t word = 0; word < bits.size(); ++word)
    for (std::uint32_t left = bits[word]; left != 0; left &= left - 1) {
      const std::size_t id = 32 * word + static_cast<std::size_t>(std::countr_zero(left));
      if (id < n) visit(id);
    }
}

/// What may be drawn, in no order; not normalised.
std::vector<TokenProbability> candidates(std::span<const float> logits,
                                         const SamplingConfig& config,
                                         std::span<const std::uint32_t> allowed) {
  std::optional<std::size_t> greedy;
  visit_ids(logits.size(), allowed, [&](std::size_t id) {
    if (!greedy || logits[id] > logits[*greedy]) greedy = id;
  });
  SAFESAIL_CHECK(greedy);
  if (config.temperature == 0) return {{static_cast<std::int32_t>(*greedy), 1.0}};

  std::vector<TokenProbability> tokens;
  tokens.reserve(logits.size());
  visit_ids(logits.size(), allowed, [&](std::size_t id) {
    const double p =
        std::exp((static_cast<double>(logits[id]) - logits[*greedy]) / config.temperature);
    tokens.push_back({static_cast<std::int32_t>(id), p > 0 ? p : 0});  // NaN has no order
  });
  if (config.top_k > 0 && static_cast<std::size_t>(config.top_k) < tokens.size()) {
    std::nth_element(tokens.begin(), tokens.begin() + config.top_k, tokens.end(), likelier);
    tokens.resize(static_cast<std::size_t>(config.top_k));
  }
  if (config.top_p < 1) {
    const double wanted = config.top_p * sum(tokens);
    Likeliest likeliest(tokens);
    double held = 0;
    std::size_t kept = 0;
    while (kept < tokens.size() && held < wanted) held += likeliest[kept++].probability;
    tokens.resize(std::max<std::size_t>(kept, 1));
  }
  return tokens;
}

}  // namespace

std::vector<TokenProbability> sampling_distribution(std::span<const float> logits,
                                                    const SamplingConfig& config) {
  std::vector<TokenProbability> tokens = candidates(logits, config, {});
  std::sort(tokens.begin(), tokens.end(), likelier);
  const double total = sum(tokens);
  for (TokenProbability& token : tokens) token.probability /= total;
  return tokens;
}

Sampler::Sampler(const SamplingConfig& config, std::uint64_t stream)
    : config_(config), rng_(config.seed, stream) {}

std::int32_t Sampler::next(std::span<const float> logits, std::span<const std::uint32_t> allowed) {
  std::vector<TokenProbability> tokens = candidates(logits, config_, allowed);
  if (tokens.size() == 1) return tokens.front().id;
  double left = rng_.uniform() * sum(tokens);
  Likeliest likeliest(tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    left -= likeliest[i].probability;
    if (left < 0) return likeliest[i].id;
  }
  return tokens.back().id;  // rounding left a crumb
}

}  // namespace safesail
