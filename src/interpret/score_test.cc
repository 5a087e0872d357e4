#include "interpret/score.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "interpret/score_testing.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::array kScorers = {Scorer::segment, Scorer::token, Scorer::detection,
                                 Scorer::fuzzing};

/// Answers by a function of the question; counts what it was asked.
class Scripted final : public Simulator {
 public:
  using Reply =
      std::function<Answer(std::size_t i, const Question& question, const ExplanationText&)>;
  explicit Scripted(Reply reply) : reply_(std::move(reply)) {}

  std::string name() const override { return "scripted"; }
  std::string prompt_hash(Scorer scorer) const override {
    return std::string(to_string(scorer)) + "#1";
  }
  Simulated answer(Scorer, const ExplanationText& explanation,
                   std::span<const Question> questions) override {
    Simulated simulated;
    for (std::size_t i = 0; i < questions.size(); ++i)
      simulated.answers.push_back(reply_(i, questions[i], explanation));
    n_asked += questions.size();
    simulated.cost = {.n_requests = 1, .usage = {.prompt = questions.size()}, .money = 2};
    return simulated;
  }
  std::size_t n_asked = 0;

 private:
  Reply reply_;
};

const ExplanationText kExplanation{.text = "true", .lexicon = {}},
    kOther{.text = "other", .lexicon = {}};

FeatureRecord feature() {
  return planted_feature({}, fires_on_words({3, 7}));
}
Answer ok(std::vector<float> values) {
  return {.status = AnswerStatus::ok, .values = std::move(values), .detail = {}};
}
Answer noise(const Question& question, Rng& rng) {
  std::vector<float> values;
  for (std::size_t u = 0; u < question.units.size(); ++u) values.push_back(float(rng.uniform()));
  return ok(values);
}

TEST(Score, OfAnOracleIsOneAndOfNoiseIsAtChance) {
  for (const Scorer scorer : kScorers) {
    const QuestionSet set = build_questions(feature(), scorer);
    Rng rng(1, "score test");
    Scripted simulator(
        [&](std::size_t i, const Question& question, const ExplanationText& explanation) {
          return explanation.text == "true" ? ok(set.truth[i]) : noise(question, rng);
        });
    const ScoreResult result = score(simulator, set, kExplanation, {.floors = {kOther}});
    EXPECT_EQ(result.status, ScoreStatus::ok) << result.reason;
    EXPECT_NEAR(result.value.value, 1, 1e-12);
    EXPECT_NEAR(result.value.low, 1, 1e-12);
    EXPECT_EQ(result.auroc.value, 1);
    // Noise on n units has a standard error of 1 / sqrt(n) (accuracy: half of that); four of them.
    const double n = double(result.n_units);
    EXPECT_NEAR(result.floor.value, chance(scorer), 4 / std::sqrt(n)) << to_string(scorer);
    EXPECT_LT(result.floor.low, result.floor.high);
    EXPECT_EQ(result.n_asked, 80u);
    EXPECT_THAT(result.n_answers, ElementsAre(80, 0, 0, 0, 0));
    EXPECT_EQ(result.n_documents, scorer == Scorer::fuzzing ? 40u : 80u);
    EXPECT_EQ(result.windows.size(), scorer == Scorer::fuzzing ? 40u : 80u);
    for (const SimulatedWindow& window : result.windows) {
      ASSERT_EQ(window.predicted, window.truth);
      ASSERT_EQ(window.units.size(), window.truth.size());
    }
    EXPECT_EQ(result.simulator, "scripted");
    EXPECT_EQ(result.prompt_hash, std::string(to_string(scorer)) + "#1");
    EXPECT_EQ(result.counted(), result.value.value);
  }
}

TEST(Score, CountsUnansweredQuestionsAndRestsOnTheOthers) {
  const QuestionSet set = build_questions(feature(), Scorer::segment);
  constexpr std::array kFates = {AnswerStatus::ok,         AnswerStatus::ok,      AnswerStatus::ok,
                                 AnswerStatus::unparsable, AnswerStatus::refused, AnswerStatus::ok,
                                 AnswerStatus::ok,         AnswerStatus::failed};
  Scripted simulator([&](std::size_t i, const Question&, const ExplanationText&) {
    const AnswerStatus status = kFates[i % kFates.size()];
    return status == AnswerStatus::ok ? ok(set.truth[i])
                                      : Answer{.status = status, .values = {}, .detail = "no"};
  });
  const ScoreResult result = score(simulator, set, kExplanation);
  // Zeros in place of the missing ones would pull the value below 1.
  EXPECT_NEAR(result.value.value, 1, 1e-12);
  EXPECT_EQ(result.status, ScoreStatus::ok);
  EXPECT_THAT(result.n_answers, ElementsAre(50, 10, 10, 10, 0));
  EXPECT_EQ(result.share_answered(), 50 / 80.0);
  EXPECT_EQ(result.n_documents, 50u);
  EXPECT_TRUE(result.windows[4].predicted.empty());
  EXPECT_EQ(result.windows[4].status, AnswerStatus::refused);
  EXPECT_TRUE(std::isnan(result.floor.value));
}

