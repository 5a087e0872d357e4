// Phase 1 end to end: model and corpus -> a grid of SAEs -> held-out evaluation -> a run folder.
//
//   runs/NAME/manifest.json      what each stage was made from: config, hash, seed, version, tokens
//            /sites.json         what the sites look like
//            /sae/<site>/<architecture>-k<k>/sae.safetensors
//            /metrics.jsonl      training, a line a block and SAE
//            /evaluation.jsonl   held-out results, a line an SAE; report.html shows them
#pragma once

#include <cstdint>
#include <optional>
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
  std::string sites;  ///< "mlp_out.5,mlp_out.15" or "mlp_out.*"; may be empty with transcoders
  GridLists lists;    ///< its sites are filled in from `sites`
  GridConfig grid;    ///< its sites and cells are filled in
  EvaluationConfig evaluation;
  fs::path out;
};

struct RunResult {
  std::vector<CellResult> cells;  ///< empty when the evaluation was there already
  GridResult training;
  double total_seconds = 0;
};

/// Does what is missing of the stages "train" and "evaluate". `force` names the first of those that
/// are done in any case.
RunResult run_stages(RunConfig config, const std::optional<std::string>& force, Reporter& reporter,
                     std::stop_token stop);

}  // namespace safesail
