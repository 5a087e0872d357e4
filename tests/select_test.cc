// Selection on the packaged model: SAEs whose features are planted, so that the truth is known.
#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

#include "harvest/coded_stream.h"
#include "harvest/decoder_views.h"
#include "planted_sae.h"
#include "select/pair_import.h"
#include "select/selection.h"
#include "train/run.h"

namespace safesail {
namespace {

class SelectTest : public PlantedSaeTest {
 protected:
  /// By all pairs: none is held out.
  FeatureSelection select(const std::vector<EvaluationCell>& cells,
                          const std::vector<ContrastPair>& pairs) const {
    SilentReporter silent;
    std::vector<PairFiring> firing;
    return select_features(model_->model, model_->tokenizer, cells, pairs, {.held_out_share = 0},
                           firing, silent, {});
  }
};

const std::vector<std::string> kFrames = {
    "The report about the{} came out today.", "She never spoke of the{} again.",
    "Was there a{} in the old house?",        "They found another{} near the river.",
    "I read that every{} has a history.",     "Nobody had expected the{} to matter.",
    "Please tell me more about this{}.",      "A museum shows the{} in its first room.",
    "What does the law say of a{}?",          "Her uncle once sold a{} to him."};

// Concept words against neutral ones in the same frames: features planted on the concept's words
// are found, those on the frame's and the counterpart's words are not.
TEST_F(SelectTest, FindsTheFeaturesThatWerePlanted) {
  const std::vector<std::string> concept_words = {" bomb", " gun", " rifle", " missile"},
                                 neutral_words = {" chair", " lamp", " basket", " ladder"},
                                 frame_words = {" report", " house", " river", " law"};
  std::vector<std::int32_t> ids;
  for (const auto* words : {&concept_words, &neutral_words, &frame_words})
    for (const std::string& word : *words) ids.push_back(token(word));

  std::vector<ContrastPair> pairs;
  for (std::size_t w = 0; w < concept_words.size(); ++w)
    for (std::size_t f = 0; f < kFrames.size(); ++f)
      pairs.push_back({.id = fmt::format("weapons-{}-{}", w, f),
                       .domain = "terror",
                       .subclass = concept_words[w].substr(1),
                       .concept_ = "weapons",
                       .language = "en",
                       .text = fmt::format(fmt::runtime(kFrames[f]), concept_words[w]),
                       .counterpart = fmt::format(fmt::runtime(kFrames[f]), neutral_words[w]),
                       .source = "test"});
  std::vector<EvaluationCell> cells;
  cells.push_back(make_cell(kSite, kSite, planted(ids, 400)));
  const FeatureSelection selection = select(cells, pairs);

  ASSERT_EQ(selection.concepts.size(), concept_words.size() + 1);
  for (std::size_t c = 0; c < concept_words.size(); ++c) {
    const ConceptSelection& concept_ = selection.saes[0].concepts[c];
    ASSERT_FALSE(concept_.candidates.empty()) << selection.concepts[c].name;
    const FeatureContrast& best = concept_.candidates.front();
    EXPECT_EQ(best.feature, static_cast<std::int32_t>(c)) << selection.concepts[c].name;
    EXPECT_EQ(best.n_forward, static_cast<std::int64_t>(kFrames.size()));
    EXPECT_EQ(best.n_reverse, 0);
  }
  // The domain as a whole: each word is a quarter of its pairs.
  std::set<std::int32_t> found;
  for (const FeatureContrast& contrast : selection.saes[0].concepts.back().candidates)
    found.insert(contrast.feature);
  for (std::int32_t f = 0; f < 4; ++f) EXPECT_TRUE(found.contains(f)) << f;
  for (std::int32_t f = 4; f < 12; ++f) EXPECT_FALSE(found.contains(f)) << f;

  // The same with the labels exchanged in every other pair: nothing is left to find.
  for (std::size_t p = 0; p < pairs.size(); p += 2) std::swap(pairs[p].text, pairs[p].counterpart);
  const FeatureSelection shuffled = select(cells, pairs);
  for (const ConceptSelection& concept_ : shuffled.saes[0].concepts)
    EXPECT_TRUE(concept_.candidates.empty());
}

// What the stream says of each token is what the SAE says of the model's activation there, and the
// tokens' byte ranges tile the text.
TEST_F(SelectTest, TheStreamCodesEveryTokenWhereItStands) {
  const std::vector<std::string> texts = {"The bomb squad took a lamp, a gun and 12 chairs.",
                                          "नमस्ते दुनिया 😀 bomb", "你好，世界。 gun", "bomb"};
  const std::int32_t bomb = token(" bomb");
  const Sae sae = planted({bomb, token(" gun")}, 50);
  std::size_t next = 0;
  CodedStream stream(model_->model, model_->tokenizer, {{kSite, &sae}},
                     [&]() -> std::optional<Document> {
                       if (next == texts.size()) return std::nullopt;
                       return Document{.id = next, .text = texts[next++]};
                     },
                     {.max_sequence = 8, .batch_tokens = 16});
  std::vector<std::string> joined(texts.size());
  std::size_t n_bombs = 0;
  while (const std::optional<CodedBatch> batch = stream.next()) {
    ASSERT_LE(batch->n_rows(), 16U);
    ASSERT_EQ(batch->codes[0].n_tokens(), static_cast<std::int64_t>(batch->n_rows()));
    for (const CodedPiece& piece : batch->pieces) {
      std::uint32_t end = 0;
      for (std::size_t row = piece.first_row; row < piece.first_row + piece.n_rows; ++row) {
        const auto [begin, stop] = batch->bytes[row];
        EXPECT_EQ(begin, end) << "tokens tile the text";
        end = stop;
        const SparseCodes truth = sae.encode(embeddings({batch->ids[row]}), Selection::f32);
        const auto first = static_cast<std::size_t>(batch->codes[0].offsets[row]);
        const auto n = static_cast<std::size_t>(batch->codes[0].offsets[row + 1]) - first;
        EXPECT_EQ(n, truth.indices.size());
        for (std::size_t i = 0; i < std::min(n, truth.indices.size()); ++i) {
          EXPECT_EQ(batch->codes[0].indices[first + i], truth.indices[i]);
          EXPECT_NEAR(batch->codes[0].values[first + i], truth.values[i],
                      1e-4 * std::abs(truth.values[i]));
        }
        if (batch->ids[row] != bomb) continue;
        ++n_bombs;
        EXPECT_EQ(piece.text.substr(begin, stop - begin), " bomb");
        EXPECT_TRUE(n > 0 && std::ranges::count(truth.indices, 0) == 1);
      }
      EXPECT_EQ(end, piece.text.size());
      joined[static_cast<std::size_t>(piece.document)] += piece.text;
    }
  }
  EXPECT_EQ(joined, texts);
  EXPECT_EQ(n_bombs, 2U);
}

// A decoder row that is the last residual stream at some token promotes what the model itself
// predicts there; the nearest feature of a copy is the copy.
TEST_F(SelectTest, WeightsSayWhatAFeaturePromotes) {
  const std::vector<std::int32_t> ids =
      model_->tokenizer.encode("The capital of France is", false).ids;
  const std::vector<std::int32_t> starts = {0, static_cast<std::int32_t>(ids.size())};
  const Site last{SiteKind::resid_post, static_cast<int>(model_->model.spec().n_layers) - 1};
  ForwardRequest request{.ids = ids, .starts = starts, .read = {last}};
  request.logits = ForwardRequest::Logits::all;
  const ForwardResult truth = model_->model.forward(request);

  Sae sae = planted({ids[0], ids[1], ids[0]}, 40);
  const auto d = static_cast<std::size_t>(model_->model.spec().d_model);
  const std::vector<std::int64_t> rows = {static_cast<std::int64_t>(ids.size()) - 1, 1};
  for (std::size_t f = 0; f < rows.size(); ++f) {
    const at::Tensor row = truth.sites[0][rows[f]].contiguous();
    std::copy_n(row.data_ptr<float>(), d, sae.w_dec().data() + f * d);
  }
  std::copy_n(sae.w_dec().data(), d, sae.w_dec().data() + 2 * d);
  std::vector<FeatureRecord> records(3);
  for (std::size_t i = 0; i < 3; ++i) records[i].feature = static_cast<std::int32_t>(i);
  add_logit_lens(model_->model, model_->tokenizer, last, sae, records);
  add_nearest(sae, records);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const at::Tensor logits = (*truth.logits)[rows[i]];
    ASSERT_EQ(records[i].promoted.size(), static_cast<std::size_t>(kLensTokens));
    EXPECT_EQ(records[i].promoted.front().id, logits.argmax().item<std::int64_t>());
    EXPECT_EQ(records[i].suppressed.front().id, logits.argmin().item<std::int64_t>());
    // The same f32 operations on one row instead of several.
    EXPECT_NEAR(records[i].promoted.front().weight, logits.max().item<float>(), 1e-3);
  }
  EXPECT_EQ(records[0].promoted.front().text, " Paris");
  ASSERT_EQ(records[0].nearest.size(), static_cast<std::size_t>(kNearestFeatures));
  EXPECT_EQ(records[0].nearest.front().feature, 2);
  EXPECT_NEAR(records[0].nearest.front().cosine, 1, 1e-5);
}

// On real contrasts: hateful sentences against sentences made alike that are not. An SAE trained on
// a few thousand tokens finds features; with the labels of the pairs exchanged at random, next to
// none.
TEST_F(SelectTest, HateCheckIsSignificantAgainstLabelSwaps) {
  const fs::path csv = fs::path(SAFESAIL_SOURCE_DIR) / "../shared/data/hatecheck/english.csv";
  if (!fs::exists(csv)) GTEST_SKIP() << csv << " is not here";
  std::vector<ContrastPair> pairs;
  const std::vector<ContrastPair> all = read_hatecheck(csv);
  for (std::size_t i = 0; i < all.size(); i += 2) pairs.push_back(all[i]);  // half of them will do
  std::string lines;
  for (const ContrastPair& pair : pairs)
    for (const std::string& text : {pair.text, pair.counterpart})
      lines += nlohmann::json{{"text", text}}.dump() + "\n";
  write_file(dir_ / "corpus.jsonl", lines);
  RunConfig config;
  config.model = packaged_model();
  config.corpus.paths = {(dir_ / "corpus.jsonl").string()};
  config.batch = {.max_sequence = 128, .batch_tokens = 1024};
  config.sites = "mlp_out.15";
  config.lists.ks = {16};
  config.lists.expansions = {2};
  config.grid.n_tokens = 6'000;
  config.grid.batch_tokens = 256;
  config.evaluation = {.n_tokens = 200, .n_loss_tokens = 100, .n_resamples = 10};
  config.out = dir_ / "run";
  SilentReporter silent;
  run_stages(config, {}, silent, {});

  const std::vector<EvaluationCell> cells =
      load_cells(config.out, static_cast<int>(model_->model.spec().n_layers), nullptr);
  const auto n_found = [&] {
    const FeatureSelection selection = select(cells, pairs);
    return selection.saes[0].concepts.back().candidates.size();  // of the whole domain
  };
  const std::size_t n_true = n_found();
  EXPECT_GE(n_true, 5U);
  Rng rng(4, "labels");
  for (ContrastPair& pair : pairs)
    if (rng.below(2) == 0) std::swap(pair.text, pair.counterpart);
  EXPECT_LE(10 * n_found(), n_true);
}

}  // namespace
}  // namespace safesail
