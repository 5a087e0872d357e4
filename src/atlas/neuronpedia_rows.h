// Rows of Neuronpedia's files to and from plain structs. A row that breaks the format is an input
// error that says which key.
#pragma once

#include <string>
#include <vector>

#include "atlas/records.h"
#include "formats/json.h"

namespace safesail::neuronpedia {

/// What every row of features, activations and explanations begins with.
struct Place {
  std::string model;   ///< modelId
  std::string source;  ///< layer, which holds the source's id: "6-res-jb"
  std::int32_t feature = 0;
};
Place place_of(const JsonObject& row);

/// Layer of a source: the number that its id begins with; 0 where there is none.
std::int32_t layer_of_source(const std::string& source);
/// "blocks.6.hook_resid_pre" -> "resid_pre.6"; a hook that is no site of ours stays as it is.
std::string site_of_hook(const std::string& hook, std::string_view model);

struct FeatureRow {
  FeatureRecord record;
  double density = kUnknown;
  double x = kUnknown, y = kUnknown;  ///< 0..1, of our own export
  std::string hook;
};
FeatureRow feature_of(const JsonObject& row);
Json row_of(const FeatureEntry& entry, const Place& place);

struct ActivationRow {
  Exemplar exemplar;
  std::string extra;  ///< JSON: what of the row the exemplar does not hold
};
ActivationRow exemplar_of(const JsonObject& row, float max_activation);
Json row_of(const Exemplar& exemplar, const std::string& extra, const FeatureRecord& record,
            const Place& place, std::size_t number);

ExplanationWithScores explanation_of(const JsonObject& row);
Json row_of(const ExplanationWithScores& item, const FeatureEntry& entry, const Place& place);

}  // namespace safesail::neuronpedia
