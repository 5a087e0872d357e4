// The published Safe-SAIL release as a subject: its checkpoints, the features it selected and their
// quantiles, as the published demo reads them. Formats: docs/formats/safe_sail_release.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "diagnose/subject.h"

namespace safesail {

/// Activations that the release recorded of each feature; not in its files.
inline constexpr std::int64_t kRecordedValues = 200'000;

/// The quantile at probability `p` of `n` values of which only the largest are known: `top`,
/// rising; the value of rank r (from 1) in it stands at (n - top.size() + r) / n, and between two
/// ranks lies the straight line. `p` below the first rank gives the first value.
double quantile_of_top(std::span<const float> top, std::int64_t n, double p);

struct ReleaseFiles {
  fs::path folder;    ///< with sae_checkpoints/, neuron_db/, activation/; or with data/ around them
  std::string model;  ///< Qwen2.5-3B-Instruct
  fs::path atlas;     ///< that the release was imported into
  std::int64_t k = 200;
};

/// The folder that holds neuron_db/ (or the database files themselves); an input error when there
/// is none.
fs::path release_database(const fs::path& folder);

/// Known are the features that were selected and have an entry in the database.
Subject subject_of_release(const ReleaseFiles& files, const LoadOptions& options,
                           Reporter& reporter);

}  // namespace safesail
