#include "interpret/json_in_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(JsonInText, IsFoundThoughTheProseHasBraces) {
  const std::string object = R"({"short": "ships", "long": "Fires on {ships}."})";
  for (const std::string& text :
       {object, "The marked tokens {ship, boat} are nautical.\n" + object,
        object + "\n(Levels {8,9} dominate.)", "```json\n" + object + "\n```\nHope that helps {}.",
        "an open { and a \" before\n" + object, "{\"short\": \"cut\n" + object, "{" + object + "}"})
    EXPECT_EQ(json_object_with(text, {"short", "long"}), Json::parse(object)) << text;
}

TEST(JsonInText, IsFoundInsideAnother) {
  const Json inner{{"short", "a"}, {"long", "b"}};
  EXPECT_EQ(json_object_with(Json{{"answer", inner}}.dump(), {"short", "long"}), inner);
  EXPECT_EQ(json_object_with(Json::array({inner}).dump(), {"short", "long"}), inner);
}

TEST(JsonInText, IsNotGuessedWhereSeveralDiffer) {
  const std::string one = R"({"short": "a", "long": "b"})",
                    other = R"({"short": "c", "long": "d"})";
  EXPECT_FALSE(json_object_with(one + " or " + other, {"short", "long"}));
  EXPECT_TRUE(json_object_with(one + ", that is " + one, {"short", "long"}));
  EXPECT_TRUE(json_object_with("a draft {\"short\": \"x\"} then " + one, {"short", "long"}));
  EXPECT_FALSE(json_object_with("none at all", {"short"}));
}

TEST(JsonInText, OutermostObjectsOnly) {
  EXPECT_THAT(json_objects_in(R"(a {"b": {"c": "}"}} d {"e": "\"{"})"),
              ElementsAre(R"({"b": {"c": "}"}})", R"({"e": "\"{"})"));
  EXPECT_THAT(json_objects_in("no { json } here"), IsEmpty());
}

TEST(JsonInText, EndsOnATextOfBraces) {
  std::string hostile;
  for (int i = 0; i < 500'000; ++i) hostile += "{\"";
  EXPECT_THAT(json_objects_in(hostile), IsEmpty());
  EXPECT_THAT(json_objects_in(std::string(1 << 20, '{')), IsEmpty());
}

}  // namespace
}  // namespace safesail
