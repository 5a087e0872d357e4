// JSON schemas of the answers that our prompts ask for, as tight as each request allows: its ids,
// as many values as it has units, texts of bounded length. An endpoint that holds to them gives no
// answer that cannot be read, and none that runs away.
//
// Keys stand in the order in which they are to be written. Pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace safesail {

/// Of an explanation, in characters; above what the prompts ask for. At a token a character they
/// fit the explainer's answer.
inline constexpr int kMaxShortText = 150, kMaxLongText = 800;
/// Tags of a feature, and characters of the evidence for one.
inline constexpr int kMaxTags = 5, kMaxEvidence = 100;

/// {"short": "...", "long": "..."}
std::string explanation_schema();

/// {"answers": [{"id": 1, "v": [...]}, ...]}: id i + 1 with n_units[i] values in 0..max_value.
std::string values_schema(std::span<const std::size_t> n_units, int max_value);

/// The labels of one domain, its subclasses among them.
struct TagLabels {
  std::string_view domain;
  std::vector<std::string_view> subclasses;
};
/// {"tags": [{"domain": "...", "subclass": "...", "evidence": "..."}, ...]}: each subclass of its
/// domain.
std::string tags_schema(std::span<const TagLabels> labels);

/// The same without bounds, and with items that are alike: what strict endpoints take that know few
/// keywords.
std::string plain_schema(std::string_view schema);

}  // namespace safesail
