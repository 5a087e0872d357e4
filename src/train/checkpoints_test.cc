#include "train/checkpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace safesail {
namespace {

class Warnings final : public Reporter {
 public:
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view,
                std::string_view) override {}
  void note(std::string_view) override {}
  void warn(std::string_view text) override { all.emplace_back(text); }
  std::vector<std::string> all;
};

class CheckpointsTest : public testing::Test {
 public:
  ~CheckpointsTest() override { fs::remove_all(run_); }

 protected:
  CheckpointsTest()
      : run_(fs::temp_directory_path() /
             ("safesail_checkpoints_test." + std::to_string(::getpid()))) {
    fs::remove_all(run_);
    cells_ = make_cells(
        {.sites = {"x"}, .architectures = {"topk", "jumprelu"}, .ks = {4}, .n_features = {16}},
        {{"x", 8}}, 1000);
  }

  struct Quality {
    double fvu, l0;
  };
  void save(std::uint64_t tokens, const std::vector<Quality>& qualities) const {
    GridProgress progress{.n_blocks = tokens, .tokens = tokens};
    for (std::size_t cell = 0; cell < cells_.size(); ++cell) {
      CellProgress& state = progress.cells.emplace_back();
      state.trainer.emplace(Sae::random(cells_[cell].spec, identity_transform(8), tokens),
                            cells_[cell].trainer);
      state.fvu = qualities[cell].fvu;
      state.l0 = qualities[cell].l0;
    }
    save_checkpoint(run_, "hash", cells_, progress, 1);
  }
  std::uint64_t best(std::size_t cell) const {
    const auto found = best_of_cell(run_, cells_[cell], cell);
    return found ? found->tokens : 0;
  }
  std::vector<std::string> folders() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(run_ / "checkpoints"))
      names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }
  void cut(std::uint64_t tokens) const {
    const fs::path file = run_ / "checkpoints" / std::to_string(tokens) / "001.safetensors";
    fs::resize_file(file, fs::file_size(file) / 2);
  }

  const fs::path run_;
  std::vector<GridCell> cells_;
};

TEST_F(CheckpointsTest, TheBestHasTheLowestFvuWithItsL0OnTarget) {
  save(100, {{.5, 4}, {.2, 9}});  // the second SAE is better for having twice its features
  save(200, {{.4, 4}, {.4, 4.3}});
  save(300, {{.6, 4}, {.5, 3.7}});
  EXPECT_THAT(folders(), testing::ElementsAre("200", "300"));
  EXPECT_EQ(best(0), 200u);
  EXPECT_EQ(best(1), 200u);
  save(400, {{.3, 4}, {.1, 4.5}});  // off its target again
  EXPECT_THAT(folders(), testing::ElementsAre("200", "400"));
  EXPECT_EQ(best(0), 400u);
  EXPECT_EQ(best(1), 200u);
}

TEST_F(CheckpointsTest, WhereNoneIsOnTargetTheLowestFvuCounts) {
  save(100, {{.5, 4}, {.4, 9}});
  save(200, {{.6, 4}, {.5, 8}});
  EXPECT_EQ(best(1), 100u);
}

TEST_F(CheckpointsTest, AnUnreadableOneGivesWayToTheOneBefore) {
  save(100, {{.4, 4}, {.4, 4}});
  save(200, {{.5, 4}, {.5, 4}});
  cut(200);
  Warnings reporter;
  const auto progress = load_checkpoint(run_, "hash", cells_, reporter);
  ASSERT_TRUE(progress.has_value());
  EXPECT_EQ(progress->tokens, 100u);
  ASSERT_EQ(reporter.all.size(), 1u);
  EXPECT_THAT(reporter.all[0], testing::HasSubstr("200 tokens cannot be read"));
  EXPECT_THAT(folders(), testing::ElementsAre("100", "200.unreadable"));
}

TEST_F(CheckpointsTest, WhenNoneIsLeftTheNewestIsTheError) {
  save(100, {{.4, 4}, {.4, 4}});
  save(200, {{.5, 4}, {.5, 4}});
  cut(100);
  cut(200);
  Warnings reporter;
  try {
    load_checkpoint(run_, "hash", cells_, reporter);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::input);
    EXPECT_THAT(error.where(), testing::HasSubstr("200"));
  }
  EXPECT_THAT(folders(), testing::ElementsAre("100", "200"));
}

TEST_F(CheckpointsTest, OneWithoutScoresIsTheWorst) {
  save(100, {{.4, 4}, {.4, 4}});
  fs::remove(run_ / "checkpoints/100/scores.json");
  save(200, {{.5, 4}, {.5, 4}});
  EXPECT_THAT(folders(), testing::ElementsAre("200"));
  EXPECT_EQ(best(0), 200u);
}

TEST_F(CheckpointsTest, WhatAKillLeftIsRemoved) {
  save(100, {{.4, 4}, {.4, 4}});
  for (const char* rest : {"50.removed", "150.partial"}) {
    fs::create_directories(run_ / "checkpoints" / rest);
    fs::copy(run_ / "checkpoints/100/state.json", run_ / "checkpoints" / rest);
  }
  Warnings reporter;
  EXPECT_EQ(load_checkpoint(run_, "hash", cells_, reporter)->tokens, 100u);
  EXPECT_THAT(reporter.all, testing::IsEmpty());
  EXPECT_THAT(folders(), testing::ElementsAre("100"));
}

TEST_F(CheckpointsTest, AnotherConfigurationIsNoReasonToGoBack) {
  save(100, {{.4, 4}, {.4, 4}});
  Warnings reporter;
  EXPECT_THROW(load_checkpoint(run_, "other", cells_, reporter), Error);
  EXPECT_TRUE(reporter.all.empty());
}

}  // namespace
}  // namespace safesail
