// Phase 2 from the SAEs of a run to scored explanations, on the packaged model with planted
// features, offline and by an endpoint that knows the truth.
#include "run/phase2.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <set>
#include <stop_token>

#include "base/error.h"
#include "interpret/llm_simulator.h"
#include "oracle_endpoint.h"
#include "planted_sae.h"
#include "run/atlas_ledger.h"
#include "run/explain.h"
#include "run/tag.h"
#include "sae/checkpoint.h"

namespace safesail {
namespace {

const std::vector<std::string> kConcept = {" bomb", " gun", " rifle", " missile"};
const std::vector<std::string> kNeutral = {" chair", " lamp", " basket", " ladder"};
const std::vector<std::string> kFrames = {
    "The report about the{} came out today.", "She never spoke of the{} again.",
    "Was there a{} in the old house?",        "They found another{} near the river.",
    "I read that every{} has a history.",     "Nobody had expected the{} to matter.",
    "Please tell me more about this{}.",      "A museum shows the{} in its first room.",
    "What does the law say of a{}?",          "Her uncle once sold a{} to him."};

/// A prompt's text as it was before tokens were marked: "<<bomb|10>>" is "bomb".
std::string without_marks(const std::string& body) {
  static const std::regex mark(R"(<<([^|<>]*)(\|[0-9]+)?>>)");
  return std::regex_replace(body, mark, "$1");
}

/// Keeps what is noted.
class NotingReporter final : public Reporter {
 public:
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view,
                std::string_view) override {}
  void note(std::string_view text) override { notes.emplace_back(text); }
  void warn(std::string_view) override {}
  std::vector<std::string> notes;
};

class Phase2Test : public PlantedSaeTest {
 protected:
  void SetUp() override {
    PlantedSaeTest::SetUp();
    std::vector<std::int32_t> ids;
    for (const auto* words : {&kConcept, &kNeutral})
      for (const std::string& word : *words) ids.push_back(token(word));
    save_sae(run() / "sae/resid_pre.0/jumprelu-k8/sae.safetensors", planted(ids, 300),
             {.site = "resid_pre.0"}, embeddings(ids));
    write_pairs();
    write_corpus();
    config_.model = packaged_model();
    config_.load.dtype = ComputeType::f32;
    config_.out = run();
    config_.pairs = {(dir_ / "pairs.jsonl").string()};
    config_.select.held_out_share = 0.2;  // of ten pairs a subclass
    config_.collect.corpus = {.paths = {(dir_ / "corpus.jsonl").string()}};
    config_.collect.batch = {.max_sequence = 128, .batch_tokens = 512};
    config_.score.scorers = {Scorer::segment, Scorer::token, Scorer::detection, Scorer::fuzzing};
  }
  fs::path run() const { return dir_ / "run"; }

  void write_pairs() const {
    std::string lines;
    for (std::size_t w = 0; w < kConcept.size(); ++w)
      for (std::size_t f = 0; f < kFrames.size(); ++f)
        lines += Json{{"pair", fmt::format("{}-{}", w, f)},
                      {"domain", "terror"},
                      {"subclass", kConcept[w].substr(1)},
                      {"concept", kConcept[w].substr(1)},
                      {"language", "en"},
                      {"text", fmt::format(fmt::runtime(kFrames[f]), kConcept[w])},
                      {"counterpart", fmt::format(fmt::runtime(kFrames[f]), kNeutral[w])}}
                     .dump() +
                 "\n";
    write_file(dir_ / "pairs.jsonl", lines);
  }
  /// Documents of two sentences, each with some word; every tenth stands there twice, and once more
  /// with other punctuation.
  void write_corpus() const {
    const std::vector<std::string> others = {" table", " horse", " garden", " letter", " window",
                                             " song",  " river", " market", " coat",   " engine"};
    Rng rng(21, "corpus");
    const auto word = [&] {
      const std::uint64_t i = rng.below(24);
      return i < 4 ? kConcept[i] : i < 8 ? kNeutral[i - 4] : others[rng.below(others.size())];
    };
    std::string lines;
    for (int i = 0; i < 1500; ++i) {
      const std::string text =
          fmt::format("{} {} Number {}.", fmt::format(fmt::runtime(kFrames[rng.below(10)]), word()),
                      fmt::format(fmt::runtime(kFrames[rng.below(10)]), word()), rng.below(900));
      const std::string line = Json{{"text", text}}.dump() + "\n";
      lines += line;
      if (i % 10 == 0) lines += line + Json{{"text", text + ".."}}.dump() + "\n";
    }
    write_file(dir_ / "corpus.jsonl", lines);
  }

