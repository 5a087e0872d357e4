#include "diagnose/trace.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "diagnose/feature_reader.h"

namespace safesail {

void check_options(const TraceOptions& options, const Subject& subject) {
  for (const std::string& name : options.saes) {
    if (std::ranges::find(subject.saes, name, &KnownSae::name) != subject.saes.end()) continue;
    std::vector<std::string> names;
    for (const KnownSae& sae : subject.saes) names.push_back(sae.name());
    bad_input("saes", fmt::format("expected some of {}, got {}", fmt::join(names, ", "), name),
              "leave it out to read all SAEs");
  }
}

Trace trace(const Subject& subject, TracePrompt prompt, const TraceOptions& options) {
  check_options(options, subject);
  if (prompt.tokens.empty())
    bad_input("text", "expected at least one token, got none", "write some text");
  std::vector<std::int32_t> ids, positions;
  std::vector<std::size_t> read;  // the tokens that the model reads
  for (std::size_t t = 0; t < prompt.tokens.size(); ++t) {
    const TraceToken& token = prompt.tokens[t];
    if (options.mask_special && token.is_special) continue;
    read.push_back(t);
    ids.push_back(token.id);
    positions.push_back(token.position);
  }
  Trace result{std::move(prompt.text), {}, std::move(prompt.tokens)};
  if (ids.empty()) return result;
  const std::vector<Site> sites = sites_of(subject);
  const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(ids.size())};
  const ForwardResult pass = subject.model.model.forward(
      {.ids = ids, .starts = starts, .positions = positions, .read = sites});
  FeatureReader reader(subject, options);
  std::vector<std::vector<TokenFeature>> features = reader.read(pass.sites);
  for (std::size_t i = 0; i < read.size(); ++i)
    result.tokens[read[i]].features = std::move(features[i]);
  result.features = reader.features();
  return result;
}

}  // namespace safesail
