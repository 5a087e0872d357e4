// Position numbers that a caller gives (ForwardRequest::positions), against transformers' masked
// attention; made by scripts/golden/make_masked_golden.py.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/golden_testing.h"

namespace safesail {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(Positions, TokensLeftOutAreAsMasked) {
  const fs::path folder = testing::data_folder() / "qwen2";
  const LanguageModel model = testing::load_model(folder);
  const SafetensorsFile golden(folder / "masked.safetensors");
  const Ids ids = testing::ids_of(golden, "ids"), positions = testing::ids_of(golden, "positions");
  const Ids starts{0, static_cast<std::int32_t>(ids.size())};
  const ForwardRequest request{.ids = ids,
                               .starts = starts,
                               .positions = positions,
                               .read = {Site{SiteKind::mlp_out, 1}},
                               .logits = ForwardRequest::Logits::all};
  const ForwardResult pass = model.forward(request);
  testing::expect_close(pass.sites[0], testing::tensor_of(golden, "mlp_out.1"), 1e-4, "mlp_out.1");
  testing::expect_close(*pass.logits, testing::tensor_of(golden, "logits"), 1e-4, "logits");
  ForwardRequest unnumbered = request;
  unnumbered.positions = {};
  EXPECT_GT((*model.forward(unnumbered).logits - *pass.logits).abs().max().item<float>(), 1e-3F)
      << "the numbers must matter";
}

TEST(Positions, AreRefusedWhereTheyDoNotFit) {
  const LanguageModel model = testing::load_model(testing::data_folder() / "gpt2");  // 64 positions
  const Ids ids{1, 2, 3}, starts{0, 3};
  const auto forward = [&](const Ids& positions) {
    return model.forward({.ids = ids,
                          .starts = starts,
                          .positions = positions,
                          .read = {Site{SiteKind::mlp_out, 0}}});
  };
  EXPECT_NO_THROW(forward({0, 2, 63}));
  for (const Ids& bad : {Ids{0, 1}, Ids{0, 2, 2}, Ids{-1, 0, 1}, Ids{1, 2, 64}})
    EXPECT_THROW(forward(bad), Error);
}

}  // namespace
}  // namespace safesail
