#include "model/prefix_cache.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <string>

#include "base/memory.h"
#include "base/rng.h"
#include "model/choice_reader.h"
#include "model/generator_testing.h"

namespace safesail {
namespace {

using testing::greedy;
using testing::Ids;
using testing::llama;

constexpr std::size_t kPiece = PrefixCache::kPiece;
constexpr std::uint64_t kPlenty = std::uint64_t{1} << 30;

Ids random_ids(std::size_t n, const std::string& name) {
  Rng rng(1, name);
  Ids ids;
  for (std::size_t i = 0; i < n; ++i) ids.push_back(static_cast<std::int32_t>(rng.below(199)));
  return ids;
}

Ids joined(Ids first, const Ids& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Ids cut(const Ids& ids, std::size_t n) {
  return {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n)};
}

struct Asked {
  Ids prompt;
  std::vector<std::size_t> seams = {};
};

/// Of one generator, all that it said.
struct Said {
  std::map<std::size_t, std::vector<std::vector<float>>> logits;  ///< a step, by sequence
  std::map<std::size_t, std::size_t> known;
};

class Speaker {
 public:
  Speaker(const LanguageModel& model, PrefixCache& openings) : generator_(model, openings) {}

  std::size_t add(const Asked& asked, std::int64_t n) {
    SequenceConfig config = greedy(n);
    config.seams = asked.seams;
    return generator_.add(asked.prompt, config);
  }
  void step() {
    for (const SequenceStep& one : generator_.step().sequences) {
      said_.logits[one.sequence].emplace_back(one.logits.begin(), one.logits.end());
      said_.known[one.sequence] += one.n_known;
    }
  }
  void remove(std::size_t sequence) { generator_.remove(sequence); }
  Said finish() {
    while (!generator_.empty()) step();
    return said_;
  }

