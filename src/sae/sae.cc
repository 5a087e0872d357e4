#include "sae/sae.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <utility>

#include "base/cpu.h"
#include "base/error.h"
#include "base/rng.h"
#include "sae/encode.h"
#include "sae/keep.h"
#include "sae/kernels/sparse_rows.h"
#include "sae/kernels/vectors.h"

namespace safesail {
namespace {

void check_activations(const at::Tensor& x, std::int64_t d) {
  if (x.dim() == 2 && x.size(1) == d) return;
  bad_input(
      "activations",
      fmt::format("expected [n_tokens, {}] for this SAE, got [{}]", d, fmt::join(x.sizes(), ", ")),
      "give activations of the site that the SAE was trained on");
}

void check_range(const char* what, std::int64_t value, std::int64_t most, const char* remedy) {
  if (value >= 1 && value <= most) return;
  bad_input(what, fmt::format("expected 1 to {}, got {}", most, value), remedy);
}

}  // namespace

SaeSpec SaeSpec::topk(std::int64_t d, std::int64_t n_features, std::int64_t k) {
  return {.d_in = d, .d_out = d, .n_features = n_features, .k = k};
}

void check(const SaeSpec& spec) {
  constexpr std::int64_t kMaxWidth = 1 << 20, kMaxFeatures = 1 << 27;
  check_range("sae d_in", spec.d_in, kMaxWidth, "take the width of the site");
  check_range("sae d_out", spec.d_out, kMaxWidth, "take the width of the site");
  check_range("sae n_features", spec.n_features, kMaxFeatures,
              "8 to 32 times the width of the site is usual");
  const std::int64_t least_k = spec.rule == Rule::top_k ? 1 : 0;
  if (spec.k < least_k || spec.k > spec.n_features) {
    bad_input("sae k",
              fmt::format("expected {} to the number of features ({}), got {}", least_k,
                          spec.n_features, spec.k),
              "choose a smaller k or more features");
  }
  if (!spec.transcoder && (spec.d_in != spec.d_out || spec.skip)) {
    bad_input("sae d_out",
              fmt::format("expected the width that it reads ({}) and no skip "
                          "connection, got {}{}",
                          spec.d_in, spec.d_out, spec.skip ? " with one" : ""),
              "only a transcoder may have them");
  }
  if (spec.d_in != spec.d_out && spec.apply_b_dec_to_input) {
    bad_input("sae apply_b_dec_to_input",
              fmt::format("expected false where d_in ({}) and d_out ({}) differ, got true",
                          spec.d_in, spec.d_out),
              "b_dec has the width of the output");
  }
  if (spec.groups.empty()) return;
  const bool rising =
      std::ranges::adjacent_find(spec.groups, std::greater_equal<>()) == spec.groups.end();
  if (!rising || spec.groups.front() < 1 || spec.groups.back() != spec.n_features) {
    bad_input("sae groups",
              fmt::format("expected rising ends, the last one {}, got {}", spec.n_features,
                          fmt::join(spec.groups, ", ")),
              "name the nested widths, the whole width last");
  }
}

InputTransform identity_transform(std::int64_t d) {
  return {std::vector<float>(std::size_t(d)), 1};
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
  return cpu_multiplies_bf16() ? Selection::bf16 : Selection::f32;
}

Sae::Sae(SaeSpec spec, InputTransform input) : Sae(std::move(spec), input, InputTransform(input)) {}

Sae::Sae(SaeSpec spec, InputTransform input, InputTransform output)
    : spec_(std::move(spec)), input_(std::move(input)), output_(std::move(output)) {
  check(spec_);
  SAFESAIL_CHECK(std::int64_t(input_.center.size()) == spec_.d_in && input_.scale > 0);
  SAFESAIL_CHECK(std::int64_t(output_.center.size()) == spec_.d_out && output_.scale > 0);
  SAFESAIL_CHECK(spec_.transcoder || input_ == output_);
  const auto features = std::size_t(spec_.n_features);
  const auto d_in = std::size_t(spec_.d_in), d_out = std::size_t(spec_.d_out);
  w_enc_ = Aligned<float>(features * d_in);
  b_enc_ = Aligned<float>(features);
  w_dec_ = Aligned<float>(features * d_out);
  b_dec_ = Aligned<float>(d_out);
  if (spec_.rule == Rule::threshold) threshold_ = Aligned<float>(features);
  if (spec_.skip) w_skip_ = Aligned<float>(d_in * d_out);
}

Sae Sae::random(const SaeSpec& spec, InputTransform input, std::uint64_t seed) {
  return random(spec, input, InputTransform(input), seed);
}

Sae Sae::random(const SaeSpec& spec, InputTransform input, InputTransform output,
                std::uint64_t seed) {
  Sae sae(spec, std::move(input), std::move(output));
  const auto draw = [&](const char* stream, std::span<float> w, std::int64_t d, float norm) {
    // Each row has its own counter position, so that rows can be drawn in parallel.
    const auto words_per_row = std::uint64_t(4 * d);
    at::parallel_for(0, spec.n_features, 256, [&](std::int64_t begin, std::int64_t end) {
      Rng rng(seed, stream);
      for (std::int64_t f = begin; f < end; ++f) {
        rng.set_position(std::uint64_t(f) * words_per_row);
        float* row = w.data() + f * d;
        for (std::int64_t i = 0; i < d; ++i) row[i] = float(rng.normal());
        normalise_row(d, row);
        for (std::int64_t i = 0; i < d; ++i) row[i] *= norm;
      }
    });
  };
  draw("sae init", sae.w_dec(), spec.d_out, 1);
  if (spec.transcoder) {
    draw("transcoder init", sae.w_enc(), spec.d_in, 0.1f);
  } else {
    // k nearly parallel rows among many say the same thing several times: at full length they would
    // overshoot by about two.
    constexpr float kEncoderNorm = 0.5f;
    std::ranges::transform(sae.w_dec(), sae.w_enc().begin(),
                           [](float weight) { return kEncoderNorm * weight; });
  }
  return sae;
}

Sae Sae::clone() const {
  Sae copy(spec_, input_, output_);
  std::ranges::copy(w_enc(), copy.w_enc().begin());
  std::ranges::copy(b_enc(), copy.b_enc().begin());
  std::ranges::copy(threshold(), copy.threshold().begin());
  std::ranges::copy(w_dec(), copy.w_dec().begin());
  std::ranges::copy(b_dec(), copy.b_dec().begin());
  std::ranges::copy(w_skip(), copy.w_skip().begin());
  return copy;
}

std::uint64_t Sae::weight_bytes() const {
  return sizeof(float) * (w_enc_.size() + b_enc_.size() + threshold_.size() + w_dec_.size() +
                          b_dec_.size() + w_skip_.size());
}

// Tokens of which all that encode() holds besides the codes is small.
constexpr std::int64_t kTokensAtOnce = 8192;

std::uint64_t Sae::coding_bytes(std::int64_t n_tokens) const {
  const auto at_once = std::uint64_t(std::min(n_tokens, kTokensAtOnce));
  const auto d_in = std::uint64_t(spec_.d_in), d_out = std::uint64_t(spec_.d_out);
  // The encoder in bf16; tokens as columns and as rows.
  const std::uint64_t encoding = 2 * std::uint64_t(spec_.n_features) * d_in + 8 * d_in * at_once;
  // xhat as columns and as rows.
  const std::uint64_t decoding = 8 * d_out * std::uint64_t(n_tokens);
  // A pair's feature, token and value: as a candidate, sorted, and as a code.
  constexpr std::uint64_t kPairBytes = 36;
  const auto k = std::uint64_t(std::max<std::int64_t>(spec_.k, 1));
  return std::max(encoding, decoding) + kPairBytes * k * std::uint64_t(n_tokens);
}

SparseCodes Sae::encode(const at::Tensor& x, Selection selection) const {
  check_activations(x, spec_.d_in);
  EncoderWeights encoder{spec_.d_in, spec_.n_features, w_enc_.data(), b_enc_.data()};
  Aligned<std::uint16_t> rounded;
  if (selection == Selection::bf16) {
    rounded = round_encoder(w_enc());
    encoder.w_bf16 = rounded.data();
  }
  const Affine affine{input_.center.data(), input_.scale,
                      spec_.apply_b_dec_to_input ? b_dec_.data() : nullptr};
  std::vector<float> lower;
  for (const float threshold : threshold_.span()) lower.push_back(std::max(threshold, 0.0f));
  PreparedTokens tokens;
  EncodeScratch scratch;
  CodePairs pairs;
  SparseCodes all;
  for (std::int64_t first = 0; first < x.size(0); first += kTokensAtOnce) {
    const std::int64_t n = std::min(kTokensAtOnce, x.size(0) - first);
    prepare_tokens(x.narrow(0, first, n).contiguous(), affine, selection, tokens);
    if (spec_.rule == Rule::top_k) {
      candidates_top_k(encoder, tokens, selection, spec_.k, scratch, pairs);
      keep_top_k(spec_.k, n, pairs);
    } else {
      candidates_above(encoder, tokens, selection, lower, scratch, pairs);
      keep_above(lower, pairs);
    }
    const SparseCodes codes = codes_of(pairs, n);
    const std::int64_t before = all.n_active();
    for (std::size_t t = 1; t < codes.offsets.size(); ++t)
      all.offsets.push_back(before + codes.offsets[t]);
    all.indices.insert(all.indices.end(), codes.indices.begin(), codes.indices.end());
    all.values.insert(all.values.end(), codes.values.begin(), codes.values.end());
  }
  return all;
}

at::Tensor Sae::decode(const SparseCodes& codes, const at::Tensor& x) const {
  at::Tensor xhat = decode(codes);
  if (!spec_.skip) return xhat;
  const at::Tensor w = at::from_blob(const_cast<float*>(w_skip_.data()), {spec_.d_out, spec_.d_in});
  // The output's transform scales what z adds.
  return xhat.add_(input_.apply(x).matmul(w.t()).div_(output_.scale));
}

at::Tensor Sae::decode(const SparseCodes& codes) const {
  const std::int64_t d = spec_.d_out, n_tokens = codes.n_tokens();
  for (const std::int32_t feature : codes.indices) {
    if (feature < 0 || feature >= spec_.n_features) {
      bad_input("sae codes",
                fmt::format("expected features below {}, got {}", spec_.n_features, feature),
                "decode with the SAE that encoded");
    }
  }
  at::Tensor xhat = at::empty({n_tokens, d});
  if (n_tokens == 0) return xhat;
  CodePairs pairs;
  sort_by_feature({&codes, 1}, spec_.n_features, pairs);
  ColumnBlocks y;
  y.resize(n_tokens, d);
  auto* out = xhat.mutable_data_ptr<float>();
  at::parallel_for(0, y.n_blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      std::fill_n(y.block(b), n_tokens * kBlockColumns, 0.0f);
      pair_spread(pairs.by_feature, 0, spec_.n_features, pairs.pre.data(), 1, w_dec_.data(), b, y);
      const std::int64_t column = b * kBlockColumns;
      for (std::int64_t t = 0; t < n_tokens; ++t) {
        for (std::int64_t c = 0; c < y.width(b); ++c) {
          out[t * d + column + c] =
              (y.block(b)[t * kBlockColumns + c] + b_dec_[std::size_t(column + c)]) /
                  output_.scale +
              output_.center[std::size_t(column + c)];
        }
      }
    }
  });
  return xhat;
}

at::Tensor Sae::reconstruct(const at::Tensor& x, Selection selection) const {
  return decode(encode(x, selection), x);
}

}  // namespace safesail
