// Kill it anywhere, run it again: the result is the same, bit for bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
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

constexpr std::int64_t kRows = 6000, kWidth = 24;

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
    GridConfig config{
        .sites = {"x"}, .ks = {3, 6}, .n_features = 96, .n_tokens = kRows, .batch_tokens = 256};
    config.checkpoint_minutes = 0;
    return config;
  }
  void train(const fs::path& run, std::stop_token stop, Reporter& reporter) const {
    ActivationReader reader(dir_ / "x.safetensors", {"x"}, 1000);
    train_grid(reader, config(), {SaeProvenance{.site = "x"}}, run, "hash", reporter, stop);
  }
  static std::string bytes_of(const fs::path& path) { return read_file(path, 1 << 28); }
  void expect_same_runs(const fs::path& a, const fs::path& b) const {
    for (const std::int64_t k : config().ks)
      EXPECT_TRUE(bytes_of(sae_path(a, "x", k)) == bytes_of(sae_path(b, "x", k)))
          << "SAEs of k = " << k << " differ";
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
    EXPECT_FALSE(fs::exists(run / "checkpoints"));
  }
}

TEST_F(ResumeTest, KilledAtAnyMomentEqualsUninterrupted) {
  SilentReporter silent;
  train(dir_ / "whole", {}, silent);
  const fs::path run = dir_ / "killed";
  // Kill the program three times, each time somewhere else: before, between or in its checkpoints.
  for (int round = 0; round < 3; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const std::string activations = (dir_ / "x.safetensors").string(), out = run.string();
      ::execl(SAFESAIL_PROGRAM, "safesail", "train", "--quiet", "--activations",
              activations.c_str(), "-k", "3,6", "--features", "96", "--batch", "256", "--block",
              "1000", "--held-out", "0", "--checkpoint-minutes", "0", "--out", out.c_str(),
              nullptr);
      ::_exit(127);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300 + 150 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status)) break;  // it was faster; that is fine, the comparison below still holds
  }
  const Outcome outcome = run_safesail(
      "train --quiet --activations " + (dir_ / "x.safetensors").string() +
      " -k 3,6 --features 96 --batch 256 --block 1000 --held-out 0 --checkpoint-minutes 0 --out " +
      run.string());
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  // The provenance differs (the program writes its config hash), the weights and metrics may not.
  for (const std::int64_t k : config().ks) {
    const SafetensorsFile a(sae_path(run, "x", k)), b(sae_path(dir_ / "whole", "x", k));
    for (const auto& [name, tensor] : b.tensors())
      EXPECT_TRUE(std::ranges::equal(a.at(name).bytes, tensor.bytes)) << name << " of k = " << k;
  }
  EXPECT_EQ(bytes_of(run / "metrics.jsonl"), bytes_of(dir_ / "whole" / "metrics.jsonl"));
}

TEST_F(ResumeTest, ACheckpointOfAnotherConfigurationIsRefused) {
  StopAfter reporter(1);
  EXPECT_THROW(train(dir_ / "run", reporter.stop.get_token(), reporter), Error);
  ActivationReader reader(dir_ / "x.safetensors", {"x"}, 1000);
  SilentReporter silent;
  try {
    train_grid(reader, config(), {SaeProvenance{.site = "x"}}, dir_ / "run", "another hash", silent,
               {});
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::input);
    EXPECT_THAT(error.remedy(), testing::HasSubstr("--force"));
  }
}

}  // namespace
}  // namespace safesail
