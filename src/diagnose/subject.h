// What is diagnosed: a language model, the SAEs that read it, and what is known
// of their features. Made once, then read by any number of threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "atlas/feature_query.h"
#include "base/file.h"
#include "base/report.h"
#include "model/site.h"
#include "model/text_model.h"
#include "sae/sae.h"

namespace safesail {

/// An SAE with the features that are known of it. The others fire too, but have
/// neither a scale (their 0.999 quantile) nor an explanation.
class KnownSae {
 public:
  /// An input error when a feature is beyond the SAE, or there twice.
  KnownSae(std::string name, Site site, Sae sae, std::vector<KnownFeature> features);

  const std::string& name() const { return name_; }
  Site site() const { return site_; }
  const Sae& sae() const { return sae_; }
  const std::vector<KnownFeature>& features() const { return features_; }
  /// Null when nothing is known of it.
  const KnownFeature* find(std::int32_t feature) const;

 private:
  std::string name_;
  Site site_;
  Sae sae_;
  std::vector<KnownFeature> features_;
  std::vector<std::int32_t> place_;  ///< [n_features] in features_, or -1
};

struct Subject {
  std::string name;
  TextModel model;
  std::vector<KnownSae> saes;  ///< at least one
};

/// The model, the SAEs and the atlas of a run: those SAEs that the atlas knows
/// features of. `model` (a path) unless empty stands in for the one that the
/// run was made with.
Subject subject_of_run(const fs::path& run, const std::string& model, const LoadOptions& options,
                       Reporter& reporter);

struct SubjectFiles {
  std::string model;
  std::vector<std::string> saes;  ///< files or folders of any known dialect
  std::string atlas;              ///< empty: nothing is known of any feature
  std::optional<std::int64_t> k;  ///< of TopK SAEs whose files do not hold it
};

/// An SAE is known to the atlas by its name (as in runs: the two folders that
/// it lies in), or else by its site where the atlas has one SAE there.
Subject subject_of_files(const SubjectFiles& files, const LoadOptions& options, Reporter& reporter);

}  // namespace safesail
