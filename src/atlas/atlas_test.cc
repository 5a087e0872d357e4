#include "atlas/atlas.h"

#include <cmath>
#include <gmock/gmock.h>

#include "atlas/test_support.h"
#include "base/error.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsNan;

void expect_same_window(const Window& got, const Window& want) {
  EXPECT_EQ(got.document, want.document);
  EXPECT_EQ(got.position, want.position);
  EXPECT_EQ(got.ids, want.ids);
  EXPECT_EQ(got.text, want.text);
  EXPECT_EQ(got.starts, want.starts);
  EXPECT_EQ(got.activation, want.activation);
}

TEST_F(AtlasTest, KeepsARecordWhole) {
  FeatureRecord want = make_record(5);
  want.exemplars[0].window.ids[1] = -1;  // a token whose id nobody knows
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t id = atlas.put_feature(atlas.put_sae(make_sae()), want);
  const FeatureRecord got = atlas.record(id);
  EXPECT_EQ(got.sae, want.sae);
  EXPECT_EQ(got.site, want.site);
  EXPECT_EQ(got.feature, 5);
  EXPECT_EQ(got.n_tokens, want.n_tokens);
  EXPECT_EQ(got.n_active, want.n_active);
  EXPECT_EQ(got.parts, want.parts);
  EXPECT_EQ(got.max_activation, want.max_activation);
  EXPECT_EQ(got.quantile, want.quantile);
  EXPECT_EQ(got.histogram, want.histogram);
  ASSERT_EQ(got.promoted.size(), 2u);
  EXPECT_EQ(got.promoted[1].text, "ed");
  EXPECT_EQ(got.promoted[1].weight, 0.5F);
  EXPECT_EQ(got.suppressed[0].id, 5);
  EXPECT_EQ(got.fires_on[0].text, " bomb");
  EXPECT_EQ(got.nearest[0].cosine, 0.9F);
  EXPECT_EQ(got.n_firing_windows, want.n_firing_windows);
  ASSERT_EQ(got.exemplars.size(), 2u);
  for (const std::size_t i : {0, 1}) {
    expect_same_window(got.exemplars[i].window, want.exemplars[i].window);
    EXPECT_EQ(got.exemplars[i].use, want.exemplars[i].use);
    EXPECT_EQ(got.exemplars[i].kind, want.exemplars[i].kind);
    EXPECT_EQ(got.exemplars[i].level, want.exemplars[i].level);
  }
}

TEST_F(AtlasTest, PuttingAgainReplacesAndKeepsIds) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t sae = atlas.put_sae(make_sae());
  FeatureRecord record = make_record(5);
  const std::int64_t id = atlas.put_feature(sae, record);
  atlas.put_explanation(id, make_explanation("bombs"));
  record.exemplars.pop_back();
  record.max_activation = 9;
  EXPECT_EQ(atlas.put_sae(make_sae()), sae);
  EXPECT_EQ(atlas.put_feature(sae, record, Atlas::insufficient(3)), id);
  atlas.put_explanation(id, make_explanation("explosives"));
  const FeatureEntry entry = atlas.entry(id);
  EXPECT_EQ(entry.record.exemplars.size(), 1u);
  EXPECT_EQ(entry.record.max_activation, 9);
  EXPECT_EQ(entry.status, "insufficient: n = 3");
  ASSERT_EQ(entry.explanations.size(), 1u);
  EXPECT_EQ(entry.explanations[0].explanation.short_text, "explosives");
  EXPECT_EQ(atlas.list({.text = "bombs"}).n_total, 0) << "the old text is still found";
  EXPECT_EQ(atlas.list({.text = "explosives"}).n_total, 1);
}

