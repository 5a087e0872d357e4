// The stage `exemplars`: the features that selection chose, of the recommended configuration, are
// looked for in a corpus, and everything known of them before any explanation goes into the atlas.
#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "atlas/atlas.h"
#include "base/report.h"
#include "harvest/exemplar_collector.h"
#include "model/text_model.h"
#include "select/selection_files.h"
#include "text/corpus.h"
#include "train/evaluation_cells.h"

namespace safesail {

struct CollectConfig {
  CorpusConfig corpus;
  BatchConfig batch;
  ExemplarConfig exemplars;
  std::uint64_t n_tokens = 1'000'000;  ///< read by the model, special ones included
  std::size_t max_features = 2000;     ///< of an SAE: the best by q, then p
  /// Firing windows without which a feature is "insufficient": for explaining, for the test.
  std::uint64_t min_explain = 5, min_test = 10;
};

/// What becomes of what the atlas has already.
enum class OldFeatures {
  keep,    ///< other features stay, and explanations of these ones too
  replace  ///< all of it goes but answers and ledger; ids of features that come again stay
};

struct Collected {
  std::size_t n_features = 0, n_insufficient = 0;
  std::uint64_t n_tokens = 0;
};

/// The cells of a run that are called so (SelectionResult::chosen).
std::vector<const EvaluationCell*> chosen_cells(const std::vector<EvaluationCell>& cells,
                                                const std::vector<std::string>& chosen);

/// One pass over the corpus for all SAEs; then everything in one transaction: a stop or a kill
/// leaves the atlas as it was. Tags come from the accepted candidates, on the pairs held out where
/// some were (Candidate::is_tagged), with the pairs' metrics as evidence.
Collected collect_features(const TextModel& model, const std::string& model_name,
                           const std::vector<const EvaluationCell*>& cells,
                           const SelectionResult& selection, const CollectConfig& config,
                           OldFeatures old, Atlas& atlas, Reporter& reporter, std::stop_token stop);

}  // namespace safesail
