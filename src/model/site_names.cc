#include "model/site_names.h"

#include <fmt/format.h>
#include <string_view>

namespace safesail {
namespace {

struct ModuleNames {
  std::string_view block, attn_out, mlp_norm, mlp_out;
};

ModuleNames names_of(std::string_view family) {
  if (family == "gpt2") return {"transformer.h", "attn.c_proj", "ln_2", "mlp.c_proj"};
  if (family == "gpt_neox")
    return {"gpt_neox.layers", "attention.dense", "post_attention_layernorm", "mlp.dense_4h_to_h"};
  const bool gemma = family.starts_with("gemma");
  return {"model.layers", "self_attn.o_proj",
          gemma ? "pre_feedforward_layernorm" : "post_attention_layernorm", "mlp.down_proj"};
}

}  // namespace

std::string hf_module(const ModelSpec& spec, const Site& site) {
  const ModuleNames names = names_of(spec.family);
  const std::string block = fmt::format("{}.{}", names.block, site.layer);
  switch (site.kind) {
    case SiteKind::resid_pre:
      return block + " (input)";
    case SiteKind::resid_post:
      return block;
    case SiteKind::attn_out:
      return fmt::format("{}.{}", block, names.attn_out);
    case SiteKind::mlp_in:
      return fmt::format("{}.{}", block, names.mlp_norm);
    case SiteKind::mlp_post:
      if (spec.post_norms) return block + ".post_feedforward_layernorm";
      [[fallthrough]];
    case SiteKind::mlp_out:
      return fmt::format("{}.{}", block, names.mlp_out);
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
