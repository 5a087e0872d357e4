#include "select/selection.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "select/selection_files.h"

namespace safesail {
namespace {

/// An SAE with this many telling features beyond chance, half width `half` of the interval.
SaeSelection sae(const std::string& site, std::int64_t k, double excess, double half, double l0) {
  SaeSelection result;
  result.id = {.site = site,
               .output_site = site,
               .architecture = "topk",
               .k = k,
               .n_features = 512,
               .seed = 0,
               .path = {}};
  result.name = site + "/topk-k" + std::to_string(k);
  result.reconstruction =
      Reconstruction{.fvu = {.value = 1.0 / static_cast<double>(k)}, .l0 = {.value = l0}};
  result.l0_t[kTelling] = {.observed = {excess + 3, excess + 3 - half, excess + 3 + half},
                           .null_mean = 3,
                           .null_low = 2,
                           .null_high = 4};
  return result;
}

TEST(Recommendation, IsTheSparsestThatIsNotClearlyWorse) {
  const Recommendation clear =
      recommend({sae("mlp_out.1", 16, 4, 1, 16), sae("mlp_out.1", 32, 9, 1, 32),
                 sae("mlp_out.1", 64, 5, 1, 64)});
  EXPECT_EQ(clear.chosen.k, 32);
  EXPECT_THAT(clear.ranking, testing::SizeIs(3));
  EXPECT_EQ(clear.ranking[1].configuration.k, 64);

  // 8.5 is within the best one's interval, 4 is not.
  const Recommendation near =
      recommend({sae("mlp_out.1", 16, 4, 1, 16), sae("mlp_out.1", 32, 8.5, 1, 32),
                 sae("mlp_out.1", 64, 9, 1, 64)});
  EXPECT_EQ(near.chosen.k, 32);
  EXPECT_THAT(near.reason, testing::HasSubstr("topk k64 512 has 9.0"));
}

TEST(Recommendation, IsAMeanOverSitesAndNeedsThemAll) {
  // k = 64 is best at the one site that it has; k = 32 has both.
  const Recommendation result =
      recommend({sae("mlp_out.1", 32, 2, 1, 32), sae("mlp_out.5", 32, 6, 3, 36),
                 sae("mlp_out.1", 64, 50, 1, 64)});
  ASSERT_EQ(result.ranking.size(), 1U);
  EXPECT_EQ(result.chosen.k, 32);
  EXPECT_EQ(result.ranking[0].excess.value, 4);
  EXPECT_EQ(result.ranking[0].excess.low, 4 - 2);
  EXPECT_EQ(result.ranking[0].mean_l0, 34);
}

class SelectionFiles : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(dir_); }
  static FeatureSelection selection() {
    FeatureSelection result;
    result.concepts = {
        {.name = "terror/weapons",
         .domain = "terror",
         .subclass = "weapons",
         .language = "en",
         .pairs = {0, 1}},
        {.name = "terror", .domain = "terror", .subclass = {}, .language = "en", .pairs = {0, 1}}};
    result.saes = {sae("mlp_out.7", 32, 5, 1, 32)};
    const FeatureContrast accepted{
        .feature = 12, .n_forward = 9, .n_reverse = 1, .p = 0.01, .q = 0.04, .effect = 0.5};
    FeatureContrast other = accepted;
    other.feature = 77;
    other.q = 0.4;
    FeatureContrast reverse = other;
    reverse.feature = 78;
    reverse.n_reverse = 20;
    for (std::size_t c = 0; c < 2; ++c) {
      ConceptMetrics metrics{.n_pairs = 20};
      metrics.candidates = {accepted};
      metrics.tested = {accepted, other, reverse};
      result.saes[0].concepts.push_back(metrics);
    }
    result.recommendation = recommend(result.saes);
    return result;
  }
  const fs::path dir_ =
      fs::temp_directory_path() / ("safesail_selection_files_" + std::to_string(::getpid()));
};

TEST_F(SelectionFiles, ComeBackAsTheyWere) {
  write_selection(dir_, selection(), {{"model", "<m>"}});
  const SelectionResult back = read_selection(dir_);
  EXPECT_EQ(back.chosen, (Configuration{"topk", 32, 512, 0}));
  EXPECT_EQ(back.reason, selection().recommendation.reason);
  // Of the domain the next best too, but not one that fires more without the concept.
  ASSERT_EQ(back.candidates.size(), 3U);
  EXPECT_EQ(back.candidates[0].concept_, "terror/weapons");
  EXPECT_TRUE(back.candidates[0].accepted);
  EXPECT_EQ(back.candidates[2].contrast.feature, 77);
  EXPECT_FALSE(back.candidates[2].accepted);
  EXPECT_EQ(back.candidates[2].contrast.n_forward, 9);
  EXPECT_EQ(back.candidates[2].n_pairs, 20);
  EXPECT_THAT(read_file(dir_ / "lists.json", 1 << 20), testing::HasSubstr("\"7_12\""));
  const std::string html = read_file(dir_ / "report.html", 1 << 24);
  EXPECT_THAT(html, testing::HasSubstr("&lt;m&gt;"));
  EXPECT_THAT(html, testing::HasSubstr("<svg"));
}

TEST_F(SelectionFiles, DamageIsNamed) {
  write_selection(dir_, selection(), {});
  write_file(dir_ / "candidates.jsonl",
             read_file(dir_ / "candidates.jsonl", 1 << 20) + "{\"sae\": 3}\n");
  try {
    read_selection(dir_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("candidates.jsonl:4"));
  }
  fs::remove(dir_ / "recommendation.json");
  EXPECT_THROW(read_selection(dir_), Error);
}

TEST_F(SelectionFiles, WithoutASelectionTheRemedyIsToSelect) {
  try {
    read_selection(dir_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("safesail select"));
  }
}

TEST_F(SelectionFiles, ReconstructionComesFromTheEvaluation) {
  FeatureSelection chosen = selection();
  chosen.saes[0].reconstruction.reset();
  chosen.recommendation = recommend(chosen.saes);
  EXPECT_TRUE(std::isnan(chosen.recommendation.ranking[0].mean_l0));
  write_file(
      dir_ / "evaluation.jsonl",
      "{\"site\":\"mlp_out.7\",\"output_site\":\"mlp_out.7\",\"architecture\":\"topk\",\"k\":32,"
      "\"n_features\":512,\"seed\":0,\"fvu\":0.25,\"fvu_interval\":[0.2,0.3],\"l0\":31.5}\n");
  add_reconstruction(dir_ / "evaluation.jsonl", chosen);
  EXPECT_EQ(chosen.recommendation.ranking[0].mean_l0, 31.5);
  EXPECT_EQ(chosen.saes[0].reconstruction->fvu.low, 0.2);
  EXPECT_THAT(chosen.recommendation.reason, testing::HasSubstr("FVU 0.250"));
}

}  // namespace
}  // namespace safesail
