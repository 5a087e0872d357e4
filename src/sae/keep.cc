#include "sae/keep.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <functional>
#include <vector>

#include "sae/code_key.h"

namespace safesail {
namespace {

// Calls keep(feature, pair) for all pairs in order and moves together those for which it holds.
template <class Keep>
void keep_if(CodePairs& pairs, Keep keep) {
  ByFeature& by_feature = pairs.by_feature;
  std::size_t kept = 0, begin = 0;
  for (std::int64_t f = 0; f < by_feature.n_features(); ++f) {
    const std::size_t end = by_feature.begin_of(f + 1);
    for (std::size_t p = begin; p < end; ++p) {
      if (!keep(f, p)) continue;
      by_feature.tokens[kept] = by_feature.tokens[p];
      pairs.pre[kept++] = pairs.pre[p];
    }
    by_feature.offsets[std::size_t(f) + 1] = std::int64_t(kept);
    begin = end;
  }
  by_feature.tokens.resize(kept);
  pairs.pre.resize(kept);
}

}  // namespace

void keep_top_k(std::int64_t k, std::int64_t n_tokens, CodePairs& pairs) {
  KeysByToken keys(pairs, n_tokens);
  std::vector<std::uint64_t> lowest(std::size_t(n_tokens),
                                    0);  // 0 lets all pass
  at::parallel_for(0, n_tokens, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const std::span<std::uint64_t> token = keys.of(t);
      if (std::int64_t(token.size()) <= k) continue;
      std::nth_element(token.begin(), token.begin() + (k - 1), token.end(), std::greater<>());
      lowest[std::size_t(t)] = token[std::size_t(k - 1)];
    }
  });
  keep_if(pairs, [&](std::int64_t f, std::size_t p) {
    return pairs.pre[p] > 0 &&
           key_of(pairs.pre[p], std::int32_t(f)) >= lowest[std::size_t(pairs.by_feature.tokens[p])];
  });
}

void keep_above(std::span<const float> lower, CodePairs& pairs) {
  keep_if(pairs,
          [&](std::int64_t f, std::size_t p) { return pairs.pre[p] > lower[std::size_t(f)]; });
}

void keep_best(std::int64_t n, CodePairs& pairs) {
  std::vector<float> positive;
  std::ranges::copy_if(pairs.pre, std::back_inserter(positive), [](float pre) { return pre > 0; });
  float lowest = 0;
  std::int64_t ties = 0;  // of the values equal to `lowest` only as many stay as
                          // there is room for
  if (n < std::int64_t(positive.size())) {
    std::nth_element(positive.begin(), positive.begin() + (n - 1), positive.end(),
                     std::greater<>());
    lowest = positive[std::size_t(n - 1)];
    ties = std::count(positive.begin(), positive.begin() + n, lowest);
  }
  keep_if(pairs, [&](std::int64_t, std::size_t p) {
    return pairs.pre[p] > lowest || (pairs.pre[p] == lowest && ties-- > 0);
  });
}

}  // namespace safesail