TEST_F(AtlasTest, KeepsScoresTagsMetricsAndSimulations) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t id = atlas.put_feature(atlas.put_sae(make_sae()), make_record(5));
  const std::int64_t explanation = atlas.put_explanation(id, make_explanation("bombs"));
  Score score;
  score.key = {"segment", "judge-1", "def", 2};
  score.value = 0.625;
  score.low = 0.5;
  score.high = 0.75;
  score.n_windows = 40;
  score.n_unparsable = 1;
  score.n_refused = 2;
  score.details = R"({"pearson":0.625})";
  score.simulations = {{1, {0.5F, 1.0F}}};
  atlas.put_score(explanation, score);
  atlas.put_tag(id, {"terror", "weapons", "pairs", R"({"q":0.001})"});
  atlas.put_tag(id, {"violence", "", "llm", "{}"});
  atlas.put_pair_metrics(id, {"terror/weapons", "hi", 0.75, 0.125, 0.001, 0.01, 2.5, 12});
  const FeatureEntry entry = atlas.entry(id);
  ASSERT_EQ(entry.explanations.size(), 1u);
  ASSERT_EQ(entry.explanations[0].scores.size(), 1u);
  const Score& got = entry.explanations[0].scores[0];
  EXPECT_EQ(got.value, 0.625);
  EXPECT_EQ(got.high, 0.75);
  EXPECT_TRUE(std::isnan(got.floor)) << "an unknown number became " << got.floor;
  EXPECT_EQ(got.n_refused, 2);
  EXPECT_EQ(got.details, score.details);
  ASSERT_EQ(got.simulations.size(), 1u);
  EXPECT_EQ(got.simulations[0].exemplar, 1u);
  EXPECT_THAT(got.simulations[0].values, ElementsAre(0.5F, 1.0F));
  EXPECT_EQ(entry.tags.size(), 2u);
  EXPECT_EQ(entry.tags[0].evidence, R"({"q":0.001})");
  EXPECT_EQ(entry.pair_metrics.at(0).reverse, 0.125);
  EXPECT_EQ(entry.effect, 2.5);
  EXPECT_EQ(entry.score, 0.625);
  atlas.delete_tags(id, "pairs");
  EXPECT_EQ(atlas.entry(id).tags.size(), 1u);
}

TEST_F(AtlasTest, TheHeadlineIsChosenWithoutLookingAtScores) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t id = atlas.put_feature(atlas.put_sae(make_sae()), make_record(5));
  const auto put = [&](std::string explainer, std::string scorer, double value) {
    const std::int64_t e = atlas.put_explanation(id, make_explanation("text", explainer));
    Score score;
    score.key.scorer = std::move(scorer);
    score.value = value;
    atlas.put_score(e, score);
  };
  put("lexical", "segment", 0.9);
  EXPECT_EQ(atlas.entry(id).score, 0.9);
  put("llm", "detection", 0.8);
  EXPECT_EQ(atlas.entry(id).score, 0.8) << "the baseline must give way to an explainer";
  Score segment;
  segment.key.scorer = "segment";
  segment.value = 0.1;
  atlas.put_score(atlas.entry(id).explanations[1].explanation.id, segment);
  EXPECT_EQ(atlas.entry(id).score, 0.1) << "segment comes before detection, lower as it is";
}

TEST_F(AtlasTest, TheHeadlineIsTheNewestText) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t id = atlas.put_feature(atlas.put_sae(make_sae()), make_record(5));
  Explanation first = make_explanation("first"), second = make_explanation("second");
  second.key.prompt_hash = "another prompt";
  const std::int64_t old = atlas.put_explanation(id, first);
  atlas.put_explanation(id, second);
  first.short_text = "first again";
  EXPECT_GT(atlas.put_explanation(id, first), old);
  EXPECT_EQ(atlas.list({}).lines.at(0).text, "first again");
  EXPECT_EQ(atlas.entry(id).explanations.size(), 2u);
}

