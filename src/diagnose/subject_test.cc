// A run's folder over the packaged model: which atlas a subject is made with.
#include "diagnose/subject.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "atlas/test_support.h"
#include "base/error.h"
#include "sae/checkpoint.h"

namespace safesail {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class RunSubject : public AtlasTest {
 protected:
  static constexpr std::int64_t kWidth = 576;

  void SetUp() override {
    AtlasTest::SetUp();
    const Sae sae = Sae::random(SaeSpec::topk(kWidth, 1000, 32), identity_transform(kWidth), 1);
    fs::create_directories(dir_ / "sae/mlp_out.3/topk-k32");
    save_sae(dir_ / "sae/mlp_out.3/topk-k32/sae.safetensors", sae, {.site = "mlp_out.3"},
             at::ones({2, kWidth}));
    write_atlas(dir_ / "atlas.sqlite", make_sae(), {4, 7}, "of the run");
  }
  static void write_atlas(const fs::path& path, const SaeRow& row,
                          const std::vector<std::int32_t>& features, const std::string& text) {
    Atlas atlas(path);
    const std::int64_t sae = atlas.put_sae(row);
    for (const std::int32_t feature : features)
      atlas.put_explanation(atlas.put_feature(sae, make_record(feature)), make_explanation(text));
  }
  Subject load(const fs::path& atlas) const {
    SilentReporter silent;
    return subject_of_run({.run = dir_,
                           .model = std::string(SAFESAIL_SOURCE_DIR) +
                                    "/.deps/models/smollm2-135m-instruct-q4_1.gguf",
                           .atlas = atlas},
                          {.dtype = ComputeType::bf16, .device = "cpu"}, silent);
  }
};

TEST_F(RunSubject, KnowsWhatTheAtlasKnowsThatItIsServedWith) {
  // In the other atlas the features have other ids: a link from one to the other would be wrong.
  write_atlas(dir_ / "other.sqlite", make_sae(), {9, 7}, "of the other");
  const Subject own = load({}), other = load(dir_ / "other.sqlite");
  ASSERT_THAT(own.saes, SizeIs(1));
  ASSERT_THAT(other.saes, SizeIs(1));
  const auto of_run = own.saes[0].known(), of_other = other.saes[0].known();
  EXPECT_EQ(of_run->find(4)->id, 1);
  EXPECT_EQ(of_run->find(7)->id, 2);
  EXPECT_EQ(of_run->find(9), nullptr);
  EXPECT_EQ(of_other->find(9)->id, 1);
  EXPECT_EQ(of_other->find(4), nullptr);
  EXPECT_EQ(of_other->find(7)->explanations.at("en"), "of the other");
}

TEST_F(RunSubject, RefusesAnAtlasThatKnowsNoneOfItsSaes) {
  SaeRow row = make_sae();
  row.name = "mlp_out.3/topk-k64";
  write_atlas(dir_ / "other.sqlite", row, {4}, "of another run");
  try {
    load(dir_ / "other.sqlite");
    ADD_FAILURE() << "it was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("other.sqlite"));
  }
}

TEST_F(RunSubject, LearnsWhatTheAtlasLearns) {
  Subject subject = load({});
  const auto before = subject.saes[0].known();
  Atlas atlas(dir_ / "atlas.sqlite", Atlas::Mode::write);
  atlas.put_tag(1, {"politics", "", "a test"});
  EXPECT_TRUE(subject.saes[0].known()->find(4)->domains.empty());
  subject.saes[0].refresh(atlas);
  EXPECT_THAT(subject.saes[0].known()->find(4)->domains, testing::ElementsAre("politics"));
  EXPECT_TRUE(before->find(4)->domains.empty()) << "who reads it already keeps what was known";
}

}  // namespace
}  // namespace safesail
