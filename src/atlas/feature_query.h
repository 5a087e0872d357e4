// Questions about many features: filters, order, page; and their answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "atlas/records.h"

namespace safesail {

/// What a listing is sorted by. Where the value is unknown, a feature comes last either way; ties
/// are in the order of layer, SAE and index.
enum class FeatureOrder {
  score,  ///< of its headline explanation, by the file's measure
  density,
  max_activation,
  place,     ///< layer, SAE, index
  effect,    ///< largest of its pair metrics
  relevance  ///< to `text`; without text as score
};
std::string_view to_string(FeatureOrder order);
FeatureOrder parse_feature_order(std::string_view text);

/// One scorer and one simulator for the whole file, whose scores are sorted by, filtered by and
/// drawn: a correlation (chance 0) and a balanced accuracy (chance 0.5) are not to be compared. It
/// is the one by which most headline explanations have a score; of equal ones the first of segment,
/// published, token, detection, fuzzing, any other; then a simulator that is not the lexical
/// baseline, then by name. No choice looks at the value of a score.
struct ScoreMeasure {
  std::string scorer, simulator;  ///< both empty where nothing is scored
  bool operator==(const ScoreMeasure&) const = default;
};

/// All conditions hold; an empty or missing one holds for every feature.
struct FeatureQuery {
  std::string text;  ///< words, "phrases" and beginnings (bomb*) in its explanations; search.h
  std::vector<std::string> domains;  ///< one of these, in one tag with ...
  std::string subclass;              ///< ... this
  std::string sae, site;
  std::optional<std::int32_t> layer;
  std::optional<double> min_score, max_score, min_density, max_density;
  std::optional<bool> explained;                 ///< has an explanation with text
  std::optional<bool> sufficient;                ///< has enough examples (status "ok")
  std::optional<std::vector<std::int64_t>> ids;  ///< is one of these

  std::string language;  ///< preferred for the text shown; empty: English
  FeatureOrder order = FeatureOrder::score;
  bool ascending = false;  ///< place is always ascending
  std::int64_t offset = 0, limit = 50;
};

/// A feature in a list.
///
/// Its headline explanation is the newest of an explainer other than the lexical baseline, or else
/// the baseline's; English before other languages. Its score is that explanation's newest by the
/// file's measure (ScoreMeasure), unknown where there is none.
struct FeatureLine {
  std::int64_t id = 0;
  std::string sae, site;
  std::int32_t layer = 0, feature = 0;
  std::string status;
  double score = kUnknown, density = kUnknown, max_activation = kUnknown, effect = kUnknown;
  std::string explainer, language;
  TextStatus text_status = TextStatus::absent;
  std::string text;                  ///< short, of the explanation shown
  std::vector<std::string> domains;  ///< sorted
};

struct FeaturePage {
  std::int64_t n_total = 0;  ///< that match, on all pages
  std::vector<FeatureLine> lines;
};

/// How many features; those that have an explanation, by its language ("en": 1144).
struct Count {
  std::string name;
  std::int64_t n = 0;
  std::map<std::string, std::int64_t> by_language;
};

struct FeatureCounts {
  std::int64_t n_features = 0, n_tagged = 0, n_explained = 0, n_scored = 0, n_insufficient = 0;
  std::map<std::string, std::int64_t> by_language, tagged_by_language;
  std::vector<Count> domains;     ///< falling
  std::vector<Count> subclasses;  ///< "politics/cult", falling
  std::vector<Count> layers, sites, saes;
  ScoreMeasure measure;  ///< of what is counted as scored
};

/// What a trace says of a feature, without its examples.
struct KnownFeature {
  std::int64_t id = 0;       ///< in its atlas; 0: from elsewhere
  std::int32_t feature = 0;  ///< index in its SAE
  double quantile = kUnknown;
  double score = kUnknown;                          ///< see FeatureLine
  std::map<std::string, std::string> explanations;  ///< of the headline's explainer, by language
  std::vector<std::string> domains;                 ///< sorted
};

struct NamedFeature {
  std::int64_t id = 0;
  std::string sae;  ///< name
};

struct Neighbour {
  FeatureLine line;
  double cosine = 0;
};

/// The landscape, an entry a feature in the order of ids.
struct Landscape {
  std::vector<std::int64_t> ids;
  std::vector<float> x, y;  ///< 0..1
  std::vector<std::int32_t> layer, feature;
  std::vector<std::uint32_t> sae;      ///< place in sae_names
  std::vector<std::uint32_t> domains;  ///< a bit a domain, the first of domain_names the lowest
  std::vector<double> score;
  std::vector<std::string> sae_names;
  /// Those of most features, falling; at most kMaxDomains.
  std::vector<std::string> domain_names;
  static constexpr std::size_t kMaxDomains = 31;  ///< JavaScript's bits
};

}  // namespace safesail
