// Whether an SAE and a model belong together. Asked wherever one meets the other: with another
// model's activations an SAE of the right width gives numbers that look like any others.
#pragma once

#include <string>

#include "model/identity.h"
#include "sae/checkpoint.h"

namespace safesail {

/// An input error where the SAE says that it was trained on another model or tokenizer. An SAE that
/// does not say it (an import) is taken. `sae` names it in the message.
void require_same_model(const SaeProvenance& provenance, const ModelIdentity& model,
                        const std::string& sae);

}  // namespace safesail
