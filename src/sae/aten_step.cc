#include "sae/aten_step.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <limits>

#include "base/error.h"

namespace safesail {
namespace {

// Weights, gradients and moments alike.
struct Arrays {
  at::Tensor w_enc, b_enc, w_dec, b_dec;
  std::array<at::Tensor*, 4> all() { return {&w_enc, &b_enc, &w_dec, &b_dec}; }
};

at::Tensor on_device(std::span<float> values, at::IntArrayRef shape, const at::Device& device) {
  return at::from_blob(values.data(), shape).to(device);
}

void store(const at::Tensor& from, std::span<float> to, at::IntArrayRef shape) {
  at::Tensor target = at::from_blob(to.data(), shape);
  if (!from.is_alias_of(target) && from.data_ptr() != to.data()) target.copy_(from);
}

// ReLU(top-k(pre)) as a dense [n_tokens, n_features].
at::Tensor dense_codes(const at::Tensor& pre, std::int64_t k) {
  const auto [values, indices] = pre.topk(k, 1);
  return at::zeros_like(pre).scatter_(1, indices, values.relu());
}

// Adds the gradients of scale/2 * sum |residual|^2 through codes; see code_pairs.h.
void add_code_gradients(const at::Tensor& codes, const at::Tensor& residual,
                        const at::Tensor& tokens, const at::Tensor& w_dec, double scale,
                        Arrays& gradients) {
  const at::Tensor by_codes = residual.matmul(w_dec.t()).mul_(scale).mul_(codes > 0);
  gradients.w_dec.add_(codes.t().matmul(residual), scale);
  gradients.w_enc.add_(by_codes.t().matmul(tokens));
  gradients.b_enc.add_(by_codes.sum(0));
}

}  // namespace

struct AtenStep::Tensors {
  Arrays weights, first, second;
  at::Tensor tokens_since_fired;
};

AtenStep::AtenStep(TrainerState& state, const TrainerOptions& options, const std::string& device)
    : options_(options), tensors_(std::make_unique<Tensors>()) {
  const at::Device target(device);
  if (target.is_cuda() && !at::hasCUDA()) {
    failed("sae training", fmt::format("expected a GPU for device '{}', got none", device),
           "train with --device cpu, or install the CUDA libraries");
  }
  const auto [d, n_features, k] = state.sae.spec();
  const auto load = [&, d = d, n = n_features](auto w_enc, auto b_enc, auto w_dec, auto b_dec) {
    return Arrays{on_device(w_enc, {n, d}, target), on_device(b_enc, {n}, target),
                  on_device(w_dec, {n, d}, target), on_device(b_dec, {d}, target)};
  };
  const auto load_moments = [&](SaeShaped& moments) {
    return load(moments.w_enc.span(), moments.b_enc.span(), moments.w_dec.span(),
                moments.b_dec.span());
  };
  tensors_->weights =
      load(state.sae.w_enc(), state.sae.b_enc(), state.sae.w_dec(), state.sae.b_dec());
  tensors_->first = load_moments(state.first);
  tensors_->second = load_moments(state.second);
  tensors_->tokens_since_fired =
      at::from_blob(state.tokens_since_fired.data(), {n_features}, at::kLong).to(target);
}

AtenStep::~AtenStep() = default;

void AtenStep::store(TrainerState& state) const {
  const auto [d, n_features, k] = state.sae.spec();
  const auto store_all = [&, d = d, n = n_features](const Arrays& from, auto w_enc, auto b_enc,
                                                    auto w_dec, auto b_dec) {
    safesail::store(from.w_enc, w_enc, {n, d});
    safesail::store(from.b_enc, b_enc, {n});
    safesail::store(from.w_dec, w_dec, {n, d});
    safesail::store(from.b_dec, b_dec, {d});
  };
  const auto store_moments = [&](const Arrays& from, SaeShaped& to) {
    store_all(from, to.w_enc.span(), to.b_enc.span(), to.w_dec.span(), to.b_dec.span());
  };
  store_all(tensors_->weights, state.sae.w_enc(), state.sae.b_enc(), state.sae.w_dec(),
            state.sae.b_dec());
  store_moments(tensors_->first, state.first);
  store_moments(tensors_->second, state.second);
  const at::Tensor fired = tensors_->tokens_since_fired.cpu();
  std::copy_n(fired.const_data_ptr<std::int64_t>(), n_features, state.tokens_since_fired.begin());
}

StepReport AtenStep::run(TrainerState& state, const at::Tensor& z, double lr) {
  const auto start = std::chrono::steady_clock::now();
  const auto [d, n_features, k] = state.sae.spec();
  Arrays& weights = tensors_->weights;
  const at::Tensor tokens = z.to(weights.b_dec.device(), at::kFloat).sub(weights.b_dec);
  const std::int64_t n_tokens = tokens.size(0);
  StepReport report;

  const at::Tensor pre = at::addmm(weights.b_enc, tokens, weights.w_enc.t());
  const at::Tensor codes = dense_codes(pre, k);
  const at::Tensor residual = codes.matmul(weights.w_dec).sub_(tokens);
  const double squared_error = residual.square().sum(at::kDouble).item<double>();
  if (!std::isfinite(squared_error)) {
    failed("sae training",
           fmt::format("expected finite activations and a finite loss at step {}, got {}",
                       state.n_steps + 1, squared_error),
           "look at the activations; else lower the learning rate or lengthen the warm-up");
  }
  const double deviation =
      tokens.sub(tokens.mean(0, true)).square().sum(at::kDouble).item<double>();
  report.loss = squared_error / double(n_tokens * d);
  report.fvu = deviation > 0 ? squared_error / deviation : 0;
  report.l0 = (codes > 0).sum().item<double>() / double(n_tokens);

  Arrays gradients{at::zeros_like(weights.w_enc),
                   at::zeros_like(weights.b_enc),
                   at::zeros_like(weights.w_dec),
                   {}};
  const double scale = 2.0 / double(n_tokens * d);
  add_code_gradients(codes, residual, tokens, weights.w_dec, scale, gradients);
  gradients.b_dec = residual.sum(0).mul_(scale);

  const at::Tensor dead = tensors_->tokens_since_fired >= options_.dead_after_tokens;
  const auto n_dead = options_.auxk_coefficient > 0 ? dead.sum().item<std::int64_t>() : 0;
  if (n_dead > 0) {
    const std::int64_t wanted =
        options_.k_aux > 0 ? options_.k_aux : std::max<std::int64_t>(d / 2, 1);
    const at::Tensor dead_pre =
        pre.masked_fill(dead.logical_not(), -std::numeric_limits<double>::infinity());
    const at::Tensor aux_codes = dense_codes(dead_pre, std::min(wanted, n_dead));
    const at::Tensor aux_residual = aux_codes.matmul(weights.w_dec).add_(residual);
    report.aux_loss = options_.auxk_coefficient *
                      aux_residual.square().sum(at::kDouble).item<double>() / double(n_tokens * d);
    report.loss += report.aux_loss;
    add_code_gradients(aux_codes, aux_residual, tokens, weights.w_dec,
                       scale * options_.auxk_coefficient, gradients);
  }
  gradients.b_dec.sub_(gradients.b_enc.matmul(weights.w_enc));
  const at::Tensor along = (gradients.w_dec * weights.w_dec).sum(1, true);
  gradients.w_dec.sub_(along * weights.w_dec);

  if (options_.clip_norm > 0) {
    double squares = 0;
    for (const at::Tensor* gradient : gradients.all()) {
      squares += gradient->square().sum(at::kDouble).item<double>();
    }
    report.grad_norm = std::sqrt(squares);
    const double factor = std::min(1.0, options_.clip_norm / (report.grad_norm + 1e-6));
    for (at::Tensor* gradient : gradients.all()) gradient->mul_(factor);
  }

  const auto t = double(state.n_steps + 1);
  const double step_size = lr / (1 - std::pow(options_.beta1, t));
  const double root = std::sqrt(1 - std::pow(options_.beta2, t));
  for (std::size_t i = 0; i < 4; ++i) {
    const at::Tensor& gradient = *gradients.all()[i];
    at::Tensor &first = *tensors_->first.all()[i], &second = *tensors_->second.all()[i];
    first.mul_(options_.beta1).add_(gradient, 1 - options_.beta1);
    second.mul_(options_.beta2).addcmul_(gradient, gradient, 1 - options_.beta2);
    weights.all()[i]->addcdiv_(first, second.sqrt().div_(root).add_(options_.epsilon), -step_size);
  }
  const at::Tensor norms = weights.w_dec.norm(2, {1}, true);
  weights.w_dec.div_(norms.masked_fill(norms == 0, 1));

  const at::Tensor fired = (codes > 0).any(0);
  tensors_->tokens_since_fired.add_(n_tokens).masked_fill_(fired, 0);
  report.n_dead =
      (tensors_->tokens_since_fired >= options_.dead_after_tokens).sum().item<std::int64_t>();
  ++state.n_steps;
  state.n_tokens += n_tokens;
  report.seconds.total =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace safesail
