#include "sae/aten_step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>

#include "base/error.h"
#include "sae/phase_timer.h"

namespace safesail {
namespace {

void store(const at::Tensor& from, std::span<float> to) {
  at::Tensor target = at::from_blob(to.data(), from.sizes());
  if (from.data_ptr() != to.data()) target.copy_(from);
}

double sum_of(const at::Tensor& values) {
  return values.sum(at::kDouble).item<double>();
}

}  // namespace

struct AtenStep::Tensors {
  /// As TrainerState::parameters.
  std::vector<at::Tensor> weights, first, second;
  at::Tensor tokens_since_fired;
  std::int64_t threshold = -1;  ///< which of `weights` are thresholds
};

struct AtenStep::Forward {
  at::Tensor loss, codes;
  at::Tensor since_fired;  ///< as the state's after this step
};

AtenStep::AtenStep(TrainerState& state, const TrainerOptions& options, const std::string& device)
    : options_(options), tensors_(std::make_unique<Tensors>()) {
  // Functions that more than one thread calls first may be wrong in the fourth digit: see
  // settle_vector_math in model/device.cc.
  at::ones(1).sqrt().exp();
  const at::Device target(device);
  if (target.is_cuda() && !at::hasCUDA()) {
    failed("sae training", fmt::format("expected a GPU for device '{}', got none", device),
           "train with --device cpu, or install the CUDA libraries");
  }
  for (Parameter& parameter : state.parameters) {
    if (parameter.is_threshold()) tensors_->threshold = std::int64_t(tensors_->weights.size());
    const auto load = [&](std::span<float> values) {
      return at::from_blob(values.data(), parameter.shape).to(target);
    };
    tensors_->weights.push_back(load(parameter.weights));
    tensors_->first.push_back(load(parameter.first.span()));
    tensors_->second.push_back(load(parameter.second.span()));
  }
  tensors_->tokens_since_fired =
      at::from_blob(state.tokens_since_fired.data(), {state.sae.spec().n_features}, at::kLong)
          .to(target);
}

AtenStep::~AtenStep() = default;

void AtenStep::store(TrainerState& state) const {
  for (std::size_t i = 0; i < state.parameters.size(); ++i) {
    safesail::store(tensors_->weights[i], state.parameters[i].weights);
    safesail::store(tensors_->first[i], state.parameters[i].first.span());
    safesail::store(tensors_->second[i], state.parameters[i].second.span());
  }
  const at::Tensor fired = tensors_->tokens_since_fired.cpu();
  std::copy_n(fired.const_data_ptr<std::int64_t>(), fired.numel(),
              state.tokens_since_fired.begin());
}

// The loss of trainer.h, word for word.
AtenStep::Forward AtenStep::forward(const TrainerState& state, const at::Tensor& z,
                                    const at::Tensor& target, std::int64_t k,
                                    std::span<const at::Tensor> leaves, StepReport& report) const {
  const SaeSpec& spec = state.sae.spec();
  const std::int64_t n_tokens = z.size(0);
  const double size = double(n_tokens * spec.d_out);
  const at::Tensor &w_enc = leaves[kWEnc], &b_enc = leaves[kBEnc];
  at::Tensor w_dec = leaves[kWDec];
  const at::Tensor& b_dec = leaves[kBDec];
  const at::Tensor tokens = spec.apply_b_dec_to_input ? z.sub(b_dec) : z;
  at::Tensor pre = at::addmm(b_enc, tokens, w_enc.t());
  at::Tensor centered = target.sub(b_dec.detach()), codes, sparsity;
  const std::size_t n_own = state.architecture->own_parameters().size();
  state.architecture->dense({.step = {state, options_, k, n_tokens},
                             .pre = pre,
                             .w_dec = w_dec,
                             .target = centered,
                             .own = leaves.subspan(kCommonParameters, n_own)},
                            {&codes, &sparsity});

  at::Tensor base = b_dec, loss, residual;
  if (spec.skip) base = base.add(z.matmul(leaves.back().t()));
  const std::vector<std::int64_t> ends = state.architecture->groups(spec);
  for (const std::int64_t end : ends) {
    const at::Tensor zhat = codes.narrow(1, 0, end).matmul(w_dec.narrow(0, 0, end)).add(base);
    residual = zhat.sub(target);
    const at::Tensor term = residual.square().sum().div(size * double(ends.size()));
    loss = loss.defined() ? loss.add(term) : term;
  }
  const at::Tensor error = residual.detach();
  const double deviation = sum_of(target.sub(target.mean(0, true)).square());
  report.fvu = deviation > 0 ? sum_of(error.square()) / deviation : 0;
  report.l0 = double((codes.detach() > 0).sum().item<std::int64_t>()) / double(n_tokens);
  if (sparsity.defined()) {
    report.sparsity_loss = sparsity.item<double>();
    loss = loss.add(sparsity);
  }

  const at::Tensor since_fired =
      tensors_->tokens_since_fired.add(n_tokens).masked_fill((codes.detach() > 0).any(0), 0);
  const at::Tensor dead = since_fired >= options_.dead_after_tokens;
  report.n_dead = dead.sum().item<std::int64_t>();
  if (options_.auxk_coefficient > 0 && report.n_dead > 0) {
    const std::int64_t wanted =
        options_.k_aux > 0 ? options_.k_aux : std::max<std::int64_t>(spec.d_out / 2, 1);
    const auto [values, indices] =
        pre.masked_fill(dead.logical_not(), -std::numeric_limits<double>::infinity())
            .topk(std::min(wanted, report.n_dead), 1);
    const at::Tensor aux = at::zeros_like(pre).scatter(1, indices, values.relu()).matmul(w_dec);
    const at::Tensor term = aux.add(error).square().sum().mul(options_.auxk_coefficient / size);
    report.aux_loss = term.item<double>();
    loss = loss.add(term);
  }
  report.loss = loss.item<double>();
  return {loss, codes.detach(), since_fired};
}

void AtenStep::update(const TrainerState& state, const StepSettings& settings,
                      std::span<const at::Tensor> leaves, StepReport& report) {
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& leaf : leaves)
    gradients.push_back(leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf));
  std::vector<at::Tensor>& weights = tensors_->weights;
  const at::Tensor along = (gradients[kWDec] * weights[kWDec]).sum(1, true);
  gradients[kWDec] = gradients[kWDec].sub(along * weights[kWDec]);
  if (options_.clip_norm > 0) {
    double squares = 0;
    for (const at::Tensor& gradient : gradients) squares += sum_of(gradient.square());
    report.grad_norm = std::sqrt(squares);
    const double factor = std::min(1.0, options_.clip_norm / (report.grad_norm + 1e-6));
    for (at::Tensor& gradient : gradients) gradient = gradient.mul(factor);
  }
  const auto t = double(state.n_steps + 1);
  const double step_size = settings.lr / (1 - std::pow(options_.beta1, t));
  const double root = std::sqrt(1 - std::pow(options_.beta2, t));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    at::Tensor &first = tensors_->first[i], &second = tensors_->second[i];
    first.mul_(options_.beta1).add_(gradients[i], 1 - options_.beta1);
    second.mul_(options_.beta2).addcmul_(gradients[i], gradients[i], 1 - options_.beta2);
    weights[i].addcdiv_(
        first, second.sqrt().div_(root).add_(options_.epsilon),
        -step_size * state.parameters[i].lr_factor(settings.lr, options_.bandwidth));
    if (static_cast<std::int64_t>(i) == tensors_->threshold) weights[i].clamp_min_(0);
  }
  const at::Tensor norms = weights[kWDec].norm(2, {1}, true);
  weights[kWDec].div_(norms.masked_fill(norms == 0, 1));
}

