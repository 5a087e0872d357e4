// Other tools' names of places in a model, to and from our sites (docs/sites.md). Best effort: a
// name that is not known gives an empty site, never a wrong one.
#pragma once

#include <string>
#include <string_view>

#include "sae/checkpoint.h"

namespace safesail {

/// "blocks.17.hook_mlp_out" -> "mlp_out.17".
std::string site_of_hook(std::string_view hook);
/// "mlp_out.17" -> "blocks.17.hook_mlp_out"; empty where TransformerLens has none of that value.
std::string hook_of_site(std::string_view site);
/// A module path that ends in "layers.17", "h.17.mlp", ...; `reads_input`: the module's input is
/// meant (of a transcoder), not its output.
std::string site_of_module(std::string_view module, bool reads_input);
/// "layers.17.mlp" for the sites that are a module's output under a model's base; else empty.
std::string module_of_site(std::string_view site);

/// The number behind the last `prefix` in `text`; -1 when there is none.
long long number_after(std::string_view text, std::string_view prefix);

/// provenance.transformer_lens_hook, or the hook that follows from its site.
std::string hook_of(const SaeProvenance& provenance);

}  // namespace safesail