/// Three features: scores of several scorers and simulators, on scales of their own.
TEST_F(AtlasTest, ScoresOfOneMeasureAloneStandInListings) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t sae = atlas.put_sae(make_sae());
  std::vector<std::int64_t> ids, texts;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(atlas.put_feature(sae, make_record(i)));
    texts.push_back(atlas.put_explanation(ids.back(), make_explanation("words")));
  }
  const float x[] = {0.1F, 0.2F, 0.3F};
  atlas.put_coordinates(ids, x, x);
  EXPECT_EQ(atlas.measure(), ScoreMeasure());
  const auto put = [&](int feature, const char* scorer, const char* simulator, double value) {
    Score score;
    score.key.scorer = scorer;
    score.key.simulator = simulator;
    score.value = value;
    atlas.put_score(texts[static_cast<std::size_t>(feature)], score);
  };
  const auto scores = [&] {
    std::vector<double> all;
    for (const std::int64_t id : ids) all.push_back(atlas.entry(id).score);
    return all;
  };
  // A balanced accuracy of 0.6 must not stand above a correlation of 0.4.
  put(0, "detection", "judge", 0.6);
  put(1, "segment", "judge", 0.4);
  put(2, "segment", "judge", 0.2);
  EXPECT_EQ(atlas.measure(), (ScoreMeasure{"segment", "judge"}));
  EXPECT_THAT(scores(), ElementsAre(IsNan(), 0.4, 0.2));
  const std::vector<FeatureLine> lines = atlas.list({}).lines;
  EXPECT_EQ(lines.at(0).feature, 1);
  EXPECT_EQ(lines.at(2).feature, 0) << "unknown comes last";
  EXPECT_EQ(atlas.list({.min_score = 0.5}).n_total, 0);
  EXPECT_EQ(atlas.counts().n_scored, 2);
  EXPECT_EQ(atlas.counts().measure.scorer, "segment");
  EXPECT_THAT(atlas.landscape().score, ElementsAre(IsNan(), 0.4, 0.2));
  EXPECT_THAT(atlas.known_features(sae).at(0).score, IsNan());

  // Of scores that as many have: the scorer's rank, then a simulator that is not the baseline.
  put(1, "detection", "judge", 0.7);
  EXPECT_EQ(atlas.measure().scorer, "segment");
  put(1, "segment", "lexical", 0.3);
  put(2, "segment", "lexical", 0.3);
  EXPECT_EQ(atlas.measure().simulator, "judge");
  // By most features.
  put(0, "segment", "lexical", 0.3);
  EXPECT_EQ(atlas.measure(), (ScoreMeasure{"segment", "lexical"}));
  EXPECT_THAT(scores(), ElementsAre(0.3, 0.3, 0.3));
  // The newest of the measure, whatever its seed.
  Score again;
  again.key = {"segment", "lexical", "", 7};
  again.value = -0.1;
  atlas.put_score(texts[0], again);
  EXPECT_EQ(atlas.entry(ids[0]).score, -0.1);
  // Scores of texts that are no headline do not count.
  atlas.put_explanation(ids[0], make_explanation("newer", "other"));
  EXPECT_THAT(scores(), ElementsAre(IsNan(), 0.4, 0.2));
}

TEST_F(AtlasTest, NewWindowsTakeTheScoresOfTheOldOnesAway) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t sae = atlas.put_sae(make_sae());
  FeatureRecord record = make_record(1);
  const std::int64_t id = atlas.put_feature(sae, record);
  const std::int64_t text = atlas.put_explanation(id, make_explanation("bombs"));
  Score score;
  score.key = {"segment", "judge-1", "def", 2};
  score.value = 0.5;
  score.simulations = {{1, {0.5F, 1.0F}}};
  atlas.put_score(text, score);
  record.n_tokens = 2000;  // statistics alone
  EXPECT_EQ(atlas.put_feature(sae, record), id);
  EXPECT_EQ(atlas.entry(id).score, 0.5) << "the windows are the same";
  EXPECT_EQ(atlas.scores(text).at(0).simulations.size(), 1u);
  record.exemplars[1].window.activation[0] = 0.25F;
  atlas.put_feature(sae, record);
  EXPECT_THAT(atlas.entry(id).score, IsNan());
  EXPECT_FALSE(atlas.find_score(text, score.key)) << "to be scored again";
  EXPECT_EQ(atlas.entry(id).explanations.size(), 1u);
}

