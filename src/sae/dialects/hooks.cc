#include "sae/dialects/hooks.h"

#include <array>
#include <charconv>
#include <fmt/format.h>
#include <utility>

namespace safesail {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;
constexpr std::array kHooks = {
    Pair{"hook_resid_pre", "resid_pre"},   Pair{"hook_resid_post", "resid_post"},
    Pair{"hook_mlp_out", "mlp_out"},       Pair{"hook_attn_out", "attn_out"},
    Pair{"ln2.hook_normalized", "mlp_in"},
};

/// "17" of "17.mlp", which is removed from the front with its dot; empty when there is no number.
std::string_view take_number(std::string_view& text) {
  const std::size_t n = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view digits = text.substr(0, n);
  if (n == 0 || n > 6 || (n < text.size() && text[n] != '.')) return {};
  text.remove_prefix(std::min(n + 1, text.size()));
  return digits;
}

}  // namespace

std::string site_of_hook(std::string_view hook) {
  constexpr std::string_view kBlocks = "blocks.";
  if (!hook.starts_with(kBlocks)) return {};
  hook.remove_prefix(kBlocks.size());
  const std::string_view layer = take_number(hook);
  for (const auto& [name, kind] : kHooks)
    if (!layer.empty() && hook == name) return fmt::format("{}.{}", kind, layer);
  return {};
}

std::string hook_of_site(std::string_view site) {
  const std::size_t dot = site.find('.');
  for (const auto& [name, kind] : kHooks)
    if (dot != site.npos && site.substr(0, dot) == kind)
      return fmt::format("blocks.{}.{}", site.substr(dot + 1), name);
  return {};
}

std::string site_of_module(std::string_view module, bool reads_input) {
  for (const std::string_view list : {"layers.", "h."}) {
    const std::size_t at = module.rfind(list);
    if (at == module.npos || (at > 0 && module[at - 1] != '.' && module[at - 1] != '/')) continue;
    std::string_view rest = module.substr(at + list.size());
    const std::string_view layer = take_number(rest);
    if (layer.empty()) continue;
    if (rest.empty()) return fmt::format("{}.{}", reads_input ? "resid_pre" : "resid_post", layer);
    if (rest == "mlp") return fmt::format("{}.{}", reads_input ? "mlp_in" : "mlp_out", layer);
  }
  return {};
}

std::string module_of_site(std::string_view site) {
  const std::size_t dot = site.find('.');
  if (dot == site.npos) return {};
  const std::string_view kind = site.substr(0, dot), layer = site.substr(dot + 1);
  if (kind == "resid_post") return fmt::format("layers.{}", layer);
  if (kind == "mlp_out") return fmt::format("layers.{}.mlp", layer);
  return {};
}

long long number_after(std::string_view text, std::string_view prefix) {
  for (std::size_t at = text.rfind(prefix); at != text.npos;
       at = at == 0 ? text.npos : text.rfind(prefix, at - 1)) {
    const std::string_view rest = text.substr(at + prefix.size());
    unsigned value = 0;
    if (std::from_chars(rest.data(), rest.data() + rest.size(), value).ec == std::errc())
      return value;
  }
  return -1;
}

std::string hook_of(const SaeProvenance& provenance) {
  return provenance.transformer_lens_hook.empty() ? hook_of_site(provenance.site)
                                                  : provenance.transformer_lens_hook;
}

}  // namespace safesail
