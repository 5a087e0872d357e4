#include "sae/code_key.h"

#include <algorithm>

namespace safesail {

KeysByToken::KeysByToken(const CodePairs& pairs, std::int64_t n_tokens)
    : offsets(std::size_t(n_tokens) + 1) {
  const std::vector<std::int32_t>& tokens = pairs.by_feature.tokens;
  for (std::size_t p = 0; p < tokens.size(); ++p)
    if (pairs.pre[p] > 0) ++offsets[std::size_t(tokens[p]) + 1];
  for (std::size_t t = 0; t < std::size_t(n_tokens); ++t) offsets[t + 1] += offsets[t];
  keys.resize(std::size_t(offsets.back()));
  // As in sort_by_feature(): offsets serve as write positions.
  for (std::int64_t f = 0; f < pairs.by_feature.n_features(); ++f) {
    for (const std::size_t p : pairs.by_feature.of(f)) {
      if (!(pairs.pre[p] > 0)) continue;
      keys[std::size_t(offsets[std::size_t(tokens[p])]++)] = key_of(pairs.pre[p], std::int32_t(f));
    }
  }
  std::copy_backward(offsets.begin(), offsets.end() - 1, offsets.end());
  offsets[0] = 0;
}

}  // namespace safesail
