// How fast a model is on this machine, measured in a second or a few: for those who want to know
// how long work will take before it begins. A free function.
#pragma once

#include <cstdint>

#include "model/language_model.h"

namespace safesail {

/// Tokens a second.
struct ModelSpeed {
  double read = 0;     ///< of a prompt
  double written = 0;  ///< of `n_sequences` answers together
};
ModelSpeed measure_speed(const LanguageModel& model, std::int64_t n_sequences);

}  // namespace safesail
