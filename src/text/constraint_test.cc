#include "text/constraint.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <regex>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "text/end_of_turn.h"
#include "text/test_tokenizers.h"
#include "text/token_bytes.h"

namespace safesail {
namespace {

using Kind = ConstraintSource::Kind;
using Ids = std::vector<std::int32_t>;

Ids ids_of(std::span<const std::uint32_t> bits) {
  Ids ids;
  for (std::size_t word = 0; word < bits.size(); ++word)
    for (std::uint32_t left = bits[word]; left != 0; left &= left - 1)
      ids.push_back(static_cast<std::int32_t>(32 * word) + std::countr_zero(left));
  return ids;
}

/// Every byte as a token, the id its value; a few longer ones, and two special ones.
class SmallVocabulary : public ::testing::Test {
 protected:
  static constexpr std::int32_t kEnd = 256, kSpecial = 257;

  SmallVocabulary() {
    for (int byte = 0; byte < 256; ++byte) tokens_.emplace_back(1, static_cast<char>(byte));
    for (const char* text : {"", "", "{\"", "\":", "true", "yes", "yes please", " ", "नम", "\n\n"})
      tokens_.emplace_back(text);
    const Ids ends{kEnd};
    vocabulary_.emplace(tokens_, ends);
  }

  Constraint of(Kind kind, const std::string& text) const {
    return {*vocabulary_, {kind, text}, "a test"};
  }
  /// What may be written next: the texts of single bytes, "" for the end.
  std::set<std::string> next(Constraint& constraint) const {
    std::set<std::string> texts;
    for (const std::int32_t id : ids_of(constraint.allowed()))
      texts.insert(tokens_[static_cast<std::size_t>(id)]);
    return texts;
  }
  void write(Constraint& constraint, std::string_view text) const {
    for (const char c : text) constraint.take(static_cast<unsigned char>(c));
  }
  /// Whether all of `text` may be written, byte by byte, and may end there.
  bool holds(Constraint constraint, std::string_view text) const {
    for (const char c : text) {
      const Ids ids = ids_of(constraint.allowed());
      const std::int32_t id = static_cast<unsigned char>(c);
      if (std::ranges::find(ids, id) == ids.end()) return false;
      constraint.take(id);
    }
    const Ids ids = ids_of(constraint.allowed());
    return std::ranges::find(ids, kEnd) != ids.end();
  }
  /// Draws until the end, or until `most` tokens are made: then nothing.
  std::optional<std::string> walk(Constraint constraint, std::uint64_t seed, int most) const {
    Rng rng(seed, "walk");
    std::string text;
    for (int n = 0; n < most; ++n) {
      const Ids ids = ids_of(constraint.allowed());
      if (ids.empty()) ADD_FAILURE() << "nothing may follow " << text;
      const std::int32_t id = ids[rng.below(ids.size())];
      EXPECT_NE(id, kSpecial);
      if (id == kEnd) return text;
      constraint.take(id);
      text += tokens_[static_cast<std::size_t>(id)];
      if (constraint.is_over()) return text;
    }
    return std::nullopt;
  }
  std::string complaint(Kind kind, const std::string& text) const {
    try {
      of(kind, text);
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_THAT(error.where(), ::testing::StartsWith("a test"));
      return fmt::format("{}: {}", error.where().substr(6), error.problem());
    }
    return "";
  }

