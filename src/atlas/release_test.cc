#include "atlas/release.h"

#include <gmock/gmock.h>

#include "atlas/interchange.h"
#include "atlas/test_support.h"
#include "formats/json.h"

namespace safesail {
namespace {

using testing::HasSubstr;

constexpr const char* kEnglish = R"({
  "17_5": {"explanation": "Words of bombs", "correlation_score": 0.25, "tag_list": ["terror", "politics"]},
  "17_7": {"explanation": null, "correlation_score": 0.3176083388420132, "tag_list": []},
  "35_5": {"explanation": "***", "correlation_score": -0.5, "tag_list": ["politics"]}
})";
constexpr const char* kChinese = R"({
  "17_5": {"explanation": "炸弹的词", "correlation_score": 0.25, "tag_list": ["terror", "politics"]},
  "17_8": {"explanation": "\u5929", "correlation_score": 1, "tag_list": []}
})";

class ReleaseTest : public AtlasTest {
 protected:
  void write_both() const {
    write_file(dir_ / "in/en_db.json", kEnglish);
    write_file(dir_ / "in/cn_db.json", kChinese);
  }
  std::string import_error(const std::string& english) const {
    write_file(dir_ / "bad/en_db.json", english);
    try {
      import_folder(atlas_format("safe-sail"), dir_ / "bad", dir_ / "bad.sqlite");
    } catch (const Error& error) {
      EXPECT_FALSE(fs::exists(dir_ / "bad.sqlite")) << "a failed import left a file";
      return error.what();
    }
    return "no error";
  }
};

Json read(const fs::path& path) {
  return read_json(path);
}

TEST_F(ReleaseTest, MergesBothLanguagesIntoOneFeature) {
  write_both();
  Atlas atlas(dir_ / "atlas.sqlite");
  const ImportReport report = import_release(atlas, dir_ / "in");
  EXPECT_EQ(report.n_features, 4);
  EXPECT_EQ(report.n_explanations, 5);
  EXPECT_EQ(report.n_saes, 2);
  const FeatureEntry entry = atlas.entry(atlas.feature_named("17_5"));
  EXPECT_EQ(entry.model, kReleaseModel);
  EXPECT_EQ(entry.record.site, "mlp_out.17");
  ASSERT_EQ(entry.explanations.size(), 2u);
  EXPECT_EQ(entry.explanations[0].explanation.short_text, "Words of bombs");
  EXPECT_EQ(entry.explanations[1].explanation.short_text, "炸弹的词");
  EXPECT_EQ(entry.score, 0.25);
  EXPECT_EQ(entry.tags.size(), 2u);
  EXPECT_EQ(atlas.entry(atlas.feature_named("17_7")).explanations[0].explanation.status,
            TextStatus::absent);
  EXPECT_EQ(atlas.entry(atlas.feature_named("35_5")).explanations[0].explanation.status,
            TextStatus::masked);
  EXPECT_EQ(atlas.list({.text = "炸弹"}).n_total, 1);
  EXPECT_EQ(atlas.list({.explained = true}).n_total, 2) << "masked and absent are no text";
}

TEST_F(ReleaseTest, GoesOutAsItCameIn) {
  write_both();
  Atlas atlas(dir_ / "atlas.sqlite");
  import_release(atlas, dir_ / "in");
  import_release(atlas, dir_ / "in");  // again: nothing twice
  export_release(atlas, dir_ / "out");
  EXPECT_EQ(read(dir_ / "out/en_db.json"), read(dir_ / "in/en_db.json"));
  EXPECT_EQ(read(dir_ / "out/cn_db.json"), read(dir_ / "in/cn_db.json"));
}

TEST_F(ReleaseTest, TheRealOneComesInWithItsCountsAndGoesOutUnchanged) {
  const fs::path folder = fs::path(SAFESAIL_SOURCE_DIR) / "../shared/data/safe-sail";
  if (!fs::exists(folder)) GTEST_SKIP() << "no " << folder;
  Atlas atlas(dir_ / "atlas.sqlite");
  const auto report = import_release(atlas, folder);
  EXPECT_EQ(report.n_features, 4701);
  EXPECT_EQ(report.n_explanations, 4700 + 4701);
  const FeatureCounts counts = atlas.counts();
  EXPECT_EQ(counts.by_language.at("en"), 4700);
  EXPECT_EQ(counts.by_language.at("zh"), 4701);
  EXPECT_EQ(counts.tagged_by_language.at("en"), 1758);
  std::map<std::string, std::int64_t> english;
  for (const Count& count : counts.domains) english[count.name] = count.by_language.at("en");
  EXPECT_EQ(english,
            (std::map<std::string, std::int64_t>{
                {"politics", 1144}, {"violence", 582}, {"pornography", 309}, {"terror", 63}}));
  export_release(atlas, dir_ / "out");
  for (const char* name : {"en_db.json", "cn_db.json"})
    EXPECT_TRUE(read(folder / name).dump() == read(dir_ / "out" / name).dump()) << name;
  // Indices of five layers, unsorted and with repeats, as the files hold them.
  std::size_t n_selected = 0;
  for (const SaeRow& sae : atlas.saes()) n_selected += Json::parse(sae.details)["selected"].size();
  EXPECT_GT(n_selected, 5756u);
}