 private:
  Generator generator_;
  Said said_;
};

/// Sequences that come, go and are taken away in the middle, with openings of all kinds in common.
Said converse(const LanguageModel& model, PrefixCache& openings, std::size_t n_common) {
  const Ids common = random_ids(n_common, "common");
  const Asked base{joined(common, random_ids(90, "a"))};
  const Asked other{joined(common, random_ids(170, "b")), {n_common}};
  const Asked beginning{cut(base.prompt, n_common - 20)};
  const Asked longer{joined(base.prompt, random_ids(150, "c")), {20, 150, 151, 300}};
  const Asked unlike{random_ids(70, "d"), {30}};
  Speaker speaker(model, openings);
  speaker.add(base, 6);
  const std::size_t second = speaker.add(other, 9);
  speaker.step();
  speaker.add(beginning, 5);
  speaker.add(base, 7);  // the same again while it is under way
  speaker.step();
  speaker.remove(second);
  speaker.add(longer, 4);
  speaker.add(unlike, 4);
  speaker.step();
  speaker.add(other, 3);
  return speaker.finish();
}

struct Case {
  const char* model;
  ComputeType dtype;
};
class PrefixCacheOf : public ::testing::TestWithParam<Case> {};

// The truth is a generator of the same sequences for which nothing is ever known.
TEST_P(PrefixCacheOf, WhatIsKnownChangesNoBit) {
  const auto [name, dtype] = GetParam();
  const LanguageModel model = testing::load_model(testing::data_folder() / name, dtype);
  for (const std::size_t n_common : {2 * kPiece, kPiece + 71}) {
    PrefixCache nothing(model, 0), warm(model, kPlenty);
    const std::uint64_t a_piece = kPiece * (KvCache::bytes_per_token(model) + 64);
    PrefixCache tight(model, 4 * a_piece);  // gives up pieces all the time
    const Said truth = converse(model, nothing, n_common);
    for (const auto& [sequence, n_known] : truth.known) EXPECT_EQ(n_known, 0u) << sequence;
    const Said cold = converse(model, warm, n_common), known = converse(model, warm, n_common),
               given_up = converse(model, tight, n_common);
    converse(model, tight, n_common + 1);
    const Said again = converse(model, tight, n_common);
    for (const Said* said : {&cold, &known, &given_up, &again}) {
      ASSERT_EQ(said->logits.size(), truth.logits.size());
      for (const auto& [sequence, steps] : truth.logits)
        EXPECT_TRUE(said->logits.at(sequence) == steps) << "sequence " << sequence;
    }
    // Who comes with others already has from them what they share.
    const std::size_t pieces = n_common / kPiece * kPiece,
                      of_base = (n_common + 90 - 1) / kPiece * kPiece;
    EXPECT_EQ(cold.known.at(0), 0u);
    EXPECT_EQ(cold.known.at(1), pieces);
    EXPECT_EQ(cold.known.at(3), of_base);
    EXPECT_EQ(cold.known.at(6), n_common + kPiece);
    EXPECT_EQ(known.known.at(0), of_base);
    EXPECT_LE(tight.bytes(), 4 * a_piece);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, PrefixCacheOf,
    ::testing::Values(Case{"llama", ComputeType::f32}, Case{"llama", ComputeType::bf16},
                      Case{"gemma2", ComputeType::f32}, Case{"gemma3", ComputeType::bf16},
                      Case{"mistral", ComputeType::f32}, Case{"gpt_neox", ComputeType::f32}),
    [](const auto& one) {
      return std::string(one.param.model) +
             (one.param.dtype == ComputeType::bf16 ? "_bf16" : "_f32");
    });

TEST(PrefixCache, ReadsWhatAFullPassReads) {
  const LanguageModel model = testing::load_model(testing::data_folder() / "gemma3");
  const Ids ids = random_ids(2 * kPiece + 50, "text");
  const Ids starts{0, static_cast<std::int32_t>(ids.size())};
  const ForwardResult pass =
      model.forward({.ids = ids, .starts = starts, .logits = ForwardRequest::Logits::last_of_each});
  PrefixCache openings(model, kPlenty);
  for (const std::size_t n_known : {0u, 200u}) {
    Speaker speaker(model, openings);
    const std::size_t name = speaker.add({ids, {200}}, 1);
    const Said said = speaker.finish();
    EXPECT_EQ(said.known.at(name), n_known);
    const at::Tensor read = at::tensor(said.logits.at(name)[0]).unsqueeze(0);
    testing::expect_close(read, *pass.logits, 1e-4, "logits");
  }
}

TEST(PrefixCache, PartsAtSeamsAndElsewhereAtPieces) {
  PrefixCache openings(llama(), kPlenty);
  const Ids common = random_ids(kPiece + 60, "common");
  const auto n_known = [&](const Ids& rest, std::vector<std::size_t> seams) {
    Speaker speaker(llama(), openings);
    const std::size_t name = speaker.add({joined(common, rest), std::move(seams)}, 1);
    return speaker.finish().known.at(name);
  };
  const std::size_t seam = common.size();
  EXPECT_EQ(n_known(random_ids(30, "1"), {seam}), 0u);
  EXPECT_EQ(n_known(random_ids(30, "2"), {seam}), seam);
  EXPECT_EQ(n_known(random_ids(30, "3"), {}), kPiece) << "no seam is named";
  // One too close to the last cut is none.
  EXPECT_EQ(n_known(random_ids(30, "4"), {kPiece + 1, seam}), seam);
  EXPECT_EQ(n_known(random_ids(30, "5"), {kPiece - 1, seam}), 0u) << "cut elsewhere";
  EXPECT_EQ(n_known(random_ids(30, "6"), {kPiece - 1, seam}), seam);
  EXPECT_EQ(n_known({}, {seam}), kPiece) << "the last piece is always read";
}

TEST(PrefixCache, TheLastUsedStays) {
  const std::uint64_t a_piece = kPiece * KvCache::bytes_per_token(llama());
  PrefixCache openings(llama(), 5 * a_piece);  // with what stands beside them, four
  const auto n_known = [&](const std::string& name) {
    Speaker speaker(llama(), openings);
    const std::size_t sequence = speaker.add({random_ids(2 * kPiece + 1, name)}, 1);
    const std::size_t n = speaker.finish().known.at(sequence);
    EXPECT_LE(openings.bytes(), 5 * a_piece);
    return n;
  };
  EXPECT_EQ(n_known("a"), 0u);
  EXPECT_EQ(n_known("b"), 0u);
  EXPECT_EQ(n_known("a"), 2 * kPiece);
  EXPECT_EQ(n_known("c"), 0u);  // instead of b
  EXPECT_EQ(n_known("a"), 2 * kPiece);
  EXPECT_EQ(n_known("b"), 0u);
}

TEST(PrefixCache, LeavesMemoryToOthers) {
  PrefixCache openings(llama(), kPlenty);
  const auto ask = [&] {
    Speaker speaker(llama(), openings);
    speaker.add({random_ids(300, "text")}, 1);
    speaker.finish();
  };
  ask();
  EXPECT_GT(openings.bytes(), 0u);
  openings.leave(0);
  EXPECT_GT(openings.bytes(), 0u);
  openings.leave(2 * available_memory_bytes() + kPlenty);
  EXPECT_EQ(openings.bytes(), 0u);
  ask();
  EXPECT_EQ(openings.bytes(), 0u) << "others were promised all";
  openings.leave(0);
  ask();
  EXPECT_GT(openings.bytes(), 0u);
}

// What one of them has read the other knows.
TEST(PrefixCache, GeneratorsAndReadersShareIt) {
  PrefixCache openings(llama(), kPlenty), nothing(llama(), 0);
  const Ids ids = random_ids(kPiece + 60, "text");
  const std::vector<std::size_t> seams{kPiece + 40}, places{kPiece + 50, kPiece + 55};
  const Ids choices{7, 3, 5};
  Speaker speaker(llama(), openings);
  speaker.add({cut(ids, kPiece + 45), seams}, 1);
  speaker.finish();
  const ChoiceReader::Read known =
      ChoiceReader(llama(), openings).read(ids, seams, places, choices);
  const ChoiceReader::Read alone = ChoiceReader(llama(), nothing).read(ids, seams, places, choices);
  EXPECT_EQ(known.n_known, kPiece + 40);
  EXPECT_EQ(alone.n_known, 0u);
  EXPECT_EQ(known.logprobs, alone.logprobs);
}

}  // namespace
}  // namespace safesail
