// What others call our sites, both ways: the project's only table of such names. A name is given to
// a site whose value it has, and to no other; site_names_test.cc holds each against what
// TransformerLens computes. Explained in docs/sites.md. Nothing here owns anything, and nothing
// fails: an unknown name is no site.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/site.h"
#include "model/spec.h"

namespace safesail {

/// "model.layers.17.mlp.down_proj"; " (input)" behind it where the site is what the module reads.
std::string hf_module(const ModelSpec& spec, const Site& site);
/// "layers.17.mlp", the path below a model's base that sparsify and delphi use (as Llama and most
/// others name it); empty where the site is no module's output in every family.
std::string base_module(const Site& site);
/// The site of a module path that ends in "layers.17", "h.17.mlp", "layers.17.self_attn.o_proj"...
/// `reads_input`: the module's input is meant (of a transcoder), not its output.
std::optional<Site> site_of_module(std::string_view module, bool reads_input);

/// "blocks.17.hook_mlp_out". `post_norms`: the family has norms behind attention and MLP
/// (ModelSpec::post_norms), where TransformerLens hooks the values behind them under the usual
/// names.
std::string transformer_lens_hook(const Site& site, bool post_norms);
std::string transformer_lens_hook(const ModelSpec& spec, const Site& site);

/// What a hook reads.
struct HookedValue {
  Site site;
  /// The site is mlp_in, but what the hook reads has not been multiplied by the norm's weight, nor
  /// has its bias been added: mlp_in = value * weight + bias.
  bool before_gain = false;
  bool operator==(const HookedValue&) const = default;
};
std::optional<HookedValue> value_of_hook(std::string_view hook, bool post_norms);

/// Whether the model may be one with norms behind attention and MLP, as far as its name tells:
/// "gemma-2-9b" and "google/gemma-3-1b-it", but neither "gemma-2b" (of the first generation) nor
/// "Llama-3.1-8B".
bool may_have_post_norms(std::string_view model_name);

}  // namespace safesail