  /// The atlas's features of the planted concept words, by word.
  static std::int64_t feature_of(Atlas& atlas, std::size_t word) {
    const std::vector<SaeRow> saes = atlas.saes();
    const auto sae = atlas.find_sae(saes.at(0).model, saes.at(0).name);
    const auto id = atlas.find_feature(sae.value(), static_cast<std::int32_t>(word));
    EXPECT_TRUE(id) << kConcept[word];
    return id.value_or(0);
  }

  Phase2Config config_;
};

TEST_F(Phase2Test, PlantedFeaturesAreFoundExplainedAndScored) {
  SilentReporter silent;
  run_phase2(config_, {}, silent, {});
  Atlas atlas(run() / "atlas.sqlite", Atlas::Mode::read);
  for (std::size_t word = 0; word < kConcept.size(); ++word) {
    const FeatureEntry entry = atlas.entry(feature_of(atlas, word));
    EXPECT_EQ(entry.status, "ok");
    EXPECT_TRUE(entry.x >= 0 && entry.x <= 1 && entry.y >= 0 && entry.y <= 1);
    EXPECT_TRUE(std::ranges::any_of(entry.tags, [&](const Tag& tag) {
      return tag.domain == "terror" && tag.subclass == kConcept[word].substr(1) &&
             tag.source == "pairs";
    })) << kConcept[word];
    ASSERT_FALSE(entry.explanations.empty());
    const ExplanationWithScores& english = entry.explanations.front();
    EXPECT_THAT(english.explanation.short_text, testing::HasSubstr(kConcept[word].substr(1)));
    ASSERT_EQ(english.scores.size(), 4U);
    for (const Score& score : english.scores) {
      // One word decides everything, so the lexical simulator can be all but perfect.
      EXPECT_GT(score.value, 0.9) << kConcept[word] << " " << score.key.scorer;
      // Another feature's words say less; in these short texts they may go with this one's.
      EXPECT_LE(score.floor, score.value) << kConcept[word] << " " << score.key.scorer;
    }
  }
}

TEST_F(Phase2Test, ASecondStartDoesNothing) {
  NotingReporter reporter;
  run_phase2(config_, {}, reporter, {});
  reporter.notes.clear();
  run_phase2(config_, {}, reporter, {});
  EXPECT_THAT(reporter.notes,
              testing::ElementsAre("select: done already", "exemplars: done already",
                                   "explain: done already", "score: done already"));
}

TEST_F(Phase2Test, CopiesServeOneEndThoughTheirPunctuationDiffers) {
  SilentReporter silent;
  run_phase2(config_, {}, silent, {});
  Atlas atlas(run() / "atlas.sqlite", Atlas::Mode::read);
  std::size_t n_copies = 0;
  for (std::size_t word = 0; word < kConcept.size(); ++word) {
    std::map<std::string, std::pair<std::string, Use>> seen;  // by the text without its full stops
    for (const Exemplar& exemplar : atlas.record(feature_of(atlas, word)).exemplars) {
      std::string text = exemplar.window.text;
      text.erase(text.find_last_not_of('.') + 1);
      const auto [found, is_new] = seen.try_emplace(text, exemplar.window.text, exemplar.use);
      EXPECT_EQ(found->second.second, exemplar.use) << text;
      n_copies += found->second.first != exemplar.window.text;
    }
  }
  EXPECT_GT(n_copies, 5U) << "the planted copies are among the windows";
}

// No window of the test side, and no document that has one, is in anything that an explainer was
// asked; asking again costs nothing; true explanations score near 1.
TEST_F(Phase2Test, AnEndpointExplainsWithoutSeeingTheTest) {
  SilentReporter silent;
  run_phase2(config_, {}, silent, {});
  Atlas atlas(run() / "atlas.sqlite", Atlas::Mode::write);
  OracleEndpoint oracle;
  EndpointSettings settings{.base_url = oracle.url(), .model = "oracle"};
  settings.logprobs = false;
  Budget budget({}, {});
  AtlasLedger ledger(atlas);
  ChatClient client(settings, {}, budget, &ledger, silent);
  LlmExplainer llm(client);
  const Explainer explainer = llm_explainer(llm, {}, settings);
  ExplainCounts counts;
  explain_features(explainer, "", 0, atlas, silent, {}, counts);
  EXPECT_GT(counts.n_ok, 4U);

  const std::vector<std::string> asked = oracle.bodies();
  std::size_t n_test_windows = 0, n_explain_windows = 0;
  for (std::size_t word = 0; word < kConcept.size(); ++word)
    for (const Exemplar& exemplar : atlas.record(feature_of(atlas, word)).exemplars) {
      const bool in_a_prompt = std::ranges::any_of(asked, [&](const std::string& body) {
        return without_marks(body).find(exemplar.window.text) != std::string::npos;
      });
      if (exemplar.use == Use::test) {
        ++n_test_windows;
        EXPECT_FALSE(in_a_prompt) << exemplar.window.text;
      } else if (exemplar.use == Use::explain) {
        n_explain_windows += in_a_prompt;
      }
    }
  EXPECT_GT(n_test_windows, 100U);
  // The search would find what is there.
  EXPECT_GT(n_explain_windows, 40U);

  const int n_requests = oracle.n_requests();
  ExplainCounts again;
  explain_features(explainer, "", 0, atlas, silent, {}, again);
  EXPECT_EQ(oracle.n_requests(), n_requests) << "what is explained is not asked again";

  LlmTagger tagger(client);
  TagCounts tagged;
  tag_features(tagger, explainer.key, "", atlas, silent, {}, tagged);
  EXPECT_EQ(tagged.n_tagged + tagged.n_without_risk, counts.n_ok);
  EXPECT_EQ(tagged.n_unanswered, 0U);

  LlmSimulator simulator(client);
  ScoreConfig score_config;
  score_config.scorers = {Scorer::segment, Scorer::detection};
  score_config.which.explainer = "llm";
  std::vector<ScorerOutcome> outcomes;
  score_explanations(simulator, score_config, atlas, silent, {}, outcomes);
  for (std::size_t word = 0; word < kConcept.size(); ++word)
    for (const ExplanationWithScores& explained :
         atlas.entry(feature_of(atlas, word)).explanations) {
      if (explained.explanation.key.explainer != "llm") continue;
      ASSERT_EQ(explained.scores.size(), 2U);
      for (const Score& score : explained.scores)
        EXPECT_GT(score.value, 0.9) << explained.explanation.short_text << " " << score.key.scorer;
    }
}

// What was paid for outlives the features that it was paid for: a forced repeat replaces these, in
// one step, and keeps answers, ledger, and the ids of features that come again.
TEST_F(Phase2Test, ARepeatKeepsWhatWasPaidFor) {
  SilentReporter silent;
  run_phase2(config_, {}, silent, {});
  std::int64_t id = 0;
  {
    Atlas atlas(run() / "atlas.sqlite", Atlas::Mode::write);
    id = feature_of(atlas, 0);
    atlas.put_explanation(id, {.key = {.explainer = "llm", .model = "m"}, .short_text = "paid"});
    atlas.put_answer("request", "answer");
    atlas.add_ledger_line({.purpose = "explain", .feature = id, .model = "m", .money = 2});
    FeatureRecord other;
    other.feature = 250;
    atlas.put_feature(atlas.find_sae(atlas.saes()[0].model, atlas.saes()[0].name).value(), other);
  }
  run_phase2(config_, "exemplars", silent, {});
  Atlas atlas(run() / "atlas.sqlite", Atlas::Mode::read);
  EXPECT_EQ(atlas.find_answer("request"), "answer");
  EXPECT_EQ(atlas.database().find_integer("SELECT feature_id FROM ledger WHERE money = 2"), id);
  EXPECT_EQ(feature_of(atlas, 0), id);
  EXPECT_FALSE(atlas.find_feature(1, 250)) << "of an older selection";
  const FeatureEntry entry = atlas.entry(id);
  ASSERT_FALSE(entry.explanations.empty());
  for (const ExplanationWithScores& explained : entry.explanations)
    EXPECT_EQ(explained.explanation.key.explainer, "lexical") << "others' exemplars are gone";
  EXPECT_EQ(entry.explanations[0].scores.size(), 4U);
  EXPECT_TRUE(atlas.list({.text = "paid"}).lines.empty());
}

/// Asks for a stop at the first sign of a stage.
class StoppingReporter final : public Reporter {
 public:
  explicit StoppingReporter(std::string stage) : stage_(std::move(stage)) {}
  void progress(std::string_view what, std::uint64_t, std::uint64_t, std::string_view,
                std::string_view) override {
    if (what == stage_) stop.request_stop();
  }
  void note(std::string_view) override {}
  void warn(std::string_view) override {}
  std::stop_source stop;

