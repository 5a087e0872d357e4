// What selection leaves in a run's `select/` folder; format: docs/selection.md.
//
//   metrics.jsonl         a line an SAE and concept
//   candidates.jsonl      a line a feature and concept: those under false discovery control
//                         ("accepted"), and of each domain the next best
//   lists.json            {SAE: {concept: ["15_1234", ...]}}, in the published LAYER_INDEX form
//   recommendation.json   the configuration to go on with, why, and the ranking
//   report.html           the table and the figure of the paper, with intervals
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "formats/json.h"
#include "select/selection.h"

namespace safesail {

/// What stands in candidates.jsonl of the pairs held out; null: it was not tried there.
Json to_json(const Replication& replication);

/// Each file atomically; the folder is made. `facts` say in the report what was selected from what.
void write_selection(const fs::path& folder, const FeatureSelection& selection,
                     const std::vector<std::pair<std::string, std::string>>& facts);

std::string selection_html(const FeatureSelection& selection,
                           const std::vector<std::pair<std::string, std::string>>& facts);

/// A feature that stands for a concept, or of a domain the next best.
struct Candidate {
  std::string sae;  ///< name in the run
  std::string concept_, domain, subclass, language;
  FeatureContrast contrast;  ///< its rival by name, below
  std::string rival;         ///< the concept that it was tested against; empty: there is no other
  std::int64_t n_pairs = 0;
  bool accepted = false;  ///< under false discovery control

  /// Of an accepted one: whether it stands for the concept as far as is known, on the pairs held
  /// out where some were.
  bool is_tagged() const {
    return accepted && (contrast.held_out.n_pairs == 0 || contrast.held_out.replicates());
  }
};

struct SelectionResult {
  std::vector<std::string> chosen;  ///< names of the recommended SAEs, one a site
  std::string reason;
  std::vector<Candidate> candidates;  ///< of all SAEs
};

/// Reads candidates.jsonl and recommendation.json back.
SelectionResult read_selection(const fs::path& folder);

}  // namespace safesail