TEST_F(ReleaseTest, RefusesWhatIsHostileAndLeavesNothing) {
  const std::string good = kEnglish;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    return import_error(bad);
  };
  EXPECT_THAT(import_error(good.substr(0, 200)), HasSubstr("en_db.json"));
  EXPECT_THAT(import_error("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(with("17_7", "17_5"), HasSubstr("twice"));
  EXPECT_THAT(with("17_7", "17_07"), HasSubstr("LAYER_INDEX"));
  EXPECT_THAT(with("17_7", "../7"), HasSubstr("LAYER_INDEX"));
  EXPECT_THAT(with("17_7", "17_99999999999"), HasSubstr("LAYER_INDEX"));
  EXPECT_THAT(with("0.25", "1e300"), HasSubstr("from -1 to 1"));
  EXPECT_THAT(with("0.25", "1e999"), HasSubstr("en_db.json"));
  EXPECT_THAT(with("0.25", "\"0.25\""), HasSubstr("correlation_score"));
  EXPECT_THAT(with("null", "17"), HasSubstr("explanation"));
  EXPECT_THAT(with("\"terror\", \"politics\"", "\"terror\", \"terror\""), HasSubstr("once"));
  EXPECT_THAT(with("\"tag_list\": []", "\"tags\": []"), HasSubstr("tags"));
  EXPECT_THAT(with("-0.5", "-0.5, \"note\": 1"), HasSubstr("note"));
}

TEST_F(ReleaseTest, TagsThatDifferBetweenLanguagesAreRefused) {
  write_both();
  std::string chinese = kChinese;
  chinese.replace(chinese.find("\"politics\""), 10, "\"violence\"");
  write_file(dir_ / "in/cn_db.json", chinese);
  Atlas atlas(dir_ / "atlas.sqlite");
  EXPECT_THROW(import_release(atlas, dir_ / "in"), Error);
  EXPECT_EQ(atlas.list({}).n_total, 0);
}

TEST_F(ReleaseTest, TheValidatorNamesEachViolationWithItsLine) {
  write_file(dir_ / "in/en_db.json",
             "{\n\"1_1\": {\"explanation\": 5, \"correlation_score\": 2, \"tag_list\": []},\n"
             "\"1_2\": {\"explanation\": \"x\", \"correlation_score\": 0.5, \"tag_list\": []},\n"
             "\"one\": {\"explanation\": \"x\", \"correlation_score\": 0.5, \"tag_list\": 1}}");
  const std::vector<Violation> violations =
      validate_folder(format_of_folder(dir_ / "in"), dir_ / "in");
  ASSERT_EQ(violations.size(), 4u);
  EXPECT_THAT(violations[0].where, HasSubstr("en_db.json:2: "));
  EXPECT_THAT(violations[0].problem, HasSubstr("explanation"));
  EXPECT_THAT(violations[1].problem, HasSubstr("correlation_score"));
  EXPECT_THAT(violations[2].where, HasSubstr("en_db.json:4: "));
  EXPECT_THAT(violations[3].problem, HasSubstr("tag_list"));
}

TEST_F(ReleaseTest, TwoSaesOfALayerNeedAName) {
  Atlas atlas(dir_ / "atlas.sqlite");
  SaeRow other = make_sae();
  other.name = "other";
  for (const SaeRow& sae : {make_sae(), other})
    atlas.put_explanation(atlas.put_feature(atlas.put_sae(sae), make_record(5)),
                          make_explanation("of " + sae.name));
  EXPECT_THROW(export_release(atlas, dir_ / "out"), Error);
  EXPECT_FALSE(fs::exists(dir_ / "out/en_db.json"));
  export_release(atlas, dir_ / "out", "other");
  EXPECT_EQ(read(dir_ / "out/en_db.json")["3_5"]["explanation"], "of other");
}

}  // namespace
}  // namespace safesail
