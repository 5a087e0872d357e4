#include "serve/query_parameters.h"

#include <gmock/gmock.h>

#include "serve/feature_request.h"
#include "serve/refusal.h"

namespace safesail {
namespace {

using testing::HasSubstr;
using Params = QueryParameters::Params;

/// The message with which a request for features is refused; empty when it is not.
std::string refusal_of(const Params& params) {
  try {
    parse_feature_request(params);
  } catch (const Refusal& refusal) {
    EXPECT_EQ(refusal.status, 400);
    EXPECT_FALSE(refusal.remedy.empty());
    return refusal.message;
  }
  return "";
}

TEST(FeatureRequest, IsReadWhole) {
  const FeatureQuery query = parse_feature_request({{"text", "炸弹 bomb*"},
                                                    {"domains", "terror,violence"},
                                                    {"subclass", "weapons"},
                                                    {"sae", "mlp_out.15/topk-k32"},
                                                    {"site", "mlp_out.15"},
                                                    {"layer", "15"},
                                                    {"min_score", "-0.5"},
                                                    {"max_score", "1"},
                                                    {"min_density", "1e-4"},
                                                    {"max_density", ".5"},
                                                    {"explained", "true"},
                                                    {"sufficient", "0"},
                                                    {"ids", "3,17,42"},
                                                    {"language", "zh"},
                                                    {"order", "density"},
                                                    {"ascending", "1"},
                                                    {"offset", "20"},
                                                    {"limit", "500"}});
  EXPECT_EQ(query.text, "炸弹 bomb*");
  EXPECT_THAT(query.domains, testing::ElementsAre("terror", "violence"));
  EXPECT_EQ(query.subclass, "weapons");
  EXPECT_EQ(query.sae, "mlp_out.15/topk-k32");
  EXPECT_EQ(query.site, "mlp_out.15");
  EXPECT_EQ(query.layer, 15);
  EXPECT_EQ(query.min_score, -0.5);
  EXPECT_EQ(query.max_score, 1);
  EXPECT_EQ(query.min_density, 1e-4);
  EXPECT_EQ(query.max_density, 0.5);
  EXPECT_EQ(query.explained, true);
  EXPECT_EQ(query.sufficient, false);
  EXPECT_THAT(*query.ids, testing::ElementsAre(3, 17, 42));
  EXPECT_EQ(query.language, "zh");
  EXPECT_EQ(query.order, FeatureOrder::density);
  EXPECT_TRUE(query.ascending);
  EXPECT_EQ(query.offset, 20);
  EXPECT_EQ(query.limit, 500);
}

TEST(FeatureRequest, HasDefaults) {
  const FeatureQuery query = parse_feature_request({});
  EXPECT_EQ(query.limit, 50);
  EXPECT_EQ(query.offset, 0);
  EXPECT_EQ(query.order, FeatureOrder::score);
  EXPECT_FALSE(query.layer || query.min_score || query.explained || query.ids);
}

TEST(FeatureRequest, NamesWhatIsWrong) {
  EXPECT_EQ(refusal_of({}), "");
  for (const Params& wrong : std::vector<Params>{{{"layer", "x"}},
                                                 {{"layer", ""}},
                                                 {{"layer", "-1"}},
                                                 {{"layer", "1.5"}},
                                                 {{"layer", " 1"}},
                                                 {{"layer", "99999999999"}},
                                                 {{"min_score", "nan"}},
                                                 {{"min_score", "inf"}},
                                                 {{"max_score", "0.5x"}},
                                                 {{"min_density", ""}},
                                                 {{"max_density", "1e999"}},
                                                 {{"explained", "yes"}},
                                                 {{"sufficient", ""}},
                                                 {{"ids", ""}},
                                                 {{"ids", "1,,2"}},
                                                 {{"ids", "1,-2"}},
                                                 {{"ids", "1,2,"}},
                                                 {{"order", "best"}},
                                                 {{"ascending", "2"}},
                                                 {{"offset", "-1"}},
                                                 {{"limit", "0"}},
                                                 {{"limit", "501"}},
                                                 {{"text", "\xff"}},
                                                 {{"text", std::string(1, '\0')}},
                                                 {{"text", std::string(201, 'a')}},
                                                 {{"domains", ""}},
                                                 {{"domains", "a,,b"}},
                                                 {{"domains", "a,"}},
                                                 {{"domains", "a"}, {"domains", "b"}}})
    EXPECT_THAT(refusal_of(wrong), HasSubstr("parameter " + wrong.begin()->first))
        << wrong.begin()->second;
  EXPECT_THAT(refusal_of({{"limits", "3"}}), HasSubstr("\"limits\""));
  EXPECT_THAT(refusal_of({{"\xff\n", "3"}}), HasSubstr("\\ufffd")) << "made printable";
  std::string longest;
  for (int i = 0; i < 200; ++i) longest += "炸";
  EXPECT_EQ(refusal_of({{"text", longest}}), "");
  std::string many = "1";
  for (int i = 0; i < 500; ++i) many += ",1";
  EXPECT_NE(refusal_of({{"ids", many}}), "");
  EXPECT_THROW(parse_feature_filters({{"limit", "3"}}), Refusal) << "counts have no pages";
}

}  // namespace
}  // namespace safesail
