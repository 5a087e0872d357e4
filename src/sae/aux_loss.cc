#include "sae/aux_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>

#include "sae/keep.h"
#include "sae/kernels/sparse_rows.h"
#include "sae/kernels/vectors.h"

namespace safesail {

void AuxLoss::gather(const TrainerState& state, Selection selection) {
  const std::int64_t d_in = state.sae.spec().d_in, d_out = state.sae.spec().d_out;
  const auto n = std::int64_t(dead_.size());
  w_enc_.reserve_zeros(std::size_t(n * d_in));
  w_dec_.reserve_zeros(std::size_t(n * d_out));
  b_enc_.resize(std::size_t(n));
  if (selection == Selection::bf16) w_enc_bf16_.reserve_zeros(std::size_t(n * d_in));
  at::parallel_for(0, n, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t feature = dead_[std::size_t(i)];
      std::copy_n(state.sae.w_enc().data() + feature * d_in, d_in, w_enc_.data() + i * d_in);
      std::copy_n(state.sae.w_dec().data() + feature * d_out, d_out, w_dec_.data() + i * d_out);
      b_enc_[std::size_t(i)] = state.sae.b_enc()[std::size_t(feature)];
      if (selection == Selection::bf16) {
        round_to_bf16(w_enc_.data() + i * d_in, d_in, w_enc_bf16_.data() + i * d_in);
      }
    }
  });
}

double AuxLoss::forward(const TrainerState& state, std::span<const std::int64_t> since_fired,
                        const PreparedTokens& tokens, const ColumnBlocks& residual,
                        const TrainerOptions& options) {
  dead_.clear();
  if (options.auxk_coefficient == 0) return 0;
  for (std::size_t f = 0; f < since_fired.size(); ++f) {
    if (since_fired[f] >= options.dead_after_tokens) dead_.push_back(std::int64_t(f));
  }
  if (dead_.empty()) return 0;
  gather(state, options.selection);
  const auto n_dead = std::int64_t(dead_.size());
  const std::int64_t d = residual.n_columns();
  const std::int64_t wanted = options.k_aux > 0 ? options.k_aux : std::max<std::int64_t>(d / 2, 1);
  const std::int64_t k = std::min(wanted, n_dead);
  const EncoderWeights encoder{tokens.d(), n_dead, w_enc_.data(), b_enc_.data(),
                               w_enc_bf16_.data()};
  const std::int64_t n_tokens = tokens.n_tokens();
  candidates_top_k(encoder, tokens, options.selection, k, scratch_, pairs_);
  keep_top_k(k, n_tokens, pairs_);

  residual_.resize(n_tokens, d);
  std::vector<double> squares(std::size_t(residual_.n_blocks()));
  at::parallel_for(0, residual_.n_blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t size = n_tokens * kBlockColumns;
      std::copy_n(residual.block(b), size, residual_.block(b));
      pair_spread(pairs_.by_feature, 0, n_dead, pairs_.pre.data(), 1, w_dec_.data(), b, residual_);
      squares[std::size_t(b)] = sum_of_squares(residual_.block(b), size);
    }
  });
  double sum = 0;
  for (const double block : squares) sum += block;
  scale_ = float(2 * options.auxk_coefficient / double(n_tokens * d));
  return options.auxk_coefficient * sum / double(n_tokens * d);
}

void AuxLoss::add_gradients(std::int64_t first, std::int64_t last, const PreparedTokens& tokens,
                            float* w_dec_gradient, float* w_enc_gradient,
                            float* b_enc_gradient) const {
  const auto begin = std::ranges::lower_bound(dead_, first) - dead_.begin();
  const auto end = std::ranges::lower_bound(dead_, last) - dead_.begin();
  const std::int64_t d_in = tokens.d(), d_out = residual_.n_columns();
  // A few features at a time, so that the rows stay small however many are dead.
  constexpr std::int64_t kRows = 64;
  std::vector<float> w_dec(std::size_t(kRows * d_out)), w_enc(std::size_t(kRows * d_in));
  std::vector<float> b_enc(kRows), gradients;
  for (std::int64_t low = begin; low < end; low += kRows) {
    const std::int64_t high = std::min(low + kRows, std::int64_t(end));
    gradients.resize(pairs_.by_feature.of(low, high).size());
    value_gradients(pairs_, low, high, w_dec_.data(), residual_, scale_, gradients, w_dec.data());
    encoder_gradients(pairs_.by_feature, low, high, gradients, tokens.columns, w_enc.data(),
                      b_enc.data());
    for (std::int64_t i = low; i < high; ++i) {
      const std::int64_t row = dead_[std::size_t(i)] - first;
      add_scaled(1, w_dec.data() + (i - low) * d_out, d_out, w_dec_gradient + row * d_out);
      add_scaled(1, w_enc.data() + (i - low) * d_in, d_in, w_enc_gradient + row * d_in);
      b_enc_gradient[row] += b_enc[std::size_t(i - low)];
    }
  }
}

}  // namespace safesail
