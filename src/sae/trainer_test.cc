#include "sae/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <unistd.h>

#include "base/error.h"
#include "formats/safetensors.h"
#include "sae/sparse_step.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

constexpr double kEpsilon = 0x1p-24;

void expect_same_bits(const SaeTrainer& left, const SaeTrainer& right) {
  expect_near(left.sae().w_enc(), right.sae().w_enc(), 0, "w_enc");
  expect_near(left.sae().b_enc(), right.sae().b_enc(), 0, "b_enc");
  expect_near(left.sae().w_dec(), right.sae().w_dec(), 0, "w_dec");
  expect_near(left.sae().b_dec(), right.sae().b_dec(), 0, "b_dec");
  EXPECT_TRUE(std::ranges::equal(left.tokens_since_fired(), right.tokens_since_fired()));
  EXPECT_EQ(left.n_tokens(), right.n_tokens());
}

class Folder {
 public:
  Folder()
      : path_(fs::temp_directory_path() / ("safesail_trainer_test." + std::to_string(::getpid()))) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

// L as defined in trainer.h, in f64 from the plain codes, with the selection held fixed: the loss
// is smooth there, so a central difference of step h errs by h^2 L'''/6, far below the tolerance.
double plain_loss(const Sae& sae, const SparseCodes& codes, const at::Tensor& z) {
  const std::int64_t d = sae.spec().d_in;
  const float* values = z.const_data_ptr<float>();
  double squares = 0;
  for (std::int64_t t = 0; t < z.size(0); ++t) {
    std::vector<double> error(static_cast<std::size_t>(d));
    for (std::int64_t i = 0; i < d; ++i) {
      error[std::size_t(i)] = double(sae.b_dec()[std::size_t(i)]) - values[t * d + i];
    }
    for (auto p = std::size_t(codes.offsets[std::size_t(t)]);
         p < std::size_t(codes.offsets[std::size_t(t) + 1]); ++p) {
      const std::int32_t f = codes.indices[p];
      double code = sae.b_enc()[std::size_t(f)];
      for (std::int64_t i = 0; i < d; ++i) {
        code += (double(values[t * d + i]) - sae.b_dec()[std::size_t(i)]) *
                sae.w_enc()[std::size_t(f * d + i)];
      }
      for (std::int64_t i = 0; i < d; ++i)
        error[std::size_t(i)] += code * sae.w_dec()[std::size_t(f * d + i)];
    }
    for (const double e : error) squares += e * e;
  }
  return squares / double(z.size(0) * d);
}

TEST(SaeTrainer, GradientsEqualFiniteDifferences) {
  Rng rng(21, "finite differences");
  Sae sae = random_sae(19, 140, 6, 4);
  const at::Tensor z = random_tensor(33, 19, rng);
  const TrainerState state(sae.clone());
  SparseStep step(state, {.selection = Selection::f32});
  step.forward(state, z, z);
  SparseStep::Gradients gradients;
  step.gradients(state, gradients);
  const SparseCodes codes = codes_of(step.pairs(), z.size(0));

  // The loss is quadratic in each parameter but for W_enc x W_dec, so the central difference is
  // exact up to the f32 rounding of the moved parameter, which `moved` accounts for.
  const auto difference = [&](std::span<float> weights, std::size_t i) {
    const float kept = weights[i];
    weights[i] = kept + 0x1p-6f;
    const double above = plain_loss(sae, codes, z), up = weights[i];
    weights[i] = kept - 0x1p-6f;
    const double below = plain_loss(sae, codes, z), down = weights[i];
    weights[i] = kept;
    return (above - below) / (up - down);
  };
  const auto expect_gradient = [&](std::span<float> weights, std::span<const float> gradient,
                                   const char* name) {
    double largest = 0;
    for (const float g : gradient) largest = std::max(largest, std::abs(double(g)));
    for (std::size_t i = 0; i < gradient.size(); i += 1 + gradient.size() / 300) {
      EXPECT_NEAR(gradient[i], difference(weights, i), 64 * kEpsilon * largest + 1e-9)
          << name << "[" << i << "]";
    }
  };
  expect_gradient(sae.w_enc(), gradients.w_enc.span().first(140 * 19), "w_enc");
  expect_gradient(sae.b_enc(), gradients.b_enc, "b_enc");
  expect_gradient(sae.b_dec(), gradients.b_dec, "b_dec");
  // Along a decoder row the gradient is removed by design: compare across.
  for (std::size_t f = 0; f < 140; f += 9) {
    std::vector<double> raw(19);
    double along = 0;
    for (std::size_t i = 0; i < 19; ++i) {
      raw[i] = difference(sae.w_dec(), f * 19 + i);
      along += raw[i] * sae.w_dec()[f * 19 + i];
    }
    for (std::size_t i = 0; i < 19; ++i) {
      EXPECT_NEAR(gradients.w_dec[f * 19 + i], raw[i] - along * sae.w_dec()[f * 19 + i], 1e-7)
          << "w_dec[" << f << ", " << i << "]";
    }
  }
}

TEST(SaeTrainer, CountsTokensSinceFeaturesFired) {
  Sae sae = random_sae(8, 16, 2, 9);
  for (std::size_t f = 4; f < 16; ++f) sae.b_enc()[f] = -1000;  // only the first four can fire
  SaeTrainer trainer(std::move(sae), {.selection = Selection::f32, .dead_after_tokens = 100});
  Rng rng(25, "fired");
  EXPECT_EQ(trainer.step(random_tensor(60, 8, rng), {.lr = 0}).n_dead, 0);
  EXPECT_EQ(trainer.step(random_tensor(60, 8, rng), {.lr = 0}).n_dead, 12);
  EXPECT_EQ(trainer.tokens_since_fired()[10], 120);
  EXPECT_EQ(trainer.tokens_since_fired()[0], 0);
  EXPECT_EQ(trainer.n_tokens(), 120);
}

// A step counts its own tokens before it asks what is dead: of a run as long as the bound, the last
// step revives.
TEST(SaeTrainer, RevivesInTheStepInWhichAFeatureBecomesDead) {
  for (const char* device : {"cpu", "aten"}) {
    Sae sae = random_sae(8, 16, 2, 9);
    for (std::size_t f = 4; f < 16; ++f) sae.b_enc()[f] = -1000;
    SaeTrainer trainer(std::move(sae), {.selection = Selection::f32,
                                        .auxk_coefficient = 1,
                                        .dead_after_tokens = 120,
                                        .device = device});
    Rng rng(25, "fired");
    EXPECT_EQ(trainer.step(random_tensor(60, 8, rng), {.lr = 0}).aux_loss, 0) << device;
    const StepReport second = trainer.step(random_tensor(60, 8, rng), {.lr = 0});
    EXPECT_EQ(second.n_dead, 12) << device;
    EXPECT_GT(second.aux_loss, 0) << device;
  }
}

// Eight features win most contests, for the encoder rows of the others, which are the planted ones,
// are far too short. What the eight leave over brings the others back; without AuxK they stay.
TEST(SaeTrainer, DeadFeaturesComeBackByWhatTheLivingLeaveOver) {
  const int n_threads = at::get_num_threads();
  at::set_num_threads(1);
  constexpr std::int64_t kWidth = 32, kPlanted = 48, kLiving = 8, kBatch = 256;
  const Sae truth = Sae::random(SaeSpec::topk(kWidth, kPlanted, 3), identity_transform(kWidth), 12);
  const auto n_dead = [&](double auxk, std::int64_t n_steps) {
    Sae sae =
        Sae::random(SaeSpec::topk(kWidth, kLiving + kPlanted, 3), identity_transform(kWidth), 13);
    for (std::size_t i = 0; i < std::size_t(kPlanted * kWidth); ++i) {
      const std::size_t at = std::size_t(kLiving * kWidth) + i;
      sae.w_dec()[at] = truth.w_dec()[i];
      sae.w_enc()[at] = 0.002f * truth.w_dec()[i];
    }
    SaeTrainer trainer(std::move(sae), {.auxk_coefficient = auxk, .dead_after_tokens = 4 * kBatch});
    Rng rng(29, "planted");
    std::int64_t dead = 0;
    for (std::int64_t i = 0; i < n_steps; ++i)
      dead =
          trainer.step(truth.decode(planted_codes(kBatch, kPlanted, 3, rng)), {.lr = 2e-3}).n_dead;
    return dead;
  };
  // Some fire where fewer than three of the eight are positive.
  EXPECT_GE(n_dead(0, 5), kPlanted / 3);
  EXPECT_GE(n_dead(0, 200), kPlanted / 3);
  EXPECT_LE(n_dead(1.0 / 32, 200), kPlanted / 8);
  at::set_num_threads(n_threads);
}

TEST(SaeTrainer, DecoderRowsKeepUnitNorm) {
  SaeTrainer trainer(random_sae(40, 100, 5, 10), {});
  Rng rng(26, "unit norm");
  for (int i = 0; i < 5; ++i) trainer.step(random_tensor(50, 40, rng), {.lr = 0.05});
  for (std::size_t f = 0; f < 100; ++f) {
    double squares = 0;
    for (std::size_t i = 0; i < 40; ++i) {
      squares += double(trainer.sae().w_dec()[f * 40 + i]) * trainer.sae().w_dec()[f * 40 + i];
    }
    EXPECT_NEAR(squares, 1, 8 * kEpsilon) << "row " << f;
  }
}

// Moments alone can break: a gradient's square overflows where its quotient still makes a step.
TEST(TrainerState, KnowsWhetherAllOfItIsFinite) {
  TrainerState state(random_sae(19, 140, 6, 4));
  EXPECT_TRUE(is_finite(state));
  for (Parameter& parameter : state.parameters)
    for (const std::span<float> values :
         {parameter.weights, parameter.first.span(), parameter.second.span()})
      for (const float broken :
           {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        const float kept = std::exchange(values[values.size() / 2], broken);
        EXPECT_FALSE(is_finite(state)) << parameter.name;
        values[values.size() / 2] = kept;
      }
  state.parameters.front().weights[0] = std::numeric_limits<float>::max();
  state.parameters.front().weights[1] = std::numeric_limits<float>::max();
  EXPECT_TRUE(is_finite(state));
}

TEST(SaeTrainer, RefusesNonFiniteTokensAndKeepsItsState) {
  for (const char* device : {"cpu", "aten"}) {
    const TrainerOptions options{.selection = Selection::f32, .device = device};
    SaeTrainer trainer(random_sae(8, 16, 2, 11), options),
        untouched(random_sae(8, 16, 2, 11), options);
    at::Tensor z = at::zeros({4, 8});
    z[1][2] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THROW(trainer.step(z, {.lr = 1e-3}), Error);
    expect_same_bits(trainer, untouched);
  }
}

TEST(SaeTrainer, RefusesDamagedStates) {
  const Folder folder;
  const fs::path path = folder / "state.safetensors", bad = folder / "bad.safetensors";
  SaeTrainer(random_sae(8, 16, 2, 14), {}).save(path);
  const SafetensorsFile file(path);
  const auto expect_refused = [&](const std::map<std::string, std::string>& changes,
                                  const std::string& dropped, const char* what) {
    std::vector<NamedTensor> tensors;
    for (const auto& [name, tensor] : file.tensors()) {
      if (name != dropped) tensors.push_back({name, tensor});
    }
    std::map<std::string, std::string> metadata = file.metadata();
    for (const auto& [key, value] : changes) metadata[key] = value;
    write_safetensors(bad, tensors, metadata);
    EXPECT_THROW(SaeTrainer::resume(bad, {}), Error) << what;
  };
  expect_refused({}, "adam.second.b_dec", "a moment is missing");
  expect_refused({}, "tokens_since_fired", "counters are missing");
  expect_refused({{"k", "17"}}, "", "k > n_features");
  expect_refused({{"n_features", "1000000"}}, "", "more features than the file holds");
  expect_refused({{"d_in", "-8"}}, "", "negative width");
  expect_refused({{"n_steps", "many"}}, "", "not a number");
  expect_refused({{"scale", "nan"}}, "", "NaN scale");
  expect_refused({{"format", "safesail.trainer.9"}}, "", "unknown format");
  EXPECT_NO_THROW(SaeTrainer::resume(path, {}));
}

}  // namespace
}  // namespace safesail
