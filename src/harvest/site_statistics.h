// What a site's activations look like, measured on a sample before training: where they are
// centred, how they are scaled, and what would hurt an SAE.
//
//   sink        a token whose norm is above 10 times the median: attention sinks, which often sit
//   on
//               the first position and are hundreds of times longer than all others
//   centre      mean of the other tokens
//   scale       sqrt(d / E|x - mean|^2) of the other tokens
//   outlier     a dimension with gamma = |mean| / standard deviation above 3, over the other
//               tokens. Outliers foretell dead features when activations are not centred (arXiv
//               2605.31518); with the centre taken off they are harmless.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "harvest/block.h"
#include "sae/sae.h"

namespace safesail {

inline constexpr double kSinkRatio = 10, kOutlierGamma = 3;

struct OutlierDimension {
  std::int64_t dimension = 0;
  double mean = 0, gamma = 0;
};

/// Sinks of one token at one position (of its document).
struct SinkToken {
  std::int32_t token = 0, position = 0;
  std::uint64_t n = 0;
  double norm_ratio = 0;  ///< largest norm over the median
};

struct SiteStatistics {
  std::string site;
  std::uint64_t n_tokens = 0;
  InputTransform transform;
  double mean_norm = 0;             ///< |mean of x|
  double spread = 0;                ///< sqrt(E|x - mean|^2)
  std::vector<double> norm_levels;  ///< norms |x| at kNormShares
  std::uint64_t n_outliers = 0;
  std::vector<OutlierDimension> outliers;  ///< the largest gammas first, at most 16
  std::uint64_t n_sinks = 0;
  std::vector<SinkToken> sinks;  ///< the most frequent first, at most 16; needs provenance

  double median_norm() const { return norm_levels[2]; }
};

/// Shares of tokens at which norm_levels stand; the last is the maximum.
inline constexpr double kNormShares[] = {0.01, 0.25, 0.5, 0.75, 0.99, 1};

/// Of the `index`-th site of `blocks`. Non-finite values, or tokens that are all alike, are an
/// input error.
SiteStatistics measure_site(const std::string& site, std::size_t index,
                            const std::vector<const ActivationBlock*>& blocks);

/// How a token is shown; empty: by its number.
using TokenText = std::function<std::string(std::int32_t)>;

/// A line or two for people.
std::string describe(const SiteStatistics& statistics, const TokenText& token_text);

/// All of it but the centre's values.
nlohmann::json to_json(const SiteStatistics& statistics, const TokenText& token_text);

}  // namespace safesail
