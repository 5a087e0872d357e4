#include "sae/trainer_state.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <fmt/format.h>
#include <limits>

#include "base/error.h"
#include "sae/sae_file.h"

namespace safesail {
namespace {

constexpr const char* kFormat = "safesail.trainer.1";
// The caller's metadata keeps its names behind this prefix.
constexpr std::string_view kCallerPrefix = "caller.";
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 2;
constexpr double kLargestPenalty = 1e30;

}  // namespace

// A threshold learns from the pairs inside its window alone; it must not jump out of it in the few
// steps in which Adam's moments come to know it, as the rates of short runs would have it.
double Parameter::lr_factor(double lr, double bandwidth) const {
  constexpr double kShareOfWindow = 0.3;
  if (!is_threshold() || lr == 0) return lr_scale;
  return std::min(lr_scale, kShareOfWindow * bandwidth / lr);
}

TrainerState::TrainerState(Sae start)
    : sae(std::move(start)),
      architecture(&find_architecture(sae.spec().architecture)),
      tokens_since_fired(std::size_t(sae.spec().n_features)) {
  const SaeSpec& spec = sae.spec();
  const auto add = [&](std::string name, std::vector<std::int64_t> shape,
                       std::span<float> weights) {
    Parameter parameter{.name = std::move(name), .shape = std::move(shape), .weights = weights};
    std::size_t size = 1;
    for (const std::int64_t extent : parameter.shape) size *= std::size_t(extent);
    if (weights.empty()) {
      parameter.own = Aligned<float>(size);
      parameter.weights = parameter.own.span();
    }
    // A step moves a row of W_enc by about lr sqrt(d_in), and with it the pre-activations of tokens
    // of norm sqrt(d_in) by as much: thresholds must be able to follow.
    if (parameter.is_threshold()) parameter.lr_scale = std::sqrt(double(spec.d_in));
    parameter.first = Aligned<float>(size);
    parameter.second = Aligned<float>(size);
    parameters.push_back(std::move(parameter));
  };
  add("W_enc", {spec.n_features, spec.d_in}, sae.w_enc());
  add("b_enc", {spec.n_features}, sae.b_enc());
  add("W_dec", {spec.n_features, spec.d_out}, sae.w_dec());
  add("b_dec", {spec.d_out}, sae.b_dec());
  for (const std::string& name : architecture->own_parameters())
    add(name, {spec.n_features}, name == "threshold" ? sae.threshold() : std::span<float>());
  const bool trains_threshold =
      std::ranges::any_of(parameters, [](const Parameter& p) { return p.is_threshold(); });
  if (!trains_threshold) std::ranges::fill(sae.threshold(), 0.0f);
  if (spec.skip) add("W_skip", {spec.d_out, spec.d_in}, sae.w_skip());
}

bool is_finite(const TrainerState& state) {
  std::atomic<bool> finite = true;
  const auto look_at = [&](std::span<const float> values) {
    at::parallel_for(0, std::int64_t(values.size()), 1 << 18,
                     [&](std::int64_t begin, std::int64_t end) {
                       // A sum is finite where its terms are: f64 has room for all floats there
                       // are.
                       double sum = 0;
                       for (std::int64_t i = begin; i < end; ++i) sum += values[std::size_t(i)];
                       if (!std::isfinite(sum)) finite = false;
                     });
  };
  for (const Parameter& parameter : state.parameters) {
    look_at(parameter.weights);
    look_at(parameter.first.span());
    look_at(parameter.second.span());
  }
  return finite && std::isfinite(state.penalty) && std::isfinite(state.threshold);
}

void save_trainer_state(const fs::path& path, const TrainerState& state,
                        const std::map<std::string, std::string>& metadata) {
  std::vector<NamedTensor> tensors = sae_header_tensors(state.sae);
  for (const Parameter& parameter : state.parameters) {
    const std::span<const float> weights = parameter.weights;
    tensors.push_back(named_tensor(parameter.name, weights, parameter.shape));
    tensors.push_back(
        named_tensor("adam.first." + parameter.name, parameter.first.span(), parameter.shape));
    tensors.push_back(
        named_tensor("adam.second." + parameter.name, parameter.second.span(), parameter.shape));
  }
  tensors.push_back(named_tensor("tokens_since_fired",
                                 std::span<const std::int64_t>(state.tokens_since_fired),
                                 DType::i64, {state.sae.spec().n_features}));
  std::map<std::string, std::string> strings = sae_header(state.sae);
  strings["format"] = kFormat;
  strings["n_steps"] = std::to_string(state.n_steps);
  strings["n_tokens"] = std::to_string(state.n_tokens);
  strings["penalty"] = fmt::format("{}", state.penalty);
  strings["running_threshold"] = fmt::format("{}", state.threshold);
  for (const auto& [key, value] : metadata) strings[std::string(kCallerPrefix) + key] = value;
  write_safetensors(path, tensors, strings);
}

TrainerState load_trainer_state(const fs::path& path,
                                std::map<std::string, std::string>* metadata) {
  const SafetensorsFile file(path);
  if (const std::string& format = metadata_text(file, "format"); format != kFormat) {
    bad_input(path.string(), fmt::format("expected format {}, got '{}'", kFormat, format),
              "resume with the version of Safesail that wrote it, or start again");
  }
  TrainerState state(read_sae_header(file));
  for (Parameter& parameter : state.parameters) {
    read_tensor(file, parameter.name, parameter.shape, parameter.weights);
    read_tensor(file, "adam.first." + parameter.name, parameter.shape, parameter.first.span());
    read_tensor(file, "adam.second." + parameter.name, parameter.shape, parameter.second.span());
  }
  read_tensor(file, "tokens_since_fired", std::vector{state.sae.spec().n_features},
              state.tokens_since_fired);
  state.penalty = metadata_double(file, "penalty", 0, kLargestPenalty);
  state.threshold = metadata_double(file, "running_threshold", 0, kLargestPenalty);
  state.n_steps = metadata_integer(file, "n_steps", 0, kMost);
  state.n_tokens = metadata_integer(file, "n_tokens", 0, kMost);
  const auto impossible = [&](std::int64_t tokens) {
    return tokens < 0 || tokens > state.n_tokens;
  };
  if (std::ranges::any_of(state.tokens_since_fired, impossible)) {
    bad_input(path.string(), "expected tokens_since_fired from 0 to n_tokens, got others",
              "take an undamaged file");
  }
  if (metadata != nullptr) {
    for (const auto& [key, value] : file.metadata()) {
      if (key.starts_with(kCallerPrefix)) (*metadata)[key.substr(kCallerPrefix.size())] = value;
    }
  }
  return state;
}

}  // namespace safesail
