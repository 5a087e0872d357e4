// OpenMOSS (lm-saes, llamascopium): a folder of config.json and sae_weights.safetensors or .pt.
//   pre = (s_in x) W_E + b_E, never minus b_D; with sparsity_include_decoder_norm the activation
//   function sees pre ||W_D||, and codes are divided by the norm again.
//   xhat = (codes W_D + b_D) / s_out; s = sqrt(d) / dataset_average_activation_norm[hook]
// or 1 once folded (norm_activation "inference").
//
// Its fold leaves a JumpReLU threshold as it was, though pre shrinks by s: nothing in a folded file
// tells whether that was repaired, so --input-scale must.
#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "formats/safetensors.h"
#include "sae/dialects/fold.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"
#include "sae/sae_file.h"

namespace safesail {
namespace {

constexpr const char* kConfig = "config.json";
constexpr const char* kLogThreshold = "activation_function.log_jumprelu_threshold";
constexpr std::array kWeights = {"sae_weights.safetensors",        "sae_weights.pt",
                                 "checkpoints/pruned.safetensors", "checkpoints/final.safetensors",
                                 "checkpoints/final.pt",           "checkpoints/pruned.pt"};

bool detect(const SaeSource& source) {
  if (!source.has(kConfig)) return false;
  const Json json = read_json(source.file(kConfig));
  return json.is_object() && json.contains("sae_type");
}

TensorSet open(const SaeSource& source) {
  for (const char* name : kWeights) {
    if (!source.has(name)) continue;
    if (fs::path(name).extension() == ".safetensors")
      return TensorSet::from_safetensors(source.file(name));
    const auto file = std::make_shared<const TorchFile>(source.file(name));
    const PickleDict* root = file->root().dict();
    const PickleValue* sae = root == nullptr ? nullptr : root->find("sae");
    if (sae == nullptr || sae->dict() == nullptr)
      cannot_read(source, fmt::format("{} without a dict \"sae\"", name),
                  "take another checkpoint");
    return TensorSet::from_torch(file, *sae->dict());
  }
  for (const char* name : {"sae_weights.dcp", "checkpoints/final.dcp", "checkpoints/pruned.dcp"})
    if (fs::exists(source.file(name)))
      cannot_read(source, fmt::format("{}, a distributed checkpoint", name),
                  "save it with llamascopium as sae_weights.safetensors");
  cannot_read(source, "no sae_weights.safetensors or .pt", "fetch the weights too");
}

std::int64_t width_of(const JsonObject& config, std::int64_t d) {
  const double expansion = config.get<double>("expansion_factor");
  const double width = double(d) * expansion;
  if (!(width >= 1 && width <= 1e9))
    bad_input(config.where(),
              fmt::format("expected an expansion_factor within reason, got {}", expansion),
              "correct it");
  return std::int64_t(width);  // as their int() does
}

/// 1 where activations are not normalised; else sqrt(d) / their mean norm at the hook.
double scale_at(const TensorSet& tensors, std::string_view normalise, const std::string& hook,
                std::int64_t d) {
  if (normalise == "inference") return 1;
  const std::string name = "dataset_average_activation_norm." + hook;
  const double scale = std::sqrt(double(d)) / tensors.scalar(name);
  if (!(scale > 0) || !std::isfinite(float(scale)))
    tensors.refuse(name, "expected a positive norm", "take an undamaged checkpoint");
  return scale;
}

ImportedSae read(const SaeSource& source, const ReadOptions& options) {
  const Json json = read_json(source.file(kConfig));
  const JsonObject config(json, source.file(kConfig).string());
  if (const auto type = config.get<std::string>("sae_type"); type != "sae")
    cannot_read(source, fmt::format("sae_type {}", printable(type)),
                "choose a model of sae_type sae; crosscoder, clt, lorsa and molt are other things");
  if (config.get_or<bool>("use_glu_encoder", false))
    cannot_read(source, "a GLU encoder", "choose a SAE without use_glu_encoder");
  const auto act = config.get<std::string>("act_fn");
  if (act != "relu" && act != "jumprelu" && act != "topk")
    cannot_read(source, fmt::format("act_fn {}, which no single token decides", printable(act)),
                "convert it to jumprelu with llamascopium");
  const auto normalise = config.get<std::string>("norm_activation");
  if (normalise != "dataset-wise" && normalise != "inference")
    cannot_read(
        source,
        fmt::format("norm_activation {}, which depends on each token", printable(normalise)),
        "choose a SAE of norm_activation dataset-wise or inference");

  const auto tensors = open(source);
  const auto d = config.get_positive("d_model");
  const std::int64_t n = width_of(config, d);
  if (tensors.matrix("W_E") != std::pair(d, n))
    tensors.refuse("W_E", fmt::format("expected shape [{}, {}] as {} says", d, n, kConfig),
                   "take an undamaged checkpoint");
  const auto hook = config.get<std::string>("hook_point_in");
  const auto hook_out = config.get_or<std::string>("hook_point_out", hook);
  SaeSpec spec =
      spec_of(act, act == "topk" ? Rule::top_k : Rule::threshold, d, n,
              act == "topk" ? stored_k(source, options, config.get_positive("top_k")) : 0);
  spec.apply_b_dec_to_input = false;
  spec.transcoder = hook != hook_out;
  InputTransform in = identity_transform(d), out = identity_transform(d);
  in.scale = float(scale_at(tensors, normalise, hook, d));
  out.scale = float(scale_at(tensors, normalise, hook_out, d));

  ImportedSae imported{Sae(spec, in, out), {}};
  Sae& sae = imported.sae;
  tensors.read_transposed("W_E", d, n, sae.w_enc());
  tensors.read("b_E", {n}, sae.b_enc());
  tensors.read("W_D", {n, d}, sae.w_dec());
  if (config.get_or<bool>("use_decoder_bias", true)) tensors.read("b_D", {d}, sae.b_dec());

  const bool by_norm = config.get_or<bool>("sparsity_include_decoder_norm", true);
  const auto norms = decoder_norms(sae);
  if (act == "jumprelu") {
    tensors.read(kLogThreshold, {n}, sae.threshold());
    const bool is_folded = normalise == "inference";
    if (is_folded && !options.input_scale)
      imported.notes.emplace_back(
          "thresholds are taken as they stand, but llamascopium's fold leaves them unscaled; if "
          "too "
          "few features fire, give --input-scale (docs/formats/sae_dialects.md)");
    for (std::size_t f = 0; f < std::size_t(n); ++f) {
      double theta = std::exp(double(sae.threshold()[f]));
      if (is_folded && options.input_scale) theta /= *options.input_scale;
      if (by_norm) theta /= norms[f];
      sae.threshold()[f] = float(theta);
      if (!std::isfinite(sae.threshold()[f]))
        tensors.refuse(kLogThreshold, fmt::format("expected a finite threshold of feature {}", f),
                       "take an undamaged checkpoint");
    }
  } else if (act == "topk" && by_norm &&
             std::ranges::any_of(norms, [](float x) { return std::abs(x - 1) > 1e-6f; })) {
    scale_features(sae, norms, "sparsity_include_decoder_norm");
    imported.notes.emplace_back(
        "TopK compares pre ||W_D||: norms folded, so values are ||W_D|| times as large");
  }
  place_at_hooks(imported, source, options, hook, spec.transcoder ? hook_out : "");
  return imported;
}

/// F / d such that int(d * e) gives F.
double expansion_for(std::int64_t d, std::int64_t n) {
  double expansion = double(n) / double(d);
  while (std::int64_t(double(d) * expansion) < n) expansion = std::nextafter(expansion, 1e18);
  return expansion;
}

void write(const fs::path& out, const ImportedSae& imported) {
  require_decoder("openmoss", imported);
  const SaeSpec& spec = imported.sae.spec();
  if (spec.skip) cannot_write("openmoss", "a skip connection", "choose saelens or sparsify");
  if (spec.d_in != spec.d_out)
    cannot_write("openmoss", fmt::format("a transcoder from width {} to {}", spec.d_in, spec.d_out),
                 "the format has one d_model; choose saelens");
  const Sae plain = fold_transforms(imported.sae, false);
  const std::int64_t n = spec.n_features, d = spec.d_in;
  const bool top_k = spec.rule == Rule::top_k, relu = is_relu(imported.sae);
  const auto w_enc = transposed(plain.w_enc(), n, d);
  std::vector<NamedTensor> tensors = {named_tensor("W_E", std::span<const float>(w_enc), {d, n}),
                                      named_tensor("b_E", plain.b_enc(), {n}),
                                      named_tensor("W_D", plain.w_dec(), {n, d}),
                                      named_tensor("b_D", plain.b_dec(), {d})};
  std::vector<float> log_threshold(plain.threshold().begin(), plain.threshold().end());
  // The logarithm knows no zero: the smallest normal float stands for it.
  for (float& theta : log_threshold)
    theta = float(std::log(double(std::max(theta, std::numeric_limits<float>::min()))));
  if (!top_k && !relu)
    tensors.push_back(named_tensor(kLogThreshold, std::span<const float>(log_threshold), {n}));
  write_safetensors(out / kWeights[0], tensors);

  const std::string hook = hook_of(imported.provenance);
  std::string hook_out = spec.transcoder ? output_hook_of(imported.provenance) : hook;
  if (spec.transcoder && (hook_out.empty() || hook_out == hook)) hook_out = hook + ".output";
  write_json(out / kConfig, {{"sae_type", "sae"},
                             {"d_model", d},
                             {"expansion_factor", expansion_for(d, n)},
                             {"use_decoder_bias", true},
                             {"act_fn", top_k  ? "topk"
                                        : relu ? "relu"
                                               : "jumprelu"},
                             {"norm_activation", "inference"},
                             {"sparsity_include_decoder_norm", false},
                             {"top_k", std::max<std::int64_t>(spec.k, 1)},
                             {"jumprelu_threshold_window", 2.0},
                             {"use_triton_kernel", false},
                             {"sparsity_threshold_for_triton_spmm_kernel", 0.996},
                             {"use_glu_encoder", false},
                             {"hook_point_in", hook},
                             {"hook_point_out", hook_out}});
}

}  // namespace

const Dialect kOpenmossDialect = {
    .name = "openmoss",
    .files = "a folder of config.json with sae_type and sae_weights.safetensors or .pt",
    .detect = detect,
    .read = read,
    .write = write};

}  // namespace safesail
