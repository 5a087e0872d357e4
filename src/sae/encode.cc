#include "sae/encode.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <fmt/format.h>
#include <functional>

#include "base/error.h"
#include "sae/kernels/sparse_rows.h"
#include "sae/kernels/topk.h"
#include "sae/kernels/vectors.h"

namespace safesail {
namespace {

// A tile's products stay in the L2 cache until the top-k has read them: 256 x 1024 in bf16 is half
// a megabyte. Tiles depend on the batch only, so that results do not depend on the threads.
constexpr std::int64_t kFeatureTile = 1024;
std::int64_t token_tile(std::int64_t n_tokens) {
  return n_tokens >= 4096 ? 256 : 128;
}

template <class T>
void prepare_rows(const T* x, const Affine& affine, Selection selection, PreparedTokens& out) {
  const std::int64_t d = out.d_model();
  std::atomic<bool> all_finite = true;
  at::parallel_for(0, out.n_tokens(), 64, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> row(static_cast<std::size_t>(d));
    for (std::int64_t t = begin; t < end; ++t) {
      if (!std::isfinite(prepare_row(x + t * d, affine, d, row.data()))) all_finite = false;
      put_row(row.data(), t, out.columns);
      if (selection == Selection::bf16) {
        round_to_bf16(row.data(), d, out.rows_bf16.data() + t * d);
      } else {
        std::copy(row.begin(), row.end(), out.rows.data() + t * d);
      }
    }
  });
  if (!all_finite) {
    bad_input("activations", "expected finite numbers, got NaN or infinity",
              "look at the model that made them; in half precision large activations overflow");
  }
}

at::Tensor view(const void* data, std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  return at::from_blob(const_cast<void*>(data), {rows, columns}, at::TensorOptions(type));
}

// Candidates of tokens [first, first + n).
template <class T>
void tile_candidates(const EncoderWeights& encoder, const T* rows, const T* w, std::int64_t first,
                     std::int64_t n, std::int64_t n_kept, at::ScalarType type, std::int32_t* out) {
  const auto [d, n_features, k] = encoder.spec;
  std::vector<RunningTopK> best(static_cast<std::size_t>(n), RunningTopK(n_kept));
  const at::Tensor tokens = view(rows + first * d, n, d, type);
  at::Tensor pre = at::empty({n * kFeatureTile}, at::TensorOptions(type));
  for (std::int64_t f = 0; f < n_features; f += kFeatureTile) {
    const std::int64_t width = std::min(kFeatureTile, n_features - f);
    at::Tensor product = view(pre.data_ptr(), n, width, type);
    at::mm_out(product, tokens, view(w + f * d, width, d, type).t());
    const T* values = static_cast<const T*>(pre.const_data_ptr());
    for (std::int64_t t = 0; t < n; ++t) {
      best[std::size_t(t)].offer(std::span<const T>(values + t * width, std::size_t(width)),
                                 encoder.bias + f, std::int32_t(f));
    }
  }
  for (std::int64_t t = 0; t < n; ++t) {
    const std::span<const std::int32_t> kept = best[std::size_t(t)].best();
    std::int32_t* end = std::ranges::copy(kept, out + (first + t) * n_kept).out;
    std::fill(end, out + (first + t + 1) * n_kept, -1);
  }
}

// A positive value and its feature as one number: larger is better, and of equal values the one
// with the lower feature. Positive floats order like their bits.
std::uint64_t key_of(float value, std::int32_t feature) {
  return std::uint64_t{std::bit_cast<std::uint32_t>(value)} << 32 | ~std::uint32_t(feature);
}
float value_of(std::uint64_t key) {
  return std::bit_cast<float>(std::uint32_t(key >> 32));
}
std::int32_t feature_of(std::uint64_t key) {
  return std::int32_t(~std::uint32_t(key));
}

}  // namespace

void prepare_tokens(const at::Tensor& x, const Affine& affine, Selection selection,
                    PreparedTokens& out) {
  SAFESAIL_CHECK(x.dim() == 2 && x.is_contiguous() && x.device().is_cpu());
  const auto n = std::size_t(x.numel());
  out.columns.resize(x.size(0), x.size(1));
  if (selection == Selection::bf16) {
    out.rows_bf16.reserve_zeros(n);
  } else {
    out.rows.reserve_zeros(n);
  }
  if (x.scalar_type() == at::kFloat) {
    prepare_rows(x.const_data_ptr<float>(), affine, selection, out);
  } else if (x.scalar_type() == at::kBFloat16) {
    prepare_rows(reinterpret_cast<const std::uint16_t*>(x.const_data_ptr()), affine, selection,
                 out);
  } else {
    bad_input("activations",
              fmt::format("expected f32 or bf16, got {}", c10::toString(x.scalar_type())),
              "convert them first");
  }
}

