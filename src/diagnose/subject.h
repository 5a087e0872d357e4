// What is diagnosed: a language model, the SAEs that read it, and what is known of their features.
// Model and SAEs are made once; what is known may grow while others read it. Any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "atlas/feature_query.h"
#include "base/file.h"
#include "base/report.h"
#include "model/site.h"
#include "model/text_model.h"
#include "sae/sae.h"

namespace safesail {

class Atlas;

/// Features of an SAE of which something is known. Immutable.
class KnownFeatures {
 public:
  /// An input error when a feature is beyond the SAE, or there twice; `sae` is its name.
  KnownFeatures(std::string_view sae, std::int64_t n_features, std::vector<KnownFeature> features);

  const std::vector<KnownFeature>& all() const { return features_; }
  /// Null when nothing is known of it.
  const KnownFeature* find(std::int32_t feature) const;

 private:
  std::vector<KnownFeature> features_;
  std::vector<std::int32_t> place_;  ///< [n_features] in features_, or -1
};

/// An SAE and what is known of its features. The others fire too, but have neither a scale (their
/// 0.999 quantile) nor an explanation.
class KnownSae {
 public:
  /// How what is known is read, now and again.
  using Reader = std::function<std::vector<KnownFeature>(Atlas&)>;

  /// Errors of KnownFeatures. Without a `reader` it stays at `features`.
  KnownSae(std::string name, Site site, Sae sae, std::vector<KnownFeature> features,
           Reader reader = {});

  const std::string& name() const { return name_; }
  Site site() const { return site_; }
  const Sae& sae() const { return sae_; }
  /// What is known at this moment.
  std::shared_ptr<const KnownFeatures> known() const;
  /// Reads it again. On an Error all stays as it is.
  void refresh(Atlas& atlas);

 private:
  struct Now {
    std::mutex mutex;
    std::shared_ptr<const KnownFeatures> known;  ///< protected by it
  };

  std::string name_;
  Site site_;
  Sae sae_;
  Reader reader_;
  std::unique_ptr<Now> now_;  // so that this can be moved
};

struct Subject {
  std::string name;
  TextModel model;
  std::vector<KnownSae> saes;  ///< at least one
};

struct RunFiles {
  fs::path run;
  std::string model;       ///< a path; empty: the one that the run was made with
  fs::path atlas;          ///< empty: the run's own
  bool any_model = false;  ///< SAEs of another model are taken, too (harvest/same_model.h)
};

/// The model and the SAEs of a run: those SAEs that the atlas knows features of.
Subject subject_of_run(const RunFiles& files, const LoadOptions& options, Reporter& reporter);

struct SubjectFiles {
  std::string model;
  std::vector<std::string> saes;  ///< files or folders of any known dialect
  std::string atlas;              ///< empty: nothing is known of any feature
  std::optional<std::int64_t> k;  ///< of TopK SAEs whose files do not hold it
  bool any_model = false;         ///< SAEs of another model are taken, too
};

/// An SAE is known to the atlas by its name (as in runs: the two folders that it lies in), or else
/// by its site where the atlas has one SAE there.
Subject subject_of_files(const SubjectFiles& files, const LoadOptions& options, Reporter& reporter);

}  // namespace safesail
