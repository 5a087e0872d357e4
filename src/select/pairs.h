// Concept-contrastive pairs: two texts alike but for a concept. Read from the project's own jsonl,
// or from any labelled set whose rows say what they contrast with (pair_import.h). Format:
// docs/pairs.md. Files are hostile input; errors name file and line.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace safesail {

struct ContrastPair {
  std::string id;        ///< equal in every language
  std::string domain;    ///< "terror"
  std::string subclass;  ///< "weapons"
  std::string concept_;  ///< the finest concept: "land mine"
  std::string language;  ///< "en"
  std::string text, counterpart;
  std::string source;
};

/// All pairs of the files, in order. The same id twice in one language is an error, and so is a
/// pair whose two texts are equal.
std::vector<ContrastPair> read_pairs(const std::vector<fs::path>& files);

/// Pairs that stand for one thing, as numbers into the list: a subclass, or a whole domain.
struct Concept {
  std::string name;      ///< "terror/weapons", or "terror"
  std::string domain;    ///< of the pairs
  std::string subclass;  ///< empty: the whole domain
  std::string language;
  std::vector<std::size_t> pairs;
};

/// Every subclass and every domain of every language, in order of appearance, domains last, of
/// those of `pairs` whose numbers are `among`; what has fewer than `min_pairs` of them is left out
/// and named in `left_out`.
std::vector<Concept> concepts_of(const std::vector<ContrastPair>& pairs,
                                 std::span<const std::size_t> among, std::size_t min_pairs,
                                 std::vector<std::string>& left_out);

/// The others that concepts[i] is told from: of a subclass all other subclasses of its language, of
/// a domain the other domains.
std::vector<std::size_t> rivals_of(const std::vector<Concept>& concepts, std::size_t i);

}  // namespace safesail
