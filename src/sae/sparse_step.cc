#include "sae/sparse_step.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "sae/kernels/residual.h"
#include "sae/kernels/sparse_rows.h"
#include "sae/kernels/vectors.h"

namespace safesail {
namespace {

// Features are cut at multiples of this, and sums over features go group by group, so that no
// result depends on the number of threads.
constexpr std::int64_t kGroup = 128;

// Adds the seconds since its birth to a phase.
class PhaseTimer {
 public:
  explicit PhaseTimer(double& phase) : phase_(phase) {}
  ~PhaseTimer() {
    phase_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double& phase_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

SparseStep::SparseStep(const TrainerState& state, const TrainerOptions& options)
    : options_(options) {
  if (options_.selection == Selection::bf16) w_enc_bf16_ = round_encoder(state.sae.w_enc());
}

StepReport SparseStep::forward(const TrainerState& state, const at::Tensor& z) {
  const auto [d, n_features, k] = state.sae.spec();
  const std::int64_t n_tokens = z.size(0);
  StepReport report;
  const EncoderWeights encoder{state.sae.spec(), state.sae.w_enc().data(), state.sae.b_enc().data(),
                               w_enc_bf16_.data()};
  {
    const PhaseTimer timer(report.seconds.prepare);
    const Affine affine{nullptr, 1, state.sae.b_dec().data()};
    prepare_tokens(z, affine, options_.selection, tokens_);
  }
  {
    const PhaseTimer timer(report.seconds.encode);
    find_candidates(encoder, tokens_, options_.selection, scratch_.candidates);
  }
  {
    const PhaseTimer timer(report.seconds.refine);
    choose_codes(encoder, tokens_, scratch_, CodeOrder::any, codes_);
  }
  const PhaseTimer timer(report.seconds.decode);
  pairs_.assign(codes_, n_features);
  residual_.resize(n_tokens, d);
  residual_sums_.resize(std::size_t(d));
  std::vector<ResidualSums> sums(std::size_t(residual_.n_blocks()));
  at::parallel_for(0, residual_.n_blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      std::fill_n(residual_.block(b), n_tokens * kBlockColumns, 0.0f);
      pair_spread(pairs_.by_feature, pairs_.values.data(), state.sae.w_dec().data(), b, residual_);
      sums[std::size_t(b)] = finish_residual(tokens_.columns, b, residual_, residual_sums_.data());
    }
  });
  ResidualSums total;
  for (const ResidualSums& block : sums) {
    total.squared_error += block.squared_error;
    total.squared_deviation += block.squared_deviation;
  }
  report.loss = total.squared_error / double(n_tokens * d);
  report.fvu = total.squared_deviation > 0 ? total.squared_error / total.squared_deviation : 0;
  report.l0 = double(pairs_.by_feature.n_pairs()) / double(n_tokens);
  report.aux_loss = aux_.forward(state, tokens_, residual_, options_);
  report.loss += report.aux_loss;
  if (!std::isfinite(report.loss)) {
    failed("sae training",
           fmt::format("expected a finite loss at step {}, got {}", state.n_steps + 1, report.loss),
           "lower the learning rate, lengthen the warm-up, or set a gradient clip");
  }
  return report;
}

void SparseStep::gradients(const TrainerState& state, std::int64_t first, std::int64_t last,
                           Gradients& out) {
  const std::int64_t d = state.sae.spec().d_model, n_features = state.sae.spec().n_features;
  const std::int64_t n_tokens = tokens_.n_tokens();
  const auto loss_scale = float(2.0 / double(n_tokens * d));
  out.w_enc.reserve_zeros(std::size_t((last - first) * d));
  out.w_dec.reserve_zeros(std::size_t((last - first) * d));
  out.b_enc.resize(std::size_t(n_features));
  b_dec_partials_.resize(std::size_t((n_features + kGroup - 1) / kGroup * d));

  const std::vector<std::int64_t> borders =
      pairs_.by_feature.split(first, last, at::get_num_threads(), kGroup);
  at::parallel_for(0, std::int64_t(borders.size()) - 1, 1, [&](std::int64_t b, std::int64_t e) {
    const std::int64_t from = borders[std::size_t(b)], to = borders[std::size_t(e)];
    float* w_dec = out.w_dec.data() + (from - first) * d;
    float* w_enc = out.w_enc.data() + (from - first) * d;
    float* b_enc = out.b_enc.data() + from;
    code_gradients(pairs_, from, to, state.sae.w_dec().data(), residual_, tokens_.columns,
                   loss_scale, w_dec, w_enc, b_enc);
    aux_.add_gradients(from, to, tokens_, w_dec, w_enc, b_enc);
    for (std::int64_t f = from; f < to; ++f) {
      remove_parallel(state.sae.w_dec().data() + f * d, d, w_dec + (f - from) * d);
      // b_dec is also subtracted from the encoder's input.
      float* partial = b_dec_partials_.data() + f / kGroup * d;
      if (f % kGroup == 0) std::fill_n(partial, d, 0.0f);
      add_scaled(-b_enc[f - from], state.sae.w_enc().data() + f * d, d, partial);
    }
  });
}

void SparseStep::finish_b_dec(Gradients& gradients) const {
  const auto d = std::int64_t(residual_sums_.size());
  const auto scale = float(2.0 / double(tokens_.n_tokens() * d));
  gradients.b_dec.assign(std::size_t(d), 0.0f);
  add_scaled(scale, residual_sums_.data(), d, gradients.b_dec.data());
  for (std::size_t group = 0; group < b_dec_partials_.size() / std::size_t(d); ++group) {
    add_scaled(1, b_dec_partials_.data() + group * std::size_t(d), d, gradients.b_dec.data());
  }
}

void SparseStep::update(TrainerState& state, const AdamStep& adam, std::int64_t first,
                        std::int64_t last, const Gradients& gradients) {
  const std::int64_t d = state.sae.spec().d_model;
  at::parallel_for(first, last, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t f = begin; f < end; ++f) {
      const std::int64_t row = f * d, gradient = (f - first) * d;
      float* w_enc = state.sae.w_enc().data() + row;
      float* w_dec = state.sae.w_dec().data() + row;
      adam_row(adam, gradients.w_enc.data() + gradient, d, w_enc, state.first.w_enc.data() + row,
               state.second.w_enc.data() + row);
      if (!w_enc_bf16_.empty()) round_to_bf16(w_enc, d, w_enc_bf16_.data() + row);
      adam_row(adam, gradients.w_dec.data() + gradient, d, w_dec, state.first.w_dec.data() + row,
               state.second.w_dec.data() + row);
      normalise_row(d, w_dec);
    }
  });
}

