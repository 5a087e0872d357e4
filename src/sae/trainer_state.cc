#include "sae/trainer_state.h"

#include <algorithm>
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

// Calls visit(name, array, shape) for every f32 array of the state.
template <class State, class Visit>
void for_each_array(State& state, Visit visit) {
  const auto [d, n_features, k] = state.sae.spec();
  const std::vector<std::int64_t> matrix{n_features, d}, features{n_features}, width{d};
  visit("W_enc", state.sae.w_enc(), matrix);
  visit("b_enc", state.sae.b_enc(), features);
  visit("W_dec", state.sae.w_dec(), matrix);
  visit("b_dec", state.sae.b_dec(), width);
  const auto visit_moments = [&](const std::string& prefix, auto& moments) {
    visit(prefix + "W_enc", moments.w_enc.span(), matrix);
    visit(prefix + "b_enc", moments.b_enc.span(), features);
    visit(prefix + "W_dec", moments.w_dec.span(), matrix);
    visit(prefix + "b_dec", moments.b_dec.span(), width);
  };
  visit_moments("adam.first.", state.first);
  visit_moments("adam.second.", state.second);
}

}  // namespace

SaeShaped::SaeShaped(const SaeSpec& spec)
    : w_enc(std::size_t(spec.n_features * spec.d_model)),
      b_enc(std::size_t(spec.n_features)),
      w_dec(std::size_t(spec.n_features * spec.d_model)),
      b_dec(std::size_t(spec.d_model)) {}

TrainerState::TrainerState(Sae start)
    : sae(std::move(start)),
      first(sae.spec()),
      second(sae.spec()),
      tokens_since_fired(std::size_t(sae.spec().n_features)) {}

void save_trainer_state(const fs::path& path, const TrainerState& state,
                        const std::map<std::string, std::string>& metadata) {
  const auto [d, n_features, k] = state.sae.spec();
  std::vector<NamedTensor> tensors;
  const std::span<const float> center = state.sae.transform().center;
  tensors.push_back(named_tensor("center", center, {d}));
  for_each_array(state, [&](const std::string& name, std::span<const float> values,
                            const std::vector<std::int64_t>& shape) {
    tensors.push_back(named_tensor(name, values, shape));
  });
  tensors.push_back(named_tensor("tokens_since_fired",
                                 std::span<const std::int64_t>(state.tokens_since_fired),
                                 DType::i64, {n_features}));
  std::map<std::string, std::string> strings{
      {"format", kFormat},
      {"d_model", std::to_string(d)},
      {"n_features", std::to_string(n_features)},
      {"k", std::to_string(k)},
      {"scale", fmt::format("{}", state.sae.transform().scale)},
      {"n_steps", std::to_string(state.n_steps)},
      {"n_tokens", std::to_string(state.n_tokens)},
  };
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
  const SaeSpec spec{.d_model = metadata_integer(file, "d_model", 1, kMost),
                     .n_features = metadata_integer(file, "n_features", 1, kMost),
                     .k = metadata_integer(file, "k", 1, kMost)};
  check(spec);
  require_shape(file, "W_enc", {spec.n_features, spec.d_model});
  InputTransform transform = identity_transform(spec.d_model);
  read_tensor(file, "center", std::vector{spec.d_model}, transform.center);
  transform.scale = metadata_positive_float(file, "scale");
  TrainerState state(Sae(spec, std::move(transform)));
  for_each_array(state, [&](const std::string& name, std::span<float> values,
                            const std::vector<std::int64_t>& shape) {
    read_tensor(file, name, shape, values);
  });
  read_tensor(file, "tokens_since_fired", std::vector{spec.n_features}, state.tokens_since_fired);
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
