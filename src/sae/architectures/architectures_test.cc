// What every architecture must do, tested for each of them.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <numeric>
#include <unistd.h>

#include "base/error.h"
#include "sae/architecture.h"
#include "sae/checkpoint.h"
#include "sae/sparse_step.h"
#include "sae/test_support.h"
#include "sae/trainer.h"

namespace safesail {
namespace {

constexpr double kEpsilon = 0x1p-24;

SaeSpec small_spec(const Architecture& architecture, std::int64_t d, std::int64_t n_features) {
  return trained_spec(architecture.name(), d, n_features, std::min<std::int64_t>(n_features, 5));
}

SaeSpec transcoder_spec(const Architecture& architecture, std::int64_t d_in, std::int64_t d_out,
                        std::int64_t n_features) {
  SaeSpec spec = small_spec(architecture, d_in, n_features);
  spec.d_out = d_out;
  spec.transcoder = spec.skip = true;
  spec.apply_b_dec_to_input = false;
  return spec;
}

class EveryArchitecture : public testing::TestWithParam<const Architecture*> {
 public:
  ~EveryArchitecture() override { fs::remove_all(folder_); }

 protected:
  EveryArchitecture()
      : folder_(fs::temp_directory_path() /
                ("safesail_architectures_test." + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  const Architecture& architecture() const { return *GetParam(); }

  const fs::path folder_;
};

INSTANTIATE_TEST_SUITE_P(All, EveryArchitecture, testing::ValuesIn(all_architectures()),
                         [](const auto& one) { return std::string(one.param->name()); });

void expect_close(const SaeTrainer& left, const SaeTrainer& right, double tolerance) {
  expect_near(left.sae().w_enc(), right.sae().w_enc(), tolerance, "w_enc");
  expect_near(left.sae().b_enc(), right.sae().b_enc(), tolerance, "b_enc");
  expect_near(left.sae().threshold(), right.sae().threshold(), tolerance, "threshold");
  expect_near(left.sae().w_dec(), right.sae().w_dec(), tolerance, "w_dec");
  expect_near(left.sae().b_dec(), right.sae().b_dec(), tolerance, "b_dec");
  expect_near(left.sae().w_skip(), right.sae().w_skip(), tolerance, "w_skip");
}

// The sparse step against autograd of the architecture's plain definition, sums in another order.
// Adam turns a relative error r of a gradient into r * lr of its weight; as in the golden test r is
// at most 10^4 * 64 eps.
void compare_steps(const SaeSpec& spec, std::int64_t batch, Rng& rng) {
  constexpr double kLr = 1e-3;
  TrainerOptions options{.selection = Selection::f32,
                         .clip_norm = batch == 17 ? 0.01 : 0,
                         .auxk_coefficient = batch == 64 ? 1.0 / 32 : 0,
                         .dead_after_tokens = 64,
                         .bandwidth = 0.5};
  const Sae start = random_sae(spec, 6);
  SaeTrainer sparse(start.clone(), options);
  options.device = "aten";
  SaeTrainer dense(start.clone(), options);
  for (int i = 1; i <= 3; ++i) {
    const at::Tensor z = random_tensor(batch, spec.d_in, rng);
    const at::Tensor target = spec.transcoder ? random_tensor(batch, spec.d_out, rng) : z;
    const StepReport left = sparse.step(z, target, {.lr = kLr});
    const StepReport right = dense.step(z, target, {.lr = kLr});
    const double tolerance = i * kLr * 1e4 * 64 * kEpsilon;
    EXPECT_NEAR(left.loss, right.loss, tolerance * (1 + right.loss));
    EXPECT_NEAR(left.fvu, right.fvu, tolerance * (1 + right.fvu));
    EXPECT_NEAR(left.aux_loss, right.aux_loss, tolerance);
    EXPECT_NEAR(left.sparsity_loss, right.sparsity_loss, tolerance * (1 + right.sparsity_loss));
    EXPECT_NEAR(left.grad_norm, right.grad_norm, tolerance * (1 + right.grad_norm));
    EXPECT_EQ(left.l0, right.l0);
    EXPECT_EQ(left.n_dead, right.n_dead);
    expect_close(sparse, dense, tolerance);
    if (testing::Test::HasFailure()) return;
  }
}

TEST_P(EveryArchitecture, StepsAsItsDefinitionForAllTailSizes) {
  Rng rng(22, "sparse and dense");
  for (const std::int64_t d : {3, 16, 33, 100}) {
    for (const std::int64_t n_features : {7, 31, 129, 300}) {
      for (const std::int64_t batch : {1, 17, 64}) {
        SCOPED_TRACE(testing::Message() << "d " << d << " F " << n_features << " B " << batch);
        compare_steps(small_spec(architecture(), d, n_features), batch, rng);
        if (HasFailure()) return;
      }
    }
  }
}

TEST_P(EveryArchitecture, TranscodersStepAsTheirDefinition) {
  Rng rng(23, "transcoders");
  for (const std::int64_t batch : {1, 17, 64})
    compare_steps(transcoder_spec(architecture(), 20, 33, 140), batch, rng);
}

TEST_P(EveryArchitecture, BitsDoNotDependOnTheThreads) {
  const int n_threads = at::get_num_threads();
  for (const Selection selection : {Selection::f32, Selection::bf16}) {
    std::vector<SaeTrainer> trainers;
    for (const int threads : {1, 2, 3, 7}) {
      at::set_num_threads(threads);
      SaeTrainer& trainer = trainers.emplace_back(
          random_sae(trained_spec(architecture().name(), 72, 1500, 8), 7),
          TrainerOptions{
              .selection = selection, .auxk_coefficient = 0.1, .dead_after_tokens = 300});
      Rng rng(23, "threads");
      for (int i = 0; i < 3; ++i) trainer.step(random_tensor(300, 72, rng), {.lr = 1e-3});
    }
    at::set_num_threads(n_threads);
    for (const SaeTrainer& trainer : trainers) expect_close(trainers.front(), trainer, 0);
  }
}

TEST_P(EveryArchitecture, ResumesBitForBit) {
  for (const char* device : {"cpu", "aten"}) {
    const TrainerOptions options{
        .auxk_coefficient = 0.1, .dead_after_tokens = 100, .device = device};
    const SaeSpec spec = transcoder_spec(architecture(), 20, 12, 200);
    SaeTrainer whole(random_sae(spec, 8), options), first(random_sae(spec, 8), options);
    Rng rng(24, "resume");
    const auto step = [&](SaeTrainer& left, SaeTrainer& right) {
      const at::Tensor z = random_tensor(64, 20, rng), target = random_tensor(64, 12, rng);
      const StepReport one = left.step(z, target, {.lr = 1e-3}),
                       other = right.step(z, target, {.lr = 1e-3});
      EXPECT_EQ(one.loss, other.loss) << device << ", step " << left.n_steps();
      EXPECT_EQ(one.n_dead, other.n_dead);
    };
    for (int i = 0; i < 4; ++i) step(whole, first);
    first.save(folder_ / "state.safetensors", {{"cursor", "4"}});
    std::map<std::string, std::string> metadata;
    SaeTrainer second = SaeTrainer::resume(folder_ / "state.safetensors", options, &metadata);
    EXPECT_EQ(metadata, (std::map<std::string, std::string>{{"cursor", "4"}}));
    EXPECT_EQ(second.n_steps(), 4);
    for (int i = 0; i < 4; ++i) step(whole, second);
    expect_close(whole, second, 0);
  }
}

TEST_P(EveryArchitecture, SavesWhatRuns) {
  Rng rng(25, "save");
  const SaeSpec spec = small_spec(architecture(), 24, 150);
  SaeTrainer trainer(random_sae(spec, 9), {.selection = Selection::f32});
  for (int i = 0; i < 5; ++i) trainer.step(random_tensor(64, 24, rng), {.lr = 1e-3});
  save_sae(folder_ / "sae.safetensors", trainer.sae(), {}, random_tensor(64, 24, rng));
  EXPECT_EQ(verify_sae(folder_ / "sae.safetensors").n_different, 0);
  EXPECT_EQ(load_sae(folder_ / "sae.safetensors").sae.spec(), spec);
}

// An L1 term shrinks every value, so that the FVU says little. But error and term together are less
// than what the planted directions themselves reach, whatever bias and gain they are read with.
void expect_penalised_optimum(const StepReport& last, const at::Tensor& error,
                              const SparseCodes& codes, const at::Tensor& z,
                              const at::Tensor& planted) {
  const auto n = double(z.size(0)), size = double(z.numel());
  const double sum = std::accumulate(codes.values.begin(), codes.values.end(), 0.0);
  // The last batch and this one are alike in how much is active.
  const double weight = last.sparsity_loss / (sum / n);
  const double trained = error.square().sum().item<double>() / size + last.sparsity_loss;
  double best = 1e9;
  for (double bias = 0; bias < 5; bias += 0.25)
    for (double gain = 0.3; gain < 1.3; gain += 0.1) {
      const at::Tensor values = z.matmul(planted.t()).sub(bias).relu().mul(gain);
      const double loss = values.matmul(planted).sub(z).square().sum().item<double>() / size +
                          weight * values.sum().item<double>() / n;
      best = std::min(best, loss);
    }
  std::printf("relu: loss %.4f, with the planted directions %.4f\n", trained, best);
  EXPECT_LT(trained, best);
}

// On tokens made of known sparse directions the trained SAE finds the directions, its L0 comes to
// the planted one, and what runs is as good as what trains.
TEST_P(EveryArchitecture, RecoversAPlantedDictionary) {
  const int n_threads = at::get_num_threads();
  at::set_num_threads(1);  // tiny steps: threads would mostly wait for each other
  constexpr std::int64_t kWidth = 32, kPlanted = 48, kActive = 3, kBatch = 512;
  Rng rng(27, "planted");
  const Sae truth =
      Sae::random(SaeSpec::topk(kWidth, kPlanted, kActive), identity_transform(kWidth), 12);
  const auto planted_batch = [&] {
    // E|z|^2 = d as the transforms make it: three unit vectors of mean square 7/3.
    return truth.decode(planted_codes(kBatch, kPlanted, kActive, rng))
        .mul_(std::sqrt(double(kWidth) / 7));
  };
  SaeTrainer trainer(Sae::random(trained_spec(architecture().name(), kWidth, 96, kActive),
                                 identity_transform(kWidth), 13),
                     {.auxk_coefficient = 1.0 / 32, .dead_after_tokens = 20 * kBatch});
  constexpr int kSteps = 1500;
  StepReport last;
  for (int i = 0; i < kSteps; ++i)
    last = trainer.step(planted_batch(), {.lr = 3e-3 * std::min(1.0, 3.0 * (kSteps - i) / kSteps)});
  const Sae& sae = trainer.sae();
  const at::Tensor held_out = planted_batch();
  const SparseCodes codes = sae.encode(held_out);
  const at::Tensor error = sae.decode(codes).sub(held_out);
  const double deviation = held_out.sub(held_out.mean(0, true)).square().sum().item<double>();
  const double fvu = error.square().sum().item<double>() / deviation;
  const at::Tensor cosines =
      tensor_of(truth.w_dec(), kWidth).matmul(tensor_of(sae.w_dec(), kWidth).t());
  const double mean_best = std::get<0>(cosines.max(1)).mean().item<double>();
  const double l0 = double(codes.n_active()) / double(kBatch);
  std::printf("%-10s mean max cosine %.3f  FVU %.3f  L0 %.2f\n",
              std::string(architecture().name()).c_str(), mean_best, fvu, l0);
  EXPECT_GT(mean_best, 0.97);
  EXPECT_NEAR(l0, kActive, 0.04 * kActive);
  if (architecture().name() == "relu")
    expect_penalised_optimum(last, error, codes, held_out, tensor_of(truth.w_dec(), kWidth));
  else
    EXPECT_LT(fvu, 0.06);
  at::set_num_threads(n_threads);
}

// The rates of a short run (schedule.cc: 1.1e-2 for 512 features and a hundred steps) at a width at
// which sqrt(d) times them is more than the window of the thresholds.
TEST(Architectures, JumpReluComesToItsTargetInAShortRun) {
  const int n_threads = at::get_num_threads();
  at::set_num_threads(1);
  constexpr std::int64_t kWidth = 144, kActive = 8, kBatch = 256;
  constexpr int kSteps = 120;
  Rng rng(28, "planted");
  const Sae truth =
      Sae::random(SaeSpec::topk(kWidth, 300, kActive), identity_transform(kWidth), 14);
  SaeTrainer trainer(
      Sae::random(trained_spec("jumprelu", kWidth, 512, kActive), identity_transform(kWidth), 15),
      {});
  double l0 = 0, fvu = 0;
  for (int i = 0; i < kSteps; ++i) {
    const double share = (i + 0.5) / kSteps;
    const at::Tensor z = truth.decode(planted_codes(kBatch, 300, kActive, rng))
                             .mul_(std::sqrt(double(kWidth) / (kActive * 7.0 / 3)));
    const StepReport report =
        trainer.step(z, {.lr = 1.13e-2 * std::min({share / 0.05, (1 - share) / 0.3, 1.0})});
    if (i < kSteps - 10) continue;
    l0 += report.l0 / 10;
    fvu += report.fvu / 10;
  }
  std::printf("jumprelu, short: L0 %.2f, FVU %.3f\n", l0, fvu);
  EXPECT_NEAR(l0, kActive, 0.05 * kActive);
  EXPECT_LT(fvu, 0.25);
  at::set_num_threads(n_threads);
}

TEST(Architectures, PenaltiesRestWhereWeightsCannotFollow) {
  for (const char* name : {"relu", "gated"}) {
    TrainerState state(random_sae(trained_spec(name, 8, 16, 2), 3));
    state.penalty = 1;
    const StepFacts twice_the_target{.l0 = 4, .pace = 0};
    state.architecture->after_step(state, {}, twice_the_target);
    EXPECT_EQ(state.penalty, 1) << name;
    state.architecture->after_step(state, {}, {.l0 = 4, .pace = 0.5});
    EXPECT_NEAR(state.penalty, std::exp(0.05 * 0.5 * std::log(2.0)), 1e-12) << name;
  }
}

TEST(Architectures, UnknownOnesAreRefusedWithTheNames) {
  try {
    find_architecture("topkk");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("topk, batchtopk, matryoshka"), std::string::npos)
        << error.what();
  }
}

TEST(Architectures, NeedATargetOrAPenalty) {
  for (const char* name : {"relu", "gated", "jumprelu", "batchtopk"}) {
    const SaeSpec spec = trained_spec(name, 8, 16, 0);
    EXPECT_THROW(SaeTrainer(Sae::random(spec, identity_transform(8), 1), {}), Error) << name;
  }
}

}  // namespace
}  // namespace safesail
