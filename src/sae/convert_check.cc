// The check of a conversion. Both SAEs compute pre-activations as sums of d_in products in f32, one
// of them with folded weights. With u = 2^-24, each sum of d products a_i b_i is off by at most
// about sqrt(d) u |a| |b| (a random walk of rounding errors), and each folded weight, bias and
// centre by u of itself; so the two values of a feature may differ by
//   tolerance = 8 sqrt(d) u ((|x| + |centre|) |W_f| + |b_f|)
// taken over both SAEs. A feature may fire in one only where its value is within twice that of the
// cut: of its threshold, or of the smallest value kept of that token. In the same way, with codes
// c, xhat may differ by 8 u (sum_f tolerance_f |W_dec_f| / (8 u) + sqrt(n) sum_f c_f |W_dec_f| +
// ...).
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

#include "base/error.h"
#include "base/rng.h"
#include "sae/convert.h"
#include "sae/dialects/fold.h"

namespace safesail {
namespace {

constexpr double kUnit = 0x1p-24, kSafety = 8;

double norm(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += double(value) * value;
  return std::sqrt(sum);
}

/// An SAE on raw activations, with the norms that the tolerance needs.
struct Measured {
  explicit Measured(const Sae& sae)
      : spec(sae.spec()), folded(fold_transforms(sae, sae.spec().apply_b_dec_to_input)) {
    const auto d_in = std::size_t(spec.d_in);
    for (std::size_t f = 0; f < std::size_t(spec.n_features); ++f)
      encoder.push_back(norm(folded.w_enc().subspan(f * d_in, d_in)));
    decoder = decoder_norms(folded);
    centre = std::max(norm(sae.transform().center),
                      spec.apply_b_dec_to_input ? norm(folded.b_dec()) : 0.0);
    bias = norm(folded.b_dec()) + norm(sae.output_transform().center);
    skip = norm(folded.w_skip());
  }

  double value_tolerance(double x, std::size_t f) const {
    return kSafety * std::sqrt(double(spec.d_in)) * kUnit *
           ((x + centre) * encoder[f] + std::abs(double(folded.b_enc()[f])));
  }

