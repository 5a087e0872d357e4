// Explaining, tagging and simulating against an endpoint that answers from a planted truth: true
// explanations score 1, wrong ones nothing, and what is not answered is counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "atlas/atlas.h"
#include "base/hash.h"
#include "endpoint_testing.h"
#include "interpret/llm_explainer.h"
#include "interpret/llm_simulator.h"
#include "interpret/llm_tagger.h"
#include "interpret/question.h"
#include "interpret/score.h"

namespace safesail {
namespace {

using testing::HasSubstr;
using testing::Not;
using Oracle = OracleEndpoint;

/// Words with a blank before each but the first. The feature fires at its highest level on those of
/// kFiring, and nowhere else.
const std::set<std::string> kFiring = {"bomb", "grenade"};
Window window_of(const std::string& text, std::uint64_t document) {
  Window window;
  window.document = document;
  window.text = text;
  for (std::size_t at = 0; at < text.size();) {
    window.starts.push_back(static_cast<std::uint32_t>(at));
    const auto end = std::min(text.find(' ', at + 1), text.size());
    const std::string word = text.substr(at, end - at);
    window.activation.push_back(kFiring.contains(word.substr(word[0] == ' ' ? 1 : 0)) ? 2.0F
                                                                                      : 0.0F);
    window.ids.push_back(static_cast<std::int32_t>(hash64(word) & 0xFFFF));
    at = end;
  }
  window.starts.push_back(static_cast<std::uint32_t>(text.size()));
  return window;
}

/// Windows of one side, half of them firing, with words that no other side has.
void add_exemplars(FeatureRecord& record, Use use, int n) {
  const std::vector<std::string> subjects = {"bomb", "cake", "grenade", "train"};
  for (int i = 0; i < n; ++i) {
    const std::string text =
        fmt::format("{} {} saw the {} near a {} river on that cold day number {}", to_string(use),
                    i % 3 == 0 ? "police" : "she", subjects[static_cast<std::size_t>(i) % 4],
                    i % 5 == 0 ? "wide" : "slow", i);
    Exemplar exemplar{.window = window_of(text, hash64(text)), .use = use};
    const bool fires = exemplar.window.max_activation() > 0;
    exemplar.kind = fires ? WindowKind::top : WindowKind::silent;
    exemplar.level = fires ? 10 : 0;
    record.exemplars.push_back(std::move(exemplar));
  }
}

FeatureRecord record_for(Use use, int n = 40) {
  FeatureRecord record;
  record.site = "mlp_out.3";
  record.feature = 7;
  record.quantile = 2;
  record.n_tokens = 1000;
  record.n_active = 6;
  record.promoted = {{1, " blast", 0.5F}};
  add_exemplars(record, use, n);
  return record;
}

class LlmTest : public EndpointTest {};

TEST_F(LlmTest, TrueExplanationsScoreOneAndWrongOnesNothing) {
  EndpointSettings settings = settings_for(oracle);
  settings.concurrency = 4;
  ChatClient client(settings, {}, budget, nullptr, reporter);
  LlmExplainer explainer(client, {.excerpts = {.per_level = 20}});
  const FeatureRecord record = record_for(Use::explain), test = record_for(Use::test);
  const LlmText text = explainer.explain({&record, 1}).front().text;
  ASSERT_EQ(text.status, AnswerStatus::ok) << text.detail;
  EXPECT_EQ(text.short_text, "fires at: bomb, grenade");

  LlmSimulator simulator(client);
  const ExplanationText wrong{.text = "fires at: wide, police"};
  for (const Scorer scorer : {Scorer::segment, Scorer::token, Scorer::detection, Scorer::fuzzing}) {
    const QuestionSet set = build_questions(test, scorer);
    ASSERT_EQ(set.insufficient, "");
    const ScoreResult good = score(simulator, set, explanation_for_simulator(text, record), &wrong);
    EXPECT_EQ(good.status, ScoreStatus::ok) << to_string(scorer) << ": " << good.reason;
    EXPECT_DOUBLE_EQ(good.value.value, 1) << to_string(scorer);
    EXPECT_EQ(good.share_answered(), 1);
    // An explanation of other words knows nothing: chance, give or take what 20 windows a side
    // allow (three standard errors of a share of 40 are 0.24).
    EXPECT_NEAR(good.floor.value, chance(scorer), 0.24) << to_string(scorer);
  }
}

TEST_F(LlmTest, NoTestWindowIsEverInAnExplainPrompt) {
  ChatClient client = client_for(settings_for(oracle));
  LlmExplainer explainer(client);
  const FeatureRecord record = record_for(Use::explain);
  explainer.explain({&record, 1});
  FeatureRecord both = record;
  add_exemplars(both, Use::test, 1);
  EXPECT_THROW(explainer.explain({&both, 1}), std::logic_error);
  const auto bodies = oracle.bodies();
  ASSERT_EQ(bodies.size(), 1U) << "what is refused is not sent";
  EXPECT_THAT(bodies[0], HasSubstr("explain she saw"));
  EXPECT_THAT(bodies[0], Not(HasSubstr("test she saw")));
}

TEST_F(LlmTest, TranslatesAndTags) {
  ChatClient client = client_for(settings_for(oracle));
  LlmExplainer explainer(client, {.second_language = "Chinese"});
  const FeatureRecord record = record_for(Use::explain);
  const LlmExplanation explanation = explainer.explain({&record, 1}).front();
  ASSERT_TRUE(explanation.second);
  EXPECT_EQ(explanation.second->status, AnswerStatus::ok) << explanation.second->detail;
  EXPECT_EQ(explanation.second->short_text, explanation.text.short_text);

  LlmTagger tagger(client);
  oracle.misbehave(
      {Oracle::text(R"({"tags": [{"domain": "food", "subclass": "cake", "evidence": ""}]})")});
  const TagQuestion asked{"mlp_out.3:7", explanation.text.short_text, "", {"a <<bomb|10>>"}};
  const LlmTags unknown = tagger.tag({&asked, 1}).front();
  EXPECT_EQ(unknown.status, AnswerStatus::unparsable);
  EXPECT_THAT(unknown.raw, HasSubstr("cake"));
  const LlmTags tags = tagger.tag({&asked, 1}).front();
  ASSERT_EQ(tags.status, AnswerStatus::ok) << tags.detail;
  ASSERT_EQ(tags.tags.size(), 1U);
  EXPECT_EQ(tags.tags[0].domain, "terror");
  EXPECT_EQ(tags.tags[0].subclass, "weapons");
}

TEST_F(LlmTest, KeepsExplanationsThatFail) {
  ChatClient client = client_for(settings_for(oracle));
  LlmExplainer explainer(client);
  const std::vector<FeatureRecord> records(5, record_for(Use::explain));
  oracle.misbehave({Oracle::text("It fires at bombs."), Oracle::refusal(),
                    Oracle::text("I\u2019m sorry, but I can't help with that."),
                    Oracle::text("<think>bombs?</think>{\"short\": \"bombs\"}")});
  const auto explained = explainer.explain(records);
  EXPECT_EQ(explained[0].text.status, AnswerStatus::unparsable);
  EXPECT_EQ(explained[0].text.raw, "It fires at bombs.");
  EXPECT_EQ(explained[1].text.status, AnswerStatus::refused);
  EXPECT_EQ(explained[1].text.raw, "I will not.");
  EXPECT_EQ(explained[2].text.status, AnswerStatus::refused);
  EXPECT_EQ(explained[3].text.status, AnswerStatus::unparsable);
  EXPECT_EQ(explained[3].text.raw, "{\"short\": \"bombs\"}");
  EXPECT_EQ(explained[4].text.status, AnswerStatus::ok);
}

TEST_F(LlmTest, CountsFailuresExactly) {
  EndpointSettings settings = settings_for(oracle);
  settings.max_attempts = 1;
  ChatClient client = client_for(settings);
  LlmSimulator simulator(client, {.questions_per_request = {2, 2, 2, 2}});
  // Of four requests with two questions each: one is prose, one a refusal, one answers its first
  // question with too many values and its second rightly, one breaks off.
  oracle.misbehave({Oracle::text("All of them, I think."), Oracle::refusal(),
                    Oracle::text(R"({"answers": [{"id": 1, "v": [1,0]}, {"id": 2, "v": [1]}]})"),
                    Oracle::status(500)});
  std::vector<Question> asked(8, {.text = "a bomb", .units = {{0, 6}}});
  std::map<AnswerStatus, int> counts;
  for (const Answer& answer :
       simulator.answer(Scorer::detection, {.text = "fires at: bomb"}, asked)) {
    ++counts[answer.status];
    EXPECT_EQ(answer.values.empty(), answer.status != AnswerStatus::ok);
  }
  EXPECT_EQ(counts[AnswerStatus::ok], 1);
  EXPECT_EQ(counts[AnswerStatus::unparsable], 3);
  EXPECT_EQ(counts[AnswerStatus::refused], 2);
  EXPECT_EQ(counts[AnswerStatus::failed], 2);
}

// The rooms are tested above; this is the program, in which all of them are linked together.
TEST_F(LlmTest, TheProgramExplainsTagsAndScoresWithAnEndpoint) {
  {
    Atlas atlas(dir_ / "atlas.sqlite");
    atlas.put_model({.name = "m"});
    FeatureRecord record = record_for(Use::explain);
    record.sae = "mlp_out.3/topk-k32";
    add_exemplars(record, Use::test, 40);
    // One word, which the few excerpts of a prompt are sure to show.
    std::erase_if(record.exemplars, [](const Exemplar& exemplar) {
      return exemplar.window.text.find("grenade") != std::string::npos;
    });
    atlas.put_feature(atlas.put_sae({.model = "m",
                                     .name = record.sae,
                                     .site = record.site,
                                     .layer = 3,
                                     .architecture = "topk",
                                     .n_features = 8,
                                     .details = "{}"}),
                      record);
  }
  const std::string endpoint =
      fmt::format(" --run {} --endpoint {} --llm oracle", dir_.string(), oracle.url());
  const Outcome explained = run_safesail("explain --tag" + endpoint);
  EXPECT_EQ(explained.exit_code, 0) << explained.output;
  const Outcome scored =
      run_safesail("score --scorer segment token detection fuzzing --compare" + endpoint);
  EXPECT_EQ(scored.exit_code, 0) << scored.output;

  Atlas atlas(dir_ / "atlas.sqlite", Atlas::Mode::read);
  const FeatureEntry entry =
      atlas.entry(*atlas.find_feature(*atlas.find_sae("m", "mlp_out.3/topk-k32"), 7));
  ASSERT_EQ(entry.explanations.size(), 1U);
  EXPECT_EQ(entry.explanations[0].explanation.short_text, "fires at: bomb");
  ASSERT_EQ(entry.explanations[0].scores.size(), 4U);
  for (const Score& score : entry.explanations[0].scores)
    EXPECT_DOUBLE_EQ(score.value, 1) << score.key.scorer;
  ASSERT_EQ(entry.tags.size(), 1U);
  EXPECT_EQ(entry.tags[0].domain, "terror");
  // Every request was about this feature, and what the text cost is known.
  const auto n_lines = [&](const char* of) {
    Query row = atlas.database().query_once(fmt::format("SELECT count(*) FROM ledger {}", of));
    row.next();
    return row.integer(0);
  };
  EXPECT_GT(n_lines(""), 5);
  EXPECT_EQ(n_lines("WHERE feature_id IS NULL"), 0);
  EXPECT_EQ(n_lines("WHERE feature_id <> 1"), 0);
  ASSERT_TRUE(entry.explanations[0].cost.has_value());
  EXPECT_EQ(entry.explanations[0].cost->requests, 1);
  EXPECT_GT(entry.explanations[0].cost->prompt_tokens, 0);
}

}  // namespace
}  // namespace safesail
