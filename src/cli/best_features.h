// The features of each safety domain, best first, as a table.
#pragma once

#include <string>

#include "atlas/atlas.h"

namespace safesail {

/// For each domain that the atlas has: at most `n` features by falling score, with the score's
/// interval and floor, and the explanation cut to fit 100 columns.
std::string best_features(Atlas& atlas, int n);

}  // namespace safesail
