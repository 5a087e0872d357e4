#include "sae/sae.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <limits>
#include <set>

#include "base/error.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

constexpr double kEpsilon = 0x1p-24;

// The definition at the head of sae.h in f64, as plainly as it can be written.
SparseCodes encode_plainly(const Sae& sae, const at::Tensor& x) {
  const SaeSpec& spec = sae.spec();
  const std::int64_t d = spec.d_in;
  const at::Tensor rows = x.to(at::kDouble).contiguous();
  SparseCodes codes;
  for (std::int64_t t = 0; t < x.size(0); ++t) {
    std::vector<std::pair<double, std::int32_t>> pre;
    for (std::int64_t f = 0; f < spec.n_features; ++f) {
      double sum = sae.b_enc()[std::size_t(f)];
      for (std::int64_t i = 0; i < d; ++i) {
        const auto at = std::size_t(i);
        const double z = (rows.const_data_ptr<double>()[t * d + i] - sae.transform().center[at]) *
                         sae.transform().scale;
        sum += (spec.apply_b_dec_to_input ? z - sae.b_dec()[at] : z) *
               sae.w_enc()[std::size_t(f * d + i)];
      }
      pre.emplace_back(-sum, std::int32_t(f));
    }
    std::ranges::sort(pre);
    std::int64_t n = 0;
    for (const auto& [negative, f] : pre) {
      const bool active = spec.rule == Rule::top_k
                              ? n < spec.k && negative < 0
                              : -negative > std::max(sae.threshold()[std::size_t(f)], 0.0f);
      if (!active) continue;
      codes.indices.push_back(f);
      codes.values.push_back(float(-negative));
      ++n;
    }
    codes.offsets.push_back(std::int64_t(codes.indices.size()));
  }
  return codes;
}

TEST(Sae, EncodesAndDecodesAsDefinedForAllTailSizes) {
  Rng rng(11, "sae");
  for (const std::int64_t d : kTailSizes) {
    for (const std::int64_t n_features : kTailSizes) {
      for (const std::int64_t k : {std::int64_t{1}, n_features / 2 + 1, n_features}) {
        SCOPED_TRACE(testing::Message() << "d " << d << " F " << n_features << " k " << k);
        Sae sae(random_sae(d, n_features, k, 3));
        const at::Tensor x = random_tensor(d % 2 == 0 ? 33 : 7, d, rng);
        const SparseCodes truth = encode_plainly(sae, x), codes = sae.encode(x);
        ASSERT_EQ(codes.offsets, truth.offsets);
        ASSERT_EQ(codes.indices, truth.indices);
        expect_near(codes.values, truth.values, double(d + 2) * 32 * kEpsilon, "values");

        std::vector<double> xhat(std::size_t(x.numel()));
        for (std::int64_t t = 0; t < x.size(0); ++t) {
          for (std::int64_t i = 0; i < d; ++i) {
            double& sum = xhat[std::size_t(t * d + i)] = sae.b_dec()[std::size_t(i)];
            for (auto p = std::size_t(truth.offsets[std::size_t(t)]);
                 p < std::size_t(truth.offsets[std::size_t(t) + 1]); ++p)
              sum += double(truth.values[p]) * sae.w_dec()[std::size_t(truth.indices[p] * d + i)];
          }
        }
        expect_near(sae.decode(codes), std::vector<float>(xhat.begin(), xhat.end()),
                    double(d + k) * 64 * kEpsilon, "xhat");
      }
    }
  }
}

TEST(Sae, AppliesItsInputTransform) {
  Rng rng(12, "transform");
  InputTransform transform{random_floats(20, rng), 0.25f};
  Sae sae = Sae::random(SaeSpec::topk(20, 50, 4), transform, 5);
  const at::Tensor x = random_tensor(9, 20, rng).mul_(3);
  EXPECT_EQ(sae.encode(x).indices, encode_plainly(sae, x).indices);
  const at::Tensor back = transform.undo(transform.apply(x));
  expect_near(back, {x.const_data_ptr<float>(), 180}, 64 * kEpsilon, "undo of apply");
}

TEST(Sae, InactiveTokensDecodeToTheBias) {
  Sae sae(random_sae(8, 16, 3, 1));
  std::ranges::fill(sae.b_enc(), -1000.0f);
  Rng rng(13, "negative");
  const at::Tensor x = random_tensor(5, 8, rng);
  const SparseCodes codes = sae.encode(x);
  EXPECT_EQ(codes.offsets, std::vector<std::int64_t>(6, 0));
  const at::Tensor xhat = sae.decode(codes);
  for (std::int64_t t = 0; t < 5; ++t) expect_near(xhat[t], sae.b_dec(), 0, "xhat");
}

