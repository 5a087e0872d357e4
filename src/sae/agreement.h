// How far two SAEs of one site found the same features: cosines of their decoder rows. What counts
// and why: docs/evaluation.md. Memory: a tile of rows of either, never [F, F].
#pragma once

#include <cstdint>

#include "sae/sae.h"

namespace safesail {

struct FeatureAgreement {
  /// Mean over features of the largest cosine with any feature of the other SAE.
  double mean_max_cosine = 0;       ///< over the features of the first
  double mean_max_cosine_back = 0;  ///< over the features of the second
  /// Pairs that are each other's best match with a cosine above the threshold, a share of the
  /// features of the smaller SAE.
  double matched_share = 0;
};

/// Decoder rows of length 0 have cosine 0 with everything. An input error when the SAEs write
/// vectors of unequal width.
FeatureAgreement feature_agreement(const Sae& a, const Sae& b, double threshold = 0.7);

}  // namespace safesail
