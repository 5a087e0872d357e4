// The first Llama Scope checkpoints: hyperparams.json and checkpoints/final.safetensors.
//   pre = (s_in x) W^T + b, never minus the decoder's bias; codes = pre (pre > jump_relu_threshold)
//   xhat = (codes W_dec + b_dec) / s_out; s = sqrt(d) / dataset_average_activation_norm
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "sae/dialects/fold.h"
#include "sae/dialects/hooks.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"

namespace safesail {
namespace {

constexpr const char *kConfig = "hyperparams.json", *kWeights = "checkpoints/final.safetensors";

bool detect(const SaeSource& source) {
  return source.has(kConfig) && source.has(kWeights);
}

float scale_of(const JsonObject& norms, std::string_view key, std::int64_t d) {
  const double scale = std::sqrt(double(d)) / norms.get<double>(key);
  if (!(scale > 0) || !std::isfinite(float(scale)))
    bad_input(norms.where(), fmt::format("expected a positive norm {}", key), "correct it");
  return float(scale);
}

ImportedSae read(const SaeSource& source, const ReadOptions& options) {
  const Json json = read_json(source.file(kConfig));
  const JsonObject config(json, source.file(kConfig).string());
  const auto d = config.get_positive("d_model"), n = config.get_positive("d_sae");
  const double threshold = config.get<double>("jump_relu_threshold");
  const JsonObject norms = config.object("dataset_average_activation_norm");
  const auto hook = config.get<std::string>("hook_point_in");
  const auto hook_out = config.get_or<std::string>("hook_point_out", hook);
  const auto tensors = TensorSet::from_safetensors(source.file(kWeights));
  if (tensors.matrix("encoder.weight") != std::pair(n, d))
    tensors.refuse("encoder.weight",
                   fmt::format("expected shape [{}, {}] as {} says", n, d, kConfig),
                   "take an undamaged checkpoint");

  SaeSpec spec = spec_of("jumprelu", Rule::threshold, d, n, 0);
  spec.apply_b_dec_to_input = false;
  spec.transcoder = hook != hook_out;
  InputTransform in = identity_transform(d), out = identity_transform(d);
  in.scale = scale_of(norms, "in", d);
  out.scale = scale_of(norms, "out", d);
  ImportedSae imported{Sae(spec, in, out), provenance_for(options, site_of_hook(hook))};
  imported.provenance.transformer_lens_hook = hook;
  if (spec.transcoder) imported.provenance.output_site = site_of_hook(hook_out);
  Sae& sae = imported.sae;
  tensors.read("encoder.weight", {n, d}, sae.w_enc());
  tensors.read("encoder.bias", {n}, sae.b_enc());
  tensors.read_transposed("decoder.weight", d, n, sae.w_dec());
  tensors.read("decoder.bias", {d}, sae.b_dec());
  std::ranges::fill(sae.threshold(), float(threshold));
  imported.notes.emplace_back("the threshold is taken in units of the normalised activations");
  return imported;
}

}  // namespace

const Dialect kLlamaScopeDialect = {
    .name = "llama-scope",
    .files = "a folder of hyperparams.json and checkpoints/final.safetensors",
    .detect = detect,
    .read = read,
    .is_folder = true};

}  // namespace safesail
