#include "train/training_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace safesail {
namespace {

class TrainingDataTest : public testing::Test {
 protected:
  TrainingDataTest()
      : run_(fs::temp_directory_path() /
             ("safesail_training_data_test." + std::to_string(::getpid()))) {
    fs::create_directories(run_);
    for (const char* name : {"a.txt", "b.txt"}) write_file(run_ / name, "text\n");
  }
  ~TrainingDataTest() override { fs::remove_all(run_); }

  std::optional<TrainingData> of_manifest(const std::string& train_config) const {
    write_file(run_ / "manifest.json",
               R"({"stages": {"train": {"config": )" + train_config + "}}}");
    return training_data(run_);
  }

  const fs::path run_;
};

TEST_F(TrainingDataTest, IsReadFromTheManifest) {
  EXPECT_FALSE(training_data(run_)) << "no manifest";
  const auto corpus = of_manifest(R"({"corpus": {"paths": ["a", "b"], "held_out_share": 0.02}})");
  ASSERT_TRUE(corpus);
  EXPECT_THAT(corpus->corpus, testing::ElementsAre("a", "b"));
  EXPECT_EQ(corpus->held_out_share, 0.02);
  const auto files = of_manifest(R"({"activations_of": {"corpus": ["a"], "held_out_share": 0.1}})");
  ASSERT_TRUE(files);
  EXPECT_EQ(files->held_out_share, 0.1);
  for (const char* other : {"{}", "[]", "null", R"({"corpus": 3})", R"({"corpus": {"paths": "a"}})",
                            R"({"corpus": {"paths": [1], "held_out_share": 0.1}})",
                            R"({"corpus": {"paths": ["a"], "held_out_share": "0.1"}})"})
    EXPECT_FALSE(of_manifest(other)) << other;
}

TEST_F(TrainingDataTest, GoesThroughMetadata) {
  const TrainingData data{.corpus = {"a b", "\"c\""}, .held_out_share = 0.05};
  const auto back = from_metadata(to_metadata(data));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->corpus, data.corpus);
  EXPECT_EQ(back->held_out_share, data.held_out_share);
  EXPECT_FALSE(from_metadata({}));
  EXPECT_FALSE(from_metadata({{"corpus", "["}, {"held_out_share", "0.1"}}));
  EXPECT_FALSE(from_metadata({{"corpus", "[]"}, {"held_out_share", "much"}}));
}

TEST_F(TrainingDataTest, DocumentsAreNewWhereTrainingLeftThemOutOrReadOtherFiles) {
  const std::string a = (run_ / "a.txt").string(), b = (run_ / "b.txt").string();
  const TrainingData trained{.corpus = {a}, .held_out_share = 0.01};
  const auto sure = [&](const EvaluatedOn& evaluated) {
    return separation(trained, evaluated).sure;
  };
  EXPECT_TRUE(sure({{a}, 0.01}));
  EXPECT_TRUE(sure({{a}, 0.005})) << "a part of what was left out";
  EXPECT_FALSE(sure({{a}, 0.05})) << "four fifths were trained on";
  EXPECT_FALSE(sure({{a}, 1}));
  EXPECT_FALSE(sure({{b, a}, 1}));
  EXPECT_FALSE(sure({{(run_ / "*.txt").string()}, 1})) << "the same file by another name";
  EXPECT_FALSE(sure({{(run_ / "." / "a.txt").string()}, 1}));
  EXPECT_TRUE(sure({{b}, 1}));
  EXPECT_THAT(separation(trained, {{a}, 0.05}).text,
              testing::HasSubstr("may have been trained on"));
  EXPECT_FALSE(separation({}, {{a}, 0.05}).sure) << "not known";
}

}  // namespace
}  // namespace safesail
