// The training truth of every architecture: tests/data/sae/architectures_golden.safetensors, made
// in f64 by PyTorch's autograd and Adam (scripts/golden/make_architectures_golden.py).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "formats/safetensors.h"
#include "sae/sparse_step.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

constexpr double kEpsilon = 0x1p-24;
constexpr std::int64_t kD = 16, kDOut = 11, kFeatures = 48, kBatch = 64;

class GoldenArchitecture : public testing::TestWithParam<const char*> {
 protected:
  const SafetensorsFile file{SAFESAIL_SOURCE_DIR
                             "/tests/data/sae/architectures_golden.safetensors"};
  const std::string name = GetParam();
  const bool transcoder = name == "transcoder";

  std::span<const float> floats(const std::string& key) const {
    const TensorView& tensor = file.at(key);
    return {reinterpret_cast<const float*>(tensor.bytes.data()), std::size_t(tensor.n_elements())};
  }
  double number(const char* key) const { return std::stod(file.metadata().at(key)); }
  at::Tensor batch(const char* key, std::int64_t d, int step) const {
    return tensor_of(floats(key), d).narrow(0, step * kBatch, kBatch).contiguous();
  }
  at::Tensor input(int step) const { return batch("z", kD, step); }
  at::Tensor target(int step) const {
    return transcoder ? batch("target", kDOut, step) : input(step);
  }

  TrainerOptions options() const {
    return {.selection = Selection::f32, .epsilon = 1e-8, .bandwidth = number("bandwidth")};
  }

  // Without a target the penalties of ReLU and Gated stay where they are.
  TrainerState initial() const {
    const bool penalised = name == "relu" || name == "gated";
    SaeSpec spec = trained_spec(transcoder ? "topk" : name, kD, kFeatures,
                                penalised ? 0 : std::int64_t(number("k")));
    if (transcoder) {
      spec.d_out = kDOut;
      spec.transcoder = spec.skip = true;
      spec.apply_b_dec_to_input = false;
    }
    if (name == "matryoshka") spec.groups = {6, 16, 48};
    TrainerState state(Sae(spec, identity_transform(spec.d_in), identity_transform(spec.d_out)));
    state.penalty = number("penalty");
    for (Parameter& parameter : state.parameters)
      std::ranges::copy(floats(key("initial", parameter)), parameter.weights.begin());
    return state;
  }
  std::string key(const char* part, const Parameter& parameter) const {
    std::string lower = parameter.name;
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
    return name + "." + part + "." + lower;
  }
};

INSTANTIATE_TEST_SUITE_P(All, GoldenArchitecture,
                         testing::Values("topk", "batchtopk", "matryoshka", "relu", "jumprelu",
                                         "gated", "transcoder"),
                         [](const auto& one) { return std::string(one.param); });

// Gradients are means over 64 tokens of products of order 1 (over d_out), summed over at most 48
// features or 64 tokens in f32; those of thresholds are divided by the bandwidth (0.4).
TEST_P(GoldenArchitecture, LossAndEveryGradientAgree) {
  const TrainerState state = initial();
  SparseStep step(state, options());
  EXPECT_NEAR(step.forward(state, input(0), target(0)).loss, floats(name + ".losses")[0],
              64 * kEpsilon);
  SparseStep::Gradients gradients;
  step.gradients(state, gradients);
  const double tolerance = 64 * kEpsilon * 2 / double(kDOut) / 0.4;
  const auto expect = [&](std::size_t parameter, std::span<const float> got) {
    const std::string name_of = key("gradient", state.parameters[parameter]);
    expect_near(got, floats(name_of), tolerance, name_of);
  };
  expect(kWEnc, gradients.w_enc.span().first(std::size_t(kFeatures * kD)));
  expect(kBEnc, gradients.b_enc);
  expect(kBDec, gradients.b_dec);
  for (std::size_t i = 0; i < gradients.own.size(); ++i)
    expect(kCommonParameters + i, gradients.own[i]);
  if (transcoder) expect(state.parameters.size() - 1, gradients.w_skip);
  // Ours has lost its part along each row.
  const auto d = std::size_t(state.sae.spec().d_out);
  const std::span<const float> raw = floats(key("gradient", state.parameters[kWDec]));
  std::vector<float> across(raw.begin(), raw.end());
  for (std::size_t row = 0; row < across.size(); row += d) {
    double along = 0;
    for (std::size_t i = row; i < row + d; ++i) along += double(raw[i]) * state.sae.w_dec()[i];
    for (std::size_t i = row; i < row + d; ++i) across[i] -= float(along * state.sae.w_dec()[i]);
  }
  expect_near(gradients.w_dec.span().first(across.size()), across, tolerance, "w_dec");
}

// As for TopK (golden_test.cc): Adam turns a relative error r of a gradient into r * lr of its
// weight, and r is at most 10^4 * 64 eps.
TEST_P(GoldenArchitecture, TenAdamStepsAgree) {
  const double lr = number("lr");
  TrainerState state = initial();
  SparseStep step(state, options());
  for (int i = 0; i < 10; ++i) {
    const double tolerance = (i + 1) * lr * 1e4 * 64 * kEpsilon;
    EXPECT_NEAR(step.run(state, input(i), target(i), {.lr = lr}).loss,
                floats(name + ".losses")[std::size_t(i)], tolerance)
        << "step " << i + 1;
  }
  const double tolerance = 10 * lr * 1e4 * 64 * kEpsilon;
  for (const Parameter& parameter : state.parameters) {
    const std::string name_of = key("final", parameter);
    expect_near(parameter.weights, floats(name_of), tolerance, name_of);
  }
  if (name == "batchtopk" || name == "matryoshka") {
    EXPECT_NEAR(state.threshold, floats(name + ".running_threshold")[0], tolerance);
  }
}

}  // namespace
}  // namespace safesail
