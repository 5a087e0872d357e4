// A run's configuration as JSON: everything that decides a stage's result and nothing else. Its
// hash names the run; a checkpoint or a result of another hash is never mixed in.
#pragma once

#include <nlohmann/json.hpp>

#include "train/run.h"

namespace safesail {

/// Fills config.lists.sites and config.grid.sites in from `sites` and the transcoders.
void resolve_sites(RunConfig& config, int n_layers);

/// Of the grid alone, for runs from files too.
nlohmann::json grid_settings(const GridLists& lists, const GridConfig& grid);

nlohmann::json training_settings(const RunConfig& config);
/// Those of training included: another training wants another evaluation.
nlohmann::json evaluation_settings(const RunConfig& config);

nlohmann::json to_json(const GridResult& result);
/// The reverse; what is missing stays zero.
GridResult grid_result(const nlohmann::json& details);

}  // namespace safesail
