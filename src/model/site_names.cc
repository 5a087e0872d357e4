#include "model/site_names.h"

#include <algorithm>
#include <array>
#include <charconv>
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

/// What a module of a block puts out, in any family.
struct ModuleOutput {
  std::string_view module;
  SiteKind kind;
};
constexpr std::array kModuleOutputs = {
    ModuleOutput{"", SiteKind::resid_post},
    ModuleOutput{"mlp", SiteKind::mlp_out},
    ModuleOutput{"mlp.down_proj", SiteKind::mlp_out},
    ModuleOutput{"mlp.c_proj", SiteKind::mlp_out},
    ModuleOutput{"mlp.dense_4h_to_h", SiteKind::mlp_out},
    ModuleOutput{"post_feedforward_layernorm", SiteKind::mlp_post},
    ModuleOutput{"pre_feedforward_layernorm", SiteKind::mlp_in},
    ModuleOutput{"ln_2", SiteKind::mlp_in},
    ModuleOutput{"self_attn", SiteKind::attn_out},
    ModuleOutput{"self_attn.o_proj", SiteKind::attn_out},
    ModuleOutput{"attn", SiteKind::attn_out},
    ModuleOutput{"attn.c_proj", SiteKind::attn_out},
    ModuleOutput{"attention", SiteKind::attn_out},
    ModuleOutput{"attention.dense", SiteKind::attn_out},
};

/// A hook below "blocks.L." and what it reads, without and with post-norms; the first that reads a
/// site is the one that is written. attn.hook_out and mlp.hook_* are TransformerBridge's.
struct Hook {
  std::string_view name;
  std::optional<SiteKind> plain, post_normed;
  bool before_gain = false;
};
constexpr std::array kHooks = {
    Hook{"hook_resid_pre", SiteKind::resid_pre, SiteKind::resid_pre},
    Hook{"hook_resid_post", SiteKind::resid_post, SiteKind::resid_post},
    Hook{"hook_attn_out", SiteKind::attn_out, std::nullopt},
    Hook{"attn.hook_out", SiteKind::attn_out, SiteKind::attn_out},
    Hook{"hook_mlp_out", SiteKind::mlp_out, SiteKind::mlp_post},
    Hook{"mlp.hook_out", SiteKind::mlp_out, SiteKind::mlp_out},
    Hook{"mlp.hook_in", SiteKind::mlp_in, SiteKind::mlp_in},
    Hook{"ln2.hook_normalized", SiteKind::mlp_in, SiteKind::mlp_in, true},
};

/// "17" of "17.mlp", which is removed from the front with its dot; nothing when there is no number.
std::optional<int> take_layer(std::string_view& text) {
  const std::size_t n = std::min(text.find_first_not_of("0123456789"), text.size());
  if (n == 0 || n > 6 || (n < text.size() && text[n] != '.')) return std::nullopt;
  int layer = 0;
  std::from_chars(text.data(), text.data() + n, layer);
  text.remove_prefix(std::min(n + 1, text.size()));
  return layer;
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

std::string base_module(const Site& site) {
  if (site.kind == SiteKind::resid_post) return fmt::format("layers.{}", site.layer);
  if (site.kind == SiteKind::mlp_out) return fmt::format("layers.{}.mlp", site.layer);
  if (site.kind == SiteKind::attn_out) return fmt::format("layers.{}.self_attn", site.layer);
  return {};
}

std::optional<Site> site_of_module(std::string_view module, bool reads_input) {
  for (const std::string_view list : {"layers.", "h."}) {
    const std::size_t at = module.rfind(list);
    if (at == module.npos || (at > 0 && module[at - 1] != '.' && module[at - 1] != '/')) continue;
    std::string_view rest = module.substr(at + list.size());
    const std::optional<int> layer = take_layer(rest);
    if (!layer) continue;
    if (reads_input) {
      if (rest.empty()) return Site{SiteKind::resid_pre, *layer};
      if (rest == "mlp") return Site{SiteKind::mlp_in, *layer};
      return std::nullopt;
    }
    for (const auto& [name, kind] : kModuleOutputs)
      if (rest == name) return Site{kind, *layer};
  }
  return std::nullopt;
}

std::string transformer_lens_hook(const Site& site, bool post_norms) {
  // Of the same value where there is no norm between the two.
  const SiteKind kind =
      site.kind == SiteKind::mlp_post && !post_norms ? SiteKind::mlp_out : site.kind;
  for (const Hook& hook : kHooks)
    if (!hook.before_gain && (post_norms ? hook.post_normed : hook.plain) == kind)
      return fmt::format("blocks.{}.{}", site.layer, hook.name);
  return {};
}

std::string transformer_lens_hook(const ModelSpec& spec, const Site& site) {
  return transformer_lens_hook(site, spec.post_norms);
}

std::optional<HookedValue> value_of_hook(std::string_view hook, bool post_norms) {
  constexpr std::string_view kBlocks = "blocks.";
  if (!hook.starts_with(kBlocks)) return std::nullopt;
  hook.remove_prefix(kBlocks.size());
  const std::optional<int> layer = take_layer(hook);
  if (!layer) return std::nullopt;
  for (const Hook& known : kHooks) {
    const std::optional<SiteKind> kind = post_norms ? known.post_normed : known.plain;
    if (hook == known.name && kind) return HookedValue{{*kind, *layer}, known.before_gain};
  }
  return std::nullopt;
}

bool may_have_post_norms(std::string_view model_name) {
  std::string name(model_name);
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  constexpr std::string_view kGemma = "gemma";
  const std::size_t at = name.rfind(kGemma);
  if (at == name.npos) return false;
  // The first generation has its size behind its name ("gemma-2b", "codegemma-7b-it"), or "1.1".
  std::string_view rest = std::string_view(name).substr(at + kGemma.size());
  rest.remove_prefix(std::min(rest.find_first_not_of("-_"), rest.size()));
  const bool is_first = rest.starts_with("1.1") || rest.starts_with("2b") || rest.starts_with("7b");
  // ShieldGemma, of the second, is written like the first.
  const bool is_shield = std::string_view(name).substr(0, at).ends_with("shield");
  return !is_first || is_shield;
}

}  // namespace safesail
