#include "sae/sparse_step.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "sae/kernels/sparse_rows.h"
#include "sae/kernels/vectors.h"
#include "sae/phase_timer.h"

namespace safesail {
namespace {

// Features are cut at multiples of this, and sums over features go group by group, so that no
// result depends on the number of threads.
constexpr std::int64_t kGroup = 128;

}  // namespace

SparseStep::SparseStep(const TrainerState& state, const TrainerOptions& options)
    : options_(options) {
  if (options_.selection == Selection::bf16) w_enc_bf16_ = round_encoder(state.sae.w_enc());
}

StepView SparseStep::view(const TrainerState& state) const {
  return {state, options_, k_, tokens_.n_tokens()};
}

void SparseStep::gradients(const TrainerState& state, std::int64_t first, std::int64_t last,
                           Gradients& out) {
  const Sae& sae = state.sae;
  const std::int64_t d_in = sae.spec().d_in, d_out = sae.spec().d_out;
  const std::int64_t n_features = sae.spec().n_features;
  const Architecture& architecture = *state.architecture;
  const std::vector<std::int64_t> ends = architecture.groups(sae.spec());
  const double batch = double(tokens_.n_tokens() * d_out);
  const auto scale = float(2 / batch / double(ends.size()));
  out.w_enc.reserve_zeros(std::size_t((last - first) * d_in));
  out.w_dec.reserve_zeros(std::size_t((last - first) * d_out));
  out.b_enc.resize(std::size_t(n_features));
  out.own.resize(architecture.own_parameters().size());
  for (std::vector<float>& gradient : out.own) gradient.resize(std::size_t(n_features));
  if (architecture.pre_reconstructs()) gate_gradients_.resize(pairs_.pre.size());
  b_dec_partials_.resize(std::size_t((n_features + kGroup - 1) / kGroup * d_in));

  const std::vector<std::int64_t> borders =
      pairs_.by_feature.split(first, last, at::get_num_threads(), kGroup);
  at::parallel_for(0, std::int64_t(borders.size()) - 1, 1, [&](std::int64_t b, std::int64_t e) {
    const std::int64_t from = borders[std::size_t(b)], to = borders[std::size_t(e)];
    if (from == to) return;
    float* w_dec = out.w_dec.data() + (from - first) * d_out;
    float* w_enc = out.w_enc.data() + (from - first) * d_in;
    float* b_enc = out.b_enc.data() + from;
    for (std::size_t g = 0; g < ends.size(); ++g) {
      const std::int64_t low = std::max(from, g == 0 ? 0 : ends[g - 1]);
      const std::int64_t high = std::min(to, ends[g]);
      if (low < high)
        value_gradients(pairs_, low, high, sae.w_dec().data(), residuals_[g], scale,
                        w_dec + (low - from) * d_out);
    }
    if (architecture.pre_reconstructs()) gate_gradients(state, from, to);
    std::vector<float*> own;
    for (std::vector<float>& gradient : out.own) own.push_back(gradient.data() + from);
    architecture.backward(view(state), l0_, from, to, pairs_, gate_gradients_, own);
    encoder_gradients(pairs_, from, to, tokens_.columns, w_enc, b_enc);
    aux_.add_gradients(from, to, tokens_, w_dec, w_enc, b_enc);
    for (std::int64_t f = from; f < to; ++f) {
      remove_parallel(sae.w_dec().data() + f * d_out, d_out, w_dec + (f - from) * d_out);
      if (!sae.spec().apply_b_dec_to_input) continue;
      float* partial = b_dec_partials_.data() + f / kGroup * d_in;
      if (f % kGroup == 0) std::fill_n(partial, d_in, 0.0f);
      add_scaled(-b_enc[f - from], sae.w_enc().data() + f * d_in, d_in, partial);
    }
  });
}

// Of the second reconstruction, by pre; its decoder is held fixed.
void SparseStep::gate_gradients(const TrainerState& state, std::int64_t first, std::int64_t last) {
  const auto scale = float(2 / double(tokens_.n_tokens() * state.sae.spec().d_out));
  pair_dots(pairs_.by_feature, first, last, state.sae.w_dec().data(), gate_residual_,
            gate_gradients_.data());
  const std::vector<std::int64_t>& offsets = pairs_.by_feature.offsets;
  for (auto p = std::size_t(offsets[std::size_t(first)]);
       p < std::size_t(offsets[std::size_t(last)]); ++p)
    gate_gradients_[p] *= scale;
}

void SparseStep::finish(const TrainerState& state, Gradients& gradients) const {
  const SaeSpec& spec = state.sae.spec();
  const std::int64_t n_tokens = tokens_.n_tokens(), d = spec.d_out;
  const auto scale = float(2 / double(n_tokens * d) / double(residuals_.size()));
  gradients.b_dec.assign(std::size_t(d), 0.0f);
  add_scaled(scale, residual_sums_.data(), d, gradients.b_dec.data());
  // b_dec is also subtracted from the encoder's input.
  if (spec.apply_b_dec_to_input) {
    for (std::size_t group = 0; group < b_dec_partials_.size() / std::size_t(d); ++group)
      add_scaled(1, b_dec_partials_.data() + group * std::size_t(d), d, gradients.b_dec.data());
  }
  if (!spec.skip) return;
  at::Tensor residual = at::empty({n_tokens, d});
  for (std::int64_t t = 0; t < n_tokens; ++t)
    get_row(residuals_.front(), t, residual.mutable_data_ptr<float>() + t * d);
  const at::Tensor z = at::from_blob(const_cast<float*>(skip_input_.data()), {n_tokens, spec.d_in});
  const at::Tensor by_skip = residual.t().matmul(z).mul_(scale).contiguous();
  gradients.w_skip.assign(by_skip.const_data_ptr<float>(),
                          by_skip.const_data_ptr<float>() + by_skip.numel());
}

void SparseStep::update(TrainerState& state, const AdamStep& adam, std::int64_t first,
                        std::int64_t last, const Gradients& gradients) {
  Parameter &w_enc = state.parameters[kWEnc], &w_dec = state.parameters[kWDec];
  const auto step = [&](Parameter& parameter, std::int64_t f, const Aligned<float>& by_rows) {
    const std::int64_t d = parameter.shape[1], row = f * d;
    float* weights = parameter.weights.data() + row;
    adam_row(adam, by_rows.data() + (f - first) * d, d, weights, parameter.first.data() + row,
             parameter.second.data() + row);
    return weights;
  };
  at::parallel_for(first, last, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t f = begin; f < end; ++f) {
      const float* encoder = step(w_enc, f, gradients.w_enc);
      if (!w_enc_bf16_.empty()) {
        const std::int64_t d = w_enc.shape[1];
        round_to_bf16(encoder, d, w_enc_bf16_.data() + f * d);
      }
      normalise_row(w_dec.shape[1], step(w_dec, f, gradients.w_dec));
    }
  });
}

