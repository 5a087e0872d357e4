// Held-out evaluation: how well each SAE reconstructs, how sparsely, and what the model loses when
// the reconstruction stands in for the real activations. Every definition, with its source:
// docs/evaluation.md.
#pragma once

#include <array>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bootstrap.h"
#include "base/report.h"
#include "harvest/block.h"
#include "model/language_model.h"
#include "sae/agreement.h"
#include "text/batch.h"
#include "train/evaluation_cells.h"

namespace safesail {

/// Tokens with so many before them in what the model read at once, and what splicing costs there.
struct PositionResult {
  std::int32_t first = 0, last = 0;  ///< inclusive; `last` of the last bucket is the largest int
  std::uint64_t n_tokens = 0;        ///< with a next token
  double delta = 0, kl = 0;          ///< nats a token
  double fvu = 0;  ///< about the mean of all positions; NaN without content tokens
};

/// Next-token cross entropy in nats a token: clean, with the SAE's reconstruction in place of the
/// site's content tokens (special tokens pass unchanged), and with zero or the site's mean over the
/// held-out tokens in the same places.
struct SplicedLoss {
  std::uint64_t n_tokens = 0;  ///< predicted; 0: losses were not measured
  Estimate clean, spliced, zero_ablated, mean_ablated;
  Estimate delta;  ///< spliced - clean
  /// KL(clean || edited) of the next token, nats a token.
  Estimate kl, kl_zero_ablated, kl_mean_ablated;
  /// 1: as good as clean; 0: as bad as ablation by zero, or by the mean.
  Estimate recovered, recovered_from_mean;
  std::vector<PositionResult> by_position;
};

struct SeedAgreement {
  std::uint64_t seed = 0;  ///< of the other SAE, otherwise alike
  FeatureAgreement features;
};

struct CellResult {
  SaeIdentity id;
  std::int64_t n_tokens = 0;      ///< held-out content tokens behind all but the losses
  std::uint64_t n_documents = 0;  ///< they come from; 0: not told apart, so no intervals
  Estimate fvu, l0;
  std::array<std::int64_t, 3> l0_quantiles{};  ///< 5 %, 50 %, 95 % of tokens
  double dead_share = 0;                       ///< features that fired on none of n_tokens
  /// See StreamingMetrics.
  double scale_to_fit = 0, norm_ratio = 0, cosine = 0;
  /// Features by log10 of their density: kDensityBins equal bins from kLowestDensity to 0.
  std::vector<std::int64_t> density;
  std::int64_t n_never_fired = 0;
  SplicedLoss loss;
  std::vector<SeedAgreement> agreement;
  double training_rate = 0;  ///< tokens per second of its own training steps; 0: not known
};

inline constexpr int kDensityBins = 24;
inline constexpr double kLowestDensity = -6;

struct EvaluationConfig {
  std::uint64_t n_tokens = 50'000;      ///< for reconstruction and sparsity
  std::uint64_t n_loss_tokens = 5'000;  ///< for the losses: one more part of a pass an SAE
  std::size_t n_resamples = 1000;       ///< of documents, for the intervals
  std::uint64_t seed = 0;               ///< of the resamples
};

/// `batches` must yield held-out documents only. Results come in the order of `cells`. A stop
/// is an environment error: nothing is kept of a partial evaluation.
std::vector<CellResult> evaluate(const LanguageModel& model, BatchStream batches,
                                 const std::vector<EvaluationCell>& cells,
                                 const EvaluationConfig& config, Reporter& reporter,
                                 std::stop_token stop = {});

/// One JSON object a cell, as written to `evaluation.jsonl`; its keys: docs/evaluation.md.
std::string to_json(const CellResult& result);

}  // namespace safesail
