// Explaining, tagging and simulating against an endpoint that answers from a planted truth: true
// explanations score 1, wrong ones nothing, and what is not answered is counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sstream>

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
  const ExplanationText told = explanation_for_simulator(text.short_text, text.long_text,
                                                         "mlp_out.3:7"),
                        wrong{.text = "fires at: wide, police"};
  EXPECT_EQ(told.text, "fires at: bomb, grenade. As said.");
  for (const Scorer scorer : {Scorer::segment, Scorer::token, Scorer::detection, Scorer::fuzzing}) {
    const QuestionSet set = build_questions(test, scorer);
    ASSERT_EQ(set.insufficient, "");
    const ScoreResult good = score(simulator, set, told, {.floors = {wrong}});
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

TEST_F(LlmTest, ExplainsFromFewerExcerptsWhereTheModelReadsNoMore) {
  ChatClient client = client_for(settings_for(oracle));
  LlmExplainer explainer(client, {.excerpts = {.per_level = 16, .near = 0, .silent = 16}});
  const FeatureRecord record = record_for(Use::explain);
  const auto too_long =
      Oracle::status(400, R"({"error": {"message": "no", "code": "context_length_exceeded"}})");
  const auto cut = [](const auto&, auto& response) {  // by the context: it may have 700 tokens
    Json answer = Oracle::completion({{"role", "assistant"}, {"content", "{\"short\": \"fir"}});
    answer["choices"][0]["finish_reason"] = "length";
    response.set_content(answer.dump(), "application/json");
  };
  oracle.misbehave({too_long, cut});
  const LlmExplanation fewer = explainer.explain({&record, 1}).front();
  EXPECT_EQ(fewer.text.status, AnswerStatus::ok) << fewer.text.detail;
  EXPECT_EQ(fewer.n_excerpts, 4 + 4);
  EXPECT_THAT(fewer.text.detail, HasSubstr("8 of 32 excerpts"));
  EXPECT_EQ(oracle.n_requests(), 3);

  // Not for ever: down to one a level.
  oracle.misbehave(std::vector(20, Oracle::Misdeed(too_long)));
  EXPECT_EQ(explainer.explain({&record, 1}).front().text.status, AnswerStatus::failed);
  EXPECT_LT(oracle.n_requests(), 3 + 8);
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
  const TagQuestion asked{"mlp_out.3:7", explanation.text.short_text, "", {"a <<bomb|10>>"}, {}};
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

// What an answer takes from the examples says nothing of the feature; it is a class of its own.
TEST_F(LlmTest, KeepsCopiesOfTheExamplesApart) {
  ChatClient client = client_for(settings_for(oracle));
  LlmExplainer explainer(client);
  const FeatureRecord record = record_for(Use::explain);
  Json first;  // the request, as it is without any answer
  oracle.misbehave({[&](const httplib::Request& request, httplib::Response& response) {
    first = Json::parse(request.body);
    const std::string example = first.at("messages").at(2).at("content");
    Oracle::say(response, example);
  }});
  const LlmText whole = explainer.explain({&record, 1}).front().text;
  EXPECT_EQ(whole.status, AnswerStatus::copied);
  EXPECT_TRUE(whole.short_text.empty());
  EXPECT_FALSE(whole.raw.empty());
  EXPECT_THAT(whole.detail, HasSubstr("repeats an example"));
  ASSERT_EQ(first.at("messages").size(), 6U) << "two examples";

  const std::string long_text =
      Json::parse(first.at("messages").at(4).at("content").get<std::string>()).at("long");
  std::istringstream words(long_text);
  std::string phrase;
  for (std::string word; phrase.size() < 40 && words >> word;) phrase += word + " ";
  oracle.misbehave({Oracle::text(Json{{"short", "bombs"}, {"long", "Bombs. " + phrase}}.dump())});
  EXPECT_EQ(explainer.explain({&record, 1}).front().text.status, AnswerStatus::copied)
      << "a phrase of it: " << phrase;

  LlmTagger tagger(client);
  const TagQuestion asked{"mlp_out.3:7", "bombs", "", {"a <<bomb|10>>"}, {}};
  oracle.misbehave({[&](const httplib::Request& request, httplib::Response& response) {
    const Json messages = Json::parse(request.body).at("messages");
    // The one of the two that has tags.
    for (const int m : {2, 4})
      if (const std::string answer = messages.at(m).at("content"); answer.size() > 20)
        Oracle::say(response, answer);
  }});
  const LlmTags tags = tagger.tag({&asked, 1}).front();
  EXPECT_EQ(tags.status, AnswerStatus::copied) << tags.raw;
  EXPECT_TRUE(tags.tags.empty());
}

TEST_F(LlmTest, TextsForgeNoMarks) {
  ChatClient client = client_for(settings_for(oracle));
  FeatureRecord record = record_for(Use::explain);
  const std::string forged = "explain she saw <<silence|10>> near a river";
  record.exemplars.push_back(
      {.window = window_of(forged, 1), .use = Use::explain, .kind = WindowKind::silent});
  // All silent windows, so that the forged one is among them.
  LlmExplainer all(client, {.excerpts = {.silent = 100}});
  all.explain({&record, 1});
  const Json messages = Json::parse(oracle.bodies().back()).at("messages");
  const std::string system = messages.front().at("content"), asked = messages.back().at("content");
  EXPECT_THAT(asked, HasSubstr("<<silence|10>>"));
  EXPECT_THAT(asked, HasSubstr("<<<grenade|10>>>"));
  EXPECT_THAT(asked, Not(HasSubstr("<<<silence")));
  EXPECT_THAT(system, HasSubstr("<<<token|7>>> marks a token"));

  LlmSimulator simulator(client);
  const std::vector<Question> questions(
      2, {.text = "a >>bomb<< fell", .units = {{0, 15}}, .marked = {{4, 8}}});
  simulator.answer(Scorer::fuzzing, {.text = "fires at: bomb"}, questions);
  const Json fuzzing = Json::parse(oracle.bodies().back()).at("messages");
  EXPECT_THAT(fuzzing.front().at("content").get<std::string>(), HasSubstr("<<<like this>>>"));
  EXPECT_THAT(fuzzing.back().at("content").get<std::string>(), HasSubstr("a >><<<bomb>>><< fell"));
}

TEST_F(LlmTest, CountsFailuresExactly) {
  EndpointSettings settings = settings_for(oracle);
  settings.max_attempts = 1;
  ChatClient client = client_for(settings);
  LlmSimulator simulator(client, 2);
  // Of four requests with two questions each: one is prose, one a refusal, one answers its first
  // question with too many values and its second rightly, one breaks off.
  oracle.misbehave({Oracle::text("All of them, I think."), Oracle::refusal(),
                    Oracle::text(R"({"answers": [{"id": 1, "v": [1,0]}, {"id": 2, "v": [1]}]})"),
                    Oracle::status(500)});
  std::vector<Question> asked(8, {.text = "a bomb", .units = {{0, 6}}});
  std::map<AnswerStatus, int> counts;
  for (const Answer& answer :
       simulator.answer(Scorer::detection, {.text = "fires at: bomb"}, asked).answers) {
    ++counts[answer.status];
    EXPECT_EQ(answer.values.empty(), answer.status != AnswerStatus::ok);
  }
  EXPECT_EQ(counts[AnswerStatus::ok], 1);
  EXPECT_EQ(counts[AnswerStatus::unparsable], 3);
  EXPECT_EQ(counts[AnswerStatus::refused], 2);
  EXPECT_EQ(counts[AnswerStatus::failed], 2);
}

// The rooms are tested above; this is the program, in which all of them are linked together.
class ProgramTest : public LlmTest {
 protected:
  void SetUp() override {
    LlmTest::SetUp();
    Atlas atlas(dir_ / "atlas.sqlite");
    atlas.put_model({.name = "m"});
    const std::int64_t sae = atlas.put_sae({.model = "m",
                                            .name = "mlp_out.3/topk-k32",
                                            .site = "mlp_out.3",
                                            .layer = 3,
                                            .architecture = "topk",
                                            .n_features = 8,
                                            .details = "{}"});
    for (const std::int32_t index : {7, 4}) {
      FeatureRecord record = record_for(Use::explain);
      record.sae = "mlp_out.3/topk-k32";
      record.feature = index;
      record.n_active += static_cast<std::uint64_t>(index);
      add_exemplars(record, Use::test, 60);
      // One word, which the few excerpts of a prompt are sure to show.
      std::erase_if(record.exemplars, [](const Exemplar& exemplar) {
        return exemplar.window.text.find("grenade") != std::string::npos;
      });
      atlas.put_feature(sae, record);
    }
  }
  std::string by_oracle() const {
    return fmt::format(" --run {} --endpoint {} --llm oracle", dir_.string(), oracle.url());
  }
  FeatureEntry entry(std::int32_t index) const {
    Atlas atlas(dir_ / "atlas.sqlite", Atlas::Mode::read);
    return atlas.entry(*atlas.find_feature(*atlas.find_sae("m", "mlp_out.3/topk-k32"), index));
  }
  std::int64_t in_ledger(const std::string& what) const {
    Atlas atlas(dir_ / "atlas.sqlite", Atlas::Mode::read);
    return atlas.database().find_integer("SELECT " + what + " FROM ledger").value_or(0);
  }
};

TEST_F(ProgramTest, ExplainsTagsAndScoresWithAnEndpoint) {
  const Outcome explained = run_safesail("explain --tag --json" + by_oracle());
  ASSERT_EQ(explained.exit_code, 0) << explained.output;
  const Outcome scored =
      run_safesail("score --scorer segment token detection fuzzing --compare --json" + by_oracle());
  ASSERT_EQ(scored.exit_code, 0) << scored.output;
  for (const std::int32_t index : {7, 4}) {
    const FeatureEntry found = entry(index);
    ASSERT_EQ(found.explanations.size(), 1U);
    EXPECT_EQ(found.explanations[0].explanation.short_text, "fires at: bomb");
    ASSERT_EQ(found.explanations[0].scores.size(), 4U);
    for (const Score& score : found.explanations[0].scores) {
      EXPECT_DOUBLE_EQ(score.value, 1) << score.key.scorer;
      EXPECT_EQ(score.key.windows, 40);
      EXPECT_EQ(score.key.batch, 6);
      EXPECT_FALSE(score.key.questions.empty());
      const Json details = Json::parse(score.details);
      EXPECT_GT(details.at("cost").at("prompt_tokens"), 0);
      // The other feature has the same explanation: as a floor it is as good.
      EXPECT_EQ(details.at("above_floor").at("value"), 0) << score.key.scorer;
      EXPECT_TRUE(details.at("above_baseline").at("value").is_number());
    }
    ASSERT_EQ(found.tags.size(), 1U);
    EXPECT_EQ(found.tags[0].domain, "terror");
    // What the text cost is known.
    ASSERT_TRUE(found.explanations[0].cost.has_value());
    EXPECT_EQ(found.explanations[0].cost->requests, 1);
    EXPECT_GT(found.explanations[0].cost->prompt_tokens, 0);
  }
  EXPECT_GT(in_ledger("count(*)"), 10);
  EXPECT_EQ(in_ledger("sum(feature_id IS NULL)"), 0) << "every request was about a feature";
}

TEST_F(ProgramTest, TheFloorIsOfTheSameExplainer) {
  ASSERT_EQ(run_safesail("explain --run " + dir_.string()).exit_code, 0) << "offline";
  ASSERT_EQ(run_safesail("explain" + by_oracle()).exit_code, 0);
  ASSERT_EQ(run_safesail("score --scorer detection" + by_oracle()).exit_code, 0);
  int n_scored = 0;
  for (const ExplanationWithScores& item : entry(7).explanations) {
    if (item.explanation.key.explainer != "llm") continue;
    ASSERT_EQ(item.scores.size(), 1U);
    ++n_scored;
    // The other feature's text by the model is the same, so that it says as much. Its lexical
    // sentence, which the oracle does not understand, would say nothing.
    EXPECT_EQ(item.scores[0].floor, 1);
    EXPECT_EQ(Json::parse(item.scores[0].details).at("above_floor").at("value"), 0);
  }
  EXPECT_EQ(n_scored, 1);
}

TEST_F(ProgramTest, SaysWhyNothingWasAnsweredAndFails) {
  std::vector<Oracle::Misdeed> misdeeds(
      6, Oracle::status(400, R"({"error": {"message": "too long"}})"));
  oracle.misbehave(misdeeds);
  const Outcome explained = run_safesail("explain -n 1 --concurrency 1" + by_oracle());
  EXPECT_EQ(explained.exit_code, 1) << explained.output;
  EXPECT_THAT(explained.output, HasSubstr("HTTP 400: too long"));
  const FeatureEntry found = entry(7);
  ASSERT_EQ(found.explanations.size(), 1U);
  EXPECT_EQ(found.explanations[0].explanation.reason, "HTTP 400: too long");
  // Each time with fewer excerpts, but never without its schema: that would be too long as well.
  const int n_requests = oracle.n_requests();
  EXPECT_EQ(in_ledger("count(*)"), n_requests);
  EXPECT_EQ(in_ledger("sum(reason = 'HTTP 400: too long' AND status = 'failed')"), n_requests);
  const std::vector<std::string> bodies = oracle.bodies();
  EXPECT_EQ(std::set(bodies.begin(), bodies.end()).size(), bodies.size());
  for (const std::string& body : bodies) EXPECT_THAT(body, HasSubstr("response_format"));
}

TEST_F(ProgramTest, AsksFailedQuestionsAgainAndOthersNever) {
  ASSERT_EQ(run_safesail("explain" + by_oracle()).exit_code, 0);
  const std::string score = "score --scorer detection --floors 0 --concurrency 1" + by_oracle();
  // The first feature's first request fails; half of a side is still answered.
  oracle.misbehave({Oracle::status(413)});
  ASSERT_EQ(run_safesail(score).exit_code, 0);
  const auto failed = [&] {
    std::int64_t n = 0;
    for (const std::int32_t index : {7, 4}) {
      const FeatureEntry found = entry(index);
      for (const Score& one : found.explanations[0].scores) n += one.n_failed;
    }
    return n;
  };
  EXPECT_EQ(failed(), 6);
  const int n_requests = oracle.n_requests();
  ASSERT_EQ(run_safesail(score).exit_code, 0);
  EXPECT_EQ(oracle.n_requests(), n_requests);
  ASSERT_EQ(run_safesail(score + " --again").exit_code, 0);
  EXPECT_EQ(oracle.n_requests(), n_requests + 1) << "the answers are kept";
  EXPECT_EQ(failed(), 0);
  // Other windows are other questions; the scores stand side by side.
  ASSERT_EQ(run_safesail(score + " --windows 12").exit_code, 0);
  EXPECT_GT(oracle.n_requests(), n_requests + 1);
  ASSERT_EQ(entry(7).explanations[0].scores.size(), 2U);
  EXPECT_EQ(entry(7).explanations[0].scores[1].key.windows, 12);
  const Outcome compared = run_safesail(score + " --windows 12 --compare --json");
  EXPECT_THAT(compared.output, HasSubstr("\"n_answered\": 48")) << "two features, 24 each";
}

TEST_F(ProgramTest, SaysWhyNoAnswerCouldBeRead) {
  ASSERT_EQ(run_safesail("explain" + by_oracle()).exit_code, 0);
  oracle.misbehave(std::vector<Oracle::Misdeed>(40, Oracle::text("What a lovely day")));
  const Outcome scored =
      run_safesail("score --scorer detection --floors 0 --concurrency 1" + by_oracle());
  EXPECT_EQ(scored.exit_code, 1) << scored.output;
  EXPECT_THAT(scored.output, HasSubstr("unparsable"));
  EXPECT_THAT(scored.output, HasSubstr("What a lovely day"));
}

// A command that was killed is repeated as it was: it goes on, and then there is nothing to pay.
TEST_F(ProgramTest, TheFirstFewAreTheSameFewEachTime) {
  for (int repeat = 0; repeat < 2; ++repeat) {
    ASSERT_EQ(run_safesail("explain -n 1" + by_oracle()).exit_code, 0);
    EXPECT_EQ(oracle.n_requests(), 1);
  }
  ASSERT_EQ(run_safesail("explain" + by_oracle()).exit_code, 0);
  const std::string score = "score -n 1 --scorer detection --floors 0" + by_oracle();
  ASSERT_EQ(run_safesail(score).exit_code, 0);
  const int n_requests = oracle.n_requests();
  EXPECT_GT(n_requests, 2);
  ASSERT_EQ(run_safesail(score).exit_code, 0);
  EXPECT_EQ(oracle.n_requests(), n_requests);
}

TEST_F(ProgramTest, ABudgetIsOfTheLedgerNotOfAStart) {
  ASSERT_EQ(run_safesail("explain -n 1" + by_oracle()).exit_code, 0);
  ASSERT_EQ(oracle.n_requests(), 1);
  const std::int64_t spent = in_ledger("sum(prompt_tokens + completion_tokens)");
  EXPECT_GT(spent, 500);
  // Room for what one request costs at most, had nothing been spent.
  const std::string within = fmt::format("explain --budget-tokens {}", spent + 500) + by_oracle();
  const Outcome stopped = run_safesail(within);
  EXPECT_EQ(stopped.exit_code, 1) << stopped.output;
  EXPECT_EQ(oracle.n_requests(), 1) << "nothing more is spent";
  EXPECT_THAT(stopped.output, HasSubstr(fmt::format("might go beyond {} tokens", spent + 500)));
  EXPECT_THAT(stopped.output, HasSubstr("before this start"));
  EXPECT_THAT(run_safesail(within + " --json").output, HasSubstr("\"explained\": 0"));
  EXPECT_EQ(run_safesail("explain --budget-tokens 100000" + by_oracle()).exit_code, 0);
  EXPECT_EQ(oracle.n_requests(), 2);
  // Both features anew, with room for one of them, whose answer takes more than a step: what was
  // answered is written and counted.
  const std::int64_t all = in_ledger("sum(prompt_tokens + completion_tokens)");
  ASSERT_GT(spent, 1000);
  Outcome half;
  for (std::int64_t room = 1000; oracle.n_requests() == 2 && room < 20'000; room += 1000) {
    half = run_safesail(
        fmt::format("explain --seed 5 --concurrency 1 --json --budget-tokens {}", all + room) +
        by_oracle());
    EXPECT_EQ(half.exit_code, 1) << half.output;
  }
  EXPECT_EQ(oracle.n_requests(), 3);
  EXPECT_THAT(half.output, HasSubstr("\"explained\": 1"));
  EXPECT_EQ(entry(7).explanations.size(), 2U);
}

TEST_F(ProgramTest, SaysWhatItWouldCostAndStops) {
  const Outcome only = run_safesail("explain --dry-run --json" + by_oracle());
  EXPECT_EQ(only.exit_code, 0) << only.output;
  const Outcome tagged = run_safesail("explain --tag --dry-run --json" + by_oracle());
  EXPECT_THAT(only.output, HasSubstr("\"requests\": 2,"));
  EXPECT_THAT(tagged.output, HasSubstr("\"requests\": 4,")) << "tagging is counted";
  EXPECT_EQ(oracle.n_requests(), 0);
  EXPECT_TRUE(entry(7).explanations.empty());
}

// The only real language model here (make test-full). It is asked about a word that the firing
// windows have and the others have not: whoever reads must find them.
TEST_F(ProgramTest, ALocalModelExplainsTagsAndScores) {
  const fs::path model =
      fs::path(SAFESAIL_SOURCE_DIR) / ".deps/models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";
  if (!fs::exists(model)) GTEST_SKIP() << model << " comes on demand (scripts/setup.sh qwen)";
  const std::string local = fmt::format(" -n 1 --run {} --local {}", dir_.string(), model.string());
  ASSERT_EQ(run_safesail("explain --run " + dir_.string()).exit_code, 0) << "a text beside its own";
  const Outcome explained = run_safesail("explain --tag" + local);
  ASSERT_EQ(explained.exit_code, 0) << explained.output;
  EXPECT_THAT(explained.output, HasSubstr("time: about "));
  EXPECT_EQ(in_ledger("sum(status = 'failed')"), 0);
  const Outcome scored = run_safesail(
      "score --scorer segment token detection fuzzing --windows 20 --floors 1" + local);
  ASSERT_EQ(scored.exit_code, 0) << scored.output;
  EXPECT_THAT(scored.output, HasSubstr("cached"));

  int n_scores = 0;
  for (const std::int32_t index : {7, 4}) {
    const FeatureEntry found = entry(index);
    for (const auto& one : found.explanations) {
      EXPECT_NE(one.explanation.status, TextStatus::unparsable) << one.explanation.reason;
      for (const Score& score : one.scores) {
        ++n_scores;
        const Json details = Json::parse(score.details);
        EXPECT_EQ(details.at("share_answered"), 1) << score.key.scorer << score.details;
        if (score.key.scorer == "detection" && one.explanation.key.explainer == "lexical") {
          EXPECT_GT(details.at("auroc").at("value"), 0.8) << score.details;
        }
      }
    }
  }
  EXPECT_GE(n_scores, 4);
}

}  // namespace
}  // namespace safesail