// Everything but the two matrices.
void SparseStep::update_small(TrainerState& state, const AdamStep& adam,
                              const Gradients& gradients) {
  const auto step = [&](Parameter& parameter, const std::vector<float>& gradient) {
    SAFESAIL_CHECK(gradient.size() == parameter.weights.size());
    AdamStep scaled = adam;
    scaled.step_size *= float(parameter.lr_scale);
    adam_row(scaled, gradient.data(), std::int64_t(gradient.size()), parameter.weights.data(),
             parameter.first.data(), parameter.second.data());
  };
  step(state.parameters[kBEnc], gradients.b_enc);
  step(state.parameters[kBDec], gradients.b_dec);
  for (std::size_t i = 0; i < gradients.own.size(); ++i) {
    Parameter& parameter = state.parameters[kCommonParameters + i];
    step(parameter, gradients.own[i]);
    if (parameter.is_threshold())
      for (float& threshold : parameter.weights) threshold = std::max(threshold, 0.0f);
  }
  if (state.sae.spec().skip) step(state.parameters.back(), gradients.w_skip);
}

void SparseStep::count_fired(TrainerState& state) const {
  const std::vector<std::int64_t>& offsets = pairs_.by_feature.offsets;
  for (std::size_t f = 0; f < state.tokens_since_fired.size(); ++f) {
    const auto begin = pairs_.values.begin() + offsets[f],
               end = pairs_.values.begin() + offsets[f + 1];
    const bool fired = std::any_of(begin, end, [](float value) { return value > 0; });
    state.tokens_since_fired[f] = fired ? 0 : state.tokens_since_fired[f] + tokens_.n_tokens();
  }
}