  std::vector<std::string> tokens_;
  std::optional<ConstraintVocabulary> vocabulary_;
};

TEST_F(SmallVocabulary, AChoiceIsOneOfTheChoices) {
  const std::string list = R"(["yes", "yes please", "no/never\n", "é|(", "\\"])";
  const std::vector<std::string> choices = Json::parse(list);
  std::set<std::string> written;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto text = walk(of(Kind::choice, list), seed, 100);
    ASSERT_TRUE(text);
    EXPECT_TRUE(std::ranges::count(choices, *text) == 1) << *text;
    written.insert(*text);
  }
  EXPECT_EQ(written.size(), choices.size()) << "each can be chosen";
  Constraint constraint = of(Kind::choice, R"(["yes", "yes please"])");
  EXPECT_EQ(next(constraint), (std::set<std::string>{"y", "yes", "yes please"}));
  write(constraint, "yes");
  EXPECT_FALSE(constraint.is_over()) << "it may go on";
  EXPECT_EQ(next(constraint), (std::set<std::string>{"", " "}));
  write(constraint, " please");
  EXPECT_TRUE(constraint.is_over());
  EXPECT_EQ(ids_of(constraint.allowed()), Ids{kEnd});
}

TEST_F(SmallVocabulary, ARegexIsMatchedWhole) {
  for (const char* expression :
       {"[0-9]{3}-[0-9]{4}", "(a|bc)*d?", "^x(yz){1,3}$", "[^a-zA-Z\\n]{2,5}", "a/b|\\d\\.\\d+",
        "(?:true|false)(, (?:true|false)){0,2}"}) {
    const std::regex regex(expression);  // ECMAScript: another engine
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      const auto text = walk(of(Kind::regex, expression), seed, 1000);
      if (!text) continue;  // `*` may go on for ever
      // What is no ASCII is one character to us, several to std::regex.
      if (std::ranges::any_of(*text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
        continue;
      EXPECT_TRUE(std::regex_match(*text, regex)) << expression << ": " << *text;
    }
  }
  EXPECT_TRUE(holds(of(Kind::regex, "a/b|\\d\\.\\d+"), "a/b"));
  EXPECT_FALSE(holds(of(Kind::regex, "a/b|\\d\\.\\d+"), "a"));
}

TEST_F(SmallVocabulary, CharactersOfSeveralTokensCanBeWritten) {
  const std::string list = R"(["你好", "नमस्ते", "👩‍🚀"])";
  for (const char* text : {"你好", "नमस्ते", "👩‍🚀"})
    EXPECT_TRUE(holds(of(Kind::choice, list), text)) << text;
  EXPECT_FALSE(holds(of(Kind::choice, list), "你们"));
  const std::string schema = R"({"type": "object", "properties": {"名": {"type": "string"}},
                                 "required": ["名"], "additionalProperties": false})";
  EXPECT_TRUE(holds(of(Kind::json_schema, schema), R"({"名": "नमस्ते 你好 é"})"));
  EXPECT_FALSE(holds(of(Kind::json_schema, schema), "{\"名\": \"\xFF\"}")) << "no UTF-8";
  EXPECT_FALSE(holds(of(Kind::json_schema, schema), "{\"名\": \"\xE4\xBD\"}")) << "cut short";
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::string text = walk(of(Kind::json_schema, schema), seed, 2000).value_or("");
    EXPECT_TRUE(is_utf8(text)) << text;
  }
}

TEST_F(SmallVocabulary, JsonIsOfItsSchema) {
  const auto json = [&](const std::string& schema, const std::string& text) {
    return holds(of(Kind::json_schema, schema), text);
  };
  const std::string values = R"({"type": "object", "required": ["v"], "additionalProperties": false,
    "properties": {"v": {"type": "array", "minItems": 2, "maxItems": 2,
                         "items": {"type": "integer", "minimum": 0, "maximum": 9}}}})";
  for (const char* text :
       {R"({"v":[0,9]})", R"({"v": [3, 4]})", "{\n  \"v\": [\n    0,\n    1\n  ]\n}"})
    EXPECT_TRUE(json(values, text)) << text;
  for (const char* text :
       {R"({"v":[0]})", R"({"v":[0,1,2]})", R"({"v":[0,10]})", R"({"v":[0,-0]})", R"({"v":[0,01]})",
        R"({"v":[0,1.0]})", R"({"v":[0,1],"w":1})", R"({})", R"({"v":[0,1]}})", R"( {"v":[0,1]})",
        "{\"v\":  [0,1]}", "{\"v\":\n\n\n[0,1]}"})
    EXPECT_FALSE(json(values, text)) << text;
  const std::string shape =
      R"({"type": "object", "required": ["b", "a"], "additionalProperties": false,
    "properties": {"b": {"enum": ["x", 3, null]}, "a": {"anyOf": [{"type": "boolean"}, {"$ref": "#/$defs/t"}]}},
    "$defs": {"t": {"type": "string", "maxLength": 2}}})";
  EXPECT_TRUE(json(shape, R"({"b":"x","a":true})"));
  EXPECT_TRUE(json(shape, R"({"b":null,"a":"é你"})")) << "characters, not bytes";
  EXPECT_FALSE(json(shape, R"({"b":"x","a":"abc"})"));
  EXPECT_FALSE(json(shape, R"({"a":true,"b":"x"})")) << "in the order of the schema";
  const std::string any = R"({"type": "object"})";
  EXPECT_TRUE(json(any, R"({"a": [1, -2.5e3, {"b": "\n\"", "c": null}], "": false})"));
  EXPECT_FALSE(json(any, R"([1])"));
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const auto text = walk(of(Kind::json_schema, values), seed, 1000);
    ASSERT_TRUE(text) << "it has an end";
    const Json parsed = Json::parse(*text);
    ASSERT_EQ(parsed.size(), 1U);
    ASSERT_EQ(parsed["v"].size(), 2U);
    for (const Json& value : parsed["v"]) {
      EXPECT_TRUE(value.is_number_integer());
      EXPECT_TRUE(value >= 0 && value <= 9);
    }
  }
}

