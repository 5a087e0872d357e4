#include "sae/checkpoint.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "model/site_names.h"
#include "sae/sae_file.h"

namespace safesail {
namespace {

constexpr const char* kFormat = "safesail.sae.1";
constexpr std::int64_t kGoldenTokens = 64;

// Pairs of a provenance field's metadata key and its member.
template <class Provenance, class Visit>
void for_each_text(Provenance& provenance, Visit visit) {
  visit("site", provenance.site);
  visit("output_site", provenance.output_site);
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
  const SaeSpec& spec = sae.spec();
  std::map<std::string, std::string> strings = sae_header(sae);
  strings["format"] = kFormat;
  strings["encode"] = fmt::format(
      "z = (x - center) * scale; pre = {} W_enc^T + b_enc; {}",
      spec.apply_b_dec_to_input ? "(z - b_dec)" : "z",
      spec.rule == Rule::top_k
          ? "keep the k largest of each token (of equal values the lower feature index), then ReLU"
          : "keep pre where pre > max(threshold, 0)");
  strings["encoder_only"] = provenance.encoder_only ? "true" : "false";
  strings["decode"] =
      provenance.encoder_only
          ? "none: the SAE was published without its decoder"
          : fmt::format("zhat = codes W_dec + b_dec{}; xhat = zhat / {} + {}",
                        spec.skip ? " + z W_skip^T" : "", spec.transcoder ? "out_scale" : "scale",
                        spec.transcoder ? "out_center" : "center");
  strings["seed"] = std::to_string(provenance.seed);
  strings["tokens_trained"] = std::to_string(provenance.tokens_trained);
  if (provenance.prepends_bos)
    strings["prepends_bos"] = *provenance.prepends_bos ? "true" : "false";
  if (provenance.context_size > 0)
    strings["context_size"] = std::to_string(provenance.context_size);
  if (!provenance.dataset.empty()) strings["dataset"] = provenance.dataset;
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
  const TensorView& indices = file.at("golden.indices");
  const std::int64_t n_active = indices.shape.size() == 1 ? indices.shape[0] : -1;
  if (n_active < 0 || n_active > n * spec.n_features) {
    bad_input(fmt::format("{}: golden.indices", file.path().string()),
              fmt::format("expected at most {} entries, got {}", n * spec.n_features,
                          indices.shape_text()),
              "take an undamaged file");
  }
  GoldenVectors golden{at::empty({n, spec.d_in}), {}};
  golden.codes.offsets.resize(std::size_t(n + 1));
  golden.codes.indices.resize(std::size_t(n_active));
  golden.codes.values.resize(std::size_t(n_active));
  read_tensor(file, "golden.x", std::vector{n, spec.d_in},
              std::span(golden.x.mutable_data_ptr<float>(), std::size_t(golden.x.numel())));
  read_tensor(file, "golden.offsets", std::vector{n + 1}, golden.codes.offsets);
  read_tensor(file, "golden.indices", std::vector{n_active}, golden.codes.indices);
  read_tensor(file, "golden.values", std::vector{n_active}, golden.codes.values);
  if (golden.codes.offsets.front() != 0 || golden.codes.offsets.back() != n_active ||
      !std::ranges::is_sorted(golden.codes.offsets)) {
    bad_input(fmt::format("{}: golden.offsets", file.path().string()),
              fmt::format("expected rising numbers from 0 to {}, got others", n_active),
              "take an undamaged file");
  }
  return golden;
}

LoadedSae read_sae(const SafetensorsFile& file) {
  const std::string path = file.path().string();
  if (const std::string& format = metadata_text(file, "format"); format != kFormat) {
    bad_input(path, fmt::format("expected format {}, got '{}'", kFormat, format.substr(0, 40)),
              "convert it with `safesail sae convert`, or use the version that wrote it");
  }
  LoadedSae loaded{read_sae_header(file), {}, file.metadata()};
  Sae& sae = loaded.sae;
  const SaeSpec& spec = sae.spec();
  read_tensor(file, "W_enc", std::vector{spec.n_features, spec.d_in}, sae.w_enc());
  read_tensor(file, "b_enc", std::vector{spec.n_features}, sae.b_enc());
  read_tensor(file, "W_dec", std::vector{spec.n_features, spec.d_out}, sae.w_dec());
  read_tensor(file, "b_dec", std::vector{spec.d_out}, sae.b_dec());
  if (spec.rule == Rule::threshold)
    read_tensor(file, "threshold", std::vector{spec.n_features}, sae.threshold());
  if (spec.skip) read_tensor(file, "W_skip", std::vector{spec.d_out, spec.d_in}, sae.w_skip());
  for_each_text(loaded.provenance,
                [&](const char* key, std::string& text) { text = metadata_text(file, key); });
  loaded.provenance.encoder_only = metadata_flag(file, "encoder_only");
  loaded.provenance.seed = metadata_unsigned(file, "seed");
  loaded.provenance.tokens_trained = metadata_integer(file, "tokens_trained", 0, INT64_MAX);
  // Only where they are known, and not in older files.
  const auto has = [&](const char* key) { return file.metadata().contains(key); };
  if (has("prepends_bos")) loaded.provenance.prepends_bos = metadata_flag(file, "prepends_bos");
  if (has("context_size"))
    loaded.provenance.context_size = metadata_integer(file, "context_size", 0, INT64_MAX);
  if (has("dataset")) loaded.provenance.dataset = metadata_text(file, "dataset");
  // Earlier versions took the norm's output before its weight for the input of the MLP.
  const auto hook = value_of_hook(loaded.provenance.transformer_lens_hook, false);
  if (hook && hook->before_gain && loaded.provenance.site == to_string(hook->site))
    bad_input(path,
              fmt::format("expected an SAE of {}, got one that reads {}, which is that before the "
                          "norm's weight",
                          loaded.provenance.site, loaded.provenance.transformer_lens_hook),
              "it was converted by an older version: convert the original again, with --model");
  return loaded;
}

}  // namespace

void save_sae(const fs::path& path, const Sae& sae, const SaeProvenance& provenance,
              const at::Tensor& golden_x) {
  const SaeSpec& spec = sae.spec();
  SAFESAIL_CHECK(golden_x.dim() == 2 && golden_x.size(0) > 0 && golden_x.size(1) == spec.d_in);
  const std::int64_t n = std::min(golden_x.size(0), kGoldenTokens);
  const at::Tensor x = golden_x.narrow(0, 0, n).to(at::kCPU, at::kFloat).contiguous();
  const SparseCodes codes = sae.encode(x);
  std::vector<NamedTensor> tensors = sae_header_tensors(sae);
  tensors.push_back(named_tensor("W_enc", sae.w_enc(), {spec.n_features, spec.d_in}));
  tensors.push_back(named_tensor("b_enc", sae.b_enc(), {spec.n_features}));
  tensors.push_back(named_tensor("W_dec", sae.w_dec(), {spec.n_features, spec.d_out}));
  tensors.push_back(named_tensor("b_dec", sae.b_dec(), {spec.d_out}));
  if (spec.rule == Rule::threshold)
    tensors.push_back(named_tensor("threshold", sae.threshold(), {spec.n_features}));
  if (spec.skip) tensors.push_back(named_tensor("W_skip", sae.w_skip(), {spec.d_out, spec.d_in}));
  tensors.push_back(named_tensor(
      "golden.x", std::span(x.const_data_ptr<float>(), std::size_t(x.numel())), {n, spec.d_in}));
  tensors.push_back(named_tensor("golden.offsets", std::span<const std::int64_t>(codes.offsets),
                                 DType::i64, {n + 1}));
  tensors.push_back(named_tensor("golden.indices", std::span<const std::int32_t>(codes.indices),
                                 DType::i32, {codes.n_active()}));
  tensors.push_back(
      named_tensor("golden.values", std::span<const float>(codes.values), {codes.n_active()}));
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
    const auto row = std::size_t(t);
    expected.clear();
    for (auto i = std::size_t(golden.codes.offsets[row]);
         i < std::size_t(golden.codes.offsets[row + 1]); ++i)
      expected[golden.codes.indices[i]] = golden.codes.values[i];
    for (auto i = std::size_t(codes.offsets[row]); i < std::size_t(codes.offsets[row + 1]); ++i) {
      const auto match = expected.find(codes.indices[i]);
      if (match == expected.end()) {
        ++result.n_different;
      } else {
        furthest = std::max(furthest, std::abs(match->second - codes.values[i]));
        expected.erase(match);
      }
    }
    result.n_different += std::int64_t(expected.size());
  }
  result.max_relative_difference = largest > 0 ? double(furthest) / double(largest) : 0;
  // f32 sums over d_model terms in another order differ by about sqrt(d) rounding units; a near-tie
  // at the k-th place may swap two features of a token.
  const double tolerance = 8 * std::sqrt(double(spec.d_in)) * 0x1p-24;
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