// How much all gradients shrink so that their joint norm is at most clip_norm.
double SparseStep::clip_scale(const TrainerState& state, const Gradients& gradients,
                              StepReport& report) const {
  const SaeSpec& spec = state.sae.spec();
  std::vector<double> rows(static_cast<std::size_t>(spec.n_features));
  at::parallel_for(0, spec.n_features, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t f = begin; f < end; ++f) {
      rows[std::size_t(f)] = sum_of_squares(gradients.w_enc.data() + f * spec.d_in, spec.d_in) +
                             sum_of_squares(gradients.w_dec.data() + f * spec.d_out, spec.d_out);
    }
  });
  double squares = 0;
  const auto add = [&](const std::vector<float>& gradient) {
    squares += sum_of_squares(gradient.data(), std::int64_t(gradient.size()));
  };
  add(gradients.b_enc);
  add(gradients.b_dec);
  for (const std::vector<float>& gradient : gradients.own) add(gradient);
  add(gradients.w_skip);
  for (const double row : rows) squares += row;
  report.grad_norm = std::sqrt(squares);
  return std::min(1.0, options_.clip_norm / (report.grad_norm + 1e-6));
}

StepReport SparseStep::run(TrainerState& state, const at::Tensor& z, const at::Tensor& target,
                           const StepSettings& settings) {
  const SaeSpec& spec = state.sae.spec();
  double total = 0;
  StepReport report;
  {
    const PhaseTimer timer(total);
    report = forward(state, z, target, settings.k);
    AdamStep adam = AdamStep::at(options_.beta1, options_.beta2, options_.epsilon, settings.lr,
                                 state.n_steps + 1);
    // Without clipping a few thousand features are finished at a time: fewer would stream the
    // tokens through the caches too often. With clipping all gradients must be known first.
    constexpr std::int64_t kGradientFloats = 4 << 20;
    const bool clips = options_.clip_norm > 0;
    const std::int64_t width = std::max(spec.d_in, spec.d_out);
    const std::int64_t few = std::max(kGradientFloats / width / kGroup, std::int64_t{1}) * kGroup;
    const std::int64_t chunk = clips ? spec.n_features : few;
    for (std::int64_t first = 0; first < spec.n_features; first += chunk) {
      const std::int64_t last = std::min(first + chunk, spec.n_features);
      {
        const PhaseTimer phase(report.seconds.backward);
        gradients(state, first, last, gradients_);
      }
      const PhaseTimer phase(report.seconds.adam);
      if (clips) {
        finish(state, gradients_);
        adam.gradient_scale = float(clip_scale(state, gradients_, report));
      }
      update(state, adam, first, last, gradients_);
    }
    const PhaseTimer phase(report.seconds.adam);
    finish(state, gradients_);
    update_small(state, adam, gradients_);
    count_fired(state);
    ++state.n_steps;
    state.n_tokens += z.size(0);
    state.architecture->after_step(state, options_, {l0_, lowest_value_, z.size(0)});
  }
  report.n_dead = std::ranges::count_if(state.tokens_since_fired, [&](std::int64_t tokens) {
    return tokens >= options_.dead_after_tokens;
  });
  report.seconds.total = total;
  return report;
}

}  // namespace safesail
