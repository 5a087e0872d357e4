// The training step on the CPU, sparse throughout: no [n_tokens, n_features] and (unless gradients
// are clipped) no [n_features, d] gradient is ever held. What depends on the architecture is asked
// of it (architecture.h).
//
// forward(), then gradients() of all features at once or, in run(), of a few and their update.
// Where there are nested groups they come last first: one residual then serves them all, growing
// from group to group. Owned by one trainer; parallel inside; not thread-safe.
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

  /// The whole step; z and target as SaeTrainer::step() takes them, contiguous.
  StepReport run(TrainerState& state, const at::Tensor& z, const at::Tensor& target,
                 const StepSettings& settings);

  /// Codes, residual and loss; the state stays as it is. `k`: StepSettings.
  StepReport forward(const TrainerState& state, const at::Tensor& z, const at::Tensor& target,
                     std::int64_t k = 0);

  /// Rows of w_enc and w_dec (the latter without its part along the row), entries of the biases and
  /// of the architecture's own parameters.
  struct Gradients {
    Aligned<float> w_enc, w_dec;          ///< [features, d_in], [features, d_out]
    std::vector<float> b_enc;             ///< [n_features]
    std::vector<float> b_dec;             ///< [d_out]
    std::vector<std::vector<float>> own;  ///< each [n_features]
    std::vector<float> w_skip;            ///< [d_out, d_in]
  };
  /// All of them, once after each forward().
  void gradients(const TrainerState& state, Gradients& out);

  const CodePairs& pairs() const { return pairs_; }

 private:
  void prepare(const TrainerState& state, const at::Tensor& z, const at::Tensor& target);
  void encode(const TrainerState& state);
  double reconstruct_from_pre(const TrainerState& state);
  void reconstruct(const TrainerState& state, StepReport& report);
  void start_residual(std::int64_t block, bool has_skip);
  template <class Visit>
  void for_each_chunk(const TrainerState& state, std::int64_t most_features, Visit visit);
  void enter_group(const TrainerState& state, std::size_t group);
  void gradients(const TrainerState& state, std::int64_t first, std::int64_t last, float* w_enc,
                 float* w_dec, Gradients& out);
  void finish(const TrainerState& state, Gradients& gradients) const;
  StepView view(const TrainerState& state) const;
  const ColumnBlocks& target() const { return has_own_target_ ? target_ : tokens_.columns; }
  void update(TrainerState& state, const AdamStep& adam, std::int64_t first, std::int64_t last,
              const float* w_enc_gradient, const float* w_dec_gradient);
  void update_by_chunks(TrainerState& state, const AdamStep& adam, StepReport& report);
  void update_small(TrainerState& state, const AdamStep& adam, double lr,
                    const Gradients& gradients);
  void count_fired(const TrainerState& state);
  double clip_scale(const TrainerState& state, const Gradients& gradients,
                    StepReport& report) const;

  const TrainerOptions options_;
  Aligned<std::uint16_t> w_enc_bf16_;  ///< follows the f32 weights; empty with f32 selection
  PreparedTokens tokens_;
  /// The target minus b_dec. The encoder's tokens are that already where an SAE reads z - b_dec.
  ColumnBlocks target_;
  bool has_own_target_ = false;
  std::vector<float> skip_input_;  ///< [n_tokens, d_in] z, where there is a skip connection
  EncodeScratch scratch_;
  CodePairs pairs_;
  std::vector<float> gate_gradients_;  ///< [n_pairs] of the reconstruction from pre, by pre
  std::vector<float> pair_gradients_;  ///< of the pairs of the features being worked on
  std::vector<std::int64_t> ends_;     ///< of the nested groups
  /// What the features of the group being worked on get their gradients from: the sum, over that
  /// group and those after it, of (zhat of the prefix that ends there - target). So after forward()
  /// the plain residual.
  ColumnBlocks residual_;
  ColumnBlocks prefix_;                    ///< zhat - target of the prefix before that group;
                                           ///< empty with one group
  std::vector<float> residual_sums_;       ///< [d_out] over tokens and groups
  std::vector<float> b_dec_partials_;      ///< [groups of features, d_in]
  std::vector<std::int64_t> since_fired_;  ///< [n_features] as the state's after this step
  double l0_ = 0;
  float lowest_value_ = 0;
  std::int64_t k_ = 0;
  Gradients gradients_;
  AuxLoss aux_;
};

}  // namespace safesail
