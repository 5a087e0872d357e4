// The auxiliary loss that gives dead features a gradient: they try to explain what the living ones
// left over (AuxK, Gao et al. 2024). Its gradients reach the dead features' encoder rows, decoder
// rows and encoder biases, and b_dec by way of the encoder's input; all in full.
//
// The dead features form a small SAE of their own, so that every kernel serves twice. Owned by one
// SparseStep.
#pragma once

#include <cstdint>
#include <vector>

#include "sae/code_pairs.h"
#include "sae/encode.h"
#include "sae/trainer.h"
#include "sae/trainer_state.h"

namespace safesail {

class AuxLoss {
 public:
  /// Returns the loss with its coefficient; 0 when it is off or no feature is dead. `since_fired`
  /// [n_features] counts the tokens of this step, too; `residual` is zhat - z.
  double forward(const TrainerState& state, std::span<const std::int64_t> since_fired,
                 const PreparedTokens& tokens, const ColumnBlocks& residual,
                 const TrainerOptions& options);

  /// Adds the gradients of the dead among features [first, last) to rows that start at `first`.
  /// Threads may call it for disjoint ranges.
  void add_gradients(std::int64_t first, std::int64_t last, const PreparedTokens& tokens,
                     float* w_dec_gradient, float* w_enc_gradient, float* b_enc_gradient) const;

 private:
  void gather(const TrainerState& state, Selection selection);

  std::vector<std::int64_t> dead_;  ///< rising; empty: nothing to do
  Aligned<float> w_enc_, w_dec_;    ///< [dead, d_in], [dead, d_out]
  std::vector<float> b_enc_;
  Aligned<std::uint16_t> w_enc_bf16_;
  EncodeScratch scratch_;
  CodePairs pairs_;
  ColumnBlocks residual_;  ///< what the dead features say, minus what was left over
  float scale_ = 0;        ///< of gradients
};

}  // namespace safesail
