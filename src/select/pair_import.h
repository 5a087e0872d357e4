// Contrast pairs from labelled sets of others: HateCheck and its multilingual sister, and any csv
// or jsonl whose rows hold both texts of a pair, by the names of its columns.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "select/pairs.h"

namespace safesail {

/// How the columns of a table map to ours: "pair", "domain", "subclass", "concept", "language",
/// "text", "counterpart", "source".
struct PairColumns {
  std::map<std::string, std::string> columns;  ///< ours -> theirs; as ours where not named
  std::map<std::string, std::string> values;   ///< ours -> the same for every row
};

/// A csv with a column ref_case_id (HateCheck, Röttger et al. 2021; Multilingual HateCheck, 2022):
/// each non-hateful case with the hateful one that it contrasts with. Domain "hate", subclass: the
/// target group, concept: the functionality and template of the non-hateful case, language: as the
/// case ids say ("mandarin-12"), else "en".
std::vector<ContrastPair> read_hatecheck(const fs::path& path);

/// Rows of a .csv or .jsonl file. Rows are numbered where no column names the pair.
std::vector<ContrastPair> read_pair_table(const fs::path& path, const PairColumns& columns);

/// Each file by what it is: .csv with ref_case_id, other tables by `columns`, .jsonl of our own.
std::vector<ContrastPair> read_any_pairs(const std::vector<fs::path>& files,
                                         const PairColumns& columns);

}  // namespace safesail