TEST_F(AtlasTest, KnowsExactlyWhatIsLeftToDo) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t sae = atlas.put_sae(make_sae());
  std::vector<std::int64_t> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(atlas.put_feature(sae, make_record(i)));
  atlas.set_status(ids[4], Atlas::insufficient(2));
  const ExplanationKey key = make_explanation("").key;
  EXPECT_THAT(atlas.features_lacking(key), ElementsAre(ids[0], ids[1], ids[2], ids[3]));

  Explanation explanation = make_explanation("one");
  const std::int64_t done = atlas.put_explanation(ids[0], explanation);
  explanation.status = TextStatus::refused;
  atlas.put_explanation(ids[1], explanation);
  explanation.status = TextStatus::failed;
  atlas.put_explanation(ids[2], explanation);
  EXPECT_THAT(atlas.features_lacking(key), ElementsAre(ids[2], ids[3]))
      << "failed is tried again, refused is an answer";
  EXPECT_THAT(atlas.features_lacking(key, {}, 3), ElementsAre(ids[2]));
  EXPECT_THAT(atlas.features_lacking(key, {}, 2), IsEmpty()) << "the first two have theirs";
  for (auto change :
       {+[](ExplanationKey& k) { k.seed = 9; }, +[](ExplanationKey& k) { k.language = "hi"; },
        +[](ExplanationKey& k) { k.prompt_hash = "new"; },
        +[](ExplanationKey& k) { k.model = "other"; },
        +[](ExplanationKey& k) { k.explainer = "lexical"; }}) {
    ExplanationKey other = key;
    change(other);
    EXPECT_EQ(atlas.features_lacking(other).size(), 4u);
  }
  EXPECT_THAT(atlas.features_lacking(key, "another/sae"), IsEmpty());

  Score score;
  score.key = {"segment", "judge-1", "def", 1, 40, 6, "asked"};
  EXPECT_THAT(atlas.explanations({}), ElementsAre(done));
  EXPECT_THAT(atlas.explanations({.explainer = "lexical"}), IsEmpty());
  EXPECT_THAT(atlas.explanations({.explainer = "llm", .seed = 1}), ElementsAre(done));
  EXPECT_FALSE(atlas.find_score(done, score.key));
  score.n_failed = 3;
  atlas.put_score(done, score);
  ASSERT_TRUE(atlas.find_score(done, score.key));
  EXPECT_EQ(atlas.find_score(done, score.key)->n_failed, 3);
  EXPECT_EQ(atlas.find_score(done, score.key)->key, score.key);
  for (auto change :
       {+[](ScoreKey& k) { k.scorer = "token"; }, +[](ScoreKey& k) { k.simulator = "lexical"; },
        +[](ScoreKey& k) { k.prompt_hash = "new"; }, +[](ScoreKey& k) { k.seed = 9; },
        +[](ScoreKey& k) { k.windows = 5; }, +[](ScoreKey& k) { k.batch = 3; },
        +[](ScoreKey& k) { k.questions = "others"; }}) {
    Score other = score;
    change(other.key);
    EXPECT_FALSE(atlas.find_score(done, other.key));
    atlas.put_score(done, other);
    EXPECT_TRUE(atlas.find_score(done, other.key));
  }
  EXPECT_EQ(atlas.scores(done).size(), 8U) << "none has taken the place of another";
}

TEST_F(AtlasTest, AChangedExplanationLosesItsScores) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t id = atlas.put_feature(atlas.put_sae(make_sae()), make_record(1));
  Score score;
  score.key.scorer = "segment";
  score.value = 0.5;
  atlas.put_score(atlas.put_explanation(id, make_explanation("one")), score);
  atlas.put_explanation(id, make_explanation("two"));
  EXPECT_TRUE(std::isnan(atlas.entry(id).score));
  EXPECT_THAT(atlas.entry(id).explanations[0].scores, IsEmpty());
}

