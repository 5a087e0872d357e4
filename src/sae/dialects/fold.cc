#include "sae/dialects/fold.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"

namespace safesail {
namespace {

std::size_t size(std::int64_t n) {
  return static_cast<std::size_t>(n);
}

double dot(std::span<const float> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * b[i];
  return sum;
}

}  // namespace

// With z = s (x - c), a = 1 where pre subtracts b_dec, s' and c' the output's:
//   W_enc' = s W_enc, W_dec' = W_dec / s', W_skip' = (s / s') W_skip
//   b_dec' = b_dec / s' + c' - W_skip' c
//   b_enc' = b_enc - W_enc (s c + a b_dec) [+ W_enc' b_dec' where the new pre subtracts b_dec']
Sae fold_transforms(const Sae& sae, bool subtract_b_dec) {
  SaeSpec spec = sae.spec();
  const std::size_t d_in = size(spec.d_in), d_out = size(spec.d_out);
  const InputTransform &in = sae.transform(), &out = sae.output_transform();
  const bool subtracted = spec.apply_b_dec_to_input;
  spec.apply_b_dec_to_input = subtract_b_dec;
  Sae folded(spec, identity_transform(spec.d_in), identity_transform(spec.d_out));
  const double s = in.scale, s_out = out.scale;

  std::vector<double> b_dec(d_out);
  for (std::size_t i = 0; i < d_out; ++i) b_dec[i] = double(sae.b_dec()[i]) / s_out + out.center[i];
  for (std::size_t i = 0; i < sae.w_skip().size(); ++i) {
    const double weight = sae.w_skip()[i] * s / s_out;
    folded.w_skip()[i] = float(weight);
    b_dec[i / d_in] -= weight * in.center[i % d_in];
  }
  std::copy(b_dec.begin(), b_dec.end(), folded.b_dec().begin());

  // What the encoder reads at x = 0, in the units of the old W_enc.
  std::vector<double> origin(d_in, 0);
  for (std::size_t i = 0; i < d_in; ++i) {
    origin[i] = -s * in.center[i] - (subtracted ? double(sae.b_dec()[i]) : 0);
    if (subtract_b_dec) origin[i] += s * b_dec[i];
  }
  // Where old and new subtract the same point of x, b_enc stays to the last bit.
  const bool same_point = subtracted && subtract_b_dec && in == out && !spec.skip;
  for (std::size_t f = 0; f < size(spec.n_features); ++f) {
    const auto row = sae.w_enc().subspan(f * d_in, d_in);
    folded.b_enc()[f] = same_point ? sae.b_enc()[f] : float(sae.b_enc()[f] + dot(row, origin));
  }
  std::ranges::transform(sae.w_enc(), folded.w_enc().begin(),
                         [&](float w) { return float(w * s); });
  std::ranges::transform(sae.w_dec(), folded.w_dec().begin(),
                         [&](float w) { return float(w / s_out); });
  std::ranges::copy(sae.threshold(), folded.threshold().begin());
  return folded;
}

void scale_features(Sae& sae, std::span<const float> factors, const char* where) {
  const std::size_t d_in = size(sae.spec().d_in), d_out = size(sae.spec().d_out);
  SAFESAIL_CHECK(factors.size() == size(sae.spec().n_features));
  for (std::size_t f = 0; f < factors.size(); ++f) {
    const float factor = factors[f];
    if (!(factor > 0) || !std::isfinite(factor) || !std::isfinite(1 / factor))
      bad_input(where,
                fmt::format("expected decoder rows that are not zero, got norm {} of feature {}",
                            factor, f),
                "leave the feature out, or take an undamaged checkpoint");
    for (float& weight : sae.w_enc().subspan(f * d_in, d_in)) weight *= factor;
    for (float& weight : sae.w_dec().subspan(f * d_out, d_out)) weight /= factor;
    sae.b_enc()[f] *= factor;
    if (!sae.threshold().empty()) sae.threshold()[f] *= factor;
  }
}

// With g the weight, z = s (n - c) becomes g z = s (x - (g c + bias)): a centre that the transform
// has anyway. What reads z is divided by g, what an SAE writes to z is multiplied by it.
Sae with_input_gain(const Sae& sae, std::span<const float> weight, std::span<const float> bias) {
  const SaeSpec& spec = sae.spec();
  const std::size_t d_in = size(spec.d_in);
  SAFESAIL_CHECK(weight.size() == d_in && (bias.empty() || bias.size() == d_in));
  const auto column = [&](std::size_t i) { return i % d_in; };
  for (const float g : weight)
    if (!std::isfinite(1 / g))
      bad_input("the norm before the MLP", fmt::format("expected weights to divide by, got {}", g),
                "take another model: this SAE has no counterpart behind that norm");
  InputTransform in = sae.transform();
  for (std::size_t i = 0; i < d_in; ++i)
    in.center[i] = in.center[i] * weight[i] + (bias.empty() ? 0 : bias[i]);
  Sae result = spec.transcoder ? Sae(spec, in, sae.output_transform()) : Sae(spec, in);
  const auto divided = [&](std::span<const float> from, std::span<float> to) {
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i] / weight[column(i)];
  };
  const auto multiplied = [&](std::span<const float> from, std::span<float> to) {
    for (std::size_t i = 0; i < from.size(); ++i)
      to[i] = spec.transcoder ? from[i] : from[i] * weight[column(i)];
  };
  divided(sae.w_enc(), result.w_enc());
  divided(sae.w_skip(), result.w_skip());
  multiplied(sae.w_dec(), result.w_dec());
  multiplied(sae.b_dec(), result.b_dec());
  std::ranges::copy(sae.b_enc(), result.b_enc().begin());
  std::ranges::copy(sae.threshold(), result.threshold().begin());
  // A transcoder's b_dec is of its output and stays, even where pre subtracts it.
  if (spec.transcoder && spec.apply_b_dec_to_input)
    for (std::size_t f = 0; f < size(spec.n_features); ++f) {
      double moved = 0;
      for (std::size_t i = 0; i < d_in; ++i)
        moved += double(sae.b_dec()[i]) *
                 (result.w_enc()[f * d_in + i] - double(sae.w_enc()[f * d_in + i]));
      result.b_enc()[f] = float(sae.b_enc()[f] + moved);
    }
  return result;
}

std::vector<float> decoder_norms(const Sae& sae) {
  const std::size_t d_out = size(sae.spec().d_out);
  std::vector<float> norms(size(sae.spec().n_features));
  for (std::size_t f = 0; f < norms.size(); ++f) {
    double sum = 0;
    for (const float weight : sae.w_dec().subspan(f * d_out, d_out)) sum += double(weight) * weight;
    norms[f] = float(std::sqrt(sum));
  }
  return norms;
}

void set_gated(Sae& sae, std::span<const float> r_mag, std::span<const float> b_gate,
               std::span<const float> b_mag) {
  const std::size_t d_in = size(sae.spec().d_in);
  for (std::size_t f = 0; f < r_mag.size(); ++f) {
    const double gain = std::exp(double(r_mag[f]));
    if (!std::isfinite(float(gain)) || !(float(gain) > 0))
      bad_input(
          "r_mag",
          fmt::format("expected exp(r_mag) within floats, got r_mag {} of feature {}", r_mag[f], f),
          "take an undamaged checkpoint");
    for (float& weight : sae.w_enc().subspan(f * d_in, d_in)) weight = float(weight * gain);
    sae.b_enc()[f] = b_mag[f];
    sae.threshold()[f] = float(b_mag[f] - gain * b_gate[f]);
  }
}

}  // namespace safesail
