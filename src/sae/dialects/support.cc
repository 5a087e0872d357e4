#include "sae/dialects/support.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "base/error.h"
#include "formats/json.h"
#include "model/site_names.h"
#include "sae/dialects/fold.h"

namespace safesail {

namespace {

/// Whether hooks are named as in families with norms behind attention and MLP. An SAE that knows
/// its module but no hook was written when those were thought to have none.
bool has_post_norms(const SaeProvenance& provenance) {
  const bool had_no_hook =
      provenance.transformer_lens_hook.empty() && !provenance.hf_module.empty();
  return had_no_hook || may_have_post_norms(provenance.model_name);
}

std::string hook_of_site(const std::string& text, bool post_norms) {
  const std::optional<Site> site = find_site(text);
  return site ? transformer_lens_hook(*site, post_norms) : "";
}

MlpNorm norm_of(const ImportedSae& imported, const SaeSource& source, const ReadOptions& options,
                const std::string& hook, int layer) {
  if (!options.mlp_norm)
    cannot_read(source,
                fmt::format("one that reads {}, what the norm computes before its weight: no site",
                            printable(hook)),
                "give --model, whose norm is then folded into the encoder; or, where it really "
                "reads the MLP's input, --site mlp_in." +
                    std::to_string(layer));
  const auto d = std::size_t(imported.sae.spec().d_in);
  MlpNorm norm = options.mlp_norm(layer);
  if (norm.weight.size() != d)
    cannot_read(source, fmt::format("width {} where the model has {}", d, norm.weight.size()),
                "give the model that the SAE was trained on");
  return norm;
}

}  // namespace

SaeProvenance provenance_for(const ReadOptions& options, const std::string& site) {
  SaeProvenance provenance;
  provenance.site = options.site.empty() ? site : options.site;
  return provenance;
}

SaeProvenance provenance_for(const ReadOptions& options, const std::optional<Site>& site) {
  return provenance_for(options, text_of(site));
}

void place_at_hooks(ImportedSae& imported, const SaeSource& source, const ReadOptions& options,
                    const std::string& hook, const std::string& hook_out) {
  SaeProvenance& provenance = imported.provenance;
  const bool post_norms = options.post_norms.value_or(may_have_post_norms(provenance.model_name));
  if (const auto out = value_of_hook(hook_out, post_norms); out && !out->before_gain)
    provenance.output_site = to_string(out->site);
  provenance.site = options.site;
  if (!options.site.empty()) {
    provenance.transformer_lens_hook = hook_of_site(options.site, post_norms);
    return;
  }
  provenance.transformer_lens_hook = hook;
  const auto read = value_of_hook(hook, post_norms);
  if (!read) return;
  provenance.site = to_string(read->site);
  if (!read->before_gain) return;
  const MlpNorm norm = norm_of(imported, source, options, hook, read->site.layer);
  imported.sae = with_input_gain(imported.sae, norm.weight, norm.bias);
  provenance.transformer_lens_hook = transformer_lens_hook(read->site, post_norms);
  imported.notes.push_back(
      fmt::format("{} reads before the norm's weight, which was folded in: the SAE now reads {}",
                  hook, provenance.site));
}

std::string hook_of(const SaeProvenance& provenance) {
  return provenance.transformer_lens_hook.empty()
             ? hook_of_site(provenance.site, has_post_norms(provenance))
             : provenance.transformer_lens_hook;
}

std::string output_hook_of(const SaeProvenance& provenance) {
  return hook_of_site(provenance.output_site, has_post_norms(provenance));
}

std::string text_of(const std::optional<Site>& site) {
  return site ? to_string(*site) : "";
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
  write_file(path, dump_json(json, {.indent = 2}) + "\n");
}

}  // namespace safesail
