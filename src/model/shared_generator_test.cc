#include "model/shared_generator.h"

#include <gtest/gtest.h>
#include <thread>

#include "base/error.h"
#include "model/generate.h"
#include "model/generator_testing.h"

namespace safesail {
namespace {

using testing::greedy;
using testing::Ids;
using testing::llama;

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
  SharedGenerator generator(llama(), 3);  // fewer places than threads
  std::vector<Ids> prompts, made(8);
  std::vector<std::jthread> threads;
  for (std::int32_t i = 0; i < 8; ++i) prompts.push_back({i, 17, 3 * i + 1});
  for (std::size_t i = 0; i < prompts.size(); ++i)
    threads.emplace_back([&, i] {
      const auto n = static_cast<std::int64_t>(5 + 3 * i);
      made[i] = all_of(*generator.open(prompts[i], greedy(n), false, {}));
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
  SharedGenerator generator(llama(), 2);
  const auto with = generator.open({5, 6}, greedy(4), true, {});
  const auto without = generator.open({7}, greedy(4), false, {});
  const SharedGenerator::Step step = with->next();
  ASSERT_EQ(static_cast<std::int64_t>(step.logits.size()), llama().spec().vocab_size);
  EXPECT_EQ(std::ranges::max_element(step.logits) - step.logits.begin(), step.token);
  EXPECT_TRUE(without->next().logits.empty());
}

TEST(SharedGenerator, AnAbandonedSequenceLeavesItsPlace) {
  SharedGenerator generator(llama(), 1);
  {
    const auto abandoned = generator.open({1, 2}, greedy(100), false, {});
    abandoned->next();
  }
  EXPECT_EQ(all_of(*generator.open({3}, greedy(2), false, {})).size(), 2u);

  const auto holds_the_place = generator.open({4}, greedy(100), false, {});
  std::stop_source stop;
  std::jthread waiting(
      [&] { EXPECT_THROW(generator.open({5}, greedy(1), false, stop.get_token()), Error); });
  stop.request_stop();
}

TEST(SharedGenerator, AFaultEndsThoseThatAreOpenAndNoOther) {
  // GPT-2 has learned positions: a prompt beyond them is a fault of the pass.
  const LanguageModel gpt2 = testing::load_model(testing::data_folder() / "gpt2");
  SharedGenerator generator(gpt2, 4);
  const auto innocent = generator.open({1, 2}, greedy(8), false, {});
  innocent->next();
  const Ids too_long(static_cast<std::size_t>(gpt2.spec().max_positions) + 1, 3);
  const auto guilty = generator.open(too_long, greedy(8), false, {});
  EXPECT_THROW(guilty->next(), Error);
  EXPECT_THROW(innocent->next(), Error);
  const auto after = generator.open({1, 2}, greedy(8), false, {});
  EXPECT_EQ(all_of(*after).size(), 8u);
}

}  // namespace
}  // namespace safesail
