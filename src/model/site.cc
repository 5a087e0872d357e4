#include "model/site.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::array<std::pair<SiteKind, std::string_view>, 6> kNames{{
    {SiteKind::resid_pre, "resid_pre"},
    {SiteKind::attn_out, "attn_out"},
    {SiteKind::mlp_in, "mlp_in"},
    {SiteKind::mlp_out, "mlp_out"},
    {SiteKind::mlp_post, "mlp_post"},
    {SiteKind::resid_post, "resid_post"},
}};

constexpr std::string_view kRemedy =
    "write kind.layer, with the kind one of resid_pre, attn_out, mlp_in, mlp_out, mlp_post, "
    "resid_post: mlp_out.17";

std::optional<SiteKind> find_kind(std::string_view kind) {
  for (const auto& [value, name] : kNames)
    if (name == kind) return value;
  return std::nullopt;
}

SiteKind parse_kind(std::string_view text, std::string_view kind) {
  if (const auto found = find_kind(kind)) return *found;
  bad_input(fmt::format("site \"{}\"", text),
            fmt::format("expected a kind of site, got \"{}\"", kind), kRemedy);
}

/// Splits "mlp_out.17" at the dot.
std::pair<SiteKind, std::string_view> split(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos)
    bad_input(fmt::format("site \"{}\"", text), "expected a dot between kind and layer", kRemedy);
  return {parse_kind(text, text.substr(0, dot)), text.substr(dot + 1)};
}

int parse_layer(std::string_view text, std::string_view digits, int n_layers) {
  int layer = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
  if (error != std::errc() || end != digits.data() + digits.size() || layer < 0)
    bad_input(fmt::format("site \"{}\"", text),
              fmt::format("expected a layer number, got \"{}\"", digits), kRemedy);
  if (layer >= n_layers)
    bad_input(fmt::format("site \"{}\"", text),
              fmt::format("expected a layer below {}, got {}", n_layers, layer),
              fmt::format("the model has layers 0 to {}; choose one of them", n_layers - 1));
  return layer;
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

}  // namespace

std::string to_string(const Site& site) {
  const auto name = std::find_if(kNames.begin(), kNames.end(),
                                 [&](const auto& entry) { return entry.first == site.kind; });
  return fmt::format("{}.{}", name->second, site.layer);
}

std::optional<Site> find_site(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto kind = find_kind(text.substr(0, dot));
  const std::string_view digits = text.substr(dot + 1);
  int layer = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
  if (!kind || error != std::errc() || end != digits.data() + digits.size() || layer < 0)
    return std::nullopt;
  return Site{*kind, layer};
}

Site parse_site(std::string_view text, int n_layers) {
  const auto [kind, digits] = split(text);
  return {kind, parse_layer(text, digits, n_layers)};
}

std::vector<Site> parse_sites(std::string_view text, int n_layers) {
  std::vector<Site> sites;
  const auto add = [&](Site site) {
    if (std::find(sites.begin(), sites.end(), site) != sites.end())
      bad_input("sites", fmt::format("{} is named twice", to_string(site)), "name each site once");
    sites.push_back(site);
  };
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view item = trim(text.substr(begin, comma - begin));
    const auto [kind, layers] = split(item);
    if (layers == "*")
      for (int layer = 0; layer < n_layers; ++layer) add({kind, layer});
    else
      add({kind, parse_layer(item, layers, n_layers)});
    begin = comma + 1;
  }
  return sites;
}

}  // namespace safesail
