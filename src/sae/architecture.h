// What is special about one SAE architecture: which pairs take part in a step, what is decoded from
// their pre-activations, its sparsity term, its own parameters, and how the trained SAE runs.
// Everything else (encoder, decoder, residual, Adam, AuxK, checkpoints) is common.
//
// Each architecture is one file in sae/architectures/, listed in architecture.cc. It says the same
// thing twice: sparsely, for the CPU kernels, and as plain LibTorch operations, for GPUs and as the
// judge of the first (autograd differentiates it). Objects are stateless; what a training remembers
// is in TrainerState.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sae/code_pairs.h"
#include "sae/encode.h"
#include "sae/sae.h"

namespace safesail {

struct TrainerOptions;
struct TrainerState;

/// A step as the architecture sees it.
struct StepView {
  const TrainerState& state;
  const TrainerOptions& options;
  std::int64_t k = 0;         ///< of this step: the spec's, or more while it is annealed
  std::int64_t n_tokens = 0;  ///< of the batch
};

/// What a step has found out, for after_step().
struct StepFacts {
  double l0 = 0;           ///< mean active features a token
  float lowest_value = 0;  ///< of the active ones; 0 when none was
  double pace = 1;         ///< StepSettings::pace
};

/// The pairs of one feature on the way back.
struct FeaturePairs {
  std::span<const float> pre, values;
  std::span<const float> by_gate;  ///< with pre_reconstructs(): gradients of that by pre
  std::span<float> gradients;
};

/// The same step in plain LibTorch; `own` are the architecture's parameters, in its order.
struct DenseView {
  StepView step;
  at::Tensor& pre;     ///< [n_tokens, n_features]
  at::Tensor& w_dec;   ///< [n_features, d_out]
  at::Tensor& target;  ///< [n_tokens, d_out] z - b_dec, the latter without gradient
  std::span<const at::Tensor> own;
};

class Architecture {
 public:
  virtual ~Architecture() = default;

  virtual std::string_view name() const = 0;
  /// Whether a step keeps as many as it is told: then k may be annealed.
  virtual bool fixes_k() const { return false; }
  /// One line for people: what it is and where it comes from.
  virtual std::string_view summary() const = 0;
  /// How the trained SAE runs.
  virtual Rule rule() const = 0;
  /// Trained arrays [n_features] beside the weights; "threshold" is the SAE's own.
  virtual std::vector<std::string> own_parameters() const { return {}; }
  /// An input error unless spec and options make sense together.
  virtual void check(const SaeSpec& spec, const TrainerOptions& options) const;
  /// Before the first step: biases, thresholds and penalties that follow from `z`, the first batch.
  virtual void start(TrainerState& state, const TrainerOptions& options, const at::Tensor& z) const;
  /// Matryoshka: ends of the nested prefixes whose reconstructions the loss averages.
  virtual std::vector<std::int64_t> groups(const SaeSpec& spec) const { return {spec.n_features}; }
  /// Gated: true when ReLU(pre) must reconstruct, too (without gradient into the decoder).
  virtual bool pre_reconstructs() const { return false; }

  /// The pairs of the step with their pre-activations; all that get a value or a gradient.
  virtual void select(const StepView& step, const EncoderWeights& encoder,
                      const PreparedTokens& tokens, EncodeScratch& scratch,
                      CodePairs& pairs) const = 0;
  /// Fills pairs.activated where what is decoded is not pre.
  virtual void activate(const TrainerState& state, CodePairs& pairs) const;
  /// The sparsity term of the loss, `l0` being the mean active features.
  virtual double sparsity_loss(const StepView& step, const CodePairs& pairs, double l0) const;
  /// Turns pairs.gradients from gradients by the values into gradients by pre, the sparsity term's
  /// included; own[i] gets the gradient of the feature's i-th own parameter. Called for different
  /// features from several threads.
  virtual void backward(const StepView& step, double l0, std::int64_t feature, FeaturePairs pairs,
                        std::span<float> own) const;

  /// Dense: codes [n_tokens, n_features], and the terms of the loss beside the reconstruction (may
  /// stay undefined).
  struct Dense {
    at::Tensor* codes;
    at::Tensor* loss;
  };
  virtual void dense(const DenseView& view, Dense out) const = 0;

  /// After Adam: running estimates and bounds on own parameters.
  virtual void after_step(TrainerState& state, const TrainerOptions& options,
                          const StepFacts& facts) const;
  /// The SAE as it runs, where it is not state.sae as it stands. May fill state.sae.threshold().
  virtual std::optional<Sae> inference_sae(TrainerState& state) const;
};

/// By name; an unknown one is an input error that lists all.
const Architecture& find_architecture(std::string_view name);
/// All, in the order of the documentation.
std::span<const Architecture* const> all_architectures();

/// A spec for training: the architecture's rule, an SAE of width d.
SaeSpec trained_spec(std::string_view architecture, std::int64_t d, std::int64_t n_features,
                     std::int64_t k);

/// For start(): the value that a share `density` of the pre-activations of `z` (at most 256 of its
/// tokens) exceeds, with the state's weights.
float pre_quantile(const TrainerState& state, const at::Tensor& z, double density);

/// For after_step(): moves state.penalty so that the L0 comes to the target.
void control_penalty(TrainerState& state, const StepFacts& facts);

}  // namespace safesail