StepReport AtenStep::run(TrainerState& state, const at::Tensor& z, const at::Tensor& target,
                         const StepSettings& settings) {
  const c10::InferenceMode no_inference(false);
  const SaeSpec& spec = state.sae.spec();
  const at::Device device = tensors_->weights.front().device();
  StepReport report;
  double total = 0;
  {
    const PhaseTimer timer(total);
    // Autograd does not take what a model computed under inference mode: hence the copies.
    const at::Tensor x = z.to(device, at::kFloat).clone();
    const at::Tensor y = target.is_same(z) ? x : target.to(device, at::kFloat).clone();
    std::vector<at::Tensor> leaves;
    Forward result;
    {
      const at::AutoGradMode with_gradients(true);
      for (const at::Tensor& weights : tensors_->weights)
        leaves.push_back(weights.detach().requires_grad_());
      result = forward(state, x, y, settings.k > 0 ? settings.k : spec.k, leaves, report);
      if (!std::isfinite(report.loss)) {
        failed("sae training",
               fmt::format("expected finite activations and a finite loss at step {}, got {}",
                           state.n_steps + 1, report.loss),
               "look at the activations; else lower the learning rate or lengthen the warm-up");
      }
      result.loss.backward();
    }
    const at::AutoGradMode without_gradients(false);
    update(state, settings, leaves, report);

    tensors_->tokens_since_fired = result.since_fired;
    ++state.n_steps;
    state.n_tokens += x.size(0);
    const at::Tensor values = result.codes.masked_select(result.codes > 0);
    const float lowest = values.numel() > 0 ? values.min().item<float>() : 0;
    state.architecture->after_step(state, options_, {report.l0, lowest, settings.pace});
  }
  report.seconds.total = total;
  return report;
}

}  // namespace safesail
