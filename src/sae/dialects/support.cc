#include "sae/dialects/support.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/error.h"
#include "sae/dialects/hooks.h"

namespace safesail {

SaeProvenance provenance_for(const ReadOptions& options, const std::string& site) {
  SaeProvenance provenance;
  provenance.site = options.site.empty() ? site : options.site;
  provenance.transformer_lens_hook = hook_of_site(provenance.site);
  return provenance;
}

void cannot_read(const SaeSource& source, std::string_view what, std::string_view remedy) {
  bad_input(source.path().string(), fmt::format("expected an SAE that can be kept, got {}", what),
            remedy);
}

void cannot_write(std::string_view dialect, std::string_view what, std::string_view remedy) {
  bad_input(dialect, fmt::format("expected an SAE that the format can hold, got {}", what), remedy);
}

std::int64_t required_k(const SaeSource& source, const ReadOptions& options) {
  if (options.k) return *options.k;
  bad_input(source.path().string(), "expected k from the user, for its format does not hold it",
            "give --k");
}

std::int64_t stored_k(const SaeSource& source, const ReadOptions& options, std::int64_t k) {
  if (options.k && *options.k != k)
    bad_input(source.path().string(),
              fmt::format("expected k = {} as the file says, got --k {}", k, *options.k),
              "leave --k out");
  return k;
}

SaeSpec spec_of(std::string architecture, Rule rule, std::int64_t d_in, std::int64_t n_features,
                std::int64_t k) {
  SaeSpec spec = SaeSpec::topk(d_in, n_features, k);
  spec.architecture = std::move(architecture);
  spec.rule = rule;
  check(spec);
  return spec;
}

void require_decoder(std::string_view dialect, const ImportedSae& sae) {
  if (sae.encoder_only)
    cannot_write(dialect, "an encoder without a decoder",
                 "choose a format without a decoder (safe-sail), or take the whole SAE");
}

void require_plain_sae(std::string_view dialect, const ImportedSae& sae) {
  if (sae.sae.spec().transcoder)
    cannot_write(dialect, "a transcoder", "choose saelens, sparsify, openmoss or safesail");
}

bool is_relu(const Sae& sae) {
  return sae.spec().rule == Rule::threshold &&
         std::ranges::all_of(sae.threshold(), [](float t) { return t <= 0; });
}

std::optional<float> common_threshold(const Sae& sae) {
  const auto thresholds = sae.threshold();
  if (thresholds.empty()) return std::nullopt;
  const float first = thresholds.front();
  if (!std::ranges::all_of(thresholds, [&](float t) { return t == first; })) return std::nullopt;
  return first;
}

void write_json(const fs::path& path, const Json& json) {
  write_file(path, json.dump(2) + "\n");
}

}  // namespace safesail