TEST_F(AtlasTest, AnUndoneTransactionLeavesNothing) {
  Atlas atlas(dir_ / "atlas.sqlite");
  {
    const Transaction transaction = atlas.transaction();
    atlas.put_feature(atlas.put_sae(make_sae()), make_record(1));
    EXPECT_EQ(atlas.list({}).n_total, 1);
  }
  EXPECT_THAT(atlas.saes(), IsEmpty());
  EXPECT_EQ(atlas.list({}).n_total, 0);
}

TEST_F(AtlasTest, AnotherConnectionSeesWhatWasCommitted) {
  Atlas writer(dir_ / "atlas.sqlite");
  Atlas reader(dir_ / "atlas.sqlite", Atlas::Mode::read);
  EXPECT_EQ(reader.list({}).n_total, 0);
  const std::int64_t sae = writer.put_sae(make_sae());
  Transaction transaction = writer.transaction();
  writer.put_feature(sae, make_record(1));
  EXPECT_EQ(reader.list({}).n_total, 0);
  transaction.commit();
  EXPECT_EQ(reader.list({}).n_total, 1);
}

TEST_F(AtlasTest, CountsMoneyAndKeepsAnswers) {
  Atlas atlas(dir_ / "atlas.sqlite");
  atlas.begin_run({"0.1.0", 1, "{}"});
  LedgerLine line{.purpose = "explain",
                  .feature = {},
                  .endpoint = "http://localhost",
                  .model = "judge-1",
                  .request_hash = "h1",
                  .prompt_tokens = 100,
                  .completion_tokens = 20,
                  .cached_tokens = 50,
                  .reasoning_tokens = 8,
                  .money = 0.25,
                  .currency = "EUR"};
  atlas.add_ledger_line(line);
  line.status = "refused";
  atlas.add_ledger_line(line);
  const std::vector<Spending> spending = atlas.spending();
  ASSERT_EQ(spending.size(), 1u);
  EXPECT_EQ(spending[0].prompt_tokens, 200);
  EXPECT_EQ(spending[0].requests, 2);
  EXPECT_EQ(spending[0].money, 0.5);
  EXPECT_EQ(spending[0].reasoning_tokens, 16);
  EXPECT_EQ(spending[0].currency, "EUR");
  const std::int64_t id = atlas.put_feature(atlas.put_sae(make_sae()), make_record(5));
  Explanation text = make_explanation("bombs");
  text.request_hash = "h1";
  atlas.put_explanation(id, text);
  text.key.seed = 9;  // of another request, of which nothing is known
  text.request_hash = "h2";
  atlas.put_explanation(id, text);
  const std::vector<ExplanationWithScores> texts = atlas.entry(id).explanations;
  ASSERT_TRUE(texts.at(0).cost.has_value());
  EXPECT_EQ(texts[0].cost->money, 0.5) << "both attempts were paid for";
  EXPECT_FALSE(texts.at(1).cost.has_value());
  line.currency = "USD";
  atlas.add_ledger_line(line);
  EXPECT_EQ(atlas.spending().size(), 2u) << "sums of two currencies mean nothing";
  EXPECT_EQ(atlas.find_answer("h1"), std::nullopt);
  atlas.put_answer("h1", "yes");
  EXPECT_EQ(atlas.find_answer("h1"), "yes");
}

TEST_F(AtlasTest, FindsFeaturesByName) {
  Atlas atlas(dir_ / "atlas.sqlite");
  SaeRow other = make_sae();
  other.name = "mlp_out.3/topk-k64";
  const std::int64_t id = atlas.put_feature(atlas.put_sae(make_sae()), make_record(5));
  EXPECT_EQ(atlas.feature_named("mlp_out.3:5"), id);
  EXPECT_EQ(atlas.feature_named("3_5"), id);
  EXPECT_THROW(atlas.feature_named("3_6"), Error);
  EXPECT_THROW(atlas.feature_named("five"), Error);
  EXPECT_THROW(atlas.feature_named("3_99999999999"), Error);
  atlas.put_feature(atlas.put_sae(other), make_record(5));
  EXPECT_THROW(atlas.feature_named("3_5"), Error) << "two SAEs have it";
  EXPECT_EQ(atlas.feature_named("3_5", make_sae().name), id);
  EXPECT_THAT(atlas.neighbours(id), IsEmpty());
  const std::int64_t near =
      atlas.put_feature(*atlas.find_sae("test-model", make_sae().name), make_record(6));
  ASSERT_EQ(atlas.neighbours(id).size(), 1u);
  EXPECT_EQ(atlas.neighbours(id)[0].line.id, near);
}

