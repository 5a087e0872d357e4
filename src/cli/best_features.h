// The features of each safety domain, best first, as a table.
#pragma once

#include <string>

#include "atlas/atlas.h"

namespace safesail {

/// For each domain of the pairs: at most `n` features, those first that tell one of the domain's
/// concepts apart most surely (lowest p); a "~" where false discovery control did not accept it.
/// With the concept and the pairs in which the feature fires on one side alone, the score with
/// interval and floor, and the explanation cut to fit 125 columns.
std::string best_features(Atlas& atlas, std::size_t n);

}  // namespace safesail
