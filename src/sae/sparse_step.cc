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

// Calls visit(first, last) for all features, at most `most_features` at a time and never across the
// end of a group, with the group's residual in place.
template <class Visit>
void SparseStep::for_each_chunk(const TrainerState& state, std::int64_t most_features,
                                Visit visit) {
  const SaeSpec& spec = state.sae.spec();
  if (spec.apply_b_dec_to_input)
    b_dec_partials_.assign(std::size_t((spec.n_features + kGroup - 1) / kGroup * spec.d_in), 0.0f);
  for (std::size_t group = ends_.size(); group-- > 0;) {
    enter_group(state, group);
    const std::int64_t begin = group == 0 ? 0 : ends_[group - 1];
    for (std::int64_t first = begin; first < ends_[group]; first += most_features)
      visit(first, std::min(first + most_features, ends_[group]));
  }
}

// Before any update of the group's features: their decoder rows say how to go back by a prefix.
void SparseStep::enter_group(const TrainerState& state, std::size_t group) {
  if (group + 1 == ends_.size()) return;
  const std::int64_t size = residual_.n_rows() * kBlockColumns;
  at::parallel_for(0, residual_.n_blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      add_scaled(1, prefix_.block(b), size, residual_.block(b));
      if (group == 0) continue;
      const std::int64_t first = ends_[group - 1];
      pair_spread(pairs_.by_feature, first, ends_[group],
                  pairs_.values().data() + pairs_.by_feature.begin_of(first), -1,
                  state.sae.w_dec().data(), b, prefix_);
    }
  });
}

void SparseStep::gradients(const TrainerState& state, Gradients& out) {
  const SaeSpec& spec = state.sae.spec();
  out.w_enc.reserve_zeros(std::size_t(spec.n_features * spec.d_in));
  out.w_dec.reserve_zeros(std::size_t(spec.n_features * spec.d_out));
  for_each_chunk(state, spec.n_features, [&](std::int64_t first, std::int64_t last) {
    gradients(state, first, last, out.w_enc.data() + first * spec.d_in,
              out.w_dec.data() + first * spec.d_out, out);
  });
  finish(state, out);
}

// Of features [first, last) of the group at work; their rows go to w_enc and w_dec.
void SparseStep::gradients(const TrainerState& state, std::int64_t first, std::int64_t last,
                           float* w_enc, float* w_dec, Gradients& out) {
  const Sae& sae = state.sae;
  const std::int64_t d_in = sae.spec().d_in, d_out = sae.spec().d_out;
  const ByFeature& by_feature = pairs_.by_feature;
  const std::span<const float> pre = pairs_.pre, values = pairs_.values(), gate = gate_gradients_;
  const std::size_t first_pair = by_feature.begin_of(first);
  const auto scale = float(2 / double(tokens_.n_tokens() * d_out) / double(ends_.size()));
  out.b_enc.resize(std::size_t(sae.spec().n_features));
  out.own.resize(state.architecture->own_parameters().size());
  for (std::vector<float>& gradient : out.own) gradient.resize(out.b_enc.size());
  resize_anew(pair_gradients_, by_feature.of(first, last).size());

  const std::vector<std::int64_t> borders =
      by_feature.split(first, last, at::get_num_threads(), kGroup);
  at::parallel_for(0, std::int64_t(borders.size()) - 1, 1, [&](std::int64_t b, std::int64_t e) {
    const std::int64_t from = borders[std::size_t(b)], to = borders[std::size_t(e)];
    if (from == to) return;
    float* by_w_dec = w_dec + (from - first) * d_out;
    float* by_w_enc = w_enc + (from - first) * d_in;
    float* b_enc = out.b_enc.data() + from;
    const auto slice = [&](std::int64_t low, std::int64_t high) {
      return std::span(pair_gradients_)
          .subspan(by_feature.begin_of(low) - first_pair, by_feature.of(low, high).size());
    };
    value_gradients(pairs_, from, to, sae.w_dec().data(), residual_, scale, slice(from, to),
                    by_w_dec);
    std::vector<float> own(out.own.size());
    for (std::int64_t f = from; f < to; ++f) {
      const std::size_t begin = by_feature.begin_of(f), n = by_feature.of(f).size();
      state.architecture->backward(view(state), l0_, f,
                                   {pre.subspan(begin, n), values.subspan(begin, n),
                                    gate.empty() ? gate : gate.subspan(begin, n), slice(f, f + 1)},
                                   own);
      for (std::size_t i = 0; i < own.size(); ++i) out.own[i][std::size_t(f)] = own[i];
    }
    encoder_gradients(by_feature, from, to, slice(from, to), tokens_.columns, by_w_enc, b_enc);
    aux_.add_gradients(from, to, tokens_, by_w_dec, by_w_enc, b_enc);
    for (std::int64_t f = from; f < to; ++f) {
      remove_parallel(sae.w_dec().data() + f * d_out, d_out, by_w_dec + (f - from) * d_out);
      if (sae.spec().apply_b_dec_to_input)
        add_scaled(-b_enc[f - from], sae.w_enc().data() + f * d_in, d_in,
                   b_dec_partials_.data() + f / kGroup * d_in);
    }
  });
}