TEST_F(AtlasTest, AFailedPartUndoesTheWhole) {
  Atlas atlas(dir_ / "atlas.sqlite");
  Transaction outer = atlas.transaction();
  const std::int64_t sae = atlas.put_sae(make_sae());
  { const Transaction inner = atlas.transaction(); }
  EXPECT_THROW(outer.commit(), Error);
  EXPECT_THROW(atlas.put_explanation(12345, make_explanation("of nothing")), Error);
  { const Transaction undone = std::move(outer); }
  EXPECT_EQ(atlas.find_feature(sae, 1), std::nullopt);
  EXPECT_THAT(atlas.saes(), IsEmpty());
}

// A text that is put together is gone before the statement that is kept under it.
TEST_F(AtlasTest, AStatementNeedsItsTextNoLonger) {
  Atlas atlas(dir_ / "atlas.sqlite");
  for (int time = 1; time <= 3; ++time) {
    Query row = atlas.database().query(std::string("SELECT 40 ") + "+ ?, " + "?", 2, time);
    ASSERT_TRUE(row.next());
    EXPECT_EQ(row.integer(0), 42);
    EXPECT_EQ(row.integer(1), time);
  }
}

TEST_F(AtlasTest, NamesDamage) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t id = atlas.put_feature(atlas.put_sae(make_sae()), make_record(1));
  Database& database = atlas.database();
  for (const char* damage :
       {"UPDATE windows SET starts = x'00FF'", "UPDATE windows SET starts = x'007F7F7F'",
        "UPDATE windows SET ids = x''", "UPDATE exemplars SET activation = x'7F01020304'",
        "UPDATE exemplars SET use = 'nothing'", "UPDATE feature_details SET promoted = '[[1,2]]'",
        "UPDATE feature_details SET nearest = '{'",
        "UPDATE feature_details SET parts = '[[-1,\"a\",0]]'",
        "UPDATE feature_details SET histogram = x'FF'"}) {
    const Transaction undone = atlas.transaction();
    database.execute(damage);
    EXPECT_THROW(atlas.record(id), Error) << damage;
  }
  EXPECT_EQ(atlas.record(id).exemplars.size(), 2u);
}

TEST_F(AtlasTest, RefusesWhatIsNotAnAtlas) {
  const fs::path path = dir_ / "file";
  const auto message = [&](Atlas::Mode mode) -> std::string {
    try {
      const Atlas atlas(path, mode);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message(Atlas::Mode::write), testing::HasSubstr("no such database"));
  write_file(path, std::string(5000, 'x'));
  EXPECT_THAT(message(Atlas::Mode::write), testing::HasSubstr("not a database"));
  fs::remove(path);
  { Database(path, Database::Mode::create).execute("CREATE TABLE theirs (x)"); }
  EXPECT_THAT(message(Atlas::Mode::write), testing::HasSubstr("another program"));
  EXPECT_THAT(message(Atlas::Mode::read), testing::HasSubstr("another program"));
  fs::remove(path);
  { const Atlas atlas(path); }
  { Database(path, Database::Mode::write).execute("PRAGMA user_version = 99"); }
  EXPECT_THAT(message(Atlas::Mode::read), testing::HasSubstr("newer Safesail"));
  { Database(path, Database::Mode::write).execute("PRAGMA user_version = -1"); }
  EXPECT_THAT(message(Atlas::Mode::read), testing::HasSubstr("got -1"));
}

}  // namespace
}  // namespace safesail
