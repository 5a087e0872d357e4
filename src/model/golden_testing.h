// For tests: golden files and comparison of tensors.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "base/file.h"
#include "formats/safetensors.h"
#include "model/language_model.h"

namespace safesail::testing {

inline fs::path data_folder() {
  return fs::path(SAFESAIL_SOURCE_DIR) / "tests" / "data" / "model";
}

inline at::Tensor tensor_of(const SafetensorsFile& file, const std::string& name) {
  const TensorView& view = file.at(name);
  const auto type = view.dtype == DType::i32 ? at::kInt : at::kFloat;
  return at::from_blob(const_cast<std::byte*>(view.bytes.data()), view.shape, type).clone();
}

inline std::vector<std::int32_t> ids_of(const SafetensorsFile& file, const std::string& name) {
  const at::Tensor ids = tensor_of(file, name);
  return {ids.data_ptr<std::int32_t>(), ids.data_ptr<std::int32_t>() + ids.numel()};
}

/// Every element within `tolerance` times the root mean square of `expected`; says which is worst.
inline void expect_close(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                         const std::string& what) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  const at::Tensor a = actual.to(at::kDouble), e = expected.to(at::kDouble);
  const double scale = e.square().mean().sqrt().item<double>();
  const at::Tensor off = (a - e).abs().flatten();
  const auto worst = off.nan_to_num(1e300).argmax().item<std::int64_t>();
  EXPECT_LE(off[worst].item<double>(), tolerance * scale)
      << what << ": worst at element " << worst << " of " << actual.sizes() << ": "
      << a.flatten()[worst].item<double>() << ", expected " << e.flatten()[worst].item<double>()
      << ", rms " << scale;
  EXPECT_TRUE(a.isfinite().all().item<bool>()) << what;
}

inline LanguageModel load_model(const fs::path& path, ComputeType dtype = ComputeType::f32) {
  SilentReporter silent;
  return LanguageModel::load(path, {dtype, "cpu"}, silent);
}

}  // namespace safesail::testing
