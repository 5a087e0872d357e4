// Training on activations from files, from the call to the evaluation.
#include "train/run_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/rng.h"
#include "formats/safetensors.h"
#include "workspace.h"

namespace safesail {
namespace {

class RunFilesTest : public WorkspaceTest {};

// Rows that are sums of two of 16 random directions: an SAE of k = 2 explains most of their
// variance, and rows beyond the training share are what it is measured on.
TEST_F(RunFilesTest, EvaluatesOnTheRowsThatTrainingLeftOut) {
  constexpr std::int64_t kRows = 8000, kWidth = 32, kDirections = 16;
  Rng rng(5, "planted");
  std::vector<float> directions(kDirections * kWidth), x(kRows * kWidth);
  for (float& value : directions) value = static_cast<float>(rng.normal());
  for (std::int64_t row = 0; row < kRows; ++row)
    for (int n = 0; n < 2; ++n) {
      const std::uint64_t direction = rng.below(kDirections);
      const auto weight = static_cast<float>(1 + rng.uniform());
      for (std::int64_t i = 0; i < kWidth; ++i)
        x[static_cast<std::size_t>(row * kWidth + i)] +=
            weight * directions[direction * kWidth + static_cast<std::size_t>(i)];
    }
  const std::vector<NamedTensor> tensors = {
      {"x", {DType::f32, {kRows, kWidth}, std::as_bytes(std::span(x))}}};
  write_safetensors(dir_ / "x.safetensors", tensors);

  FileRunConfig config{
      .activations = dir_ / "x.safetensors", .held_out_share = 0.1, .out = dir_ / "run"};
  config.lists = {.sites = {"x"}, .ks = {2, 4}, .n_features = {64}};
  config.grid.batch_tokens = 128;
  config.grid.block_rows = 1024;
  config.grid.lr = 5e-3;
  SilentReporter silent;
  const RunResult result = run_on_activations(config, {}, silent, {});
  EXPECT_EQ(result.training.tokens_trained, 7200u);
  ASSERT_EQ(result.cells.size(), 2u);
  for (const CellResult& cell : result.cells) {
    EXPECT_EQ(cell.n_tokens, 800);
    EXPECT_LE(cell.l0.value, static_cast<double>(cell.id.k));
    EXPECT_LT(cell.fvu.value, 0.5) << "k = " << cell.id.k;
    EXPECT_EQ(cell.loss.n_tokens, 0u);
  }
  EXPECT_LT(result.cells[1].fvu.value, result.cells[0].fvu.value)
      << "more active features explain more";
  EXPECT_TRUE(fs::exists(dir_ / "run" / "evaluation.jsonl"));

  // Everything is there: not done again. Other settings are refused, and forced they are done.
  const auto written = fs::last_write_time(dir_ / "run/sae/x/topk-k2/sae.safetensors");
  const RunResult again = run_on_activations(config, {}, silent, {});
  EXPECT_EQ(again.training.tokens_trained, 7200u);
  EXPECT_EQ(fs::last_write_time(dir_ / "run/sae/x/topk-k2/sae.safetensors"), written);
  config.grid.lr = 4e-3;
  try {
    run_on_activations(config, {}, silent, {});
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_THAT(error.problem(), testing::HasSubstr("lr 0.004 instead of 0.005"));
  }
  run_on_activations(config, "train", silent, {});
  EXPECT_NE(fs::last_write_time(dir_ / "run/sae/x/topk-k2/sae.safetensors"), written);
}

}  // namespace
}  // namespace safesail
