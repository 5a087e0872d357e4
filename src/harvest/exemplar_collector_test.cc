#include "harvest/exemplar_collector.h"

#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/rng.h"
#include "harvest/window_cutter.h"

namespace safesail {
namespace {

// Documents of random words "w0" .. "w49", a word a token. Feature 0 fires on w7 as strongly as the
// word before it says (0 when that is even, so w7 alone does not make it fire); feature 1 fires
// wherever w7 or w8 stands; feature 2 never.
constexpr int kVocabulary = 50, kFeatures = 3;

struct PlantedText {
  std::vector<std::int32_t> ids;
  bool chat_mark_inside = false;  ///< a special token stands before row 5
};

float planted(int feature, const std::vector<std::int32_t>& ids, std::size_t t) {
  if (feature == 1) return ids[t] == 7 || ids[t] == 8 ? 2.0F : 0.0F;
  if (feature == 2 || ids[t] != 7 || t == 0 || ids[t - 1] % 2 == 0) return 0;
  return static_cast<float>(ids[t - 1]);
}

CodedBatch coded(const std::vector<PlantedText>& texts, std::uint64_t first_document) {
  CodedBatch batch;
  batch.codes.resize(1);
  for (const PlantedText& text : texts) {
    CodedPiece piece{.document = first_document + batch.pieces.size(),
                     .hash = first_document + batch.pieces.size() + 1,
                     .likeness = first_document + batch.pieces.size() + 1,
                     .first_row = batch.n_rows(),
                     .n_rows = text.ids.size(),
                     .text = {},
                     .part = static_cast<std::uint32_t>(text.ids.size() % 2)};
    for (std::size_t t = 0; t < text.ids.size(); ++t) {
      const auto begin = static_cast<std::uint32_t>(piece.text.size());
      piece.text += fmt::format("{}w{}", t == 0 ? "" : " ", text.ids[t]);
      batch.ids.push_back(text.ids[t]);
      batch.position.push_back(static_cast<std::int32_t>(t + (text.chat_mark_inside && t >= 5)));
      batch.bytes.emplace_back(begin, static_cast<std::uint32_t>(piece.text.size()));
      SparseCodes& codes = batch.codes[0];
      for (int f = 0; f < kFeatures; ++f)
        if (const float value = planted(f, text.ids, t); value > 0) {
          codes.indices.push_back(f);
          codes.values.push_back(value);
        }
      codes.offsets.push_back(static_cast<std::int64_t>(codes.indices.size()));
    }
    batch.pieces.push_back(std::move(piece));
  }
  return batch;
}

std::vector<PlantedText> random_texts(int n, Rng& rng) {
  std::vector<PlantedText> texts(static_cast<std::size_t>(n));
  for (PlantedText& text : texts)
    for (std::uint64_t t = 0, length = 6 + rng.below(40); t < length; ++t)
      text.ids.push_back(static_cast<std::int32_t>(rng.below(kVocabulary)));
  return texts;
}

std::string spell(std::int32_t id) {
  return fmt::format("w{}", id);
}

class Collected : public testing::Test {
 protected:
  static std::vector<FeatureRecord> collect(ExemplarConfig config = {}) {
    ExemplarCollector collector(
        {{.sae = "a/topk-k2", .site = "mlp_out.1", .n_features = kFeatures, .features = {0, 1, 2}}},
        2, config);
    Rng rng(5, "planted texts");
    std::uint64_t n_documents = 0;
    for (int b = 0; b < 20; ++b) {
      std::vector<PlantedText> texts = random_texts(50, rng);
      texts.push_back(texts.front());  // a copy under another document
      collector.add(coded(texts, n_documents));
      n_documents += texts.size();
    }
    return collector.finish(spell, std::array<std::string, 2>{"even", "odd"});
  }
};

TEST_F(Collected, EveryWindowIsWhatItSays) {
  for (const FeatureRecord& record : collect()) {
    std::set<std::string> texts;
    std::map<std::uint64_t, Use> use_of;
    for (const Exemplar& exemplar : record.exemplars) {
      const Window& window = exemplar.window;
      EXPECT_TRUE(texts.insert(window.text).second) << "twice: " << window.text;
      // No document serves two ends.
      EXPECT_EQ(use_of.emplace(window.document, exemplar.use).first->second, exemplar.use);
      ASSERT_EQ(window.starts.size(), window.n_tokens() + 1);
      for (std::size_t t = 0; t < window.n_tokens(); ++t) {
        const std::string_view token = window.token(t);
        EXPECT_EQ(token.substr(token.front() == ' ' ? 1 : 0), spell(window.ids[t]));
        // The first word's value hangs on the word before the window.
        if (t > 0) {
          EXPECT_EQ(window.activation[t], planted(record.feature, window.ids, t));
        }
      }
      EXPECT_EQ(exemplar.level, activation_level(window.max_activation(), record.quantile));
      const bool fires = window.max_activation() > 0;
      EXPECT_EQ(fires, exemplar.kind == WindowKind::top || exemplar.kind == WindowKind::level);
      if (exemplar.kind == WindowKind::hard_token) {
        EXPECT_TRUE(std::ranges::count(window.ids, 7) + std::ranges::count(window.ids, 8) > 0)
            << window.text;
      }
    }
  }
}

TEST_F(Collected, FindsWindowsOfEveryKind) {
  const std::vector<FeatureRecord> records = collect();
  std::map<std::tuple<Use, WindowKind>, int> n;
  std::set<int> levels;
  for (const Exemplar& exemplar : records[0].exemplars) {
    ++n[{exemplar.use, exemplar.kind}];
    if (exemplar.use == Use::explain) levels.insert(exemplar.level);
  }
  for (const Use use : {Use::explain, Use::test}) {
    EXPECT_EQ((n[{use, WindowKind::top}]), 20);
    EXPECT_GE((n[{use, WindowKind::level}]), 10);
    EXPECT_EQ((n[{use, WindowKind::silent}]), 20);
    // w7 after an even word; w8 fires the companion.
    EXPECT_EQ((n[{use, WindowKind::hard_token}]), 10);
    EXPECT_GE((n[{use, WindowKind::hard_cofiring}]), 5);
  }
  EXPECT_GE(levels.size(), 9U) << "levels 0..10 should nearly all have windows";
}

TEST_F(Collected, StatisticsAreThoseOfTheWholeStream) {
  const std::vector<FeatureRecord> records = collect();
  Rng rng(5, "planted texts");
  std::array<std::array<std::uint64_t, 2>, kFeatures> n_active{};
  std::array<std::uint64_t, 2> n_tokens{};
  float strongest = 0;
  for (int b = 0; b < 20; ++b) {
    std::vector<PlantedText> texts = random_texts(50, rng);
    texts.push_back(texts.front());
    for (const PlantedText& text : texts) {
      const std::size_t part = text.ids.size() % 2;
      n_tokens[part] += text.ids.size();
      for (std::size_t t = 0; t < text.ids.size(); ++t)
        for (int f = 0; f < kFeatures; ++f) {
          n_active[static_cast<std::size_t>(f)][part] += planted(f, text.ids, t) > 0;
          if (f == 0) strongest = std::max(strongest, planted(f, text.ids, t));
        }
    }
  }
  for (std::size_t f = 0; f < kFeatures; ++f) {
    EXPECT_EQ(records[f].n_active, n_active[f][0] + n_active[f][1]);
    EXPECT_EQ(records[f].n_tokens, n_tokens[0] + n_tokens[1]);
    EXPECT_EQ(records[f].parts, (std::vector<PartDensity>{{"even", n_tokens[0], n_active[f][0]},
                                                          {"odd", n_tokens[1], n_active[f][1]}}));
  }
  EXPECT_EQ(records[0].max_activation, strongest);
  ASSERT_EQ(records[0].fires_on.size(), 1U);
  EXPECT_EQ(records[0].fires_on[0].text, "w7");
  EXPECT_FLOAT_EQ(records[0].fires_on[0].weight, 1);
  EXPECT_EQ(records[1].fires_on.size(), 2U);
  EXPECT_EQ(records[2].n_active, 0U);
  EXPECT_EQ(records[2].quantile, 0);
}

TEST_F(Collected, TheSameStreamGivesTheSameRecords) {
  const std::vector<FeatureRecord> a = collect(), b = collect();
  const std::vector<FeatureRecord> other = collect({.seed = 9});
  const auto texts = [](const FeatureRecord& record) {
    std::vector<std::string> all;
    for (const Exemplar& exemplar : record.exemplars) all.push_back(exemplar.window.text);
    return all;
  };
  EXPECT_EQ(texts(a[0]), texts(b[0]));
  EXPECT_NE(texts(a[0]), texts(other[0]));
}

// Strongest windows: those with the largest maxima of all, found by brute force.
TEST_F(Collected, TopWindowsAreTheStrongest) {
  const std::vector<FeatureRecord> records = collect();
  std::vector<float> kept;
  for (const Exemplar& exemplar : records[0].exemplars)
    if (exemplar.kind == WindowKind::top && exemplar.use == Use::test)
      kept.push_back(exemplar.window.max_activation());
  ASSERT_EQ(kept.size(), 20U);
  EXPECT_TRUE(std::ranges::is_sorted(kept, std::greater<>()));

  Rng rng(5, "planted texts");
  std::vector<float> maxima;
  std::uint64_t n_documents = 0;
  for (int b = 0; b < 20; ++b) {
    const std::vector<PlantedText> texts = random_texts(50, rng);
    const CodedBatch batch = coded(texts, n_documents);
    n_documents += texts.size() + 1;
    for (const WindowRows& rows : cut_windows(batch, 32, 4)) {
      if (use_of_document(batch.pieces[rows.piece].likeness, 0.5, 0.1) != Use::test) continue;
      const std::vector<std::int32_t>& ids = texts[rows.piece].ids;
      float max = 0;
      for (std::size_t t = 0; t < rows.n_rows; ++t)
        max =
            std::max(max, planted(0, ids, rows.first_row - batch.pieces[rows.piece].first_row + t));
      maxima.push_back(max);
    }
  }
  std::ranges::sort(maxima, std::greater<>());
  maxima.resize(20);
  EXPECT_EQ(kept, maxima);
}

TEST(Windows, EndAtSpecialTokensAndAtTheirLength) {
  PlantedText text;
  for (int t = 0; t < 50; ++t) text.ids.push_back(t % kVocabulary);
  text.chat_mark_inside = true;
  const CodedBatch batch = coded({text}, 0);
  std::vector<std::size_t> lengths;
  for (const WindowRows& rows : cut_windows(batch, 32, 4)) lengths.push_back(rows.n_rows);
  EXPECT_EQ(lengths, (std::vector<std::size_t>{5, 32, 13}));
  EXPECT_EQ(cut_windows(batch, 32, 6).size(), 2U);
}

TEST(ActivationLevel, IsLinearRoundedAndClamped) {
  EXPECT_EQ(activation_level(0, 2), 0);
  EXPECT_EQ(activation_level(0.09F, 2), 0);
  EXPECT_EQ(activation_level(0.11F, 2), 1);
  EXPECT_EQ(activation_level(1, 2), 5);
  EXPECT_EQ(activation_level(2, 2), 10);
  EXPECT_EQ(activation_level(200, 2), 10);
  EXPECT_EQ(activation_level(1, 0), 0);
}

}  // namespace
}  // namespace safesail
