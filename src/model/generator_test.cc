#include "model/generator.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <set>

#include "base/error.h"
#include "model/generate.h"
#include "model/generator_testing.h"

namespace safesail {
namespace {

using testing::greedy;
using testing::Ids;
using testing::llama;

Ids alone(const Ids& prompt, std::int64_t n) {
  return generate(llama(), {prompt}, {.max_new_tokens = n, .stop_at_eos = false})[0].ids;
}

TEST(Generator, SequencesThatComeAndGoAreAsAlone) {
  const Ids a{17, 3, 99, 4}, b{5}, c{150, 2, 8, 8, 30, 7, 61};
  Generator generator(llama());
  std::map<std::size_t, Ids> made;
  const auto step = [&] {
    for (const SequenceStep& one : generator.step().sequences)
      if (one.token) made[one.sequence].push_back(*one.token);
  };
  const std::size_t first = generator.add(a, greedy(9));
  step();
  step();
  const std::size_t second = generator.add(b, greedy(20));
  step();
  const std::size_t third = generator.add(c, greedy(4));
  for (int i = 0; i < 3; ++i) step();
  generator.remove(second);
  while (!generator.empty()) step();
  EXPECT_EQ(made[first], alone(a, 9));
  EXPECT_EQ(made[second], alone(b, 4));
  EXPECT_EQ(made[third], alone(c, 4));
  // An emptied generator begins anew.
  const std::size_t fourth = generator.add(b, greedy(6));
  while (!generator.empty()) step();
  EXPECT_EQ(made[fourth], alone(b, 6));
}

TEST(Generator, ReadsSitesAsOnePassOverTheWholeTextDoes) {
  const Site site{SiteKind::mlp_out, 1};
  const Ids prompt{17, 3, 99, 4};
  Generator generator(llama(), {site});
  generator.add({5, 6}, greedy(3));  // a mate that ends earlier
  const std::size_t name = generator.add(prompt, greedy(6));
  std::vector<at::Tensor> rows;
  Ids whole = prompt;
  while (!generator.empty()) {
    const GeneratorStep& step = generator.step();
    for (const SequenceStep& one : step.sequences) {
      if (one.sequence != name) continue;
      rows.push_back(step.sites[0].narrow(0, static_cast<std::int64_t>(one.first_row),
                                          static_cast<std::int64_t>(one.n_rows)));
      if (one.token && !one.end) whole.push_back(*one.token);
    }
  }
  ASSERT_EQ(whole.size(), 9u);  // the last token made is read by no pass
  const Ids starts{0, static_cast<std::int32_t>(whole.size())};
  const ForwardResult pass = llama().forward({.ids = whole, .starts = starts, .read = {site}});
  testing::expect_close(at::cat(rows), pass.sites[0], 1e-4, "mlp_out.1");
}

// A mate that may become long makes neither itself nor the others take more than they use.
TEST(Generator, MatesOfUnlikeLengthTakeWhatEachUses) {
  constexpr std::int64_t kLong = 1'000'000'000;  // terabytes
  const Ids a{17, 3, 99, 4}, b{5};
  Generator generator(llama());
  const std::uint64_t a_token = KvCache::bytes_per_token(llama());
  const std::size_t greedy_one = generator.add(a, greedy(kLong));
  const std::size_t modest = generator.add(b, greedy(11));
  EXPECT_GE(generator.bytes_to_come(), (kLong + 4 + 12) * a_token);
  std::map<std::size_t, Ids> made;
  for (std::uint64_t n_steps = 1; n_steps <= 20; ++n_steps) {
    for (const SequenceStep& one : generator.step().sequences)
      if (one.token) made[one.sequence].push_back(*one.token);
    // Doubling: at most twice what is used; of the modest one never more than it asked for.
    const std::uint64_t of_modest = n_steps < 11 ? std::min<std::uint64_t>(2 * n_steps, 12) : 0;
    EXPECT_LE(generator.cache_bytes(), (2 * (3 + n_steps) + of_modest) * a_token) << n_steps;
    EXPECT_GE(generator.cache_bytes(), (3 + n_steps) * a_token);
  }
  EXPECT_EQ(made[modest], alone(b, 11));
  generator.remove(greedy_one);
  EXPECT_EQ(generator.cache_bytes(), 0u);
  EXPECT_EQ(made[greedy_one], alone(a, 20));
}

TEST(Generator, CutsThinkingToItsRoom) {
  constexpr std::int32_t kOpen = 198, kClose = 197;
  const Ids prompt{17, 3, 99, 4};
  const Ids plain = alone(prompt, 12);
  ASSERT_EQ(std::ranges::count(plain, kClose), 0);
  struct Made {
    Ids ids;
    std::int64_t n_thought = 0;
  };
  const auto made = [&](ThinkingConfig thinking, SequenceConfig config = greedy(12)) {
    thinking.close = kClose;
    if (thinking.open == 0) thinking.open = kOpen;
    config.thinking = thinking;
    Generator generator(llama());
    generator.add(prompt, config);
    Made result;
    while (!generator.empty())
      for (const SequenceStep& one : generator.step().sequences) {
        if (one.token) result.ids.push_back(*one.token);
        result.n_thought += one.is_thought;
      }
    return result;
  };
  // The first so many of its own words, then the tag, then it goes on.
  for (const std::int64_t room : {0, 1, 5}) {
    const Made cut = made({.is_open = true, .max_tokens = room});
    Ids expected(plain.begin(), plain.begin() + room);
    expected.push_back(kClose);
    EXPECT_EQ(Ids(cut.ids.begin(), cut.ids.begin() + room + 1), expected);
    EXPECT_EQ(cut.ids.size(), 12u);
    EXPECT_EQ(cut.n_thought, room + 1);
  }
  // It opens the tag itself, which takes none of the room; or does not think at all.
  const Made own = made({.open = plain[0], .max_tokens = 2});
  EXPECT_EQ(own.ids[3], kClose);
  EXPECT_EQ(own.n_thought, 4);
  EXPECT_EQ(made({.max_tokens = 2}).ids, plain);
  EXPECT_EQ(made({.max_tokens = 2}).n_thought, 0);
  // Time is up before the second word, whatever the clock.
  EXPECT_EQ(made({.is_open = true, .max_tokens = 9, .max_seconds = 1e-12}).ids[0], kClose);
  // An end while it thinks would be an end without an answer.
  SequenceConfig ends = greedy(12);
  ends.stop_tokens = {plain[0]};
  EXPECT_EQ(made({.is_open = true, .max_tokens = 9}, ends).ids[0], kClose);
}

TEST(Generator, WritesWhatItsConstraintAllows) {
  Generator generator(llama());
  std::map<std::size_t, Ids> made;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SequenceConfig config{.max_new_tokens = 50, .stop_tokens = {3}};
    config.sampling = {.temperature = seed == 0 ? 0.0 : 2.0, .seed = seed};
    config.constraint = testing::letters("ship|shop|q[xyz]{2,3}");
    generator.add({17, 3, 99, 4}, config);
  }
  while (!generator.empty())
    for (const SequenceStep& step : generator.step().sequences) {
      Ids& ids = made[step.sequence];
      if (step.token) ids.push_back(*step.token);
      EXPECT_EQ(step.end.value_or(SequenceEnd::stop_token), SequenceEnd::stop_token);
      EXPECT_TRUE(step.end || ids.size() < 4) << "what is whole is over: no pass more";
    }
  std::set<std::string> words;
  for (const auto& [sequence, ids] : made) words.insert(testing::word_of(ids));
  EXPECT_GT(words.size(), 3U);
  for (const std::string& word : words)
    EXPECT_TRUE(std::regex_match(word, std::regex("ship|shop|q[xyz]{2,3}"))) << word;
}

// A constraint that held the thinking too would forbid its closing tag: no letter.
TEST(Generator, AConstraintHoldsWhatComesAfterThinking) {
  constexpr std::int32_t kOpen = 198, kClose = 197;
  const Ids prompt{17, 3, 99, 4};
  const Ids plain = alone(prompt, 2);
  const auto made = [&](ThinkingConfig thinking) {
    Generator generator(llama());
    SequenceConfig config = greedy(20);
    config.thinking = thinking;
    config.constraint = testing::letters("ship|shop");
    generator.add(prompt, config);
    Ids ids;
    while (!generator.empty())
      if (const auto token = generator.step().sequences[0].token) ids.push_back(*token);
    return ids;
  };
  const Ids opened = made({.open = kOpen, .close = kClose, .is_open = true, .max_tokens = 2});
  ASSERT_GT(opened.size(), 3U);
  EXPECT_EQ(Ids(opened.begin(), opened.begin() + 3), (Ids{plain[0], plain[1], kClose}));
  const auto is_word = [](const Ids& ids) {
    return std::regex_match(testing::word_of(ids), std::regex("ship|shop"));
  };
  EXPECT_TRUE(is_word({opened.begin() + 3, opened.end()}));
  // It does not open it, and so does not think.
  EXPECT_TRUE(is_word(made({.open = kOpen, .close = kClose, .max_tokens = 2})));
}

TEST(Generator, AConstraintThatIsCutShortEndsByLength) {
  Generator generator(llama());
  SequenceConfig config = greedy(3);
  config.constraint = testing::letters("[a-z]{5}");
  generator.add({17, 3}, config);
  generator.step();
  generator.step();
  EXPECT_EQ(generator.step().sequences[0].end, SequenceEnd::length);
  EXPECT_TRUE(generator.empty());
}

TEST(Generator, NeighboursOfAConstraintReadTheSameBits) {
  const auto logits_beside = [](std::shared_ptr<Constraint> constraint) {
    Generator generator(llama());
    SequenceConfig formed = greedy(8);
    formed.constraint = std::move(constraint);
    generator.add({5, 6, 7}, formed);
    generator.add({17, 3, 99, 4}, greedy(8));
    std::vector<std::vector<float>> own, beside;
    while (!generator.empty()) {
      const auto& steps = generator.step().sequences;
      own.emplace_back(steps[0].logits.begin(), steps[0].logits.end());
      beside.emplace_back(steps[1].logits.begin(), steps[1].logits.end());
    }
    return std::pair(own, beside);
  };
  const auto [free, beside_free] = logits_beside(nullptr);
  const auto [formed, beside_formed] = logits_beside(testing::letters("[a-z]{8,}"));
  EXPECT_EQ(beside_formed, beside_free);
  EXPECT_EQ(formed[0], free[0]) << "what is given are the model's own";
  EXPECT_NE(formed[1], free[1]) << "another token went before: or nothing was tested";
}

TEST(Generator, AFaultOfAConstraintIsItsSequencesAlone) {
  Generator generator(llama());
  SequenceConfig faulty = greedy(8);
  faulty.constraint = testing::letters("b{8}");
  EXPECT_THROW(faulty.constraint->take(10), Error);  // it is broken from now on
  const Ids prompt{17, 3, 99, 4};
  const std::size_t guilty = generator.add({5, 6, 7}, faulty);
  const std::size_t innocent = generator.add(prompt, greedy(8));
  Ids made;
  while (!generator.empty())
    for (const SequenceStep& one : generator.step().sequences) {
      if (one.sequence == innocent && one.token) made.push_back(*one.token);
      if (one.sequence != guilty) continue;
      EXPECT_EQ(one.end, SequenceEnd::fault);
      EXPECT_THROW(std::rethrow_exception(one.fault), Error);
    }
  EXPECT_EQ(made, alone(prompt, 8));
}

TEST(Generator, RefusesWhatCannotBegin) {
  Generator generator(llama());
  EXPECT_THROW(generator.add({}, greedy(3)), Error);
  EXPECT_THROW(generator.add({1}, greedy(0)), Error);
  const auto vocab = static_cast<std::int32_t>(llama().spec().vocab_size);
  for (const Ids& beyond : {Ids{vocab}, Ids{1, 2, -1}}) {
    try {
      generator.add(beyond, greedy(3));
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_NE(std::string(error.what()).find(std::to_string(beyond.back())), std::string::npos);
    }
  }
  EXPECT_TRUE(generator.empty());
  EXPECT_TRUE(generator.step().sequences.empty());
}

}  // namespace
}  // namespace safesail
