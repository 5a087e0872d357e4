// What decides the results of the stages of phase 2, as JSON: the same whether `run` does them or a
// subcommand, so that neither takes the other's work for its own or throws it away.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "run/collect.h"
#include "run/score.h"
#include "select/selection.h"
#include "stages/run_manifest.h"

namespace safesail {

nlohmann::json select_settings(const fs::path& model, const std::vector<std::string>& pairs,
                               const SelectConfig& config);
/// `select`: those of the selection that the features are from; null where it is not recorded.
nlohmann::json exemplar_settings(const nlohmann::json& select, const CollectConfig& config);
nlohmann::json score_settings(const nlohmann::json& exemplars, const ScoreConfig& config);

/// The stages "select" and "exemplars" done, for the manifest.
StageRecord select_record(const nlohmann::json& settings, const std::vector<std::string>& pairs,
                          const SelectConfig& config);
StageRecord exemplar_record(const nlohmann::json& settings, const CollectConfig& config,
                            const Collected& collected);

}  // namespace safesail
