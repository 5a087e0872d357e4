#include "sae/encode.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "sae/kernels/above.h"
#include "sae/kernels/sparse_rows.h"
#include "sae/kernels/topk.h"
#include "sae/kernels/vectors.h"
#include "sae/phase_timer.h"

namespace safesail {
namespace {

// A tile's products stay in the L2 cache until the top-k has read them: 256 x 1024 in bf16 is half
// a megabyte. Tiles depend on the batch only, so that results do not depend on the threads.
constexpr std::int64_t kFeatureTile = 1024;
std::int64_t token_tile(std::int64_t n_tokens) {
  return n_tokens >= 4096 ? 256 : 128;
}

// A bf16 product errs by rounding 2d factors and its sum, each by at most 2^-9 of itself: at most
// 2^-8 |x| |w| in all, by Cauchy-Schwarz; and, the roundings being independent, rarely beyond six
// times 2^-9 sqrt(2/3) max|x_i| |w|. The lower of the two, to be multiplied by |w|.
float rounding_slack(std::span<const float> row, double squares) {
  float largest = 0;
  for (const float value : row) largest = std::max(largest, std::abs(value));
  const double certain = 0x1.02p-8 * std::sqrt(squares);
  const double likely = 6 * 0x1p-9 * std::sqrt(2.0 / 3) * double(largest);
  return float(std::min(certain, likely));
}

// Calls visit(t, row after the affine map, its sum of squares) for all tokens, several at once.
template <class T, class Visit>
void visit_rows(const T* x, const at::Tensor& shape, const Affine& affine, Visit visit) {
  const std::int64_t d = shape.size(1);
  std::atomic<bool> all_finite = true;
  at::parallel_for(0, shape.size(0), 64, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> row(static_cast<std::size_t>(d));
    for (std::int64_t t = begin; t < end; ++t) {
      const double squares = prepare_row(x + t * d, affine, d, row.data());
      if (!std::isfinite(squares)) all_finite = false;
      visit(t, std::span<const float>(row), squares);
    }
  });
  if (!all_finite) {
    bad_input("activations", "expected finite numbers, got NaN or infinity",
              "look at the model that made them; in half precision large "
              "activations overflow");
  }
}

template <class Visit>
void for_each_row(const at::Tensor& x, const Affine& affine, Visit visit) {
  SAFESAIL_CHECK(x.dim() == 2 && x.is_contiguous() && x.device().is_cpu());
  if (x.scalar_type() == at::kFloat) {
    visit_rows(x.const_data_ptr<float>(), x, affine, visit);
  } else if (x.scalar_type() == at::kBFloat16) {
    visit_rows(reinterpret_cast<const std::uint16_t*>(x.const_data_ptr()), x, affine, visit);
  } else {
    bad_input("activations",
              fmt::format("expected f32 or bf16, got {}", c10::toString(x.scalar_type())),
              "convert them first");
  }
}

at::Tensor view(const void* data, std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  return at::from_blob(const_cast<void*>(data), {rows, columns}, at::TensorOptions(type));
}

// Calls visit(t, first_feature, pre-activations without bias) for tokens [first, first + n) and
// all tiles of features in rising order; t counts from `first`.
template <class T, class Visit>
void for_each_product(const EncoderWeights& encoder, const T* rows, const T* w, std::int64_t first,
                      std::int64_t n, at::ScalarType type, Visit visit) {
  const std::int64_t d = encoder.d;
  const at::Tensor tokens = view(rows + first * d, n, d, type);
  at::Tensor pre = at::empty({n * kFeatureTile}, at::TensorOptions(type));
  for (std::int64_t f = 0; f < encoder.n_features; f += kFeatureTile) {
    const std::int64_t width = std::min(kFeatureTile, encoder.n_features - f);
    at::Tensor product = view(pre.data_ptr(), n, width, type);
    at::mm_out(product, tokens, view(w + f * d, width, d, type).t());
    const T* values = static_cast<const T*>(pre.const_data_ptr());
    for (std::int64_t t = 0; t < n; ++t)
      visit(t, f, std::span<const T>(values + t * width, std::size_t(width)));
  }
}

// Runs find(rows, w, type, first, n, candidates) for all tiles of tokens.
template <class Find>
void for_each_tile(const EncoderWeights& encoder, const PreparedTokens& tokens, Selection selection,
                   std::vector<SparseCodes>& tiles, Find find) {
  const std::int64_t n_tokens = tokens.n_tokens(), tile = token_tile(n_tokens);
  tiles.resize(std::size_t((n_tokens + tile - 1) / tile));
  at::parallel_for(0, std::int64_t(tiles.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = i * tile, n = std::min(tile, n_tokens - first);
      SparseCodes& found = tiles[std::size_t(i)];
      if (selection == Selection::bf16) {
        find(tokens.rows_bf16.data(), encoder.w_bf16, at::kBFloat16, first, n, found);
      } else {
        find(tokens.rows.data(), encoder.w, at::kFloat, first, n, found);
      }
    }
  });
}

// features_of(t): what token t of the tile found.
template <class FeaturesOf>
void gather_tile(std::int64_t n_tokens, FeaturesOf features_of, SparseCodes& found) {
  found.offsets.assign(1, 0);
  for (std::int64_t t = 0; t < n_tokens; ++t)
    found.offsets.push_back(found.n_active() + std::int64_t(features_of(std::size_t(t)).size()));
  resize_anew(found.indices, std::size_t(found.n_active()));
  for (std::size_t t = 0; t < std::size_t(n_tokens); ++t)
    std::ranges::copy(features_of(t), found.indices.begin() + found.offsets[t]);
}

