// The training step on the CPU, sparse throughout: no [n_tokens, n_features] and (unless gradients
// are clipped) no [n_features, d_model] gradient is ever held.
//
// forward() then, for ranges of features, gradients() and update(): tests look between the parts.
// Owned by one trainer; parallel inside; not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "sae/aux_loss.h"
#include "sae/code_pairs.h"
#include "sae/encode.h"
#include "sae/kernels/adam.h"
#include "sae/kernels/column_blocks.h"
#include "sae/trainer.h"
#include "sae/trainer_state.h"

namespace safesail {

class SparseStep {
 public:
  SparseStep(const TrainerState& state, const TrainerOptions& options);

  /// The whole step.
  StepReport run(TrainerState& state, const at::Tensor& z, double lr);

  /// Codes, residual and loss of `z`; the state stays as it is.
  StepReport forward(const TrainerState& state, const at::Tensor& z);

  /// Gradients of features [first, last), both multiples of 128 (or the end), after forward():
  /// rows of w_enc and w_dec (the latter without its part along the row), entries of b_enc; b_dec
  /// is whole only once all features were done.
  struct Gradients {
    Aligned<float> w_enc, w_dec;  ///< [last - first, d_model]
    std::vector<float> b_enc;     ///< [n_features]
    std::vector<float> b_dec;     ///< [d_model], see finish_b_dec()
  };
  void gradients(const TrainerState& state, std::int64_t first, std::int64_t last, Gradients& out);
  void finish_b_dec(Gradients& gradients) const;

  const SparseCodes& codes() const { return codes_; }

 private:
  void update(TrainerState& state, const AdamStep& adam, std::int64_t first, std::int64_t last,
              const Gradients& gradients);
  void update_biases(TrainerState& state, const AdamStep& adam, const Gradients& gradients);
  void count_fired(TrainerState& state) const;
  double clip_scale(std::int64_t n_features, std::int64_t d, const Gradients& gradients,
                    StepReport& report) const;

  const TrainerOptions options_;
  Aligned<std::uint16_t> w_enc_bf16_;  ///< follows the f32 weights; empty with f32 selection
  PreparedTokens tokens_;
  EncodeScratch scratch_;
  SparseCodes codes_;
  CodePairs pairs_;
  ColumnBlocks residual_;              ///< zhat - z
  std::vector<float> residual_sums_;   ///< [d_model] over tokens
  std::vector<float> b_dec_partials_;  ///< [groups of features, d_model]
  Gradients gradients_;
  AuxLoss aux_;
};

}  // namespace safesail
