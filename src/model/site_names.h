// What others call our sites: the Hugging Face module and the TransformerLens hook (docs/sites.md).
// They go into checkpoints, so that other tools know where an SAE belongs.
#pragma once

#include <string>

#include "model/site.h"
#include "model/spec.h"

namespace safesail {

/// "model.layers.17.mlp.down_proj"; " (input)" behind it where the site is what the module reads.
std::string hf_module(const ModelSpec& spec, const Site& site);

/// "blocks.17.hook_mlp_out"; empty where TransformerLens has no hook with that value.
std::string transformer_lens_hook(const ModelSpec& spec, const Site& site);

}  // namespace safesail
