#include "sae/sae.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "base/rng.h"
#include "sae/encode.h"
#include "sae/kernels/sparse_rows.h"
#include "sae/kernels/vectors.h"

namespace safesail {
namespace {

void check_activations(const at::Tensor& x, std::int64_t d_model) {
  if (x.dim() == 2 && x.size(1) == d_model) return;
  std::string shape;
  for (const std::int64_t size : x.sizes())
    shape += fmt::format("{}{}", shape.empty() ? "" : ", ", size);
  bad_input("activations",
            fmt::format("expected [n_tokens, {}] for this SAE, got [{}]", d_model, shape),
            "give activations of the site that the SAE was trained on");
}

}  // namespace

void check(const SaeSpec& spec) {
  constexpr std::int64_t kMaxWidth = 1 << 20, kMaxFeatures = 1 << 27;
  if (spec.d_model < 1 || spec.d_model > kMaxWidth) {
    bad_input("sae d_model", fmt::format("expected 1 to {}, got {}", kMaxWidth, spec.d_model),
              "take the width of the site");
  }
  if (spec.n_features < 1 || spec.n_features > kMaxFeatures) {
    bad_input("sae n_features",
              fmt::format("expected 1 to {}, got {}", kMaxFeatures, spec.n_features),
              "8 to 32 times the width of the site is usual");
  }
  if (spec.k < 1 || spec.k > spec.n_features) {
    bad_input(
        "sae k",
        fmt::format("expected 1 to the number of features ({}), got {}", spec.n_features, spec.k),
        "choose a smaller k or more features");
  }
}

InputTransform identity_transform(std::int64_t d_model) {
  return {std::vector<float>(std::size_t(d_model)), 1};
}

at::Tensor InputTransform::apply(const at::Tensor& x) const {
  const auto d = std::int64_t(center.size());
  check_activations(x, d);
  const at::Tensor shift = at::from_blob(const_cast<float*>(center.data()), {d}).to(x.device());
  return x.to(at::kFloat).sub(shift).mul_(scale);
}

at::Tensor InputTransform::undo(const at::Tensor& z) const {
  const auto d = std::int64_t(center.size());
  check_activations(z, d);
  const at::Tensor shift = at::from_blob(const_cast<float*>(center.data()), {d}).to(z.device());
  return z.to(at::kFloat).div(scale).add_(shift);
}

Selection fastest_selection() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16") ? Selection::bf16 : Selection::f32;
#else
  return Selection::f32;
#endif
}

Sae::Sae(const SaeSpec& spec, InputTransform transform)
    : spec_(spec), transform_(std::move(transform)) {
  check(spec);
  SAFESAIL_CHECK(std::int64_t(transform_.center.size()) == spec.d_model && transform_.scale > 0);
  const auto weights = std::size_t(spec.n_features * spec.d_model);
  w_enc_ = Aligned<float>(weights);
  w_dec_ = Aligned<float>(weights);
  b_enc_ = Aligned<float>(std::size_t(spec.n_features));
  b_dec_ = Aligned<float>(std::size_t(spec.d_model));
}

Sae Sae::random(const SaeSpec& spec, InputTransform transform, std::uint64_t seed) {
  Sae sae(spec, std::move(transform));
  const std::int64_t d = spec.d_model;
  // Each row has its own counter position, so that rows can be drawn in parallel.
  const auto words_per_row = std::uint64_t(4 * d);
  at::parallel_for(0, spec.n_features, 256, [&](std::int64_t begin, std::int64_t end) {
    Rng rng(seed, "sae init");
    for (std::int64_t f = begin; f < end; ++f) {
      rng.set_position(std::uint64_t(f) * words_per_row);
      float* row = sae.w_dec_.data() + f * d;
      for (std::int64_t i = 0; i < d; ++i) row[i] = float(rng.normal());
      normalise_row(d, row);
      std::copy_n(row, d, sae.w_enc_.data() + f * d);
    }
  });
  return sae;
}

Sae Sae::clone() const {
  Sae copy(spec_, transform_);
  std::ranges::copy(w_enc(), copy.w_enc().begin());
  std::ranges::copy(b_enc(), copy.b_enc().begin());
  std::ranges::copy(w_dec(), copy.w_dec().begin());
  std::ranges::copy(b_dec(), copy.b_dec().begin());
  return copy;
}

std::uint64_t Sae::weight_bytes() const {
  return sizeof(float) * (w_enc_.size() + b_enc_.size() + w_dec_.size() + b_dec_.size());
}

SparseCodes Sae::encode(const at::Tensor& x, Selection selection) const {
  check_activations(x, spec_.d_model);
  EncoderWeights encoder{spec_, w_enc_.data(), b_enc_.data()};
  Aligned<std::uint16_t> rounded;
  if (selection == Selection::bf16) {
    rounded = round_encoder(w_enc());
    encoder.w_bf16 = rounded.data();
  }
  const Affine affine{transform_.center.data(), transform_.scale, b_dec_.data()};
  // Scratch memory stays small for any number of tokens.
  constexpr std::int64_t kTokensAtOnce = 8192;
  PreparedTokens tokens;
  EncodeScratch scratch;
  SparseCodes all{spec_.k, {}, {}}, codes;
  for (std::int64_t first = 0; first < x.size(0); first += kTokensAtOnce) {
    const std::int64_t n = std::min(kTokensAtOnce, x.size(0) - first);
    prepare_tokens(x.narrow(0, first, n).contiguous(), affine, selection, tokens);
    find_candidates(encoder, tokens, selection, scratch.candidates);
    choose_codes(encoder, tokens, scratch, CodeOrder::falling, codes);
    all.indices.insert(all.indices.end(), codes.indices.begin(), codes.indices.end());
    all.values.insert(all.values.end(), codes.values.begin(), codes.values.end());
  }
  return all;
}

at::Tensor Sae::decode(const SparseCodes& codes) const {
  const std::int64_t d = spec_.d_model, n_tokens = codes.n_tokens();
  for (const std::int32_t feature : codes.indices) {
    if (feature < -1 || feature >= spec_.n_features) {
      bad_input("sae codes",
                fmt::format("expected features below {}, got {}", spec_.n_features, feature),
                "decode with the SAE that encoded");
    }
  }
  at::Tensor xhat = at::empty({n_tokens, d});
  if (n_tokens == 0) return xhat;
  ByFeature pairs;
  sort_by_feature(codes.indices, codes.k, spec_.n_features, pairs);
  std::vector<float> values(std::size_t(pairs.n_pairs()));
  for (std::size_t p = 0; p < values.size(); ++p)
    values[p] = codes.values[std::size_t(pairs.slots[p])];
  ColumnBlocks y;
  y.resize(n_tokens, d);
  auto* out = xhat.mutable_data_ptr<float>();
  at::parallel_for(0, y.n_blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      std::fill_n(y.block(b), n_tokens * kBlockColumns, 0.0f);
      pair_spread(pairs, values.data(), w_dec_.data(), b, y);
      const std::int64_t column = b * kBlockColumns;
      for (std::int64_t t = 0; t < n_tokens; ++t) {
        for (std::int64_t c = 0; c < y.width(b); ++c) {
          out[t * d + column + c] =
              (y.block(b)[t * kBlockColumns + c] + b_dec_[std::size_t(column + c)]) /
                  transform_.scale +
              transform_.center[std::size_t(column + c)];
        }
      }
    }
  });
  return xhat;
}

at::Tensor Sae::reconstruct(const at::Tensor& x, Selection selection) const {
  return decode(encode(x, selection));
}

}  // namespace safesail