TEST_F(SmallVocabulary, WhatCannotBeHeldIsNamed) {
  using ::testing::HasSubstr;
  const auto schema = [&](const std::string& text) { return complaint(Kind::json_schema, text); };
  EXPECT_THAT(schema(R"({"type": "array", "uniqueItems": true})"), HasSubstr("uniqueItems"));
  for (const char* beyond : {"9007199254740993", "-123456789012345678", "1e30"}) {
    EXPECT_THAT(schema(fmt::format(R"({{"const": {}}})", beyond)), HasSubstr("2^53"));
    EXPECT_THAT(schema(fmt::format(R"({{"properties": {{"a": {{"maximum": {}}}}}}})", beyond)),
                HasSubstr("2^53"));
  }
  EXPECT_THAT(schema(R"({"patternProperties": {"^a$": {}}, "minProperties": 3})"),
              HasSubstr("minProperties"));
  EXPECT_THAT(schema(R"({"if": {"type": "string"}, "then": false})"), HasSubstr("then"));
  EXPECT_THAT(schema(R"({"type": "string", "format": "poem"})"), HasSubstr("poem"));
  EXPECT_THAT(schema(R"({"$ref": "https://example.com/schema"})"), HasSubstr("example.com"));
  EXPECT_THAT(schema(R"({"$ref": "#/$defs/none"})"), HasSubstr("none"));
  EXPECT_THAT(schema(R"({"type": "number", "minimum": 3, "maximum": 2})"), HasSubstr("3"));
  EXPECT_THAT(schema(R"({"type": "wish"})"), HasSubstr("wish"));
  EXPECT_THAT(schema(R"({"x-guidance": {"lenient": true}})"), HasSubstr("x-guidance"));
  for (const char* text :
       {"", "3", "true", "[]", "{", R"({"type": 3})", R"({"enum": []})", R"({"anyOf": []})",
        R"({"minItems": -1})", R"({"required": [1]})", R"({"pattern": "("})"})
    EXPECT_NE(schema(text), "") << text;
  for (const char* text : {"", "(", "a\\", "a{2", "[", "(?=a)b", "(a)\\1", "*"})
    EXPECT_NE(complaint(Kind::regex, text), "") << text;
  for (const char* text : {"", "[]", "[\"\"]", "[1]", "{}", "[\"a\", \"\"]"})
    EXPECT_NE(complaint(Kind::choice, text), "") << text;
  EXPECT_EQ(schema(R"({"type": "string"})"), "");
}

TEST_F(SmallVocabulary, ARefusalSaysWhere) {
  using ::testing::HasSubstr;
  using ::testing::StartsWith;
  const auto schema = [&](const std::string& text) { return complaint(Kind::json_schema, text); };
  EXPECT_EQ(schema(R"({"properties": {"age": {"minimum": 1e30}}})"),
            "#/properties/age/minimum: expected a number within 2^53, got 1e+30");
  EXPECT_THAT(schema(R"({"properties": {"a/b~": {"enum": [1, 2, -9007199254740992]}}})"),
              StartsWith("#/properties/a~1b~0/enum/2: "));
  EXPECT_EQ(schema(R"({"items": {"minProperties": 3, "required": ["a", "b"]}})"),
            "#/items/minProperties: expected at most 2, as 2 keys are in 'required', got 3");
  EXPECT_THAT(schema(R"({"x-guidance": {}})"), StartsWith("#/x-guidance: "));
  EXPECT_THAT(schema("3"), StartsWith("#: expected an object"));
  EXPECT_THAT(complaint(Kind::choice, R"(["a", ""])"), StartsWith("#/1: "));
  EXPECT_THAT(complaint(Kind::regex, "a\\"), StartsWith(": ")) << "of all of it";
  // Neither long nor on several lines, whatever the keys are.
  const std::string key = "\\n" + std::string(10'000, 'x');
  const std::string long_one = schema("{\"" + key + "\": {\"maximum\": 1e30}}");
  EXPECT_THAT(long_one, HasSubstr("/maximum: expected a number"));
  EXPECT_LT(long_one.size(), 1000U);
  EXPECT_EQ(long_one.find('\n'), long_one.npos);
}

TEST_F(SmallVocabulary, WhatCouldNotEndIsRefused) {
  using ::testing::StartsWith;
  struct Case {
    const char* schema;
    const char* place;  // empty where it can end
  };
  const std::vector<Case> cases = {
      {R"({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}})",
       "#/properties/a"},
      {R"({"type": "object", "properties": {"a": {"$ref": "#"}}})", ""},
      {R"({"required": ["a"], "properties": {"a": {"$ref": "#"}}})", ""},  // or no object
      // Through definitions, of which one leads back.
      {R"({"$ref": "#/$defs/a", "$defs": {
           "a": {"type": "object", "required": ["b"], "properties": {"b": {"$ref": "#/$defs/b"}}},
           "b": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/a"}}}})",
       "#/$defs/a/properties/b"},
      {R"({"$ref": "#/$defs/a", "$defs": {
           "a": {"type": "object", "required": ["b"], "properties": {"b": {"$ref": "#/$defs/b"}}},
           "b": {"type": "array", "items": {"$ref": "#/$defs/a"}}}})",
       ""},
      // A list and a tree as they are usually written.
      {R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object",
           "required": ["value", "next"], "additionalProperties": false, "properties": {
             "value": {"type": "integer"},
             "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]}}}}})",
       ""},
      {R"({"type": "object", "required": ["children"], "properties": {
           "children": {"type": "array", "items": {"$ref": "#"}}}})",
       ""},
      // The only way out is none.
      {R"({"type": "object", "required": ["a"], "properties": {
           "a": {"anyOf": [{"$ref": "#"}, {"type": "array", "minItems": 2, "items": {"$ref": "#"}}]}}})",
       "#/properties/a"},
      {R"({"type": "object", "required": ["a"], "properties": {"a": {"oneOf": [{"$ref": "#"}, false]}}})",
       "#/properties/a"},
      {R"({"type": "object", "required": ["a"], "additionalProperties": {"$ref": "#"}})",
       "#/additionalProperties"},
      {R"({"type": "array", "prefixItems": [true, {"$ref": "#"}], "minItems": 2})",
       "#/prefixItems/1"},
      {R"({"type": "array", "prefixItems": [true, {"$ref": "#"}], "minItems": 1})", ""},
      {R"({"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#"}})", "#"},
      // What one of a union cannot end, an answer may still choose.
      {R"({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "object",
           "required": ["a"], "properties": {"a": {"$ref": "#/$defs/a"}}}}})",
       "#/$defs/a/properties/a"},
      // Not used, or ruled out by the type beside it.
      {R"({"type": "string", "$defs": {"a": {"type": "object", "required": ["a"],
           "properties": {"a": {"$ref": "#/$defs/a"}}}}})",
       ""},
      {R"({"type": "string", "required": ["a"], "properties": {"a": {"$ref": "#"}}})", ""},
      {R"({"type": "object", "allOf": [{"required": ["a"], "properties": {"a": {"$ref": "#"}}}]})",
       "#"}};
  for (const Case& one : cases) {
    const std::string said = complaint(Kind::json_schema, one.schema);
    if (*one.place == '\0')
      EXPECT_EQ(said, "") << one.schema;
    else
      EXPECT_THAT(said, StartsWith(std::string(one.place) + ": expected a value that can end"))
          << one.schema;
  }
  // What has no value at all is another fault, of which llguidance speaks.
  const std::string none = complaint(
      Kind::json_schema, R"({"type": "object", "required": ["a"], "properties": {"a": false}})");
  EXPECT_NE(none, "");
  EXPECT_EQ(none.find("can end"), none.npos) << none;
}

