// Which documents a run's SAEs were trained on, by its manifest: what an evaluation must know to
// say that its documents were held out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace safesail {

struct TrainingData {
  std::vector<std::string> corpus;  ///< files; empty: not known
  /// This share of documents (those of Split::held_out) was left out; 0: none.
  double held_out_share = 0;
};

/// Nothing where the manifest does not tell. Treats it as hostile.
std::optional<TrainingData> training_data(const fs::path& run);

/// Metadata of activation files, by which `train --activations` keeps it.
std::map<std::string, std::string> to_metadata(const TrainingData& data);
std::optional<TrainingData> from_metadata(const std::map<std::string, std::string>& metadata);

/// Documents that are evaluated on.
struct EvaluatedOn {
  std::vector<std::string> corpus;
  double share = 1;  ///< those of Split::held_out at this share; 1: all
};

/// For people: whether documents of `evaluated` may have been trained on. `sure` is false where
/// they may.
struct Separation {
  bool sure = false;
  std::string text;
};
Separation separation(const std::optional<TrainingData>& trained, const EvaluatedOn& evaluated);

}  // namespace safesail
