// Phase 1 end to end: model and corpus -> a grid of SAEs -> held-out evaluation -> a run folder.
//
//   runs/NAME/manifest.json      what was done: config, hash, seed, version, tokens, seconds
//            /sae/<site>/topk-k<k>/sae.safetensors
//            /metrics.jsonl      training, a line a block and SAE
//            /evaluation.jsonl   held-out results, a line an SAE
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/report.h"
#include "model/language_model.h"
#include "text/batch.h"
#include "text/corpus.h"
#include "train/evaluate.h"
#include "train/grid.h"

namespace safesail {

struct RunConfig {
  fs::path model;
  LoadOptions load;
  CorpusConfig corpus;
  BatchConfig batch;
  double held_out_share = 0.05;
  std::string sites;     ///< "mlp_out.5,mlp_out.15"
  double expansion = 8;  ///< n_features = expansion * d_model, where grid.n_features is 0
  std::int64_t block_rows = 16384;
  GridConfig grid;  ///< its sites are filled in from `sites`
  EvaluationConfig evaluation;
  fs::path out;
  bool force = false;  ///< throw away what `out` holds and start over
};

struct RunResult {
  std::vector<CellResult> cells;
  GridResult training;
  double total_seconds = 0;
};

/// Does what is missing: a finished run is only evaluated again when its evaluation is missing.
RunResult run_phase_one(RunConfig config, Reporter& reporter, std::stop_token stop);

/// Everything that decides the result, as JSON; its hash names the run.
std::string config_json(const RunConfig& config);

}  // namespace safesail
