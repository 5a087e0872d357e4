// Held-out evaluation: how well each SAE reconstructs, how sparsely, and what the model loses when
// the reconstruction stands in for the real activations.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/report.h"
#include "harvest/block.h"
#include "model/language_model.h"
#include "sae/sae.h"
#include "text/batch.h"

namespace safesail {

/// One SAE to evaluate and where it belongs.
struct EvaluationCell {
  Site site;
  std::int64_t k = 0;
  Sae sae;
};

/// Next-token cross entropy in nats a token: clean, with the SAE's reconstruction in place of the
/// site's content tokens (special tokens pass unchanged), and with zero or the site's mean in the
/// same places.
struct SplicedLoss {
  double clean = 0, spliced = 0, zero_ablated = 0, mean_ablated = 0;
  std::uint64_t n_tokens = 0;

  double delta() const { return spliced - clean; }
  /// 1: as good as clean; 0: as bad as ablation by zero.
  double recovered() const { return (zero_ablated - spliced) / (zero_ablated - clean); }
};

struct CellResult {
  std::string site;
  std::int64_t k = 0, n_features = 0;
  std::int64_t n_tokens = 0;  ///< held-out tokens behind fvu, l0 and dead_share
  double fvu = 0, l0 = 0;
  double dead_share = 0;  ///< features that fired on none of n_tokens
  SplicedLoss loss;
};

struct EvaluationConfig {
  std::uint64_t n_tokens = 50'000;      ///< for reconstruction and sparsity
  std::uint64_t n_loss_tokens = 5'000;  ///< for the losses: one more pass of the model an SAE
};

/// `batches` must yield held-out documents only. Results come in the order of `cells`. A stop
/// is an environment error: nothing is kept of a partial evaluation.
std::vector<CellResult> evaluate(const LanguageModel& model, BatchStream batches,
                                 const std::vector<EvaluationCell>& cells,
                                 const EvaluationConfig& config, Reporter& reporter,
                                 std::stop_token stop = {});

/// Reconstruction and sparsity alone, on the first site of `source`; results in the order of
/// `saes`.
std::vector<CellResult> evaluate_reconstruction(BlockSource& source, const std::string& site,
                                                const std::vector<Sae>& saes);

/// The cells of a run, from its `sae/` folder, by site and k.
std::vector<EvaluationCell> load_cells(const fs::path& run, int n_layers);

/// One JSON object a cell, as written to `evaluation.jsonl`.
std::string to_json(const CellResult& result);

}  // namespace safesail