 private:
  std::string stage_;
};

TEST_F(Phase2Test, AStopInsideLeavesTheOldAtlas) {
  SilentReporter silent;
  run_phase2(config_, {}, silent, {});
  StoppingReporter stopping("exemplars");
  EXPECT_THROW(run_phase2(config_, "exemplars", stopping, stopping.stop.get_token()), Error);
  {
    Atlas atlas(run() / "atlas.sqlite", Atlas::Mode::read);
    EXPECT_FALSE(atlas.entry(feature_of(atlas, 0)).explanations.empty());
  }
  // Nothing is thrown away by a start that does not ask for it.
  try {
    run_phase2(config_, {}, silent, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("--force exemplars"));
  }
  run_phase2(config_, "exemplars", silent, {});
}

// Stages done by subcommands are known to `run`, which then has nothing to throw away.
TEST_F(Phase2Test, RunTakesUpWhatSubcommandsDid) {
  const std::string model = " --dtype f32 --model " + packaged_model().string(),
                    folder = " --run " + run().string();
  const Outcome selected =
      run_safesail("select" + model + folder + " --held-out 0.2 --pairs " + config_.pairs[0]);
  ASSERT_EQ(selected.exit_code, 0) << selected.output;
  const Outcome collected = run_safesail("exemplars" + model + folder +
                                         " --max-sequence 128 --batch-tokens 512 --corpus " +
                                         config_.collect.corpus.paths[0]);
  ASSERT_EQ(collected.exit_code, 0) << collected.output;
  {
    Atlas atlas(run() / "atlas.sqlite", Atlas::Mode::write);
    atlas.put_explanation(feature_of(atlas, 0),
                          {.key = {.explainer = "llm"}, .short_text = "paid"});
    atlas.put_answer("request", "answer");
  }
  NotingReporter reporter;
  run_phase2(config_, {}, reporter, {});
  EXPECT_THAT(reporter.notes,
              testing::IsSupersetOf({"select: done already", "exemplars: done already"}));
  Atlas atlas(run() / "atlas.sqlite", Atlas::Mode::read);
  EXPECT_EQ(atlas.find_answer("request"), "answer");
  EXPECT_EQ(atlas.list({.text = "paid"}).lines.size(), 1U);
}

}  // namespace
}  // namespace safesail
