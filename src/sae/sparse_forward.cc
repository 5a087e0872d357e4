// The first half of SparseStep: tokens -> pairs -> residuals and loss.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>

#include "base/error.h"
#include "sae/kernels/residual.h"
#include "sae/kernels/sparse_rows.h"
#include "sae/kernels/vectors.h"
#include "sae/phase_timer.h"
#include "sae/sparse_step.h"

namespace safesail {
namespace {

// y += z W_skip^T.
void add_skip(std::span<const float> z, const Sae& sae, ColumnBlocks& y) {
  const SaeSpec& spec = sae.spec();
  const auto matrix = [](std::span<const float> values, std::int64_t columns) {
    return at::from_blob(const_cast<float*>(values.data()),
                         {std::int64_t(values.size()) / columns, columns});
  };
  const at::Tensor added = matrix(z, spec.d_in).matmul(matrix(sae.w_skip(), spec.d_in).t());
  const auto* from = added.const_data_ptr<float>();
  for (std::int64_t t = 0; t < y.n_rows(); ++t) put_row(from + t * spec.d_out, t, y);
}

}  // namespace

void SparseStep::prepare(const TrainerState& state, const at::Tensor& z, const at::Tensor& target) {
  const SaeSpec& spec = state.sae.spec();
  const float* b_dec = state.sae.b_dec().data();
  const Affine affine{nullptr, 1, spec.apply_b_dec_to_input ? b_dec : nullptr};
  prepare_tokens(z, affine, options_.selection, tokens_);
  has_own_target_ = spec.transcoder || !spec.apply_b_dec_to_input;
  if (has_own_target_) prepare_columns(target, {nullptr, 1, b_dec}, target_);
  if (!spec.skip) return;
  const at::Tensor values = z.to(at::kFloat);
  skip_input_.assign(values.const_data_ptr<float>(),
                     values.const_data_ptr<float>() + values.numel());
}

void SparseStep::encode(const TrainerState& state) {
  const SaeSpec& spec = state.sae.spec();
  const EncoderWeights encoder{spec.d_in, spec.n_features, state.sae.w_enc().data(),
                               state.sae.b_enc().data(), w_enc_bf16_.data()};
  state.architecture->select(view(state), encoder, tokens_, scratch_, pairs_);
  state.architecture->activate(state, pairs_);
  std::int64_t n_active = 0;
  lowest_value_ = 0;
  for (const float value : pairs_.values()) {
    if (!(value > 0)) continue;
    lowest_value_ = n_active == 0 ? value : std::min(lowest_value_, value);
    ++n_active;
  }
  l0_ = double(n_active) / double(tokens_.n_tokens());
}

void SparseStep::count_fired(const TrainerState& state) {
  const std::span<const float> values = pairs_.values();
  since_fired_.resize(state.tokens_since_fired.size());
  for (std::size_t f = 0; f < since_fired_.size(); ++f) {
    bool fired = false;
    for (const std::size_t p : pairs_.by_feature.of(std::int64_t(f))) fired |= values[p] > 0;
    since_fired_[f] = fired ? 0 : state.tokens_since_fired[f] + tokens_.n_tokens();
  }
}

// residual = what does not come from the features, minus the target.
void SparseStep::start_residual(std::int64_t block, bool has_skip) {
  float* residual = residual_.block(block);
  if (!has_skip) std::fill_n(residual, residual_.n_rows() * kBlockColumns, 0.0f);
  add_scaled(-1, target().block(block), residual_.n_rows() * kBlockColumns, residual);
}

// Returns the loss of the reconstruction from pre and leaves its gradients behind; its decoder is
// held fixed.
double SparseStep::reconstruct_from_pre(const TrainerState& state) {
  const ByFeature& by_feature = pairs_.by_feature;
  const std::int64_t n_features = state.sae.spec().n_features, d = state.sae.spec().d_out;
  const float* w_dec = state.sae.w_dec().data();
  const auto scale = float(2 / double(tokens_.n_tokens() * d));
  std::vector<double> errors(std::size_t(residual_.n_blocks()));
  at::parallel_for(0, residual_.n_blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sums(static_cast<std::size_t>(d));
    for (std::int64_t b = begin; b < end; ++b) {
      start_residual(b, false);
      pair_spread(by_feature, 0, n_features, pairs_.pre.data(), 1, w_dec, b, residual_);
      errors[std::size_t(b)] = sum_residual(target(), b, residual_, sums.data()).squared_error;
    }
  });
  resize_anew(gate_gradients_, pairs_.pre.size());
  const std::vector<std::int64_t> borders = by_feature.split(0, n_features, at::get_num_threads());
  at::parallel_for(0, std::int64_t(borders.size()) - 1, 1, [&](std::int64_t b, std::int64_t e) {
    const std::int64_t first = borders[std::size_t(b)], last = borders[std::size_t(e)];
    pair_dots(by_feature, first, last, w_dec, residual_,
              gate_gradients_.data() + by_feature.begin_of(first));
    for (const std::size_t p : by_feature.of(first, last)) gate_gradients_[p] *= scale;
  });
  return std::accumulate(errors.begin(), errors.end(), 0.0) / double(tokens_.n_tokens() * d);
}

