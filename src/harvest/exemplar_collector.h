// Exemplars of many features at once, from one pass over a stream of coded text and in bounded
// memory: statistics, the strongest windows, samples at each level, and windows in which the
// feature stays silent. Equal input gives equal records, bit for bit. One thread.
//
// Levels are relative to the 0.999 quantile, which is known only at the end: windows are drawn by
// the level that they have by the quantile so far, and labelled by the final one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "harvest/coded_stream.h"
#include "harvest/exemplars.h"

namespace safesail {

struct ExemplarConfig {
  int window_tokens = 32, min_tokens = 4;  ///< of a window
  // Kept of each kind, for each feature and use.
  int n_top = 20, n_per_level = 5, n_silent = 20, n_hard = 10;
  std::size_t pool_windows = 4096;  ///< random windows of each use, for all features together
  double explain_share = 0.5, calibrate_share = 0.1;  ///< of documents; the rest are for the test
  std::uint64_t seed = 0;
};

/// What is wanted of one SAE.
struct WantedFeatures {
  std::string sae, site;               ///< names for the records
  std::int64_t n_features = 0;         ///< of the SAE
  std::vector<std::int32_t> features;  ///< rising, distinct
};

class ExemplarCollector {
 public:
  /// `wanted` in the order of the stream's SAEs; the documents are of parts [0, n_parts).
  ExemplarCollector(std::vector<WantedFeatures> wanted, std::size_t n_parts, ExemplarConfig config);
  ~ExemplarCollector();

  /// An upper bound of what it will hold, for the statement before a long pass.
  std::uint64_t bytes_at_most() const;

  void add(const CodedBatch& batch);
  /// Ends the collection. One record a wanted feature, in their order; `spell` gives a token's
  /// text, `part_names` those of Document::part. A feature that never fired has a record with
  /// n_active = 0 and no windows but silent ones. No window's text stands in two uses of a feature.
  std::vector<FeatureRecord> finish(const std::function<std::string(std::int32_t)>& spell,
                                    std::span<const std::string> part_names);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace safesail
