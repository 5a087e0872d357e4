// Step 3 of encoding (encode.h): which candidates are active, as rules on pairs. Each drops the
// others in place.
#pragma once

#include <cstdint>
#include <span>

#include "sae/code_pairs.h"

namespace safesail {

/// The k best positive ones of each token; of equal values the lower feature.
void keep_top_k(std::int64_t k, std::int64_t n_tokens, CodePairs& pairs);
/// Those with pre > lower[f]; `lower` may be negative: in training a pair below a threshold can
/// have a gradient.
void keep_above(std::span<const float> lower, CodePairs& pairs);
/// The n best positive ones of all tokens together; of equal values the lower feature, then the
/// earlier token.
void keep_best(std::int64_t n, CodePairs& pairs);

}  // namespace safesail
