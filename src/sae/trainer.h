// One SAE in training: the step, its optimiser state, dead-feature counts, and their exact resume.
//
// Loss (in the normalised space of the transforms, where E|z|^2 = d):
//   L = mean over the batch's tokens of |target - zhat|^2 / d_out
//       + auxk_coefficient * mean over tokens of |e_aux - (target - zhat)|^2 / d_out
//       + the architecture's sparsity term
// where target = z for an SAE and the other site's z for a transcoder, e_aux = ReLU(top-k_aux(pre
// of the dead features)) W_dec, and target - zhat counts as a constant in the second term. With
// nested groups (Matryoshka) the first term is the mean over the groups.
//
// After the gradients: the part of each decoder row's gradient along the row is removed, the joint
// norm of all gradients is cut to clip_norm (0: not), Adam steps, decoder rows go back to unit
// norm.
//
// Not thread-safe; a step is parallel inside by itself. A step is a pure function of (state, batch,
// settings): bit-equal on the same machine for any number of threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "sae/sae.h"

namespace safesail {

struct TrainerOptions {
  Selection selection = fastest_selection();
  double beta1 = 0.9, beta2 = 0.999;
  /// Of a loss that is a mean over d_out, as Gao et al. 2024 have it with theirs.
  double epsilon = 6.25e-10;
  double clip_norm = 0;         ///< 0: gradients are not cut
  double auxk_coefficient = 0;  ///< 0: no auxiliary loss; 1/32 is usual
  std::int64_t k_aux = 0;       ///< 0: d_out / 2
  std::int64_t dead_after_tokens = 10'000'000;
  /// Weight of the sparsity term; with a target L0 its value at the start. 0: the architecture's.
  double penalty = 0;
  double bandwidth = 0.1;      ///< JumpReLU: width of the straight-through window, in units of pre
  std::string device = "cpu";  ///< "cpu": the sparse kernels; "cuda[:n]" or "aten": plain LibTorch
};

/// What may change from step to step.
struct StepSettings {
  double lr = 0;
  std::int64_t k = 0;  ///< while k is annealed: more than the spec's; 0: the spec's
  /// lr as a share of its peak. What is controlled (a penalty, until L0 comes to its target) moves
  /// as much slower as the weights do: else it would wind up while they cannot follow.
  double pace = 1;
};

/// Seconds of one step by phase; all but `total` are zero outside the sparse kernels. encode: the
/// products and what is selected from them; refine: the candidates again in f32, and the choice.
struct StepSeconds {
  double prepare = 0, encode = 0, refine = 0, decode = 0, backward = 0, adam = 0, total = 0;
};

struct StepReport {
  double loss = 0;  ///< L above
  double fvu = 0;   ///< of this batch before the update: sum|z-zhat|^2 / sum|z - batch mean|^2
  double l0 = 0;    ///< mean active features a token
  double aux_loss = 0, sparsity_loss = 0;  ///< their shares of `loss`
  double grad_norm = 0;                    ///< before clipping; 0 when clipping is off
  std::int64_t n_dead = 0;                 ///< features that have not fired for dead_after_tokens
  StepSeconds seconds;
};

class SaeTrainer {
 public:
  /// The beginning of a training, under the architecture that the spec names. With the first batch
  /// that architecture sets biases, thresholds and its own parameters anew (Architecture::start),
  /// so that a finished SAE, which has no moments either, cannot go on from where it is.
  SaeTrainer(Sae sae, const TrainerOptions& options);
  /// Continues a state written by save(), bit for bit. `metadata`, if given, receives what was
  /// saved with it. The file is treated as hostile.
  static SaeTrainer resume(const fs::path& path, const TrainerOptions& options,
                           std::map<std::string, std::string>* metadata = nullptr);
  ~SaeTrainer();
  SaeTrainer(SaeTrainer&&) noexcept;
  SaeTrainer& operator=(SaeTrainer&&) noexcept;

  /// z [n_tokens, d_in] f32 or bf16, contiguous, already through the input transform; on the CPU
  /// (it is moved where the trainer computes). Any batch size above 0.
  StepReport step(const at::Tensor& z, const StepSettings& settings);
  /// The same for a transcoder: `target` [n_tokens, d_out], through the output transform.
  StepReport step(const at::Tensor& z, const at::Tensor& target, const StepSettings& settings);

  /// The SAE of now as it runs; valid until the next step. (On a GPU the weights are copied home by
  /// this call.)
  const Sae& sae() const;
  std::int64_t n_steps() const;
  std::int64_t n_tokens() const;
  /// [n_features] tokens since each feature last fired, counted over the whole training.
  std::span<const std::int64_t> tokens_since_fired() const;

  /// Whether every weight and every moment of Adam is a finite number: what save() would write and
  /// resume() take.
  bool is_finite() const;

  /// Everything resume() needs, atomically, with the caller's metadata.
  void save(const fs::path& path, const std::map<std::string, std::string>& metadata = {}) const;

  /// Bytes a trainer of this shape holds at its highest with batches of `batch_tokens`.
  static std::uint64_t memory_bytes(const SaeSpec& spec, const TrainerOptions& options,
                                    std::int64_t batch_tokens);

 private:
  struct Impl;
  explicit SaeTrainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace safesail
