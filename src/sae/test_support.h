// For the tests of this room only: tensors from numbers, and comparisons that name the worst one.
#pragma once

#include <ATen/ATen.h>
#include <cmath>
#include <gtest/gtest.h>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "sae/sae.h"

namespace safesail {

/// Lengths around every vector width and unrolling.
inline constexpr std::int64_t kTailSizes[] = {1, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100};

/// A copy of `values` as [n, columns].
inline at::Tensor tensor_of(std::span<const float> values, std::int64_t columns) {
  const std::int64_t rows = std::int64_t(values.size()) / columns;
  return at::from_blob(const_cast<float*>(values.data()), {rows, columns}).clone();
}

inline at::Tensor random_tensor(std::int64_t rows, std::int64_t columns, Rng& rng) {
  at::Tensor tensor = at::empty({rows, columns});
  float* out = tensor.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < rows * columns; ++i) out[i] = float(rng.normal());
  return tensor;
}

inline std::vector<float> random_floats(std::size_t n, Rng& rng) {
  std::vector<float> values(n);
  for (float& value : values) value = float(rng.normal());
  return values;
}

/// An SAE with every weight random, biases small; decoder rows of unit norm.
inline Sae random_sae(const SaeSpec& spec, std::uint64_t seed) {
  Sae sae = Sae::random(spec, identity_transform(spec.d_in), identity_transform(spec.d_out), seed);
  Rng rng(seed, "test weights");
  for (float& weight : sae.w_enc()) weight += 0.1f * float(rng.normal());
  for (float& bias : sae.b_enc()) bias = 0.1f * float(rng.normal());
  for (float& bias : sae.b_dec()) bias = 0.1f * float(rng.normal());
  for (float& threshold : sae.threshold()) threshold = 0.5f * float(rng.uniform());
  for (float& weight : sae.w_skip()) weight = 0.1f * float(rng.normal());
  return sae;
}
/// A TopK SAE.
inline Sae random_sae(std::int64_t d, std::int64_t n_features, std::int64_t k, std::uint64_t seed) {
  return random_sae(SaeSpec::topk(d, n_features, k), seed);
}

/// Codes of a planted dictionary: `k` random features a token (one may come twice), values in [1,
/// 2).
inline SparseCodes planted_codes(std::int64_t n_tokens, std::int64_t n_features, std::int64_t k,
                                 Rng& rng) {
  SparseCodes codes;
  for (std::int64_t i = 1; i <= n_tokens * k; ++i) {
    codes.indices.push_back(std::int32_t(rng.below(std::uint64_t(n_features))));
    codes.values.push_back(float(1 + rng.uniform()));
    if (i % k == 0) codes.offsets.push_back(i);
  }
  return codes;
}

inline void expect_near(std::span<const float> got, std::span<const float> expected,
                        double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  std::size_t worst = 0;
  double distance = -1;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double here = std::abs(double(got[i]) - expected[i]);
    if (here > distance || std::isnan(here)) {
      distance = here;
      worst = i;
      if (std::isnan(here)) break;
    }
  }
  EXPECT_TRUE(distance <= tolerance)
      << what << "[" << worst << "]: got " << got[worst] << ", expected " << expected[worst]
      << ", apart " << distance << ", allowed " << tolerance;
}

inline void expect_near(const at::Tensor& got, std::span<const float> expected, double tolerance,
                        const std::string& what) {
  const at::Tensor flat = got.to(at::kFloat).contiguous();
  expect_near(std::span(flat.const_data_ptr<float>(), std::size_t(flat.numel())), expected,
              tolerance, what);
}

}  // namespace safesail