TEST(Sae, TiesGoToTheLowerFeature) {
  Sae sae(random_sae(4, 40, 3, 1));
  for (std::size_t f = 0; f < 40; ++f) {
    std::fill_n(sae.w_enc().begin() + std::ptrdiff_t(f * 4), 4, 1.0f);
    sae.b_enc()[f] = f == 37 ? 1.0f : 0.0f;
  }
  std::ranges::fill(sae.b_dec(), 0.0f);
  const SparseCodes codes = sae.encode(at::ones({2, 4}));
  EXPECT_EQ(codes.indices, (std::vector<std::int32_t>{37, 0, 1, 37, 0, 1}));
}

TEST(Sae, RefusesWhatItCannotEncode) {
  const Sae sae(random_sae(8, 16, 3, 1));
  at::Tensor x = at::zeros({4, 8});
  x[2][5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(sae.encode(x), Error);
  x[2][5] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(sae.encode(x), Error);
  EXPECT_THROW(sae.encode(at::zeros({4, 7})), Error);
  EXPECT_THROW(sae.encode(at::zeros({4, 8}, at::kLong)), Error);
  EXPECT_THROW(sae.decode({{0, 3}, {0, 1, 16}, {1, 1, 1}}), Error);
  EXPECT_THROW(sae.decode({{0, 3}, {0, -1, 15}, {1, 1, 1}}), Error);
  EXPECT_THROW(Sae::random(SaeSpec::topk(8, 16, 17), identity_transform(8), 1), Error);
  EXPECT_THROW(Sae::random(SaeSpec::topk(8, 16, 0), identity_transform(8), 1), Error);
  EXPECT_THROW(Sae::random(SaeSpec::topk(0, 16, 1), identity_transform(0), 1), Error);
}

TEST(Sae, TakesNoTokens) {
  const Sae sae(random_sae(8, 16, 3, 1));
  const SparseCodes codes = sae.encode(at::zeros({0, 8}));
  EXPECT_EQ(codes.n_tokens(), 0);
  EXPECT_EQ(sae.decode(codes).size(0), 0);
}

TEST(Sae, RandomWeightsDependOnTheSeedAlone) {
  const SaeSpec spec = SaeSpec::topk(24, 1000, 4);
  const Sae first = Sae::random(spec, identity_transform(24), 9);
  const int n_threads = at::get_num_threads();
  at::set_num_threads(n_threads + 2);
  const Sae second = Sae::random(spec, identity_transform(24), 9);
  at::set_num_threads(n_threads);
  expect_near(first.w_dec(), second.w_dec(), 0, "w_dec");
  const Sae other = Sae::random(spec, identity_transform(24), 10);
  EXPECT_FALSE(std::ranges::equal(first.w_dec(), other.w_dec()));
  for (std::size_t f = 0; f < 1000; ++f) {
    double norm = 0;
    for (std::size_t i = 0; i < 24; ++i)
      norm += double(first.w_dec()[f * 24 + i]) * first.w_dec()[f * 24 + i];
    ASSERT_NEAR(norm, 1, 8 * kEpsilon) << "row " << f;
  }
}

// A bf16 product sum errs by about 2^-8 |z| |w| / sqrt(d), and its result is rounded to 2^-9 of
// itself; k/8 + 8 spare candidates cover both but for a few tokens. Where the choice agrees, the
// values are the same bits.
TEST(Sae, Bf16SelectionAgreesWithF32) {
  Rng rng(14, "bf16");
  const Sae sae(random_sae(256, 3000, 32, 2));
  const at::Tensor x = random_tensor(500, 256, rng);
  const SparseCodes exact = sae.encode(x, Selection::f32), rounded = sae.encode(x, Selection::bf16);
  std::int64_t n_different = 0;
  for (std::size_t t = 0; t < 500; ++t) {
    std::set<std::pair<std::int32_t, float>> left, right;
    for (auto p = std::size_t(exact.offsets[t]); p < std::size_t(exact.offsets[t + 1]); ++p)
      left.emplace(exact.indices[p], exact.values[p]);
    for (auto p = std::size_t(rounded.offsets[t]); p < std::size_t(rounded.offsets[t + 1]); ++p)
      right.emplace(rounded.indices[p], rounded.values[p]);
    n_different += left != right;
  }
  EXPECT_LE(n_different, 5) << "tokens of 500 with another choice";
}

TEST(Sae, TakesBf16Activations) {
  Rng rng(15, "bf16 in");
  const Sae sae(random_sae(64, 100, 5, 2));
  const at::Tensor x = random_tensor(20, 64, rng).to(at::kBFloat16);
  const SparseCodes from_bf16 = sae.encode(x), from_f32 = sae.encode(x.to(at::kFloat));
  EXPECT_EQ(from_bf16.indices, from_f32.indices);
  EXPECT_EQ(from_bf16.values, from_f32.values);
}

SaeSpec jumprelu_spec(std::int64_t d, std::int64_t n_features) {
  SaeSpec spec = SaeSpec::topk(d, n_features, 0);
  spec.architecture = "jumprelu";
  spec.rule = Rule::threshold;
  return spec;
}

TEST(Sae, ThresholdsAsDefinedForAllTailSizes) {
  Rng rng(16, "threshold");
  for (const std::int64_t d : kTailSizes) {
    for (const std::int64_t n_features : kTailSizes) {
      for (const bool apply : {true, false}) {
        SCOPED_TRACE(testing::Message() << "d " << d << " F " << n_features);
        SaeSpec spec = jumprelu_spec(d, n_features);
        spec.apply_b_dec_to_input = apply;
        const Sae sae = random_sae(spec, 3);
        const at::Tensor x = random_tensor(17, d, rng);
        const SparseCodes truth = encode_plainly(sae, x), codes = sae.encode(x);
        ASSERT_EQ(codes.offsets, truth.offsets);
        ASSERT_EQ(codes.indices, truth.indices);
        expect_near(codes.values, truth.values, double(d + 2) * 32 * kEpsilon, "values");
      }
    }
  }
}

TEST(Sae, NegativeThresholdsLetNoNegativeValueThrough) {
  Sae sae = random_sae(jumprelu_spec(8, 64), 2);
  std::ranges::fill(sae.threshold(), -1.0f);
  Rng rng(17, "negative thresholds");
  const at::Tensor x = random_tensor(9, 8, rng);
  const SparseCodes codes = sae.encode(x);
  EXPECT_EQ(codes.indices, encode_plainly(sae, x).indices);
  EXPECT_GT(*std::ranges::min_element(codes.values), 0);
}

// The slack lets every candidate through that f32 would find: the very same bits. Outlier columns
// make the rounding errors as large as they get.
TEST(Sae, Bf16ThresholdingAgreesWithF32) {
  Rng rng(18, "bf16 threshold");
  Sae sae = random_sae(jumprelu_spec(256, 3000), 2);
  for (float& threshold : sae.threshold()) threshold = float(2 + rng.uniform());
  at::Tensor x = random_tensor(500, 256, rng);
  x.select(1, 7).mul_(40);
  const SparseCodes exact = sae.encode(x, Selection::f32), rounded = sae.encode(x, Selection::bf16);
  EXPECT_GT(exact.n_active(), 500);
  EXPECT_EQ(exact.offsets, rounded.offsets);
  EXPECT_EQ(exact.indices, rounded.indices);
  EXPECT_EQ(exact.values, rounded.values);
}

TEST(Sae, TranscodersMapOneSpaceToAnother) {
  SaeSpec spec{.d_in = 10,
               .d_out = 6,
               .n_features = 30,
               .k = 4,
               .apply_b_dec_to_input = false,
               .transcoder = true,
               .skip = true};
  Rng rng(19, "transcoder");
  const InputTransform in{random_floats(10, rng), 0.5f}, out{random_floats(6, rng), 4.0f};
  Sae sae = Sae::random(spec, in, out, 3);
  for (float& weight : sae.w_skip()) weight = float(rng.normal());
  for (float& bias : sae.b_dec()) bias = float(rng.normal());
  const at::Tensor x = random_tensor(7, 10, rng);
  const SparseCodes codes = sae.encode(x);
  EXPECT_EQ(codes.indices, encode_plainly(sae, x).indices);
  const at::Tensor z = in.apply(x);
  const at::Tensor w_skip = tensor_of(sae.w_skip(), 10), w_dec = tensor_of(sae.w_dec(), 6);
  at::Tensor zhat = z.matmul(w_skip.t()).add(tensor_of(sae.b_dec(), 6));
  for (std::int64_t t = 0; t < 7; ++t)
    for (auto p = std::size_t(codes.offsets[std::size_t(t)]);
         p < std::size_t(codes.offsets[std::size_t(t) + 1]); ++p)
      zhat[t].add_(w_dec[codes.indices[p]], codes.values[p]);
  const at::Tensor xhat = out.undo(zhat).contiguous();
  expect_near(sae.reconstruct(x), {xhat.const_data_ptr<float>(), 42}, 256 * kEpsilon, "xhat");
}

TEST(Sae, RefusesSpecsThatDoNotFitTogether) {
  SaeSpec spec = SaeSpec::topk(8, 16, 3);
  spec.d_out = 9;
  EXPECT_THROW(check(spec), Error) << "an SAE with two widths";
  spec.transcoder = true;
  EXPECT_THROW(check(spec), Error) << "b_dec of another width in the input";
  spec.apply_b_dec_to_input = false;
  EXPECT_NO_THROW(check(spec));
  spec.groups = {4, 16};
  EXPECT_NO_THROW(check(spec));
  for (const std::vector<std::int64_t>& groups :
       {std::vector<std::int64_t>{4, 8}, {16, 4}, {0, 16}, {4, 4, 16}, {4, 17}, {-1, 16}}) {
    spec.groups = groups;
    EXPECT_THROW(check(spec), Error) << groups.front() << " ... " << groups.back();
  }
}

}  // namespace
}  // namespace safesail