Aligned<std::uint16_t> round_encoder(std::span<const float> w) {
  Aligned<std::uint16_t> rounded(w.size());
  at::parallel_for(0, std::int64_t(w.size()), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    round_to_bf16(w.data() + begin, end - begin, rounded.data() + begin);
  });
  return rounded;
}

std::int64_t selection_margin(const SaeSpec& spec) {
  return std::min(spec.k / 16 + 8, spec.n_features - spec.k);
}

void find_candidates(const EncoderWeights& encoder, const PreparedTokens& tokens,
                     Selection selection, std::vector<std::int32_t>& candidates) {
  const std::int64_t n_tokens = tokens.n_tokens(), tile = token_tile(n_tokens);
  const std::int64_t n_kept = encoder.spec.k + selection_margin(encoder.spec);
  candidates.resize(std::size_t(n_tokens * n_kept));
  at::parallel_for(0, (n_tokens + tile - 1) / tile, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin * tile; first < std::min(end * tile, n_tokens); first += tile) {
      const std::int64_t n = std::min(tile, n_tokens - first);
      if (selection == Selection::bf16) {
        tile_candidates(encoder, tokens.rows_bf16.data(), encoder.w_bf16, first, n, n_kept,
                        at::kBFloat16, candidates.data());
      } else {
        tile_candidates(encoder, tokens.rows.data(), encoder.w, first, n, n_kept, at::kFloat,
                        candidates.data());
      }
    }
  });
}

void choose_codes(const EncoderWeights& encoder, const PreparedTokens& tokens,
                  EncodeScratch& scratch, CodeOrder order, SparseCodes& codes) {
  const std::int64_t n_features = encoder.spec.n_features, k = encoder.spec.k;
  const std::int64_t n_kept = k + selection_margin(encoder.spec);
  const ByFeature& pairs = scratch.pairs;
  sort_by_feature(scratch.candidates, n_kept, n_features, scratch.pairs);
  scratch.dots.reserve_zeros(std::size_t(pairs.n_pairs()));
  scratch.values.resize(scratch.candidates.size());

  const std::vector<std::int64_t> borders = pairs.split(0, n_features, at::get_num_threads());
  at::parallel_for(
      0, std::int64_t(borders.size()) - 1, 1, [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t first = borders[std::size_t(begin)], last = borders[std::size_t(end)];
        pair_dots(pairs, first, last, encoder.w, tokens.columns, scratch.dots.data());
        for (std::int64_t f = first; f < last; ++f) {
          for (auto p = std::size_t(pairs.offsets[std::size_t(f)]);
               p < std::size_t(pairs.offsets[std::size_t(f) + 1]); ++p) {
            scratch.values[std::size_t(pairs.slots[p])] = scratch.dots[p] + encoder.bias[f];
          }
        }
      });

  codes.k = k;
  codes.indices.resize(std::size_t(tokens.n_tokens() * k));
  codes.values.resize(codes.indices.size());
  at::parallel_for(0, tokens.n_tokens(), 64, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint64_t> keys;
    for (std::int64_t t = begin; t < end; ++t) {
      keys.clear();
      for (auto slot = std::size_t(t * n_kept); slot < std::size_t((t + 1) * n_kept); ++slot) {
        const std::int32_t feature = scratch.candidates[slot];
        if (feature < 0) break;
        if (scratch.values[slot] > 0) keys.push_back(key_of(scratch.values[slot], feature));
      }
      const auto n = std::min(std::ptrdiff_t(keys.size()), std::ptrdiff_t(k));
      if (order == CodeOrder::falling) {
        std::partial_sort(keys.begin(), keys.begin() + n, keys.end(), std::greater<>());
      } else if (n < std::ptrdiff_t(keys.size())) {
        std::nth_element(keys.begin(), keys.begin() + n, keys.end(), std::greater<>());
      }
      auto slot = std::size_t(t * k);
      for (std::size_t i = 0; i < std::size_t(k); ++i, ++slot) {
        const bool used = i < std::size_t(n);
        codes.indices[slot] = used ? feature_of(keys[i]) : -1;
        codes.values[slot] = used ? value_of(keys[i]) : 0;
      }
    }
  });
}

}  // namespace safesail
