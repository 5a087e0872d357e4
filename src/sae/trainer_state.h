// Everything a trainer must remember between steps, and its file. On the CPU.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "sae/sae.h"

namespace safesail {

/// One number a weight, laid out as the weights of Sae.
struct SaeShaped {
  explicit SaeShaped(const SaeSpec& spec);
  Aligned<float> w_enc, b_enc, w_dec, b_dec;
};

struct TrainerState {
  explicit TrainerState(Sae start);

  Sae sae;
  SaeShaped first, second;  ///< Adam's running moments
  std::int64_t n_steps = 0, n_tokens = 0;
  std::vector<std::int64_t> tokens_since_fired;  ///< [n_features]
};

/// Writes atomically; `metadata` are the caller's strings.
void save_trainer_state(const fs::path& path, const TrainerState& state,
                        const std::map<std::string, std::string>& metadata);

/// Treats the file as hostile. `metadata`, if given, receives the caller's strings.
TrainerState load_trainer_state(const fs::path& path, std::map<std::string, std::string>* metadata);

}  // namespace safesail
