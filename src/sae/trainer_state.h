// Everything a trainer must remember between steps, and its file. On the CPU.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "sae/architecture.h"
#include "sae/sae.h"

namespace safesail {

/// A trained array and Adam's running moments of its gradient.
struct Parameter {
  std::string name;
  std::vector<std::int64_t> shape;
  std::span<float> weights;  ///< of the SAE, or `own`
  Aligned<float> own, first, second;
  double lr_scale = 1;

  bool is_threshold() const { return name == "threshold"; }  ///< stays >= 0
  /// Its learning rate is that of the step, `lr`, times this.
  double lr_factor(double lr, double bandwidth) const;
};

/// Where the parameters that every SAE has stand in TrainerState::parameters.
enum : std::size_t { kWEnc, kBEnc, kWDec, kBDec, kCommonParameters };

struct TrainerState {
  explicit TrainerState(Sae start);

  Sae sae;
  const Architecture* architecture;  ///< of the registry
  /// The common ones, then those of the architecture in its order, then W_skip where there is one.
  std::vector<Parameter> parameters;
  std::int64_t n_steps = 0, n_tokens = 0;
  std::vector<std::int64_t> tokens_since_fired;  ///< [n_features]
  double penalty = 0;    ///< weight of the sparsity term where the architecture moves it
  double threshold = 0;  ///< running threshold for inference, where the architecture keeps one

  /// The architecture's `i`-th own parameter.
  std::span<const float> own(std::size_t i) const {
    return parameters[kCommonParameters + i].weights;
  }
  std::span<float> own(std::size_t i) { return parameters[kCommonParameters + i].weights; }
};

/// Whether every weight and moment is a finite number.
bool is_finite(const TrainerState& state);

/// Writes atomically; `metadata` are the caller's strings.
void save_trainer_state(const fs::path& path, const TrainerState& state,
                        const std::map<std::string, std::string>& metadata);

/// Treats the file as hostile. `metadata`, if given, receives the caller's strings.
TrainerState load_trainer_state(const fs::path& path, std::map<std::string, std::string>* metadata);

}  // namespace safesail
