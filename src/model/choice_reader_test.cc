#include "model/choice_reader.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <stdexcept>

#include "model/golden_testing.h"

namespace safesail {
namespace {

TEST(ChoiceReader, ReadsWhatAFullPassReads) {
  const LanguageModel model = testing::load_model(testing::data_folder() / "llama");
  const SafetensorsFile golden(testing::data_folder() / "llama" / "golden.safetensors");
  const std::vector<std::int32_t> ids = testing::ids_of(golden, "greedy");
  const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(ids.size())};
  const ForwardResult pass =
      model.forward({.ids = ids, .starts = starts, .logits = ForwardRequest::Logits::all});
  const at::Tensor expected = at::log_softmax(*pass.logits, 1);

  ChoiceReader reader(model);
  const std::vector<std::int32_t> choices{7, 3, 5};
  for (const std::vector<std::size_t>& places :
       {std::vector<std::size_t>{1}, {ids.size() - 1}, {4, 5, 9}, {1, ids.size() - 1}}) {
    const auto read = reader.read(ids, 3, places, choices).logprobs;
    ASSERT_EQ(read.size(), places.size());
    for (std::size_t p = 0; p < places.size(); ++p)
      for (std::size_t c = 0; c < choices.size(); ++c)
        // f32 sums over some hundred terms in another order: 1e-4 is 1,000 times their rounding.
        EXPECT_NEAR(read[p][c],
                    expected[static_cast<std::int64_t>(places[p]) - 1][choices[c]].item<float>(),
                    1e-4)
            << "place " << places[p] << ", choice " << choices[c];
  }
  EXPECT_TRUE(reader.read(ids, 0, {}, choices).logprobs.empty());
  const std::vector<std::size_t> first{0}, beyond{ids.size()};
  EXPECT_THROW(reader.read(ids, 0, first, choices), std::logic_error);
  EXPECT_THROW(reader.read(ids, 0, beyond, choices), std::logic_error);
}

// Six openings of which four are kept: some are known, some have been given up, and what is read
// does not show it.
TEST(ChoiceReader, AKnownOpeningChangesNothing) {
  const LanguageModel model = testing::load_model(testing::data_folder() / "llama");
  ChoiceReader reader(model);
  const std::vector<std::int32_t> choices{7, 3, 5};
  const std::vector<std::size_t> places{14, 17};
  std::size_t n_known = 0;
  for (int round = 0; round < 3; ++round)
    for (const std::int32_t opening : {1, 2, 3, 4, 5, 6, 6, 5, 4, 3}) {
      std::vector<std::int32_t> ids(20, opening);
      for (std::size_t t = 10; t < ids.size(); ++t)
        ids[t] = static_cast<std::int32_t>(t) + opening + round;
      ChoiceReader fresh(model);
      const ChoiceReader::Read read = reader.read(ids, 10, places, choices);
      EXPECT_EQ(read.logprobs, fresh.read(ids, 10, places, choices).logprobs) << opening;
      EXPECT_TRUE(read.n_known == 0 || read.n_known == 10U);
      n_known += read.n_known;
    }
  // On the way back 6, 5, 4 and 3 are known; at the start of the later rounds 3 and 4 still are.
  EXPECT_EQ(n_known, (4 + 6 + 6) * 10U);
}

}  // namespace
}  // namespace safesail
