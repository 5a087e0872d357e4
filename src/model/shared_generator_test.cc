#include "model/shared_generator.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <thread>

#include "base/error.h"
#include "base/memory.h"
#include "model/generate.h"
#include "model/generator_testing.h"

namespace safesail {
namespace {

using testing::greedy;
using testing::Ids;
using testing::llama;

constexpr auto kAlways = [] { return true; };
constexpr std::uint64_t kPlenty = std::uint64_t{1} << 30;

Ids all_of(SharedGenerator::Sequence& sequence) {
  Ids ids;
  for (std::optional<SequenceEnd> end; !end;) {
    const SharedGenerator::Step step = sequence.next();
    if (step.token) ids.push_back(*step.token);
    end = step.end;
  }
  return ids;
}

TEST(SharedGenerator, ManyThreadsReadWhatEachWouldAlone) {
  PrefixCache openings(llama(), kPlenty);
  SharedGenerator generator(llama(), openings, 3);  // fewer places than threads
  std::vector<Ids> prompts, made(8);
  std::vector<std::jthread> threads;
  for (std::int32_t i = 0; i < 8; ++i) prompts.push_back({i, 17, 3 * i + 1});
  for (std::size_t i = 0; i < prompts.size(); ++i)
    threads.emplace_back([&, i] {
      const auto n = static_cast<std::int64_t>(5 + 3 * i);
      made[i] = all_of(*generator.open(prompts[i], greedy(n), false, kAlways));
    });
  threads.clear();
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    GenerateConfig config;
    config.max_new_tokens = static_cast<std::int64_t>(5 + 3 * i);
    config.stop_at_eos = false;
    EXPECT_EQ(made[i], generate(llama(), {prompts[i]}, config)[0].ids) << "prompt " << i;
  }
}

TEST(SharedGenerator, GivesTheLogitsThatAreAskedFor) {
  PrefixCache openings(llama(), kPlenty);
  SharedGenerator generator(llama(), openings, 2);
  const auto with = generator.open({5, 6}, greedy(4), true, kAlways);
  const auto without = generator.open({7}, greedy(4), false, kAlways);
  const SharedGenerator::Step step = with->next();
  ASSERT_EQ(static_cast<std::int64_t>(step.logits.size()), llama().spec().vocab_size);
  EXPECT_EQ(std::ranges::max_element(step.logits) - step.logits.begin(), step.token);
  EXPECT_TRUE(without->next().logits.empty());
}

TEST(SharedGenerator, AnAbandonedSequenceLeavesItsPlace) {
  PrefixCache openings(llama(), kPlenty);
  SharedGenerator generator(llama(), openings, 1);
  {
    const auto abandoned = generator.open({1, 2}, greedy(100), false, kAlways);
    abandoned->next();
  }
  EXPECT_EQ(all_of(*generator.open({3}, greedy(2), false, kAlways)).size(), 2u);

  const auto holds_the_place = generator.open({4}, greedy(100), false, kAlways);
  int n_asked = 0;
  EXPECT_THROW(generator.open({5}, greedy(1), false, [&] { return ++n_asked < 3; }), Error);
  EXPECT_EQ(n_asked, 3) << "asked while it waits";
  EXPECT_FALSE(all_of(*holds_the_place).empty());
}

TEST(SharedGenerator, WhatCannotBeReadIsRefusedAndTheOthersGoOn) {
  const LanguageModel gpt2 = testing::load_model(testing::data_folder() / "gpt2");
  PrefixCache openings(gpt2, kPlenty);
  SharedGenerator generator(gpt2, openings, 4);
  const auto innocent = generator.open({1, 2}, greedy(8), false, kAlways);
  innocent->next();
  const Ids too_long(static_cast<std::size_t>(gpt2.spec().max_positions) + 1, 3);
  const auto vocab = static_cast<std::int32_t>(gpt2.spec().vocab_size);
  for (const Ids& guilty : {too_long, Ids{1, vocab}, Ids{-1}, Ids{}})
    EXPECT_THROW(generator.open(guilty, greedy(8), false, kAlways), Error);
  EXPECT_THROW(generator.open({1}, greedy(0), false, kAlways), Error);
  EXPECT_EQ(all_of(*innocent).size(), 7u);
}

TEST(SharedGenerator, AConstraintThatFailsEndsItsOwnSequence) {
  PrefixCache openings(llama(), kPlenty);
  SharedGenerator generator(llama(), openings, 4);
  SequenceConfig faulty = greedy(8);
  faulty.constraint = testing::letters("b{8}");
  EXPECT_THROW(faulty.constraint->take(10), Error);  // it is broken from now on
  const auto guilty = generator.open({1, 2}, faulty, false, kAlways);
  const auto innocent = generator.open({3, 4}, greedy(5), false, kAlways);
  EXPECT_THROW(guilty->next(), Error);
  EXPECT_EQ(all_of(*innocent).size(), 5u);
}

// Two of these fit the machine's memory each, but not both at once; neither has taken it yet.
TEST(SharedGenerator, MemoryThatWasPromisedIsNotPromisedTwice) {
  const std::uint64_t a_token = KvCache::bytes_per_token(llama());
  const auto most = static_cast<std::int64_t>(available_memory_bytes() / a_token * 3 / 5);
  PrefixCache openings(llama(), kPlenty);
  SharedGenerator generator(llama(), openings, 4);
  const auto first = generator.open({1, 2}, greedy(most), false, kAlways);
  first->next();
  EXPECT_THROW(generator.open({3, 4}, greedy(most), false, kAlways), Error);
  const auto modest = generator.open({3, 4}, greedy(5), false, kAlways);
  EXPECT_EQ(all_of(*modest).size(), 5u);
}

}  // namespace
}  // namespace safesail
