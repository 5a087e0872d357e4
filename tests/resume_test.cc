// Kill it anywhere, run it again: the result is the same, bit for bit.
#include <ATen/Parallel.h>
#include <cstdlib>
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
#include "tiny_model.h"
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

/// Steps as small as these would mostly wait for each other's threads, here and in the program; the
/// bits are the same for any number.
class OneThreadTest : public WorkspaceTest {
 protected:
  void SetUp() override {
    WorkspaceTest::SetUp();
    at::set_num_threads(1);
    ::setenv("OMP_NUM_THREADS", "1", 1);
  }
  void TearDown() override {
    ::unsetenv("OMP_NUM_THREADS");
    at::set_num_threads(n_threads_);
    WorkspaceTest::TearDown();
  }

 private:
  const int n_threads_ = at::get_num_threads();
};

class ResumeTest : public OneThreadTest {
 protected:
  void SetUp() override {
    OneThreadTest::SetUp();
    // Mostly six of the directions, so that features die and AuxK has to do.
    std::vector<float> x(static_cast<std::size_t>(kRows * kWidth));
    Rng rng(11, "activations");
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>(rng.normal() * (i % kWidth < 6 ? 3 : 0.1));
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
    config.cells = make_cells(lists, {{"x", kWidth}}, kRows);
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
  EXPECT_THAT(bytes_of(dir_ / "whole" / "metrics.jsonl"), testing::ContainsRegex("n_dead.:[1-9]"))
      << "AuxK is at work, too";
  for (int blocks : {1, 2, 5}) {
    const fs::path run = dir_ / std::to_string(blocks);
    StopAfter reporter(blocks);
    EXPECT_THROW(train(run, reporter.stop.get_token(), reporter), Error);
    EXPECT_FALSE(fs::exists(run / "sae"));
    train(run, {}, silent);
    expect_same_runs(run, dir_ / "whole");
  }
}

/// The program, running on its own.
class Child {
 public:
  explicit Child(const std::string& arguments) {
    std::vector<std::string> words = {"safesail"};
    std::istringstream split(arguments);
    for (std::string word; split >> word;) words.push_back(word);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execv(SAFESAIL_PROGRAM, argv.data());
      ::_exit(127);
    }
  }
  void signal(int number) const { ::kill(pid_, number); }
  /// As waitpid() tells it.
  int wait() const {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return status;
  }

 private:
  pid_t pid_ = -1;
};

/// Kills the program at random moments: while it starts, trains, writes a checkpoint or an SAE.
/// It may be faster; that is fine, what it leaves must be the same.
void kill_at_random(const std::string& arguments, int rounds, unsigned most_milliseconds) {
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < rounds; ++round) {
    const Child child(arguments);
    std::this_thread::sleep_for(std::chrono::milliseconds(50 + random() % most_milliseconds));
    child.signal(SIGKILL);
    if (WIFEXITED(child.wait())) break;
  }
}

/// Each tensor of each SAE; provenance may differ.
void expect_same_tensors(const fs::path& a, const fs::path& b) {
  const SafetensorsFile left(a), right(b);
  ASSERT_EQ(left.tensors().size(), right.tensors().size());
  for (const auto& [name, tensor] : right.tensors())
    EXPECT_TRUE(std::ranges::equal(left.at(name).bytes, tensor.bytes)) << name << " of " << a;
}

TEST_F(ResumeTest, KilledAtAnyMomentEqualsUninterrupted) {
  SilentReporter silent;
  train(dir_ / "whole", {}, silent);
  const fs::path run = dir_ / "killed";
  const std::string arguments =
      fmt::format("train --activations {}{} --out {}", (dir_ / "x.safetensors").string(),
                  kArguments, run.string());
  kill_at_random(arguments, 8, 250);
  const Outcome outcome = run_safesail(arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  for (const GridCell& cell : config().cells)
    expect_same_tensors(cell.file(run), cell.file(dir_ / "whole"));
  EXPECT_EQ(bytes_of(run / "metrics.jsonl"), bytes_of(dir_ / "whole" / "metrics.jsonl"));
}

/// A model computes ahead while the SAEs train.
class ResumeWithModelTest : public OneThreadTest {
 protected:
  void SetUp() override {
    OneThreadTest::SetUp();
    write_tiny_model(dir_ / "model");
    write_file(dir_ / "corpus.txt", tiny_corpus(1000, 20));
  }
  std::string arguments(const char* run) const {
    return fmt::format(
        "train --model {} --corpus {} --sites mlp_out.0,resid_post.1 --arch topk,jumprelu -k 4 "
        "--features 96 --tokens 15000 --batch 256 --block 500 --shuffle-buffer 1500 --sample 500 "
        "--max-sequence 100 --batch-tokens 500 --checkpoint-minutes 0 --quiet --out {}",
        (dir_ / "model").string(), (dir_ / "corpus.txt").string(), (dir_ / run).string());
  }
  void expect_same_runs(const char* a, const char* b) const {
    for (const char* sae : {"mlp_out.0/topk-k4", "mlp_out.0/jumprelu-k4", "resid_post.1/topk-k4",
                            "resid_post.1/jumprelu-k4"})
      expect_same_tensors(dir_ / a / "sae" / sae / "sae.safetensors",
                          dir_ / b / "sae" / sae / "sae.safetensors");
    EXPECT_EQ(read_file(dir_ / a / "metrics.jsonl", 1 << 24),
              read_file(dir_ / b / "metrics.jsonl", 1 << 24));
  }
  void run_to_the_end(const char* run) const {
    const Outcome outcome = run_safesail(arguments(run));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  }
};

TEST_F(ResumeWithModelTest, KilledAtAnyMomentEqualsUninterrupted) {
  run_to_the_end("whole");
  kill_at_random(arguments("killed"), 6, 300);
  run_to_the_end("killed");
  expect_same_runs("killed", "whole");
}

TEST_F(ResumeWithModelTest, AnInterruptSavesAndGoesOn) {
  run_to_the_end("whole");
  const Child child(arguments("run"));
  // As soon as it trains: most of its thirty blocks are still to come.
  for (int i = 0; i < 60'000 && !fs::exists(dir_ / "run" / "checkpoints"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  child.signal(SIGINT);
  const int status = child.wait();
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_FALSE(fs::exists(dir_ / "run" / "sae"));
  bool saved = false;
  for (const auto& entry : fs::directory_iterator(dir_ / "run" / "checkpoints"))
    saved |= fs::exists(entry.path() / "state.json") && entry.path().extension().empty();
  EXPECT_TRUE(saved);
  run_to_the_end("run");
  expect_same_runs("run", "whole");
}

// One SAE of the grid breaks (its optimiser makes every weight NaN): it is stopped with its
// cause, the others are, bit for bit, what they are without it.
TEST_F(ResumeTest, ABrokenSaeStopsAlone) {
  SilentReporter silent;
  train(dir_ / "whole", {}, silent);
  GridConfig with_broken = config();
  GridLists lists{.sites = {"x"}, .ks = {5}, .n_features = {96}};
  lists.trainer.epsilon = std::numeric_limits<double>::quiet_NaN();
  with_broken.cells.insert(with_broken.cells.begin(),
                           make_cells(lists, {{"x", kWidth}}, kRows).front());
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
