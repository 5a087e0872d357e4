#include "select/selection.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/rng.h"
#include "select/selection_files.h"

namespace safesail {
namespace {

/// Excesses of 100 draws about `excess`, of mean and standard deviation that make drawn_interval()
/// give about `half` for a half width; `noise` tells draws of their own from shared ones.
std::vector<double> draws(double excess, double half, std::uint64_t noise) {
  Rng rng(noise, "draws of a recommendation");
  std::vector<double> values;
  for (int r = 0; r < 100; ++r) values.push_back(excess + half / 1.96 * rng.normal());
  return values;
}

/// An SAE with this many telling features beyond chance. L0 0: not evaluated.
SaeSelection sae(const std::string& site, std::int64_t k, double excess, double half, double l0,
                 std::uint64_t noise = 0) {
  SaeSelection result;
  result.id = {.site = site,
               .output_site = site,
               .architecture = "topk",
               .k = k,
               .n_features = 512,
               .seed = 0,
               .path = {}};
  result.name = site + "/topk-k" + std::to_string(k);
  if (l0 > 0)
    result.reconstruction =
        Reconstruction{.fvu = {.value = 1.0 / static_cast<double>(k)}, .l0 = {.value = l0}};
  result.drawn_from = {.n_units = 1000, .n_strata = 1};
  result.ranked_draws = draws(excess, half, noise);
  result.l0_t[kRankedThreshold] = {
      .observed = {excess + 3, excess + 3 - half, excess + 3 + half},
      .null_mean = 3,
      .null_low = 2,
      .null_high = 4,
      .excess = drawn_interval(excess, result.ranked_draws, result.drawn_from)};
  return result;
}

const Configuration& recommended(const std::vector<SaeSelection>& saes) {
  static Recommendation kept;
  kept = recommend(saes);
  return kept.recommended().configuration;
}

TEST(Recommendation, IsTheSparsestThatIsNotClearlyWorse) {
  const Recommendation clear =
      recommend({sae("mlp_out.1", 16, 4, 1, 16, 1), sae("mlp_out.1", 32, 9, 1, 32, 2),
                 sae("mlp_out.1", 64, 5, 1, 64, 3)});
  EXPECT_EQ(clear.recommended().configuration.k, 32);
  EXPECT_THAT(clear.ranking, testing::SizeIs(3));
  EXPECT_EQ(clear.ranking[1].configuration.k, 64);
  EXPECT_THAT(clear.reason, testing::HasSubstr("on the pairs that it was chosen by"));
  EXPECT_THAT(clear.reason, testing::Not(testing::HasSubstr("not clearly beyond chance")));

  // 8.5 is half a feature behind, give or take 1.4; 4 is five behind.
  const Recommendation near =
      recommend({sae("mlp_out.1", 16, 4, 1, 16, 1), sae("mlp_out.1", 32, 8.5, 1, 32, 2),
                 sae("mlp_out.1", 64, 9, 1, 64, 3)});
  EXPECT_EQ(near.recommended().configuration.k, 32);
  EXPECT_THAT(near.reason, testing::HasSubstr("topk k64 512 has 9.0"));
  // The same half a feature on draws that go together is clear.
  EXPECT_EQ(recommended({sae("mlp_out.1", 32, 8.5, 1, 32), sae("mlp_out.1", 64, 9, 1.1, 64)}).k,
            64);
}

TEST(Recommendation, SaysWhereNothingIsBeyondChance) {
  const Recommendation below = recommend({sae("mlp_out.1", 16, -6, 4, 16)});
  EXPECT_THAT(below.reason, testing::HasSubstr("Even the first is not clearly beyond chance."));
}

TEST(Recommendation, IsAMeanOverSitesAndNeedsThemAll) {
  // k = 64 is best at the one site that it has; k = 32 has both.
  const Recommendation result =
      recommend({sae("mlp_out.1", 32, 2, 1, 32), sae("mlp_out.5", 32, 6, 3, 36),
                 sae("mlp_out.1", 64, 50, 1, 64)});
  ASSERT_EQ(result.ranking.size(), 1U);
  EXPECT_EQ(result.recommended().configuration.k, 32);
  EXPECT_EQ(result.ranking[0].n_sites, 2U);
  EXPECT_EQ(result.ranking[0].excess.value, 4);
  EXPECT_NEAR(result.ranking[0].excess.high - 4, 2, 0.5);  // the errors go together
  EXPECT_EQ(result.ranking[0].mean_l0, 34);
  EXPECT_THAT(result.incomplete, testing::ElementsAre("topk k64 512"));
  EXPECT_THAT(result.ranking[0].saes, testing::ElementsAre(0, 1));
}

// Two runs with equal configurations at one site are two to choose from, not two sites.
TEST(Recommendation, TellsTheRunsOfEqualConfigurationsApart) {
  std::vector<SaeSelection> saes = {sae("mlp_out.5", 32, 4, 1, 32),
                                    sae("mlp_out.5", 32, 9, 1, 32, 2),
                                    sae("mlp_out.5", 64, 5, 1, 64)};
  saes[0].id.path = "a/sae/mlp_out.5/topk-k32/sae.safetensors";
  saes[1].id.path = "b/sae/mlp_out.5/topk-k32/sae.safetensors";
  saes[2].id.path = "a/sae/mlp_out.5/topk-k64/sae.safetensors";
  const Recommendation result = recommend(saes);
  ASSERT_EQ(result.ranking.size(), 3U);
  EXPECT_TRUE(result.incomplete.empty());
  EXPECT_EQ(result.recommended().configuration.run, "b");
  EXPECT_THAT(result.recommended().saes, testing::ElementsAre(1));
  EXPECT_THAT(result.reason, testing::HasSubstr("topk k32 512 of b"));
  // Of one run the folder is not worth saying.
  saes.erase(saes.begin() + 1);
  EXPECT_EQ(recommended(saes).run, "");
}

// Of three seeds the mean counts, and the lowest seed stands for them, however lucky another was.
TEST(Recommendation, DoesNotPickTheLuckiestSeed) {
  std::vector<SaeSelection> saes;
  const std::vector<double> excess_of_seed = {2, 12, 1};
  for (std::uint64_t seed = 0; seed < 3; ++seed)
    for (const std::string site : {"mlp_out.1", "mlp_out.5"}) {
      saes.push_back(sae(site, 32, excess_of_seed[seed], 0.1, 32, seed));
      saes.back().id.seed = seed;
    }
  for (const std::string site : {"mlp_out.1", "mlp_out.5"})
    saes.push_back(sae(site, 64, 7, 0.1, 64, 9));
  const Recommendation result = recommend(saes);
  ASSERT_EQ(result.ranking.size(), 2U);
  EXPECT_EQ(result.recommended().configuration.k, 64);
  EXPECT_DOUBLE_EQ(result.ranking[1].excess.value, 5);
  EXPECT_EQ(result.ranking[1].n_seeds, 3U);
  EXPECT_EQ(result.ranking[1].n_sites, 2U);
  EXPECT_THAT(result.ranking[1].saes, testing::ElementsAre(0, 1));
}

TEST(Recommendation, RanksTranscodersApart) {
  std::vector<SaeSelection> saes = {sae("mlp_out.1", 32, 2, 1, 32), sae("mlp_out.5", 32, 3, 1, 32),
                                    sae("mlp_in.1", 32, 50, 1, 32, 5)};
  saes[2].id.output_site = "mlp_out.1";
  const Recommendation result = recommend(saes);
  ASSERT_EQ(result.ranking.size(), 2U);
  EXPECT_FALSE(result.recommended().configuration.transcoder);
  EXPECT_EQ(result.ranking[0].excess.value, 2.5);
  EXPECT_EQ(result.ranking[0].n_sites, 2U);
  EXPECT_EQ(to_string(result.ranking[1].configuration), "transcoder topk k32 512");
  // Each kind's best is not behind anything.
  EXPECT_EQ(result.ranking[1].behind.value, 0);
}

// An imported JumpReLU that was not evaluated has k = 0: that is not known, and no tie is won by
// it.
TEST(Recommendation, AMissingEvaluationIsUnknownNotZero) {
  const Recommendation result =
      recommend({sae("mlp_out.1", 0, 8.9, 1, 0, 1), sae("mlp_out.1", 32, 9, 1, 32, 2),
                 sae("mlp_out.1", 16, 8.8, 1, 0, 3)});
  EXPECT_EQ(result.recommended().configuration.k, 16) << "of an aimed-at L0 of 16";
  EXPECT_TRUE(std::isnan(result.ranking[1].mean_l0));
  EXPECT_TRUE(std::isnan(result.ranking[1].mean_fvu));
  const Recommendation unknown =
      recommend({sae("mlp_out.1", 0, 9, 1, 0, 1), sae("mlp_out.1", 32, 8.9, 1, 32, 2)});
  EXPECT_EQ(unknown.recommended().configuration.k, 0) << "nothing is known to be sparser";
  EXPECT_THAT(unknown.reason, testing::HasSubstr("L0 not known"));
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
    const FeatureContrast accepted{.feature = 12,
                                   .n_forward = 9,
                                   .n_reverse = 1,
                                   .n_firing = 10,
                                   .rival = 0,
                                   .rival_forward = 3,
                                   .rival_firing = 5,
                                   .p_contrast = 0.01,
                                   .p_specific = 0.001,
                                   .p = 0.01,
                                   .q = 0.04,
                                   .effect = 0.5};
    FeatureContrast other = accepted;
    other.rival = -1;
    other.feature = 77;
    other.q = 0.4;
    FeatureContrast reverse = other;
    reverse.feature = 78;
    reverse.n_reverse = 20;
    for (std::size_t c = 0; c < 2; ++c) {
      ConceptSelection concept_{.metrics = {.n_pairs = 20}};
      concept_.candidates = {accepted};
      concept_.tested = {accepted, other, reverse};
      result.saes[0].concepts.push_back(std::move(concept_));
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
  EXPECT_THAT(back.chosen, testing::ElementsAre("mlp_out.7/topk-k32"));
  EXPECT_EQ(back.reason, selection().recommendation.reason);
  // Of the domain the next best too, but not one that fires more without the concept.
  ASSERT_EQ(back.candidates.size(), 3U);
  EXPECT_EQ(back.candidates[0].concept_, "terror/weapons");
  EXPECT_TRUE(back.candidates[0].accepted);
  EXPECT_EQ(back.candidates[2].contrast.feature, 77);
  EXPECT_FALSE(back.candidates[2].accepted);
  EXPECT_EQ(back.candidates[2].contrast.n_forward, 9);
  EXPECT_EQ(back.candidates[2].n_pairs, 2);
  EXPECT_EQ(back.candidates[0].rival, "terror/weapons");
  EXPECT_EQ(back.candidates[0].contrast.rival_forward, 3);
  EXPECT_EQ(back.candidates[0].contrast.rival_firing, 5);
  EXPECT_EQ(back.candidates[0].contrast.p_specific, 0.001);
  EXPECT_EQ(back.candidates[2].rival, "");
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