TEST(Score, ShowsBothQuestionsOfAFuzzedWindowTogether) {
  const FeatureRecord record = feature();
  const QuestionSet set = build_questions(record, Scorer::fuzzing);
  Scripted simulator([&](std::size_t i, const Question&, const ExplanationText&) {
    if (i == 3) return Answer{.status = AnswerStatus::refused, .values = {}, .detail = {}};
    return ok({set.fires[i] ? 0.9F : 0.2F});
  });
  const ScoreResult result = score(simulator, set, kExplanation);
  ASSERT_EQ(result.windows.size(), 40u);
  for (const SimulatedWindow& window : result.windows) {
    EXPECT_THAT(window.truth, ElementsAre(1, 0));
    EXPECT_EQ(window.marked.empty(), false);
    EXPECT_EQ(window.wrongly_marked.empty(), false);
    const bool answered = window.exemplar != set.exemplar[3];
    EXPECT_EQ(window.status, answered ? AnswerStatus::ok : AnswerStatus::refused);
    if (answered)
      EXPECT_THAT(window.predicted, ElementsAre(0.9F, 0.2F));
    else
      EXPECT_TRUE(window.predicted.empty());
    const std::string_view text = record.exemplars[window.exemplar].window.text;
    for (const TextRange mark : window.marked) EXPECT_EQ(text[mark.begin], 'w');
  }
}

TEST(Score, IsNoneWhereLessThanHalfOfASideIsAnswered) {
  const QuestionSet set = build_questions(feature(), Scorer::detection);
  // All silent windows are answered, and 15 or 25 of the 40 firing ones.
  for (const std::size_t n_firing_answered : {15u, 25u}) {
    std::size_t n_firing = 0;
    Scripted simulator([&](std::size_t i, const Question&, const ExplanationText&) {
      if (set.fires[i] && ++n_firing > n_firing_answered)
        return Answer{.status = AnswerStatus::refused, .values = {}, .detail = {}};
      return ok(set.truth[i]);
    });
    const ScoreResult result = score(simulator, set, kExplanation);
    if (n_firing_answered == 25) {
      EXPECT_EQ(result.status, ScoreStatus::ok);
      continue;
    }
    EXPECT_EQ(result.status, ScoreStatus::unanswered);
    EXPECT_THAT(result.reason,
                HasSubstr("55 of 80 questions answered (0 unparsable, 25 refused, 0 failed)"));
    EXPECT_TRUE(std::isnan(result.value.value));
    EXPECT_EQ(result.counted(), std::nullopt);
    EXPECT_EQ(result.windows.size(), 80u);
  }
}

TEST(Score, OfAConstantSimulationIsNoneButCountsAsChance) {
  for (const Scorer scorer : kScorers) {
    Scripted simulator([](std::size_t, const Question& question, const ExplanationText&) {
      return ok(std::vector<float>(question.units.size(), 0.3F));
    });
    const ScoreResult result = score(simulator, build_questions(feature(), scorer), kExplanation);
    const bool correlates = scorer == Scorer::segment || scorer == Scorer::token;
    EXPECT_EQ(result.status, correlates ? ScoreStatus::constant : ScoreStatus::ok);
    EXPECT_EQ(std::isnan(result.value.value), correlates);
    EXPECT_EQ(result.counted(), chance(scorer));
    EXPECT_EQ(result.auroc.value, 0.5);
  }
}

TEST(Score, AsksNothingWhereThereAreTooFewWindows) {
  Scripted simulator([](std::size_t, const Question&, const ExplanationText&) { return Answer{}; });
  const FeatureRecord record = planted_feature({.n_firing = 2}, fires_on_words({3}));
  const ScoreResult result = score(simulator, build_questions(record, Scorer::segment),
                                   kExplanation, {.floors = {kOther}});
  EXPECT_EQ(simulator.n_asked, 0u);
  EXPECT_EQ(result.status, ScoreStatus::insufficient);
  EXPECT_THAT(result.reason, HasSubstr("n = 2 firing"));
  EXPECT_EQ(result.counted(), std::nullopt);
}

