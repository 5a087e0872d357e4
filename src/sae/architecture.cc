#include "sae/architecture.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "sae/architectures/architectures.h"
#include "sae/trainer.h"
#include "sae/trainer_state.h"

namespace safesail {

void Architecture::check(const SaeSpec&, const TrainerOptions&) const {}

void Architecture::start(TrainerState&, const TrainerOptions&, const at::Tensor&) const {}

void Architecture::activate(const TrainerState&, CodePairs&) const {}

double Architecture::sparsity_loss(const StepView&, const CodePairs&, double) const {
  return 0;
}

void Architecture::backward(const StepView&, double, std::int64_t, FeaturePairs,
                            std::span<float>) const {}

void Architecture::after_step(TrainerState&, const TrainerOptions&, const StepFacts&) const {}

std::optional<Sae> Architecture::inference_sae(TrainerState&) const {
  return std::nullopt;
}

std::span<const Architecture* const> all_architectures() {
  static const std::array<const Architecture*, 6> all{
      &topk_architecture(),     &batchtopk_architecture(), &matryoshka_architecture(),
      &jumprelu_architecture(), &relu_architecture(),      &gated_architecture()};
  return all;
}

const Architecture& find_architecture(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Architecture* architecture : all_architectures()) {
    if (architecture->name() == name) return *architecture;
    names.push_back(architecture->name());
  }
  bad_input("sae architecture",
            fmt::format("expected one of {}, got '{}'", fmt::join(names, ", "), name.substr(0, 40)),
            "choose one of them");
}

SaeSpec trained_spec(std::string_view architecture, std::int64_t d, std::int64_t n_features,
                     std::int64_t k) {
  const Architecture& found = find_architecture(architecture);
  SaeSpec spec = SaeSpec::topk(d, n_features, k);
  spec.architecture = found.name();
  spec.rule = found.rule();
  return spec;
}

float pre_quantile(const TrainerState& state, const at::Tensor& z, double density) {
  constexpr std::int64_t kSample = 256;
  const Sae& sae = state.sae;
  const auto [d, n] = std::pair(sae.spec().d_in, sae.spec().n_features);
  const std::int64_t stride = std::max<std::int64_t>(z.size(0) / kSample, 1);
  at::Tensor tokens = z.slice(0, 0, z.size(0), stride).to(at::kFloat);
  if (sae.spec().apply_b_dec_to_input)
    tokens = tokens.sub(at::from_blob(const_cast<float*>(sae.b_dec().data()), {d}));
  at::Tensor pre = at::addmm(at::from_blob(const_cast<float*>(sae.b_enc().data()), {n}), tokens,
                             at::from_blob(const_cast<float*>(sae.w_enc().data()), {n, d}).t());
  const auto values = std::span(pre.mutable_data_ptr<float>(), std::size_t(pre.numel()));
  const auto rank = std::clamp<std::int64_t>(std::llround(density * double(values.size())), 1,
                                             std::int64_t(values.size()) - 1);
  // Between two values, so that none of them sits on the bound.
  std::nth_element(values.begin(), values.begin() + rank, values.end(), std::greater<>());
  const float above = *std::min_element(values.begin(), values.begin() + rank);
  return (above + values[std::size_t(rank)]) / 2;
}

void control_penalty(TrainerState& state, const StepFacts& facts) {
  const auto target = double(state.sae.spec().k);
  if (target <= 0) return;
  // Integral control of log L0, at most 5 % a step: L0 answers within a few tens of steps.
  constexpr double kGain = 0.05;
  const double error = std::log(std::max(facts.l0, 0.01 * target) / target);
  state.penalty *= std::exp(kGain * facts.pace * std::clamp(error, -1.0, 1.0));
}

}  // namespace safesail
