// The first Llama Scope checkpoints: hyperparams.json and checkpoints/final.safetensors. Their own
// loader (lm-saes of November 2024) first takes the normalisation s = sqrt(d) / mean norm into the
// biases and the decoder, then decoder norms into the encoder, and only then compares:
//   b /= s_in, W_dec *= s_in / s_out, b_dec /= s_out; W, b *= ||W_dec||, W_dec /= ||W_dec||
//   pre = x W^T + b, never minus b_dec; codes = pre (pre > jump_relu_threshold)
// so the threshold is in units of raw activations.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>

#include "base/error.h"
#include "formats/safetensors.h"
#include "sae/dialects/fold.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"
#include "sae/sae_file.h"

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
  for (const char* key : {"use_glu_encoder", "apply_decoder_bias_to_pre_encoder"})
    if (config.get_or<bool>(key, false))
      cannot_read(source, fmt::format("{} true", key), "choose a SAE without it");
  const auto d = config.get_positive("d_model"), n = config.get_positive("d_sae");
  const double threshold = config.get<double>("jump_relu_threshold");
  const auto act = config.get_or<std::string>("act_fn", "jumprelu");
  // A TopK with a threshold was made a JumpReLU when it was published.
  if (act != "jumprelu" && !(act == "topk" && threshold > 0))
    cannot_read(source, fmt::format("act_fn {}", printable(act)),
                "choose a SAE of act_fn jumprelu");
  const auto normalise = config.get_or<std::string>("norm_activation", "dataset-wise");
  if (normalise != "dataset-wise" && normalise != "inference")
    cannot_read(
        source,
        fmt::format("norm_activation {}, which depends on each token", printable(normalise)),
        "choose a SAE of norm_activation dataset-wise");
  float s_in = 1, s_out = 1;
  if (normalise == "dataset-wise") {
    const JsonObject norms = config.object("dataset_average_activation_norm");
    s_in = scale_of(norms, "in", d);
    s_out = scale_of(norms, "out", d);
  }
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
  ImportedSae imported{Sae(spec, identity_transform(d), identity_transform(d)), {}};
  Sae& sae = imported.sae;
  tensors.read("encoder.weight", {n, d}, sae.w_enc());
  tensors.read("encoder.bias", {n}, sae.b_enc());
  tensors.read_transposed("decoder.weight", d, n, sae.w_dec());
  if (config.get_or<bool>("use_decoder_bias", true)) tensors.read("decoder.bias", {d}, sae.b_dec());
  for (float& bias : sae.b_enc()) bias /= s_in;
  for (float& bias : sae.b_dec()) bias /= s_out;
  for (float& weight : sae.w_dec()) weight *= s_in / s_out;
  if (config.get_or<bool>("sparsity_include_decoder_norm", true))
    scale_features(sae, decoder_norms(sae), "decoder.weight");
  std::ranges::fill(sae.threshold(), float(threshold));
  place_at_hooks(imported, source, options, hook, spec.transcoder ? hook_out : "");
  return imported;
}

void write(const fs::path& out, const ImportedSae& imported) {
  require_decoder("llama-scope", imported);
  const SaeSpec& spec = imported.sae.spec();
  if (spec.rule != Rule::threshold)
    cannot_write("llama-scope", "a TopK SAE", "the format holds a threshold; choose openmoss");
  const std::optional<float> threshold =
      is_relu(imported.sae) ? 0.0f : common_threshold(imported.sae);
  if (!threshold)
    cannot_write("llama-scope", "thresholds that differ from feature to feature",
                 "the format holds one for all; choose openmoss or gemma-scope");
  if (spec.skip) cannot_write("llama-scope", "a skip connection", "choose saelens or sparsify");
  if (spec.d_in != spec.d_out)
    cannot_write("llama-scope",
                 fmt::format("a transcoder from width {} to {}", spec.d_in, spec.d_out),
                 "the format has one d_model; choose saelens");
  const Sae plain = fold_transforms(imported.sae, false);
  const std::int64_t n = spec.n_features, d = spec.d_in;
  const std::vector<float> w_dec = transposed(plain.w_dec(), n, d);
  fs::create_directories(out / fs::path(kWeights).parent_path());
  write_safetensors(out / kWeights,
                    std::vector<NamedTensor>{
                        named_tensor("encoder.weight", plain.w_enc(), {n, d}),
                        named_tensor("encoder.bias", plain.b_enc(), {n}),
                        named_tensor("decoder.weight", std::span<const float>(w_dec), {d, n}),
                        named_tensor("decoder.bias", plain.b_dec(), {d})});
  const std::string hook = hook_of(imported.provenance);
  std::string hook_out = spec.transcoder ? output_hook_of(imported.provenance) : hook;
  if (spec.transcoder && (hook_out.empty() || hook_out == hook)) hook_out = hook + ".output";
  // Nothing is left to fold: norms of sqrt(d) scale by 1, and decoder norms stay where they are.
  const double norm = std::sqrt(double(d));
  write_json(out / kConfig, {{"hook_point_in", hook},
                             {"hook_point_out", hook_out},
                             {"d_model", d},
                             {"d_sae", n},
                             {"act_fn", "jumprelu"},
                             {"jump_relu_threshold", *threshold},
                             {"norm_activation", "dataset-wise"},
                             {"dataset_average_activation_norm", {{"in", norm}, {"out", norm}}},
                             {"sparsity_include_decoder_norm", false},
                             {"use_decoder_bias", true},
                             {"use_glu_encoder", false},
                             {"apply_decoder_bias_to_pre_encoder", false}});
}

}  // namespace

const Dialect kLlamaScopeDialect = {
    .name = "llama-scope",
    .files = "a folder of hyperparams.json and checkpoints/final.safetensors",
    .detect = detect,
    .read = read,
    .write = write};

}  // namespace safesail