// A feature that fires at random is not explained by anything that looks at words alone.
TEST(Score, IsNearChanceForAFeatureThatFiresAtRandom) {
  Rng rng(3, "random feature");
  const FeatureRecord record =
      planted_feature({}, [&](const std::vector<std::int32_t>&, std::size_t) {
        return rng.below(20) == 0 ? 6.0F : 0.0F;
      });
  Scripted by_word([](std::size_t, const Question& question, const ExplanationText&) {
    std::vector<float> values;
    for (const TextRange unit : question.units)
      values.push_back(float(question.text[unit.end - 1] % 7));
    return ok(values);
  });
  const ScoreResult result = score(by_word, build_questions(record, Scorer::token), kExplanation);
  EXPECT_NEAR(result.value.value, 0, 4 / std::sqrt(double(result.n_units)));
}

TEST(Score, LeadsOverFloorAndBaselineArePaired) {
  const QuestionSet set = build_questions(feature(), Scorer::detection);
  // Right for four questions of five; the floors for half of them; the baseline for three of five.
  Scripted simulator([&](std::size_t i, const Question&, const ExplanationText& explanation) {
    const std::size_t n_right = explanation.text == "true" ? 4 : 2;
    return ok({set.fires[i] == (i % 5 < n_right) ? 1.0F : 0.0F});
  });
  Scripted baseline([&](std::size_t i, const Question&, const ExplanationText& explanation) {
    EXPECT_EQ(explanation.text, "counted");
    return ok({set.fires[i] == (i % 5 < 3) ? 1.0F : 0.0F});
  });
  const ScoreResult result = score(simulator, set, kExplanation,
                                   {.floors = {kOther, kOther},
                                    .baseline = &baseline,
                                    .baseline_explanation = {.text = "counted"}});
  EXPECT_EQ(result.n_floors, 2u);
  EXPECT_NEAR(result.above_floor.value, result.value.value - result.floor.value, 1e-12);
  EXPECT_NEAR(result.above_baseline.value, result.value.value - result.baseline.value, 1e-12);
  EXPECT_GT(result.above_floor.low, 0);
  EXPECT_GT(result.above_baseline.value, 0);
  EXPECT_LT(result.above_baseline.value, result.above_floor.value);
  EXPECT_EQ(result.cost.money, 2) << "that of the floor aside";
  EXPECT_EQ(result.cost.usage.prompt, 80u);
}

TEST(Score, LeadsAreOfQuestionsThatBothAnswered) {
  const QuestionSet set = build_questions(feature(), Scorer::detection);
  // The own explanation refuses what the floor gets wrong: on what is left both are right.
  Scripted simulator([&](std::size_t i, const Question&, const ExplanationText& explanation) {
    const bool hard = i % 4 == 0;
    if (explanation.text == "true")
      return hard ? Answer{.status = AnswerStatus::refused, .values = {}, .detail = {}}
                  : ok(set.truth[i]);
    return ok({set.fires[i] == hard ? 0.0F : 1.0F});
  });
  const ScoreResult result = score(simulator, set, kExplanation, {.floors = {kOther}});
  EXPECT_EQ(result.floor.value, 1);
  EXPECT_EQ(result.above_floor.value, 0);
}

TEST(Score, SaysWhyAnswersFailed) {
  const QuestionSet set = build_questions(feature(), Scorer::detection);
  for (const std::size_t n_failing : {3u, 80u}) {
    Scripted simulator([&](std::size_t i, const Question&, const ExplanationText&) {
      return i < n_failing
                 ? Answer{.status = AnswerStatus::failed, .values = {}, .detail = "HTTP 500: no"}
                 : ok(set.truth[i]);
    });
    const ScoreResult result = score(simulator, set, kExplanation);
    EXPECT_EQ(result.status, n_failing == 3 ? ScoreStatus::ok : ScoreStatus::unanswered);
    EXPECT_THAT(result.reason, HasSubstr("without an answer, the first failed: HTTP 500: no"));
  }
}

TEST(FloorPartners, AreNextByDensity) {
  EXPECT_THAT(floor_partners(std::vector{.3, .1, .2, .4}, 1),
              ElementsAre(ElementsAre(3), ElementsAre(2), ElementsAre(0), ElementsAre(0)));
  EXPECT_THAT(floor_partners(std::vector{.3, .1, .2, .4, .5}, 3),
              ElementsAre(ElementsAre(3, 2, 4), ElementsAre(2, 0, 3), ElementsAre(0, 1, 3),
                          ElementsAre(4, 0, 2), ElementsAre(3, 0, 2)));
  EXPECT_THAT(floor_partners(std::vector{.3, .3}, 3), ElementsAre(ElementsAre(1), ElementsAre(0)));
  EXPECT_THAT(floor_partners(std::vector{.3}, 1), ElementsAre(IsEmpty()));
  EXPECT_THAT(floor_partners(std::vector<double>{}, 1), IsEmpty());
}

}  // namespace
}  // namespace safesail
