// Training on activations from files, from the call to the evaluation.
#include "train/run_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/rng.h"
#include "formats/safetensors.h"
#include "sae/checkpoint.h"
#include "train/training_curves.h"
#include "workspace.h"

namespace safesail {
namespace {

class RunFilesTest : public WorkspaceTest {};

constexpr std::int64_t kRows = 8000, kWidth = 32;

/// Rows that are sums of `n_terms` of so many random directions.
std::vector<float> rows_of_directions(std::int64_t n_rows, std::uint64_t n_directions, int n_terms,
                                      const char* name) {
  Rng rng(5, name);
  std::vector<float> directions(n_directions * kWidth);
  std::vector<float> x(static_cast<std::size_t>(n_rows * kWidth));
  for (float& value : directions) value = static_cast<float>(rng.normal());
  for (std::int64_t row = 0; row < n_rows; ++row)
    for (int n = 0; n < n_terms; ++n) {
      const std::uint64_t direction = rng.below(n_directions);
      const auto weight = static_cast<float>(1 + rng.uniform());
      for (std::int64_t i = 0; i < kWidth; ++i)
        x[static_cast<std::size_t>(row * kWidth + i)] +=
            weight * directions[direction * kWidth + static_cast<std::size_t>(i)];
    }
  return x;
}

std::vector<float> planted_rows() {
  return rows_of_directions(kRows, 16, 2, "planted");
}

/// 256 features have enough to do.
std::vector<float> crowded_rows(std::int64_t n_rows) {
  return rows_of_directions(n_rows, 200, 3, "crowded");
}

NamedTensor tensor_of(const char* name, const std::vector<float>& x) {
  return {name, {DType::f32, {kRows, kWidth}, std::as_bytes(std::span(x))}};
}

// An SAE of k = 2 explains most of their variance, and rows beyond the training share are what it
// is measured on.
TEST_F(RunFilesTest, EvaluatesOnTheRowsThatTrainingLeftOut) {
  const std::vector<float> x = planted_rows();
  const std::vector<NamedTensor> tensors = {tensor_of("x", x)};
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

// With nothing set but what makes the run small: features that die are noticed long before the end,
// AuxK works on them, and some fire again. (That it is AuxK which brings them back is shown where
// nothing else could: DeadFeaturesComeBackByWhatTheLivingLeaveOver.)
TEST_F(RunFilesTest, DeadFeaturesComeBackInADefaultRun) {
  constexpr std::int64_t kCrowdedRows = 16'000;
  const std::vector<float> x = crowded_rows(kCrowdedRows);
  const NamedTensor tensor = {"x",
                              {DType::f32, {kCrowdedRows, kWidth}, std::as_bytes(std::span(x))}};
  write_safetensors(dir_ / "x.safetensors", std::vector<NamedTensor>{tensor});
  const auto dead_by_block = [&](const char* name, bool revive) {
    FileRunConfig config{.activations = dir_ / "x.safetensors", .out = dir_ / name};
    config.lists.sites = {"x"};
    config.lists.ks = {3};
    config.lists.n_features = {256};
    config.grid.batch_tokens = 128;
    config.grid.block_rows = 512;
    if (!revive) config.lists.trainer.auxk_coefficient = 0;
    SilentReporter silent;
    run_on_activations(config, {}, silent, {});
    std::vector<int> dead;
    std::istringstream lines(read_file(dir_ / name / "metrics.jsonl", 1 << 20));
    for (std::string line; std::getline(lines, line);)
      dead.push_back(nlohmann::json::parse(line).at("n_dead"));
    return dead;
  };
  const std::vector<int> with = dead_by_block("with", true),
                         without = dead_by_block("without", false);
  const auto first_dead = std::ranges::find_if(with, [](int dead) { return dead > 0; });
  EXPECT_NE(first_dead, with.begin()) << "nothing is dead before a tenth of the budget";
  EXPECT_LT(first_dead - with.begin(), std::ssize(with) / 2);
  EXPECT_NE(with, without) << "AuxK does something";
  bool came_back = false;
  for (auto now = first_dead; now + 1 < with.end(); ++now) came_back |= now[1] < now[0];
  EXPECT_TRUE(came_back);
}

TEST_F(RunFilesTest, TrainsTranscodersBesideSaes) {
  const std::vector<float> x = planted_rows();
  std::vector<float> y = x;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = 3 * x[i / kWidth * kWidth + (i + 1) % kWidth];
  const std::vector<NamedTensor> tensors = {tensor_of("in", x), tensor_of("out", y)};
  write_safetensors(dir_ / "xy.safetensors", tensors);

  FileRunConfig config{.activations = dir_ / "xy.safetensors", .out = dir_ / "run"};
  config.lists = {.sites = {"out"},
                  .transcoders = {"in:out"},
                  .architectures = {"topk", "batchtopk"},
                  .ks = {4},
                  .n_features = {64},
                  .skip = true};
  config.grid.batch_tokens = 128;
  config.grid.block_rows = 1024;
  config.grid.lr = 5e-3;
  SilentReporter silent;
  const RunResult result = run_on_activations(config, {}, silent, {});
  ASSERT_EQ(result.training.cells.size(), 4u);
  // y is a permutation of x's coordinates, three times as large: a linear map.
  ASSERT_EQ(result.cells.size(), 4u);
  for (const CellResult& cell : result.cells) {
    EXPECT_EQ(cell.id.output_site, "out");
    EXPECT_LT(cell.fvu.value, 0.5) << cell.id.site << " " << cell.id.architecture;
  }
  const LoadedSae loaded = load_sae(dir_ / "run/sae/in__out/topk-k4/sae.safetensors");
  EXPECT_TRUE(loaded.sae.spec().transcoder && loaded.sae.spec().skip);
  EXPECT_EQ(loaded.provenance.site, "in");
  EXPECT_EQ(loaded.provenance.output_site, "out");
  const auto curves = read_training_curves(dir_ / "run/metrics.jsonl");
  ASSERT_EQ(curves.size(), 4u);
  for (const TrainingCurve& curve : curves)
    EXPECT_LT(curve.points.back().fvu, 0.8 * curve.points.front().fvu)
        << curve.id.site << " " << curve.id.output_site << " " << curve.id.architecture;
}

// 80 documents of 100 rows; the last 8 are held out. Without ids there are no intervals.
TEST_F(RunFilesTest, DocumentIdsGiveIntervals) {
  const std::vector<float> x = planted_rows();
  std::vector<std::uint64_t> document;
  for (std::uint64_t row = 0; row < kRows; ++row) document.push_back(row / 100);
  const NamedTensor ids = {"document", {DType::u64, {kRows}, std::as_bytes(std::span(document))}};
  write_safetensors(dir_ / "with.safetensors", std::vector<NamedTensor>{tensor_of("x", x), ids});
  write_safetensors(dir_ / "without.safetensors", std::vector<NamedTensor>{tensor_of("x", x)});
  for (const bool with : {true, false}) {
    const char* name = with ? "with" : "without";
    FileRunConfig config{.activations = dir_ / (std::string(name) + ".safetensors"),
                         .held_out_share = 0.1,
                         .out = dir_ / name};
    config.lists = {.sites = {"x"}, .ks = {2}, .n_features = {64}};
    config.grid.batch_tokens = 128;
    config.grid.block_rows = 1024;
    SilentReporter silent;
    const RunResult result = run_on_activations(config, {}, silent, {});
    ASSERT_EQ(result.cells.size(), 1u);
    const CellResult& cell = result.cells[0];
    EXPECT_EQ(cell.n_documents, with ? 8u : 0u);
    EXPECT_EQ(cell.fvu.has_interval(), with);
    const std::string page = read_file(dir_ / name / "report.html", 1 << 24);
    EXPECT_THAT(page, testing::HasSubstr(with ? "resamples of documents" : "no document ids"));
  }
}

// A run of one batch: its only step has a learning rate, so that another one gives other weights.
TEST_F(RunFilesTest, TheFirstStepLearns) {
  const std::vector<float> x = planted_rows();
  write_safetensors(dir_ / "x.safetensors", std::vector<NamedTensor>{tensor_of("x", x)});
  std::vector<float> weights;
  for (const double lr : {1e-3, 2e-3}) {
    FileRunConfig config{.activations = dir_ / "x.safetensors",
                         .held_out_share = 0,
                         .out = dir_ / std::to_string(lr)};
    config.lists = {.sites = {"x"}, .ks = {2}, .n_features = {64}};
    config.grid.n_tokens = config.grid.batch_tokens = config.grid.block_rows = 256;
    config.grid.lr = lr;
    SilentReporter silent;
    run_on_activations(config, {}, silent, {});
    const LoadedSae loaded = load_sae(config.out / "sae/x/topk-k2/sae.safetensors");
    weights.push_back(loaded.sae.w_enc()[0]);
  }
  EXPECT_NE(weights[0], weights[1]);
}

TEST_F(RunFilesTest, RefusesToAnnealWhatIsNotFixed) {
  const std::vector<float> x = planted_rows();
  write_safetensors(dir_ / "x.safetensors", std::vector<NamedTensor>{tensor_of("x", x)});
  for (const char* architecture : {"jumprelu", "relu", "gated"}) {
    FileRunConfig config{.activations = dir_ / "x.safetensors", .out = dir_ / architecture};
    config.lists = {
        .sites = {"x"}, .architectures = {"topk", architecture}, .ks = {2}, .n_features = {64}};
    config.grid.k_anneal_share = 0.1;
    SilentReporter silent;
    try {
      run_on_activations(config, {}, silent, {});
      FAIL() << architecture;
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_THAT(error.problem(), testing::HasSubstr(architecture));
    }
  }
}

TEST_F(RunFilesTest, DropsSinksWhenAsked) {
  std::vector<float> x = planted_rows();
  for (std::int64_t row = 0; row < kRows; row += 100)
    for (std::int64_t i = 0; i < kWidth; ++i) x[static_cast<std::size_t>(row * kWidth + i)] *= 300;
  const std::vector<NamedTensor> tensors = {tensor_of("x", x)};
  write_safetensors(dir_ / "x.safetensors", tensors);
  FileRunConfig config{
      .activations = dir_ / "x.safetensors", .held_out_share = 0, .out = dir_ / "run"};
  config.lists = {.sites = {"x"}, .ks = {2}, .n_features = {64}};
  config.grid.drop_sinks = 50;
  SilentReporter silent;
  run_on_activations(config, {}, silent, {});
  // 80 rows are 300 times as long as others, and no other row is 50 times the median: a row is the
  // sum of at most two directions with weights from 1 to 2.
  EXPECT_EQ(load_sae(dir_ / "run/sae/x/topk-k2/sae.safetensors").provenance.tokens_trained,
            kRows - 80);
  const auto sites = nlohmann::json::parse(read_file(dir_ / "run/sites.json", 1 << 20));
  EXPECT_EQ(sites.at(0).at("n_sinks"), 80);
}

}  // namespace
}  // namespace safesail
