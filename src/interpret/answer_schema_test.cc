#include "interpret/answer_schema.h"

#include <gtest/gtest.h>

#include "formats/json.h"

namespace safesail {
namespace {

TEST(AnswerSchema, KeysStandInTheOrderOfTheAnswer) {
  // The prompts show them in this order, and a model writes them so.
  const std::string explanation = explanation_schema();
  EXPECT_LT(explanation.find(R"("short":{)"), explanation.find(R"("long":{)")) << explanation;
  const std::vector<TagLabels> labels = {{"sky", {"comets", "other"}}, {"sea", {"other"}}};
  const std::string tags = tags_schema(labels);
  EXPECT_LT(tags.find(R"("domain":{)"), tags.find(R"("subclass":{)")) << tags;
  EXPECT_LT(tags.find(R"("subclass":{)"), tags.find(R"("evidence":{)"));
}

TEST(AnswerSchema, ValuesAreThoseOfTheRequest) {
  const std::vector<std::size_t> n_units = {3, 1};
  const Json answers = Json::parse(values_schema(n_units, 9))["properties"]["answers"];
  EXPECT_EQ(answers["minItems"], 2);
  EXPECT_EQ(answers["maxItems"], 2);
  EXPECT_FALSE(answers.contains("items")) << "llama.cpp refuses false, and the bounds say it";
  ASSERT_EQ(answers["prefixItems"].size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const Json& properties = answers["prefixItems"][i]["properties"];
    EXPECT_EQ(properties["id"],
              Json::parse(
                  fmt::format(R"({{"type": "integer", "minimum": {0}, "maximum": {0}}})", i + 1)));
    EXPECT_EQ(properties["v"]["minItems"], n_units[i]);
    EXPECT_EQ(properties["v"]["maxItems"], n_units[i]);
    EXPECT_EQ(properties["v"]["items"],
              Json::parse(R"({"type": "integer", "minimum": 0, "maximum": 9})"));
  }
}

TEST(AnswerSchema, SubclassesStayWithTheirDomain) {
  const std::vector<TagLabels> labels = {{"sky", {"comets", "other"}}, {"sea", {"other"}}};
  const Json item = Json::parse(tags_schema(labels))["properties"]["tags"]["items"];
  ASSERT_EQ(item["anyOf"].size(), 2U);
  EXPECT_EQ(item["anyOf"][0]["properties"]["domain"]["enum"], Json::array({"sky"}));
  EXPECT_EQ(item["anyOf"][0]["properties"]["subclass"]["enum"], Json::array({"comets", "other"}));
  EXPECT_EQ(item["anyOf"][1]["properties"]["subclass"]["enum"], Json::array({"other"}));
}

TEST(AnswerSchema, PlainOnesKnowNoBounds) {
  const std::vector<std::size_t> n_units = {3, 1};
  // What was sent before there were bounds, and what every strict endpoint takes.
  EXPECT_EQ(Json::parse(plain_schema(values_schema(n_units, 1))), Json::parse(R"({
    "type": "object", "additionalProperties": false, "required": ["answers"],
    "properties": {"answers": {"type": "array", "items": {
      "type": "object", "additionalProperties": false, "required": ["id", "v"],
      "properties": {"id": {"type": "integer"}, "v": {"type": "array", "items": {"type": "integer"}}}}}}})"));
  EXPECT_EQ(Json::parse(plain_schema(explanation_schema())), Json::parse(R"({
    "type": "object", "additionalProperties": false, "required": ["short", "long"],
    "properties": {"short": {"type": "string"}, "long": {"type": "string"}}})"));
}

}  // namespace
}  // namespace safesail