void SparseStep::finish(const TrainerState& state, Gradients& gradients) const {
  const SaeSpec& spec = state.sae.spec();
  const std::int64_t n_tokens = tokens_.n_tokens(), d = spec.d_out;
  const auto scale = float(2 / double(n_tokens * d) / double(ends_.size()));
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
    get_row(residual_, t, residual.mutable_data_ptr<float>() + t * d);
  const at::Tensor z = at::from_blob(const_cast<float*>(skip_input_.data()), {n_tokens, spec.d_in});
  const at::Tensor by_skip = residual.t().matmul(z).mul_(scale).contiguous();
  gradients.w_skip.assign(by_skip.const_data_ptr<float>(),
                          by_skip.const_data_ptr<float>() + by_skip.numel());
}

void SparseStep::update(TrainerState& state, const AdamStep& adam, std::int64_t first,
                        std::int64_t last, const float* w_enc_gradient,
                        const float* w_dec_gradient) {
  Parameter &w_enc = state.parameters[kWEnc], &w_dec = state.parameters[kWDec];
  const auto step = [&](Parameter& parameter, std::int64_t f, const float* by_rows) {
    const std::int64_t d = parameter.shape[1], row = f * d;
    float* weights = parameter.weights.data() + row;
    adam_row(adam, by_rows + (f - first) * d, d, weights, parameter.first.data() + row,
             parameter.second.data() + row);
    return weights;
  };
  at::parallel_for(first, last, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t f = begin; f < end; ++f) {
      const float* encoder = step(w_enc, f, w_enc_gradient);
      if (!w_enc_bf16_.empty()) {
        const std::int64_t d = w_enc.shape[1];
        round_to_bf16(encoder, d, w_enc_bf16_.data() + f * d);
      }
      normalise_row(w_dec.shape[1], step(w_dec, f, w_dec_gradient));
    }
  });
}

// Everything but the two matrices.
void SparseStep::update_small(TrainerState& state, const AdamStep& adam, double lr,
                              const Gradients& gradients) {
  const auto step = [&](Parameter& parameter, const std::vector<float>& gradient) {
    SAFESAIL_CHECK(gradient.size() == parameter.weights.size());
    AdamStep scaled = adam;
    scaled.step_size *= float(parameter.lr_factor(lr, options_.bandwidth));
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

// A few thousand features are finished at a time: fewer would stream the tokens through the caches
// too often.
void SparseStep::update_by_chunks(TrainerState& state, const AdamStep& adam, StepReport& report) {
  const SaeSpec& spec = state.sae.spec();
  constexpr std::int64_t kGradientFloats = 4 << 20;
  const std::int64_t width = std::max(spec.d_in, spec.d_out);
  const std::int64_t few =
      std::min(std::max(kGradientFloats / width / kGroup, std::int64_t{1}) * kGroup,
               (spec.n_features + kGroup - 1) / kGroup * kGroup);
  gradients_.w_enc.reserve_zeros(std::size_t(few * spec.d_in));
  gradients_.w_dec.reserve_zeros(std::size_t(few * spec.d_out));
  for_each_chunk(state, few, [&](std::int64_t first, std::int64_t last) {
    {
      const PhaseTimer phase(report.seconds.backward);
      gradients(state, first, last, gradients_.w_enc.data(), gradients_.w_dec.data(), gradients_);
    }
    const PhaseTimer phase(report.seconds.adam);
    update(state, adam, first, last, gradients_.w_enc.data(), gradients_.w_dec.data());
  });
  const PhaseTimer phase(report.seconds.adam);
  finish(state, gradients_);
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
    if (options_.clip_norm > 0) {
      // All gradients must be known before any weight moves.
      {
        const PhaseTimer phase(report.seconds.backward);
        gradients(state, gradients_);
      }
      const PhaseTimer phase(report.seconds.adam);
      adam.gradient_scale = float(clip_scale(state, gradients_, report));
      update(state, adam, 0, spec.n_features, gradients_.w_enc.data(), gradients_.w_dec.data());
    } else {
      update_by_chunks(state, adam, report);
    }
    const PhaseTimer phase(report.seconds.adam);
    update_small(state, adam, settings.lr, gradients_);
    std::ranges::copy(since_fired_, state.tokens_since_fired.begin());
    ++state.n_steps;
    state.n_tokens += z.size(0);
    state.architecture->after_step(state, options_, {l0_, lowest_value_, settings.pace});
  }
  report.n_dead = std::ranges::count_if(state.tokens_since_fired, [&](std::int64_t tokens) {
    return tokens >= options_.dead_after_tokens;
  });
  report.seconds.total = total;
  return report;
}

}  // namespace safesail
