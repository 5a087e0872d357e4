#include "model/speed.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <vector>

#include "base/clock.h"
#include "model/kv_cache.h"
#include "model/prefix_cache.h"

namespace safesail {
namespace {

/// Seconds of a pass that continues each sequence of `cache` by `n` tokens.
double pass(const LanguageModel& model, std::int64_t n, KvCache& cache) {
  std::vector<std::int32_t> ids, starts{0};
  for (std::int64_t s = 0; s < cache.n_sequences(); ++s) {
    for (std::int64_t i = 0; i < n; ++i)
      ids.push_back(static_cast<std::int32_t>((7 * i + s) % model.spec().vocab_size));
    starts.push_back(static_cast<std::int32_t>(ids.size()));
  }
  const auto begin = Clock::now();
  model.forward({.ids = ids,
                 .starts = starts,
                 .logits = ForwardRequest::Logits::last_of_each,
                 .cache = &cache});
  return seconds_since(begin);
}

/// The better of two, after one in which code is made and weights are fetched.
double best_pass(const LanguageModel& model, std::int64_t n, std::int64_t n_sequences) {
  KvCache cache(model, n_sequences, 3 * n);
  pass(model, n, cache);
  return std::min(pass(model, n, cache), pass(model, n, cache));
}

}  // namespace

ModelSpeed measure_speed(const LanguageModel& model, std::int64_t n_sequences) {
  constexpr std::int64_t kPiece = PrefixCache::kPiece;
  return {static_cast<double>(kPiece) / best_pass(model, kPiece, 1),
          static_cast<double>(n_sequences) / best_pass(model, 1, n_sequences)};
}

}  // namespace safesail
