// For the tests of this room only: tensors from numbers, and comparisons that name the worst one.
#pragma once

#include <ATen/ATen.h>
#include <cmath>
#include <gtest/gtest.h>
#include <span>
#include <string>

#include "base/rng.h"

namespace safesail {

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
