#include "cli/best_features.h"

#include <gmock/gmock.h>

#include "atlas/test_support.h"

namespace safesail {
namespace {

using BestFeatures = AtlasTest;

TEST_F(BestFeatures, OfNoFeaturesAreNone) {
  Atlas atlas(dir_ / "atlas.sqlite");
  EXPECT_EQ(best_features(atlas, 10), "");
}

TEST_F(BestFeatures, AreThoseThatTellBest) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t sae = atlas.put_sae(make_sae());
  // More than a page of the listing that they are read from.
  for (int i = 0; i < 1100; ++i) {
    const std::int64_t id = atlas.put_feature(sae, make_record(i));
    if (i % 500 == 7)
      atlas.put_pair_metrics(id, {.concept_name = "terror/weapons",
                                  .language = "en",
                                  .f = 0.5,
                                  .p = 0.001 * (i + 1),
                                  .n = 20});
  }
  const std::string text = best_features(atlas, 2);
  EXPECT_THAT(text, testing::HasSubstr("mlp_out.3:7 "));
  EXPECT_THAT(text, testing::HasSubstr("mlp_out.3:507 "));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("mlp_out.3:1007 ")));
}

}  // namespace
}  // namespace safesail
