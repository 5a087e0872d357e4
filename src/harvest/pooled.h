// One vector a text: the mean of a site over its content tokens, for probes on raw activations.
#pragma once

#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/report.h"
#include "model/language_model.h"
#include "model/site.h"
#include "text/batch.h"
#include "text/tokenizer.h"

namespace safesail {

/// Texts in the rows of [n_texts, d_model], for each site one; a text without content tokens has
/// zeros, and of one longer than max_sequence the beginning is read.
std::vector<std::vector<float>> mean_activations(const LanguageModel& model,
                                                 const Tokenizer& tokenizer,
                                                 std::span<const Site> sites,
                                                 std::span<const std::string> texts,
                                                 const BatchConfig& config, Reporter& reporter,
                                                 const std::stop_token& stop);

}  // namespace safesail
