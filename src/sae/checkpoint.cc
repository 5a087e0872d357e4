#include "sae/checkpoint.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "sae/sae_file.h"

namespace safesail {
namespace {

constexpr const char* kFormat = "safesail.sae.1";
constexpr std::int64_t kGoldenTokens = 64;
constexpr std::int64_t kMost = std::int64_t{1} << 40;

// Pairs of a provenance field's metadata key and its member.
template <class Provenance, class Visit>
void for_each_text(Provenance& provenance, Visit visit) {
  visit("site", provenance.site);
  visit("hf_module", provenance.hf_module);
  visit("transformer_lens_hook", provenance.transformer_lens_hook);
  visit("model_name", provenance.model_name);
  visit("model_hash", provenance.model_hash);
  visit("tokenizer_hash", provenance.tokenizer_hash);
  visit("token_policy", provenance.token_policy);
  visit("config_hash", provenance.config_hash);
  visit("program_version", provenance.program_version);
}

std::map<std::string, std::string> metadata_of(const Sae& sae, const SaeProvenance& provenance) {
  std::map<std::string, std::string> strings{
      {"format", kFormat},
      {"architecture", "topk"},
      {"d_model", std::to_string(sae.spec().d_model)},
      {"n_features", std::to_string(sae.spec().n_features)},
      {"k", std::to_string(sae.spec().k)},
      {"scale", fmt::format("{}", sae.transform().scale)},
      {"encode",
       "z = (x - center) * scale; pre = (z - b_dec) W_enc^T + b_enc; keep the k largest of each "
       "token (of equal values the lower feature index), then ReLU"},
      {"decode", "zhat = codes W_dec + b_dec; xhat = zhat / scale + center"},
      {"seed", std::to_string(provenance.seed)},
      {"tokens_trained", std::to_string(provenance.tokens_trained)},
  };
  for_each_text(provenance, [&](const char* key, const std::string& text) { strings[key] = text; });
  return strings;
}

struct GoldenVectors {
  at::Tensor x;
  SparseCodes codes;
};

GoldenVectors read_golden(const SafetensorsFile& file, const SaeSpec& spec) {
  const TensorView& x = file.at("golden.x");
  const std::int64_t n = x.shape.size() == 2 ? x.shape[0] : 0;
  if (n < 1 || n > kGoldenTokens) {
    bad_input(fmt::format("{}: golden.x", file.path().string()),
              fmt::format("expected 1 to {} rows, got {}", kGoldenTokens, x.shape_text()),
              "take an undamaged file");
  }
  GoldenVectors golden{at::empty({n, spec.d_model}), {spec.k, {}, {}}};
  const auto slots = std::size_t(n * spec.k);
  golden.codes.indices.resize(slots);
  golden.codes.values.resize(slots);
  const std::vector shape{n, spec.k};
  read_tensor(file, "golden.x", std::vector{n, spec.d_model},
              std::span(golden.x.mutable_data_ptr<float>(), std::size_t(golden.x.numel())));
  read_tensor(file, "golden.indices", shape, golden.codes.indices);
  read_tensor(file, "golden.values", shape, golden.codes.values);
  return golden;
}

LoadedSae read_sae(const SafetensorsFile& file) {
  const std::string path = file.path().string();
  if (const std::string& format = metadata_text(file, "format"); format != kFormat) {
    bad_input(path, fmt::format("expected format {}, got '{}'", kFormat, format.substr(0, 40)),
              "convert it with `safesail sae convert`, or use the version that wrote it");
  }
  if (const std::string& name = metadata_text(file, "architecture"); name != "topk") {
    bad_input(path, fmt::format("expected architecture topk, got '{}'", name.substr(0, 40)),
              "use a version of Safesail that knows it");
  }
  const SaeSpec spec{.d_model = metadata_integer(file, "d_model", 1, kMost),
                     .n_features = metadata_integer(file, "n_features", 1, kMost),
                     .k = metadata_integer(file, "k", 1, kMost)};
  check(spec);
  require_shape(file, "W_enc", {spec.n_features, spec.d_model});
  InputTransform transform = identity_transform(spec.d_model);
  read_tensor(file, "center", std::vector{spec.d_model}, transform.center);
  transform.scale = metadata_positive_float(file, "scale");
  LoadedSae loaded{Sae(spec, std::move(transform)), {}, file.metadata()};
  const std::vector matrix{spec.n_features, spec.d_model};
  read_tensor(file, "W_enc", matrix, loaded.sae.w_enc());
  read_tensor(file, "b_enc", std::vector{spec.n_features}, loaded.sae.b_enc());
  read_tensor(file, "W_dec", matrix, loaded.sae.w_dec());
  read_tensor(file, "b_dec", std::vector{spec.d_model}, loaded.sae.b_dec());
  for_each_text(loaded.provenance,
                [&](const char* key, std::string& text) { text = metadata_text(file, key); });
  loaded.provenance.seed = metadata_unsigned(file, "seed");
  loaded.provenance.tokens_trained = metadata_integer(file, "tokens_trained", 0, INT64_MAX);
  return loaded;
}

}  // namespace

void save_sae(const fs::path& path, const Sae& sae, const SaeProvenance& provenance,
              const at::Tensor& golden_x) {
  const auto [d, n_features, k] = sae.spec();
  SAFESAIL_CHECK(golden_x.dim() == 2 && golden_x.size(0) > 0 && golden_x.size(1) == d);
  const std::int64_t n = std::min(golden_x.size(0), kGoldenTokens);
  const at::Tensor x = golden_x.narrow(0, 0, n).to(at::kCPU, at::kFloat).contiguous();
  const SparseCodes codes = sae.encode(x);
  const std::vector<NamedTensor> tensors{
      named_tensor("W_enc", sae.w_enc(), {n_features, d}),
      named_tensor("b_enc", sae.b_enc(), {n_features}),
      named_tensor("W_dec", sae.w_dec(), {n_features, d}),
      named_tensor("b_dec", sae.b_dec(), {d}),
      named_tensor("center", std::span<const float>(sae.transform().center), {d}),
      named_tensor("golden.x", std::span(x.const_data_ptr<float>(), std::size_t(x.numel())),
                   {n, d}),
      named_tensor("golden.indices", std::span<const std::int32_t>(codes.indices), DType::i32,
                   {n, k}),
      named_tensor("golden.values", std::span<const float>(codes.values), {n, k}),
  };
  write_safetensors(path, tensors, metadata_of(sae, provenance));
}

LoadedSae load_sae(const fs::path& path) {
  return read_sae(SafetensorsFile(path));
}

GoldenCheck verify_sae(const fs::path& path) {
  const SafetensorsFile file(path);
  const LoadedSae loaded = read_sae(file);
  const SaeSpec& spec = loaded.sae.spec();
  const GoldenVectors golden = read_golden(file, spec);
  const SparseCodes codes = loaded.sae.encode(golden.x);

  GoldenCheck result{.n_tokens = golden.codes.n_tokens()};
  float largest = 0, furthest = 0;
  for (const float value : golden.codes.values) largest = std::max(largest, std::abs(value));
  std::map<std::int32_t, float> expected;
  for (std::int64_t t = 0; t < result.n_tokens; ++t) {
    const auto first = std::size_t(t * spec.k), last = std::size_t((t + 1) * spec.k);
    expected.clear();
    for (std::size_t slot = first; slot < last; ++slot) {
      if (golden.codes.indices[slot] >= 0) {
        expected[golden.codes.indices[slot]] = golden.codes.values[slot];
      }
    }
    for (std::size_t slot = first; slot < last; ++slot) {
      if (codes.indices[slot] < 0) continue;
      const auto match = expected.find(codes.indices[slot]);
      if (match == expected.end()) {
        ++result.n_different;
      } else {
        furthest = std::max(furthest, std::abs(match->second - codes.values[slot]));
        expected.erase(match);
      }
    }
    result.n_different += std::int64_t(expected.size());
  }
  result.max_relative_difference = largest > 0 ? double(furthest) / double(largest) : 0;
  // f32 sums over d_model terms in another order differ by about sqrt(d) rounding units; a near-tie
  // at the k-th place may swap two features of a token.
  const double tolerance = 8 * std::sqrt(double(spec.d_model)) * 0x1p-24;
  const std::int64_t may_differ = 2 * std::max<std::int64_t>(1, result.n_tokens / 16);
  if (result.n_different > may_differ || !(result.max_relative_difference <= tolerance)) {
    bad_input(path.string(),
              fmt::format("expected its golden vectors to decode as stored, got {} different "
                          "features and values {:.2g} apart",
                          result.n_different, result.max_relative_difference),
              "the weights or the transform are damaged: take an undamaged file");
  }
  return result;
}

}  // namespace safesail
