// The training truth: tests/data/sae/topk_golden.safetensors, made in f64 by PyTorch's autograd and
// Adam (scripts/golden/make_sae_golden.py).
#include <ATen/ATen.h>
#include <cmath>
#include <gtest/gtest.h>

#include "formats/safetensors.h"
#include "sae/sparse_step.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

constexpr double kEpsilon = 0x1p-24;  // f32 rounding unit

// Stored decoder gradients are raw; ours have lost their part along each row.
std::vector<float> without_parallel(std::span<const float> gradient, const Sae& sae) {
  const auto d = std::size_t(sae.spec().d_out);
  std::vector<float> rest(gradient.begin(), gradient.end());
  for (std::size_t row = 0; row < rest.size(); row += d) {
    double along = 0;
    for (std::size_t i = row; i < row + d; ++i) along += double(gradient[i]) * sae.w_dec()[i];
    for (std::size_t i = row; i < row + d; ++i) rest[i] -= float(along * sae.w_dec()[i]);
  }
  return rest;
}

class Golden : public testing::Test {
 protected:
  static constexpr std::int64_t kBatch = 64;

  SafetensorsFile file{SAFESAIL_SOURCE_DIR "/tests/data/sae/topk_golden.safetensors"};

  std::span<const float> floats(const std::string& name) const {
    const TensorView& tensor = file.at(name);
    return {reinterpret_cast<const float*>(tensor.bytes.data()), std::size_t(tensor.n_elements())};
  }
  at::Tensor batch(int step) const {
    const std::span<const float> z = floats("z");
    return tensor_of(z.subspan(std::size_t(step * kBatch * 32), std::size_t(kBatch * 32)), 32);
  }
  Sae initial() const {
    const SaeSpec spec = SaeSpec::topk(32, 96, 5);
    const std::span<const float> center = floats("center");
    Sae sae(spec, {{center.begin(), center.end()}, std::stof(file.metadata().at("scale"))});
    std::ranges::copy(floats("initial.w_enc"), sae.w_enc().begin());
    std::ranges::copy(floats("initial.b_enc"), sae.b_enc().begin());
    std::ranges::copy(floats("initial.w_dec"), sae.w_dec().begin());
    std::ranges::copy(floats("initial.b_dec"), sae.b_dec().begin());
    return sae;
  }
};

// Sums of up to 64 * 5 or 32 products of numbers of order 1, and their order differs.
TEST_F(Golden, ForwardAgrees) {
  const Sae sae = initial();
  const at::Tensor x = tensor_of(floats("x").first(std::size_t(kBatch * 32)), 32);
  const SparseCodes codes = sae.encode(x);
  const std::span<const std::byte> stored = file.at("forward.indices").bytes;
  const auto* indices = reinterpret_cast<const std::int32_t*>(stored.data());
  // PyTorch lists zeros (negative values after the ReLU) where we list nothing.
  std::vector<std::int32_t> features;
  std::vector<float> values;
  for (std::size_t i = 0; i < stored.size() / sizeof(std::int32_t); ++i) {
    if (!(floats("forward.values")[i] > 0)) continue;
    features.push_back(indices[i]);
    values.push_back(floats("forward.values")[i]);
  }
  ASSERT_EQ(codes.indices, features);
  expect_near(codes.values, values, 64 * kEpsilon, "values");
  expect_near(sae.decode(codes), floats("forward.xhat"), 256 * kEpsilon, "xhat");
}

TEST_F(Golden, LossAndEveryGradientAgree) {
  const TrainerState state(initial());
  SparseStep step(state, {.selection = Selection::f32});
  const StepReport report = step.forward(state, batch(0), batch(0));
  EXPECT_NEAR(report.loss, floats("losses")[0], 32 * kEpsilon);
  SparseStep::Gradients gradients;
  step.gradients(state, gradients);
  // Gradients are means over 64 tokens of products of order 1 (over d = 32).
  const double tolerance = 64 * kEpsilon * 2 / 32;
  expect_near(gradients.w_enc.span(), floats("gradient.w_enc"), tolerance, "w_enc");
  expect_near(gradients.b_enc, floats("gradient.b_enc"), tolerance, "b_enc");
  expect_near(gradients.b_dec, floats("gradient.b_dec"), tolerance, "b_dec");
  expect_near(gradients.w_dec.span(), without_parallel(floats("gradient.w_dec"), state.sae),
              tolerance, "w_dec");
}

TEST_F(Golden, AuxiliaryLossAndItsGradientsAgree) {
  TrainerState state(initial());
  std::ranges::copy(floats("aux.b_enc"), state.sae.b_enc().begin());
  const std::span<const std::byte> dead = file.at("aux.features").bytes;
  for (std::size_t i = 0; i < dead.size() / sizeof(std::int32_t); ++i) {
    const std::int32_t feature = reinterpret_cast<const std::int32_t*>(dead.data())[i];
    state.tokens_since_fired[std::size_t(feature)] = 1000;
  }
  SparseStep step(state, {.selection = Selection::f32,
                          .auxk_coefficient = std::stod(file.metadata().at("auxk_coefficient")),
                          .k_aux = std::stoi(file.metadata().at("k_aux")),
                          .dead_after_tokens = 1000});
  EXPECT_NEAR(step.forward(state, batch(0), batch(0)).loss, floats("aux.loss")[0], 32 * kEpsilon);
  SparseStep::Gradients gradients;
  step.gradients(state, gradients);
  const double tolerance = 64 * kEpsilon * 2 / 32;
  expect_near(gradients.w_enc.span(), floats("aux.gradient.w_enc"), tolerance, "w_enc");
  expect_near(gradients.b_enc, floats("aux.gradient.b_enc"), tolerance, "b_enc");
  expect_near(gradients.b_dec, floats("aux.gradient.b_dec"), tolerance, "b_dec");
  expect_near(gradients.w_dec.span(), without_parallel(floats("aux.gradient.w_dec"), state.sae),
              tolerance, "w_dec");
}

// Adam divides a gradient by its own running size, so that a relative error r of a gradient moves a
// weight by r * lr a step. r is small except where a gradient happens to cancel to almost nothing;
// one in 10^4 entries cancels by 10^4, hence r = 10^4 * 64 eps.
class GoldenSteps : public Golden, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Devices, GoldenSteps, testing::Values("cpu", "aten"));

TEST_P(GoldenSteps, TenAdamStepsAgree) {
  const double lr = std::stod(file.metadata().at("lr"));
  SaeTrainer trainer(initial(),
                     {.selection = Selection::f32, .epsilon = 1e-8, .device = GetParam()});
  for (int i = 0; i < 10; ++i) {
    const StepReport report = trainer.step(batch(i), {.lr = lr});
    const double tolerance = (i + 1) * lr * 1e4 * 64 * kEpsilon;
    EXPECT_NEAR(report.loss, floats("losses")[std::size_t(i)], tolerance) << "step " << i + 1;
    const std::string at = "step" + std::to_string(i + 1) + ".";
    const Sae& sae = trainer.sae();
    expect_near(sae.w_enc(), floats(at + "w_enc"), tolerance, at + "w_enc");
    expect_near(sae.b_enc(), floats(at + "b_enc"), tolerance, at + "b_enc");
    expect_near(sae.w_dec(), floats(at + "w_dec"), tolerance, at + "w_dec");
    expect_near(sae.b_dec(), floats(at + "b_dec"), tolerance, at + "b_dec");
  }
}

}  // namespace
}  // namespace safesail
