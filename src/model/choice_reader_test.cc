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

  PrefixCache openings(model, 1 << 20);
  ChoiceReader reader(model, openings);
  const std::vector<std::int32_t> choices{7, 3, 5};
  const std::vector<std::size_t> seams{3};
  for (const std::vector<std::size_t>& places :
       {std::vector<std::size_t>{1}, {ids.size() - 1}, {4, 5, 9}, {1, ids.size() - 1}}) {
    const auto read = reader.read(ids, seams, places, choices).logprobs;
    ASSERT_EQ(read.size(), places.size());
    for (std::size_t p = 0; p < places.size(); ++p)
      for (std::size_t c = 0; c < choices.size(); ++c)
        // f32 sums over some hundred terms in another order: 1e-4 is 1,000 times their rounding.
        EXPECT_NEAR(read[p][c],
                    expected[static_cast<std::int64_t>(places[p]) - 1][choices[c]].item<float>(),
                    1e-4)
            << "place " << places[p] << ", choice " << choices[c];
  }
  EXPECT_TRUE(reader.read(ids, {}, {}, choices).logprobs.empty());
  const std::vector<std::size_t> first{0}, beyond{ids.size()};
  EXPECT_THROW(reader.read(ids, {}, first, choices), std::logic_error);
  EXPECT_THROW(reader.read(ids, {}, beyond, choices), std::logic_error);
}

}  // namespace
}  // namespace safesail
