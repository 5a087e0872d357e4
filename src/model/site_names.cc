#include "model/site_names.h"

#include <fmt/format.h>
#include <string_view>

namespace safesail {
namespace {

std::string in_layer(std::string_view name, const Site& site) {
  std::string full(name);
  if (const std::size_t at = full.find("{}"); at != std::string::npos)
    full.replace(at, 2, std::to_string(site.layer));
  return full;
}

}  // namespace

std::string hf_module(const ModelSpec& spec, const Site& site) {
  const ModuleNames& names = spec.modules;
  switch (site.kind) {
    case SiteKind::resid_pre:
      return in_layer(names.layer, site) + " (input)";
    case SiteKind::resid_post:
      return in_layer(names.layer, site);
    case SiteKind::attn_out:
      return in_layer(names.attn_out, site);
    case SiteKind::mlp_in:
      return in_layer(names.mlp_norm, site);
    case SiteKind::mlp_post:
      return in_layer(names.mlp_post, site);
    case SiteKind::mlp_out:
      return in_layer(names.mlp_out, site);
  }
  return {};
}

std::string transformer_lens_hook(const ModelSpec& spec, const Site& site) {
  const std::string block = fmt::format("blocks.{}.", site.layer);
  switch (site.kind) {
    case SiteKind::resid_pre:
      return block + "hook_resid_pre";
    case SiteKind::resid_post:
      return block + "hook_resid_post";
    // TransformerLens hooks both outputs behind the post-norm; and it folds the norms' weights, so
    // that the input of its MLP is another value than ours.
    case SiteKind::attn_out:
      return spec.post_norms ? "" : block + "hook_attn_out";
    case SiteKind::mlp_out:
      return spec.post_norms ? "" : block + "hook_mlp_out";
    case SiteKind::mlp_post:
      return block + "hook_mlp_out";
    case SiteKind::mlp_in:
      return {};
  }
  return {};
}

}  // namespace safesail
