#include "model/generate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/golden_testing.h"

namespace safesail {
namespace {

using Ids = std::vector<std::int32_t>;

class Generate : public ::testing::Test {
 protected:
  Generate()
      : model_(testing::load_model(testing::data_folder() / "llama")),
        golden_(testing::data_folder() / "llama" / "golden.safetensors") {
    const Ids greedy = testing::ids_of(golden_, "greedy");
    const auto n = testing::ids_of(golden_, "greedy_prompt_length")[0];
    prompt_.assign(greedy.begin(), greedy.begin() + n);
    continuation_.assign(greedy.begin() + n, greedy.end());
  }

  GenerateConfig greedy(std::int64_t n) const {
    return {.max_new_tokens = n, .stop_at_eos = false};
  }

  LanguageModel model_;
  SafetensorsFile golden_;
  Ids prompt_, continuation_;
};

TEST_F(Generate, GreedyAsTransformers) {
  const auto results = generate(model_, {prompt_}, greedy(24));
  EXPECT_EQ(results[0].ids, continuation_);
  EXPECT_EQ(results[0].end, Generated::End::length);
}

TEST_F(Generate, BatchMatesDoNotMatter) {
  const std::vector<Ids> prompts{prompt_, {5}, {17, 3, 99, 4, 8, 150, 2}, prompt_};
  for (const double temperature : {0.0, 1.0}) {
    GenerateConfig config = greedy(12);
    config.sampling = {.temperature = temperature, .seed = 3};
    const auto together = generate(model_, prompts, config);
    // The first of a batch draws from stream 0, as a prompt alone does.
    EXPECT_EQ(together[0].ids, generate(model_, {prompts[0]}, config)[0].ids);
    if (temperature == 0)
      for (std::size_t s = 0; s < prompts.size(); ++s)
        EXPECT_EQ(together[s].ids, generate(model_, {prompts[s]}, config)[0].ids) << s;
    else
      EXPECT_NE(together[0].ids, together[3].ids) << "streams must differ";
  }
}

TEST_F(Generate, StopsAtStopTokensAndKeepsTheOthersGoing) {
  GenerateConfig config = greedy(24);
  config.stop_tokens = {continuation_[5]};
  const auto first = std::find(continuation_.begin(), continuation_.end(), continuation_[5]);
  const auto alone = generate(model_, {{5}}, config);
  const auto results = generate(model_, {prompt_, {5}}, config);
  EXPECT_EQ(results[0].ids, Ids(continuation_.begin(), first));
  EXPECT_EQ(results[0].end, Generated::End::stop_token);
  EXPECT_EQ(results[1].ids, alone[0].ids);
}

TEST_F(Generate, StreamsInOrderAndCanBeCancelled) {
  std::stop_source source;
  Ids streamed;
  const auto results = generate(
      model_, {prompt_}, greedy(24),
      [&](std::size_t s, std::int32_t id) {
        EXPECT_EQ(s, 0u);
        streamed.push_back(id);
        if (streamed.size() == 3) source.request_stop();
      },
      source.get_token());
  EXPECT_EQ(streamed, Ids(continuation_.begin(), continuation_.begin() + 3));
  EXPECT_EQ(results[0].ids, streamed);
  EXPECT_EQ(results[0].end, Generated::End::cancelled);
}

TEST_F(Generate, EditsAreAppliedInEveryPass) {
  int passes = 0;
  GenerateConfig config = greedy(4);
  config.edits = {{parse_site("resid_post.1", 2), [&](at::Tensor& value) {
                     ++passes;
                     value.zero_();
                   }}};
  const auto results = generate(model_, {prompt_}, config);
  EXPECT_EQ(passes, 4);
  EXPECT_EQ(results[0].ids, Ids(4, results[0].ids[0]))
      << "from a zeroed stream always the same token follows";
}

TEST_F(Generate, LearnedPositionsEndASequence) {
  const LanguageModel gpt2 = testing::load_model(testing::data_folder() / "gpt2");  // 64 positions
  const auto results = generate(gpt2, {Ids(60, 3)}, greedy(24));
  EXPECT_EQ(results[0].ids.size(), 4u);
}

TEST_F(Generate, RefusesAnEmptyPrompt) {
  EXPECT_THROW(generate(model_, {{}}, greedy(4)), Error);
}

}  // namespace
}  // namespace safesail