void SparseStep::update_biases(TrainerState& state, const AdamStep& adam,
                               const Gradients& gradients) {
  adam_row(adam, gradients.b_enc.data(), std::int64_t(gradients.b_enc.size()),
           state.sae.b_enc().data(), state.first.b_enc.data(), state.second.b_enc.data());
  adam_row(adam, gradients.b_dec.data(), std::int64_t(gradients.b_dec.size()),
           state.sae.b_dec().data(), state.first.b_dec.data(), state.second.b_dec.data());
}

void SparseStep::count_fired(TrainerState& state) const {
  const ByFeature& pairs = pairs_.by_feature;
  for (std::size_t f = 0; f < state.tokens_since_fired.size(); ++f) {
    const bool fired = pairs.offsets[f] < pairs.offsets[f + 1];
    state.tokens_since_fired[f] = fired ? 0 : state.tokens_since_fired[f] + tokens_.n_tokens();
  }
}

// How much all gradients shrink so that their joint norm is at most clip_norm.
double SparseStep::clip_scale(std::int64_t n_features, std::int64_t d, const Gradients& gradients,
                              StepReport& report) const {
  std::vector<double> rows(static_cast<std::size_t>(n_features));
  at::parallel_for(0, n_features, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t f = begin; f < end; ++f) {
      rows[std::size_t(f)] = sum_of_squares(gradients.w_enc.data() + f * d, d) +
                             sum_of_squares(gradients.w_dec.data() + f * d, d);
    }
  });
  double squares = sum_of_squares(gradients.b_enc.data(), n_features) +
                   sum_of_squares(gradients.b_dec.data(), d);
  for (const double row : rows) squares += row;
  report.grad_norm = std::sqrt(squares);
  return std::min(1.0, options_.clip_norm / (report.grad_norm + 1e-6));
}

StepReport SparseStep::run(TrainerState& state, const at::Tensor& z, double lr) {
  const auto [d, n_features, k] = state.sae.spec();
  double total = 0;
  StepReport report;
  {
    const PhaseTimer timer(total);
    report = forward(state, z);
    AdamStep adam =
        AdamStep::at(options_.beta1, options_.beta2, options_.epsilon, lr, state.n_steps + 1);
    // Without clipping a few thousand features are finished at a time: fewer would stream the
    // tokens through the caches too often. With clipping all gradients must be known first.
    constexpr std::int64_t kGradientFloats = 4 << 20;
    const bool clips = options_.clip_norm > 0;
    const std::int64_t few = std::max(kGradientFloats / d / kGroup, std::int64_t{1}) * kGroup;
    const std::int64_t chunk = clips ? n_features : few;
    for (std::int64_t first = 0; first < n_features; first += chunk) {
      const std::int64_t last = std::min(first + chunk, n_features);
      {
        const PhaseTimer phase(report.seconds.backward);
        gradients(state, first, last, gradients_);
      }
      const PhaseTimer phase(report.seconds.adam);
      if (clips) {
        finish_b_dec(gradients_);
        adam.gradient_scale = float(clip_scale(n_features, d, gradients_, report));
      }
      update(state, adam, first, last, gradients_);
    }
    finish_b_dec(gradients_);
    update_biases(state, adam, gradients_);
    count_fired(state);
    ++state.n_steps;
    state.n_tokens += z.size(0);
  }
  report.n_dead = std::ranges::count_if(state.tokens_since_fired, [&](std::int64_t tokens) {
    return tokens >= options_.dead_after_tokens;
  });
  report.seconds.total = total;
  return report;
}

}  // namespace safesail