std::string repeated(std::string_view text, std::size_t n) {
  std::string all;
  for (std::size_t i = 0; i < n; ++i) all += text;
  return all;
}

// Each would take all memory or an hour if it were followed to its end: it is refused, or it goes
// on, a step at a time. That it returns is the test.
TEST_F(SmallVocabulary, WhatGrowsWithoutBoundIsLimited) {
  std::vector<std::pair<Kind, std::string>> hostile;
  const auto schema = [&](std::string text) {
    hostile.emplace_back(Kind::json_schema, std::move(text));
  };
  const auto regex = [&](std::string text) { hostile.emplace_back(Kind::regex, std::move(text)); };
  schema(R"({"$ref": "#"})");
  schema(
      R"({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})");
  schema(R"({"allOf": [{"$ref": "#"}, {"$ref": "#"}], "type": "object"})");
  schema(R"({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}})");  // no end
  std::string chain = R"({"$ref": "#/$defs/0", "$defs": {"1000": true)", doubling = chain;
  for (int i = 0; i < 1000; ++i) {
    chain += fmt::format(R"(, "{}": {{"$ref": "#/$defs/{}"}})", i, i + 1);
    doubling += fmt::format(
        R"(, "{0}": {{"allOf": [{{"$ref": "#/$defs/{1}"}}, {{"$ref": "#/$defs/{1}"}}]}})", i,
        i + 1);
  }
  schema(chain + "}}");
  // As deep as a schema of 128 KiB can be: the stack holds it.
  for (const char* link : {R"({{"$ref":"#/{}"}})", R"({{"allOf":[{{"$ref":"#/{}"}}]}})",
                           R"({{"items":{{"$ref":"#/{}"}}}})"}) {
    std::string deep = R"({"$ref":"#/0","end":{})";
    for (int i = 0; deep.size() < 127'000; ++i)
      deep += fmt::format(R"(,"{}":)", i) + fmt::format(fmt::runtime(link), i + 1);
    deep.replace(deep.rfind("#/") + 2, deep.rfind('"') - deep.rfind("#/") - 2, "end");
    schema(deep + "}");
  }
  schema(doubling + "}}");
  std::string choices = "[\"0\"", options = "{\"const\": \"0\"}", properties = "\"0\": true",
              required = "\"0\"";
  for (int i = 1; i < 4000; ++i) {
    choices += fmt::format(",\"{}\"", i);
    options += fmt::format(",{{\"const\": \"{}\"}}", i);
    properties += fmt::format(",\"{}\": true", i);
    required += fmt::format(",\"{}\"", i);
  }
  schema("{\"enum\": " + choices + "]}");
  schema("{\"oneOf\": [" + options + "]}");
  schema("{\"properties\": {" + properties + "}}");
  schema("{\"required\": [" + required + "]}");
  schema("{\"allOf\": [{\"anyOf\": [" + options + "]}, {\"anyOf\": [" + options + "]}]}");
  schema("{\"patternProperties\": {\"^(a|b)*c\": true, \"^(a|c)*b\": true, \"(b|c){50}\": true}}");
  schema(R"({"type": "array", "minItems": 1000000000000})");
  schema(R"({"type": "array", "minItems": 18446744073709551615})");
  schema(
      R"({"type": "array", "maxItems": 1000000000, "items": {"type": "array", "maxItems": 1000000000}})");
  schema(R"({"type": "string", "minLength": 4000000000})");
  schema(R"({"type": "string", "maxLength": 18446744073709551615})");
  schema(R"({"type": "string", "pattern": "^(((a{1,100}){1,100}){1,100}){1,100}$"})");
  schema(R"re({"type": "string", "pattern": "(x+x+)+y(.*a.{1000}b)", "minLength": 50000})re");
  schema(R"({"type": "string", "format": "email", "pattern": "^(.*a){30}$", "maxLength": 5000})");
  schema(R"({"type": "object", "minProperties": 1000000, "maxProperties": 100000000})");
  schema(R"({"type": "number", "multipleOf": 1e-300})");
  schema(R"({"type": "integer", "multipleOf": 4294967291})");
  schema(R"({"type": "integer", "minimum": -1e308, "maximum": 1e308, "multipleOf": 7})");
  schema(R"({"const": )" + repeated("[", 100) + repeated("]", 100) + "}");
  schema(repeated(R"({"items": )", 100) + "{}" + repeated("}", 100));
  schema(repeated(R"({"items": )", 5000) + "{}" + repeated("}", 5000));
  schema(R"({"type": "string", "pattern": ")" + repeated("(", 40000) + repeated(")", 40000) +
         "\"}");
  schema("{\"title\": \"" + std::string(200'000, 'x') + "\"}");
  regex("(((((a{1,100}){1,100}){1,100}){1,100}){1,100}){1,100}");
  regex("(a?){10000}a{10000}");
  regex("(.*a){500}b");
  regex(".*[ab].{200}c");
  regex("(x+x+)+y");
  regex("(a|aa)+$");
  regex("\\pL{1000}.*\\pN{1000}");
  regex("(?i:" + repeated("\\pL", 2000) + ")");
  regex(repeated("(", 60000) + repeated(")", 60000));
  regex(repeated("a|", 60000) + "a");
  regex(repeated("(a|b)*", 5000));
  regex("[" + repeated("a-z", 30000) + "]");
  hostile.emplace_back(Kind::choice, choices + "]");
  const std::string shared(60'000, 'x');
  hostile.emplace_back(Kind::choice, "[\"" + shared + "a\", \"" + shared + "b\"]");
  for (const auto& [kind, text] : hostile) {
    try {
      Constraint constraint = of(kind, text);
      Rng rng(1, "hostile");
      for (int n = 0; n < 50 && !constraint.is_over(); ++n) {
        const Ids ids = ids_of(constraint.allowed());
        ASSERT_FALSE(ids.empty());
        const std::int32_t id = ids[rng.below(ids.size())];
        if (id == kEnd) break;
        constraint.take(id);
      }
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_LT(error.problem().size(), 2000U) << error.problem();
      EXPECT_EQ(error.problem().find("backtrace"), std::string::npos) << error.problem();
    }
  }
}

TEST_F(SmallVocabulary, WhatIsNotAllowedIsNotTaken) {
  Constraint constraint = of(Kind::choice, R"(["yes"])");
  EXPECT_THROW(constraint.take('n'), Error);
  EXPECT_THROW(constraint.allowed(), Error) << "then it is of no more use";
  Constraint other = of(Kind::choice, R"(["yes"])");
  EXPECT_THROW(other.take(1'000'000), Error);
  EXPECT_THROW(of(Kind::choice, R"(["yes"])").take(-1), Error);
  EXPECT_THROW(ConstraintVocabulary(tokens_, Ids{}), Error);
  EXPECT_THROW(ConstraintVocabulary(tokens_, Ids{1'000'000}), Error);
}

TEST(Constraint, TakesWhatARealTokenizerMakesOfATextOfItsForm) {
  SAFESAIL_NEED_INSTALLED(smollm2_gguf());
  SAFESAIL_NEED_INSTALLED(tokenizer_folder("gemma3"));
  for (const fs::path& path : {smollm2_gguf(), tokenizer_folder("gemma3")}) {
    const Tokenizer tokenizer = Tokenizer::load(path);
    const Ids ends = end_tokens(tokenizer);
    const ConstraintVocabulary vocabulary(tokenizer, ends);
    std::vector<std::string> bytes;
    for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id)
      bytes.push_back(token_bytes(tokenizer, id));
    const ConstraintSource schema{
        Kind::json_schema,
        R"({"type": "object", "required": ["short", "long"], "additionalProperties": false,
          "properties": {"short": {"type": "string", "maxLength": 100}, "long": {"type": "string"}}})"};
    for (const std::string text :
         {"Naïve café: 数学 и नमस्ते 👩‍🚀 𓂀 𐎠 ꧁ 𒐫!  two  spaces",
          "'violin', \"cello\"\n{open}\\", "<|im_end|>"}) {
      const Json answer{{"short", text}, {"long", "a <end_of_turn> b"}};
      const std::string written = fmt::format(R"({{"short": {}, "long": {}}})",
                                              answer["short"].dump(), answer["long"].dump());
      Constraint constraint(vocabulary, schema, "test");
      // Byte by byte, as special tokens in a text are not what it says.
      std::string left = written;
      while (!left.empty()) {
        const Ids ids = ids_of(constraint.allowed());
        std::string_view longest;
        std::int32_t best = -1;
        for (const std::int32_t id : ids) {
          ASSERT_FALSE(tokenizer.is_special(id)) << id;
          const std::string& own = bytes[static_cast<std::size_t>(id)];
          if (own.size() > longest.size() && left.starts_with(own)) longest = own, best = id;
        }
        ASSERT_GE(best, 0) << "at " << left;
        constraint.take(best);
        left.erase(0, longest.size());
      }
      EXPECT_TRUE(constraint.is_over());
      EXPECT_EQ(ids_of(constraint.allowed()), [&] {
        Ids sorted = ends;
        std::ranges::sort(sorted);
        sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
        return sorted;
      }());
    }
  }
}

}  // namespace
}  // namespace safesail