  SaeSpec spec;
  Sae folded;
  std::vector<double> encoder;
  std::vector<float> decoder;
  double centre = 0, bias = 0, skip = 0;
};

using Row = std::map<std::int32_t, float>;

Row row_of(const SparseCodes& codes, std::int64_t t) {
  Row row;
  for (auto i = codes.offsets[std::size_t(t)]; i < codes.offsets[std::size_t(t + 1)]; ++i)
    row[codes.indices[std::size_t(i)]] = codes.values[std::size_t(i)];
  return row;
}

/// Where feature `f`, silent in `row` of this SAE, would have begun to fire.
double cut(const Measured& sae, const Row& row, std::size_t f) {
  if (sae.spec.rule == Rule::threshold) return std::max(0.0f, sae.folded.threshold()[f]);
  if (std::int64_t(row.size()) < sae.spec.k) return 0;
  double smallest = INFINITY;
  for (const auto& [feature, value] : row) smallest = std::min(smallest, double(value));
  return smallest;
}

}  // namespace

Agreement compare_saes(const Sae& before, const Sae& after, const at::Tensor& x, bool with_xhat) {
  SAFESAIL_CHECK(x.is_contiguous() && x.scalar_type() == at::kFloat);
  Agreement result{.n_tokens = x.size(0)};
  const SaeSpec &a = before.spec(), &b = after.spec();
  if (a.d_in != b.d_in || a.d_out != b.d_out || a.n_features != b.n_features || a.rule != b.rule) {
    result.worst_value = INFINITY;
    result.worst_feature = fmt::format("{} features of width {} before, {} of {} after",
                                       a.n_features, a.d_in, b.n_features, b.d_in);
    return result;
  }
  const Measured first(before), second(after);
  const SparseCodes codes_before = before.encode(x), codes_after = after.encode(x);
  at::Tensor xhat_before, xhat_after;
  if (with_xhat) {
    xhat_before = before.decode(codes_before, x).contiguous();
    xhat_after = after.decode(codes_after, x).contiguous();
  }
  result.n_active = codes_before.n_active();

  for (std::int64_t t = 0; t < x.size(0); ++t) {
    const double x_norm = norm({x.const_data_ptr<float>() + t * a.d_in, std::size_t(a.d_in)});
    const Row row_before = row_of(codes_before, t), row_after = row_of(codes_after, t);
    double xhat_tolerance =
        kSafety * kUnit *
        (first.bias + second.bias +
         std::sqrt(double(a.d_in)) * x_norm * std::max(first.skip, second.skip));
    const auto tolerance = [&](std::int32_t f) {
      return std::max(first.value_tolerance(x_norm, std::size_t(f)),
                      second.value_tolerance(x_norm, std::size_t(f)));
    };
    const auto judge = [&](std::int32_t f, double excess, double allowed, double value_before,
                           double value_after) {
      const double share = excess > 0 ? excess / std::max(allowed, 1e-300) : 0;
      result.max_value_difference = std::max(result.max_value_difference, excess);
      // A feature that fires in one alone moves xhat by all of its value.
      xhat_tolerance +=
          (allowed +
           (value_before == 0 || value_after == 0 ? std::max(value_before, value_after) : 0)) *
              std::max(first.decoder[std::size_t(f)], second.decoder[std::size_t(f)]) +
          kSafety * std::sqrt(double(row_before.size() + 1)) * kUnit *
              std::max(value_before, value_after) * first.decoder[std::size_t(f)];
      if (!(share <= result.worst_value)) {
        result.worst_value = share;
        result.worst_feature =
            fmt::format("worst: token {}, feature {}: {:.7g} before, {:.7g} after", t, f,
                        value_before, value_after);
      }
    };
    for (const auto& [f, value] : row_before) {
      const auto match = row_after.find(f);
      if (match != row_after.end())
        judge(f, std::abs(double(value) - match->second), tolerance(f), value, match->second);
      else
        judge(f, std::abs(value - cut(second, row_after, std::size_t(f))), 2 * tolerance(f), value,
              0);
    }
    for (const auto& [f, value] : row_after)
      if (!row_before.contains(f))
        judge(f, std::abs(value - cut(first, row_before, std::size_t(f))), 2 * tolerance(f), 0,
              value);

    if (!with_xhat) continue;
    const double difference = (xhat_before[t] - xhat_after[t]).norm().item<double>();
    result.max_xhat_difference = std::max(result.max_xhat_difference, difference);
    const double share = difference > 0 ? difference / std::max(xhat_tolerance, 1e-300) : 0;
    if (!(share <= result.worst_xhat)) {
      result.worst_xhat = share;
      if (!(share <= 1) && result.worst_value <= 1)
        result.worst_feature =
            fmt::format("worst: the reconstruction of token {}, {:.3g} apart", t, difference);
    }
  }
  return result;
}

// Around the point that the encoder subtracts, along the encoder row of some feature, far enough to
// overcome that feature's bias and threshold, plus noise as long: so about half of all features see
// a positive product.
std::vector<float> activations_for(const Sae& sae) {
  constexpr std::int64_t kTokens = 64;
  const SaeSpec& spec = sae.spec();
  const Sae plain = fold_transforms(sae, spec.apply_b_dec_to_input);
  const auto d = std::size_t(spec.d_in);
  Rng rng(1, "conversion check");
  std::vector<float> x(std::size_t(kTokens) * d);
  for (std::size_t t = 0; t < std::size_t(kTokens); ++t) {
    const auto f = std::size_t(rng.below(std::uint64_t(spec.n_features)));
    const auto row = plain.w_enc().subspan(f * d, d);
    const double length = norm(row);
    double reach = std::abs(double(plain.b_enc()[f]));
    if (!plain.threshold().empty()) reach += std::max(0.0f, plain.threshold()[f]);
    double radius = length > 0 ? (2 * reach + length) / length : 1;
    radius *= 1 + rng.uniform();
    for (std::size_t i = 0; i < d; ++i) {
      const double direction = length > 0 ? row[i] / length : 0;
      const double noise = rng.normal() / std::sqrt(double(d));
      const double origin =
          spec.apply_b_dec_to_input ? plain.b_dec()[i] : sae.transform().center[i];
      x[t * d + i] = float(origin + radius * (direction + noise));
    }
  }
  return x;
}

}  // namespace safesail