// The candidates as pairs with their pre-activations in f32: step 2.
void refine(const EncoderWeights& encoder, const PreparedTokens& tokens, EncodeScratch& scratch,
            CodePairs& pairs) {
  const PhaseTimer timer(scratch.refine_seconds);
  sort_by_feature(scratch.candidates, encoder.n_features, pairs);
  const ByFeature& by_feature = pairs.by_feature;
  const std::vector<std::int64_t> borders =
      by_feature.split(0, encoder.n_features, at::get_num_threads());
  at::parallel_for(
      0, std::int64_t(borders.size()) - 1, 1, [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t first = borders[std::size_t(begin)], last = borders[std::size_t(end)];
        pair_dots(by_feature, first, last, encoder.w, tokens.columns,
                  pairs.pre.data() + by_feature.begin_of(first));
        for (std::int64_t f = first; f < last; ++f)
          for (const std::size_t p : by_feature.of(f)) pairs.pre[p] += encoder.bias[f];
      });
}

}  // namespace

void prepare_tokens(const at::Tensor& x, const Affine& affine, Selection selection,
                    PreparedTokens& out) {
  const auto n = std::size_t(x.numel());
  out.columns.resize(x.size(0), x.size(1));
  out.slack.assign(std::size_t(x.size(0)), 0.0f);
  if (selection == Selection::bf16) {
    out.rows_bf16.reserve_zeros(n);
  } else {
    out.rows.reserve_zeros(n);
  }
  for_each_row(x, affine, [&](std::int64_t t, std::span<const float> row, double squares) {
    const auto d = std::int64_t(row.size());
    put_row(row.data(), t, out.columns);
    if (selection == Selection::bf16) {
      round_to_bf16(row.data(), d, out.rows_bf16.data() + t * d);
      out.slack[std::size_t(t)] = rounding_slack(row, squares);
    } else {
      std::ranges::copy(row, out.rows.data() + t * d);
    }
  });
}

void prepare_columns(const at::Tensor& x, const Affine& affine, ColumnBlocks& out) {
  out.resize(x.size(0), x.size(1));
  for_each_row(x, affine, [&](std::int64_t t, std::span<const float> row, double) {
    put_row(row.data(), t, out);
  });
}

Aligned<std::uint16_t> round_encoder(std::span<const float> w) {
  Aligned<std::uint16_t> rounded(w.size());
  at::parallel_for(0, std::int64_t(w.size()), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    round_to_bf16(w.data() + begin, end - begin, rounded.data() + begin);
  });
  return rounded;
}

void candidates_top_k(const EncoderWeights& encoder, const PreparedTokens& tokens,
                      Selection selection, std::int64_t k, EncodeScratch& scratch,
                      CodePairs& pairs) {
  const std::int64_t n_kept = std::min(k + k / 16 + 8, encoder.n_features);
  for_each_tile(encoder, tokens, selection, scratch.candidates,
                [&]<class T>(const T* rows, const T* w, at::ScalarType type, std::int64_t first,
                             std::int64_t n, SparseCodes& found) {
                  std::vector<RunningTopK> best(static_cast<std::size_t>(n), RunningTopK(n_kept));
                  for_each_product(encoder, rows, w, first, n, type,
                                   [&](std::int64_t t, std::int64_t f, std::span<const T> pre) {
                                     best[std::size_t(t)].offer(pre, encoder.bias + f,
                                                                std::int32_t(f));
                                   });
                  gather_tile(
                      n, [&](std::size_t t) { return best[t].best(); }, found);
                });
  refine(encoder, tokens, scratch, pairs);
}

void candidates_above(const EncoderWeights& encoder, const PreparedTokens& tokens,
                      Selection selection, std::span<const float> lower, EncodeScratch& scratch,
                      CodePairs& pairs) {
  const auto n_features = std::size_t(encoder.n_features);
  std::vector<float> bounds(n_features), slack(n_features, 0.0f);
  at::parallel_for(0, encoder.n_features, 256, [&](std::int64_t begin, std::int64_t end) {
    for (auto f = std::size_t(begin); f < std::size_t(end); ++f) {
      // The sum's own rounding: to bf16, or of f32 sums in another order.
      const float rounding = selection == Selection::bf16 ? 0x1p-8f : 0x1p-18f;
      const float product = std::abs(lower[f]) + std::abs(encoder.bias[f]);
      bounds[f] = lower[f] - rounding * product;
      if (selection == Selection::bf16) {
        const float* row = encoder.w + f * std::size_t(encoder.d);
        slack[f] = float(std::sqrt(sum_of_squares(row, encoder.d)));
      }
    }
  });
  for_each_tile(encoder, tokens, selection, scratch.candidates,
                [&]<class T>(const T* rows, const T* w, at::ScalarType type, std::int64_t first,
                             std::int64_t n, SparseCodes& found) {
                  std::vector<std::vector<std::int32_t>> above(static_cast<std::size_t>(n));
                  for_each_product(
                      encoder, rows, w, first, n, type,
                      [&](std::int64_t t, std::int64_t f, std::span<const T> pre) {
                        append_above(pre, {encoder.bias + f, bounds.data() + f, slack.data() + f},
                                     tokens.slack[std::size_t(first + t)], std::int32_t(f),
                                     above[std::size_t(t)]);
                      });
                  gather_tile(
                      n, [&](std::size_t t) { return std::span(above[t]); }, found);
                });
  refine(encoder, tokens, scratch, pairs);
}

}  // namespace safesail
