// What the weights alone say of a feature: the output tokens that its direction promotes and
// suppresses, and the features of its SAE that point the same way.
#pragma once

#include <span>

#include "harvest/exemplars.h"
#include "model/language_model.h"
#include "model/site.h"
#include "sae/sae.h"
#include "text/tokenizer.h"

namespace safesail {

inline constexpr int kLensTokens = 10, kNearestFeatures = 10;

/// Fills `promoted` and `suppressed` by the logit lens (nostalgebraist 2020): the decoder's row
/// taken as the last residual stream, through the final norm and the head. Left empty for sites
/// that do not write to the residual stream. `output`: the site that the SAE reconstructs; the
/// records are of this SAE.
void add_logit_lens(const LanguageModel& model, const Tokenizer& tokenizer, const Site& output,
                    const Sae& sae, std::span<FeatureRecord> records);

/// Fills `nearest` by the cosine of decoder rows, the feature itself left out.
void add_nearest(const Sae& sae, std::span<FeatureRecord> records);

}  // namespace safesail
