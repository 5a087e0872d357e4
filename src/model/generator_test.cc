#include "model/generator.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <gtest/gtest.h>
#include <map>

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
