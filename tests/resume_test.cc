// Kill it anywhere, run it again: the result is the same, bit for bit.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <signal.h>
#include <sstream>
#include <thread>
#include <unistd.h>

#include "base/error.h"
#include "base/rng.h"
#include "formats/safetensors.h"
#include "harvest/activation_files.h"
#include "train/grid.h"
#include "workspace.h"

namespace safesail {
namespace {

constexpr std::int64_t kRows = 6000, kWidth = 24, kBlock = 1000;
/// The same as ResumeTest::config().
constexpr const char* kArguments =
    " --arch topk,batchtopk,jumprelu -k 3,6 --features 96 --batch 256 --block 1000 "
    "--shuffle-buffer "
    "2000 --sample 1000 --held-out 0 --checkpoint-minutes 0 --quiet";

class ResumeTest : public WorkspaceTest {
 protected:
  void SetUp() override {
    WorkspaceTest::SetUp();
    std::vector<float> x(static_cast<std::size_t>(kRows * kWidth));
    Rng rng(11, "activations");
    for (float& value : x) value = static_cast<float>(rng.normal());
    const std::vector<NamedTensor> tensors = {
        {"x", {DType::f32, {kRows, kWidth}, std::as_bytes(std::span(x))}}};
    write_safetensors(dir_ / "x.safetensors", tensors);
  }
  GridConfig config() const {
    GridConfig config{.sites = {"x"}, .n_tokens = kRows, .batch_tokens = 256};
    GridLists lists{.sites = {"x"},
                    .architectures = {"topk", "batchtopk", "jumprelu"},
                    .ks = {3, 6},
                    .n_features = {96}};
    lists.trainer.dead_after_tokens = kRows;
    config.cells = make_cells(lists, {{"x", kWidth}});
    config.block_rows = kBlock;
    config.shuffle_buffer = 2 * kBlock;
    config.sample_tokens = kBlock;
    config.checkpoint_minutes = 0;
    return config;
  }
  void train(const fs::path& run, std::stop_token stop, Reporter& reporter) const {
    ActivationReader reader(dir_ / "x.safetensors", {"x"}, kBlock);
    train_grid(reader, config(), {SaeProvenance{.site = "x"}}, run, "hash", {}, reporter, stop);
  }
  static std::string bytes_of(const fs::path& path) { return read_file(path, 1 << 28); }
  void expect_same_runs(const fs::path& a, const fs::path& b) const {
    for (const GridCell& cell : config().cells)
      EXPECT_TRUE(bytes_of(cell.file(a)) == bytes_of(cell.file(b))) << cell.folder << " differs";
    EXPECT_EQ(bytes_of(a / "metrics.jsonl"), bytes_of(b / "metrics.jsonl"));
  }
};

/// Asks for a stop after `n` blocks.
class StopAfter final : public Reporter {
 public:
  explicit StopAfter(int n) : left_(n) {}
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view,
                std::string_view) override {
    if (--left_ == 0) stop.request_stop();
  }
  void note(std::string_view) override {}
  void warn(std::string_view) override {}
  std::stop_source stop;

 private:
  int left_;
};

TEST_F(ResumeTest, StoppedAndContinuedEqualsUninterrupted) {
  SilentReporter silent;
  train(dir_ / "whole", {}, silent);
  for (int blocks : {1, 2, 5}) {
    const fs::path run = dir_ / std::to_string(blocks);
    StopAfter reporter(blocks);
    EXPECT_THROW(train(run, reporter.stop.get_token(), reporter), Error);
    EXPECT_FALSE(fs::exists(run / "sae"));
    train(run, {}, silent);
    expect_same_runs(run, dir_ / "whole");
  }
}

// A real process, killed at random moments: while it starts, trains, writes a checkpoint or an SAE.
TEST_F(ResumeTest, KilledAtAnyMomentEqualsUninterrupted) {
  SilentReporter silent;
  train(dir_ / "whole", {}, silent);
  const fs::path run = dir_ / "killed";
  const std::string arguments =
      fmt::format("train --activations {}{} --out {}", (dir_ / "x.safetensors").string(),
                  kArguments, run.string());
  std::vector<std::string> words = {"safesail"};
  std::istringstream split(arguments);
  for (std::string word; split >> word;) words.push_back(word);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < 8; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::execv(SAFESAIL_PROGRAM, argv.data());
      ::_exit(127);
    }
    const unsigned milliseconds = 50 + random() % 600;
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status)) break;  // it was faster; that is fine, the comparison below still holds
  }
  const Outcome outcome = run_safesail(arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  // The provenance differs (the program writes its config hash), the weights and metrics may not.
  for (const GridCell& cell : config().cells) {
    const SafetensorsFile a(cell.file(run)), b(cell.file(dir_ / "whole"));
    for (const auto& [name, tensor] : b.tensors())
      EXPECT_TRUE(std::ranges::equal(a.at(name).bytes, tensor.bytes))
          << name << " of " << cell.folder;
  }
  EXPECT_EQ(bytes_of(run / "metrics.jsonl"), bytes_of(dir_ / "whole" / "metrics.jsonl"));
}

// One SAE of the grid breaks (its optimiser makes every weight NaN): it is stopped with its
// cause, the others are, bit for bit, what they are without it.
TEST_F(ResumeTest, ABrokenSaeStopsAlone) {
  SilentReporter silent;
  train(dir_ / "whole", {}, silent);
  GridConfig with_broken = config();
  GridLists lists{.sites = {"x"}, .ks = {5}, .n_features = {96}};
  lists.trainer.epsilon = std::numeric_limits<double>::quiet_NaN();
  with_broken.cells.insert(with_broken.cells.begin(), make_cells(lists, {{"x", kWidth}}).front());
  ActivationReader reader(dir_ / "x.safetensors", {"x"}, kBlock);
  const fs::path run = dir_ / "run";
  const GridResult result =
      train_grid(reader, with_broken, {SaeProvenance{.site = "x"}}, run, "hash", {}, silent, {});
  EXPECT_EQ(result.n_stopped(), 1u);
  EXPECT_NE(result.cells[0].stopped, "");
  EXPECT_TRUE(fs::exists(with_broken.cells[0].file(run, "stopped.json")));
  EXPECT_FALSE(fs::exists(with_broken.cells[0].file(run)));
  for (const GridCell& cell : config().cells)
    EXPECT_TRUE(bytes_of(cell.file(run)) == bytes_of(cell.file(dir_ / "whole"))) << cell.folder;
  try {
    result.require_all_finished();
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::environment);
    EXPECT_THAT(error.problem(), testing::HasSubstr("1 of 7 SAEs were stopped"));
    EXPECT_THAT(error.problem(), testing::HasSubstr("x/topk-k5"));
  }
}

TEST_F(ResumeTest, ACheckpointOfAnotherConfigurationIsRefused) {
  StopAfter reporter(1);
  EXPECT_THROW(train(dir_ / "run", reporter.stop.get_token(), reporter), Error);
  ActivationReader reader(dir_ / "x.safetensors", {"x"}, kBlock);
  SilentReporter silent;
  try {
    train_grid(reader, config(), {SaeProvenance{.site = "x"}}, dir_ / "run", "another hash", {},
               silent, {});
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::input);
    EXPECT_THAT(error.remedy(), testing::HasSubstr("--force"));
  }
}

}  // namespace
}  // namespace safesail
