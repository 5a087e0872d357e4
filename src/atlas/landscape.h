// The landscape: features as points of a plane, those with alike decoder rows beside each other.
//
// t-SNE (van der Maaten & Hinton 2008) on directions, by the crate bhtsne; why it:
// docs/decisions/0007-landscape.md. The same rows and seed give the same map on every machine of
// one kind, with any number of threads. Memory: 4 n (d + 300) bytes at most; time grows with n^2
// (docs/benchmarks.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "atlas/atlas.h"

namespace safesail {

/// 0..1 each, [n]; at least one of them fills its range.
struct PlanePoints {
  std::vector<float> x, y;
};

/// `rows`: [n, d] decoder rows, of which only the direction counts; a row of zeros is a point of
/// its own. An input error for numbers that are not finite.
PlanePoints lay_out(std::span<const float> rows, std::size_t n, std::size_t d, std::uint64_t seed);

/// Places the features of one SAE that are in the atlas, by its decoder rows [n_features, d]; gives
/// how many. An input error for a feature that the decoder has not.
std::size_t lay_out_features(Atlas& atlas, std::int64_t sae, std::span<const float> decoder,
                             std::size_t d, std::uint64_t seed);

/// Places the features of the atlas that have an explanation by its words (English where there is
/// one), rare words counting more (tf-idf); gives how many. For databases without weights.
std::size_t lay_out_texts(Atlas& atlas, std::uint64_t seed);

}  // namespace safesail