void SparseStep::reconstruct(const TrainerState& state, StepReport& report) {
  const SaeSpec& spec = state.sae.spec();
  const std::int64_t n_tokens = tokens_.n_tokens(), d = spec.d_out;
  const std::int64_t n_blocks = residual_.n_blocks();
  if (ends_.size() > 1) prefix_.resize(n_tokens, d);
  residual_sums_.assign(std::size_t(d), 0.0f);
  std::vector<double> errors(static_cast<std::size_t>(n_blocks));
  std::vector<double> last_errors(errors.size()), deviations(errors.size());
  if (spec.skip) add_skip(skip_input_, state.sae, residual_);
  at::parallel_for(0, n_blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> sums(static_cast<std::size_t>(d));
    for (std::int64_t b = begin; b < end; ++b) {
      const auto block = std::size_t(b);
      start_residual(b, spec.skip);
      std::int64_t first = 0;
      for (const std::int64_t last : ends_) {
        if (first > 0 && last == ends_.back())
          std::copy_n(residual_.block(b), n_tokens * kBlockColumns, prefix_.block(b));
        pair_spread(pairs_.by_feature, first, last,
                    pairs_.values().data() + pairs_.by_feature.begin_of(first), 1,
                    state.sae.w_dec().data(), b, residual_);
        const ResidualSums found = sum_residual(target(), b, residual_, sums.data());
        errors[block] += found.squared_error;
        last_errors[block] = found.squared_error;
        deviations[block] = found.squared_deviation;
        for (std::int64_t c = b * kBlockColumns; c < b * kBlockColumns + residual_.width(b); ++c)
          residual_sums_[std::size_t(c)] += sums[std::size_t(c)];
        first = last;
      }
    }
  });
  const auto total = [](const std::vector<double>& blocks) {
    return std::accumulate(blocks.begin(), blocks.end(), 0.0);
  };
  report.loss = total(errors) / double(n_tokens * d) / double(ends_.size());
  const double deviation = total(deviations);
  report.fvu = deviation > 0 ? total(last_errors) / deviation : 0;
}

StepReport SparseStep::forward(const TrainerState& state, const at::Tensor& z,
                               const at::Tensor& target, std::int64_t k) {
  StepReport report;
  k_ = k > 0 ? k : state.sae.spec().k;
  ends_ = state.architecture->groups(state.sae.spec());
  {
    const PhaseTimer timer(report.seconds.prepare);
    prepare(state, z, target);
  }
  scratch_.refine_seconds = 0;
  {
    const PhaseTimer timer(report.seconds.encode);
    encode(state);
    count_fired(state);
  }
  report.seconds.refine = scratch_.refine_seconds;
  report.seconds.encode -= scratch_.refine_seconds;
  const PhaseTimer timer(report.seconds.decode);
  report.l0 = l0_;
  report.sparsity_loss = state.architecture->sparsity_loss(view(state), pairs_, l0_);
  residual_.resize(tokens_.n_tokens(), state.sae.spec().d_out);
  if (state.architecture->pre_reconstructs()) report.sparsity_loss += reconstruct_from_pre(state);
  reconstruct(state, report);
  report.aux_loss = aux_.forward(state, since_fired_, tokens_, residual_, options_);
  report.loss += report.sparsity_loss + report.aux_loss;
  if (!std::isfinite(report.loss)) {
    failed("sae training",
           fmt::format("expected a finite loss at step {}, got {}", state.n_steps + 1, report.loss),
           "lower the learning rate, lengthen the warm-up, or set a gradient "
           "clip");
  }
  return report;
}

}  // namespace safesail
