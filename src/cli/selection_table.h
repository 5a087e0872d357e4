// The table that ends a selection.
#pragma once

#include <string>

#include "select/selection.h"

namespace safesail {

/// One line an SAE, within 100 columns: L0, FVU, L_{0,.5} and L_{0,.2} against chance, I_CDF
/// against chance, candidates; the recommended configuration marked.
std::string selection_table(const FeatureSelection& selection);

}  // namespace safesail
