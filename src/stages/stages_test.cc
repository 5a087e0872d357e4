#include "stages/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Stages : public testing::Test {
 protected:
  void TearDown() override {
    fs::current_path(start_);
    fs::remove_all(dir_);
  }
  /// Two stages that write a file each and say that they ran.
  std::vector<Stage> stages(int setting = 1) {
    std::vector<Stage> all;
    for (const std::string name : {"first", "second"})
      all.push_back({.name = name,
                     .config = {{"setting", setting}},
                     .run =
                         [this, name, setting] {
                           done_.push_back(name);
                           write_file(dir_ / name, "x");
                           return StageRecord{.config = {{"setting", setting}},
                                              .outputs = {name},
                                              .details = {{"by", name}}};
                         },
                     .writes = {name},
                     .recall =
                         [this](const nlohmann::json& details) {
                           done_.push_back("recalled " + details.at("by").get<std::string>());
                         }});
    return all;
  }
  std::vector<std::string> run(const std::vector<Stage>& all,
                               std::optional<std::string> force = {}) {
    done_.clear();
    SilentReporter silent;
    do_stages(all, dir_, force, silent);
    return done_;
  }

  const fs::path start_ = fs::current_path();
  const fs::path dir_ =
      fs::temp_directory_path() / ("safesail_stages_" + std::to_string(::getpid()));
  std::vector<std::string> done_;
};

TEST_F(Stages, DoesWhatIsMissing) {
  EXPECT_THAT(run(stages()), ElementsAre("first", "second"));
  EXPECT_THAT(run(stages()), ElementsAre("recalled first", "recalled second"));
  fs::remove(dir_ / "second");
  EXPECT_THAT(run(stages()), ElementsAre("recalled first", "second"));
  EXPECT_THAT(run(stages(), "second"), ElementsAre("recalled first", "second"));
  EXPECT_THAT(run(stages(), "first"), ElementsAre("first", "second"));
}

TEST_F(Stages, AnotherConfigurationIsRefusedUntilItIsForced) {
  run(stages(1));
  try {
    run(stages(2));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("setting 2 instead of 1"));
  }
  EXPECT_TRUE(fs::exists(dir_ / "first"));
  EXPECT_THAT(run(stages(2), "first"), ElementsAre("first", "second"));
  EXPECT_THROW(run(stages(2), "third"), Error);
}

// A kill may come between the record and the cleaning up, so the next start cleans up again.
TEST_F(Stages, CleansUpAfterAStageAndAtLaterStarts) {
  std::vector<Stage> all = stages();
  all[0].clean_up = [this] { done_.emplace_back("cleaned"); };
  EXPECT_THAT(run(all), ElementsAre("first", "cleaned", "second"));
  EXPECT_THAT(run(all), ElementsAre("recalled first", "cleaned", "recalled second"));
}

TEST_F(Stages, TheModelIsFoundFromAnyFolder) {
  fs::create_directories(dir_ / "work");
  write_file(dir_ / "work/model.gguf", "x");
  fs::current_path(dir_ / "work");
  RunManifest(dir_ / "run").record("train", {.config = {{"model", "model.gguf"}}});
  fs::current_path(start_);
  EXPECT_TRUE(fs::equivalent(model_of_run(dir_ / "run").value(), dir_ / "work/model.gguf"));

  RunManifest(dir_ / "other").record("train", {.config = {{"activations", "a"}}});
  EXPECT_EQ(model_of_run(dir_ / "other"), std::nullopt);
}

}  // namespace
}  // namespace safesail
