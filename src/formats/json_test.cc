#include "formats/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/field_error.h"
#include "formats/test_files.h"

namespace safesail {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string nested(int depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(ParseJson, BuildsTheSameValueAsNlohmann) {
  const std::string text = R"({"a": [1, -2, 3.5, true, null, "x\u00e9\n", {}, []],
      "b": {"c": {"d": [[1], [2, [3]]]}, "e": ""}, "f": 18446744073709551615})";
  EXPECT_EQ(parse_json(text, "f"), Json::parse(text));
  for (const char* scalar : {"1", "\"a\"", "null", " false ", "[]", "{}"})
    EXPECT_EQ(parse_json(scalar, "f"), Json::parse(scalar));
}

TEST(ParseJson, ErrorsNameTheSourceAndTheByte) {
  for (const char* text : {"", "{", "[1,]", "{\"a\" 1}", "nul", "1 2", "{\"a\":1}x", "\"\x01\""})
    EXPECT_THAT(error_of([&] { parse_json(text, "config.json"); }),
                AllOf(HasSubstr("config.json: expected JSON, at byte "), Not(HasSubstr("json."))))
        << text;
  EXPECT_THAT(error_of([] { parse_json("[1, x]", "f"); }), HasSubstr("at byte 5"));
}

TEST(ParseJson, RefusesInvalidUtf8AndNumbersThatOverflow) {
  EXPECT_THAT(error_of([] { parse_json("\"\xff\"", "f"); }), HasSubstr("UTF-8"));
  EXPECT_THAT(error_of([] { parse_json("\"\xc3\"", "f"); }), HasSubstr("UTF-8"));
  EXPECT_THAT(error_of([] { parse_json("1e999", "f"); }), HasSubstr("overflow"));
}

TEST(ParseJson, ErrorsStayShortAndPrintable) {
  std::string endless = "{\"a\": \"";
  endless.append(10'000'000, 'x');
  const std::string digits = std::string(1'000'000, '9') + "e999";
  for (const std::string& text : {endless, digits, std::string("[\"\x1b[2J\xff\"]")}) {
    const std::string error = error_of([&] { parse_json(text, "f"); });
    EXPECT_LT(error.size(), 300u);
    for (const char c : error) EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~')) << int{c};
  }
}

TEST(ParseJson, DepthIsLimited) {
  EXPECT_NO_THROW(parse_json(nested(64), "f"));
  EXPECT_THAT(error_of([] { parse_json(nested(65), "f"); }), HasSubstr("64 nested levels"));
  // Ten million levels would exhaust the stack of anything recursive.
  std::string arrays, objects;
  arrays.append(10'000'000, '[');
  EXPECT_THROW(parse_json(arrays, "f"), Error);
  for (int i = 0; i < 1'000'000; ++i) objects += "{\"a\":";
  EXPECT_THROW(parse_json(objects, "f"), Error);
}

TEST(ParseJson, SizeIsLimited) {
  EXPECT_NO_THROW(parse_json("[1]", "f", {.max_bytes = 3}));
  EXPECT_THAT(error_of([] { parse_json("[12]", "f", {.max_bytes = 3}); }), HasSubstr("at most"));
}

TEST(ParseJson, DuplicateKeysAreRefusedOnRequestElseTheLastWins) {
  const char* text = R"({"a": {"k": 1, "j": 2, "k": [3]}})";
  EXPECT_EQ(parse_json(text, "f"), Json::parse(R"({"a": {"j": 2, "k": [3]}})"));
  EXPECT_THAT(error_of([&] { parse_json(text, "f", {.unique_keys = true}); }),
              HasSubstr("\"k\" twice"));
  EXPECT_NO_THROW(parse_json(R"({"a": {"k": 1}, "k": 2})", "f", {.unique_keys = true}));
}

TEST(ReadJson, NamesTheFile) {
  const TempFolder folder;
  write_file(folder / "a.json", "[1, 2]");
  EXPECT_EQ(read_json(folder / "a.json"), Json::parse("[1, 2]"));
  write_file(folder / "b.json", "[1, 2");
  EXPECT_THAT(error_of([&] { read_json(folder / "b.json"); }),
              AllOf(HasSubstr("b.json"), HasSubstr("fetch the file again")));
  EXPECT_THAT(error_of([] { parse_json("[1, 2", "request"); }), Not(HasSubstr("file")));
  EXPECT_THROW(read_json(folder / "none.json"), Error);
}

TEST(Printable, EscapesAndCuts) {
  EXPECT_EQ(printable("a\n\x1b\xff\"é"), R"("a\n\u001b\ufffd\"\u00e9")");
  const std::string cut = printable(std::string(1000, 'x'));
  EXPECT_THAT(cut, testing::EndsWith("x...\""));
  EXPECT_LT(cut.size(), 100u);
}

class JsonObjectTest : public testing::Test {
 protected:
  const Json json_ = Json::parse(R"({
    "hidden_size": 576, "bad_size": "x", "zero": 0, "eps": 1e-5, "whole": 2.0, "tie": true,
    "name": "llama", "none": null, "ids": [1, 2], "mixed": [1, "a"], "names": ["a", "b"],
    "scales": [1, 0.5], "huge": 9223372036854775808,
    "rope_scaling": {"factor": 8.0, "type": 3}})");
  const JsonObject config_{json_, "config.json"};
};

TEST(DumpJson, WritesWhateverBytesTheStringsHold) {
  EXPECT_EQ(dump_json(Json{{"a\xff", "b\xc3"}, {"ok", "é\n"}}),
            "{\"a\uFFFD\":\"b\uFFFD\",\"ok\":\"é\\n\"}");
  EXPECT_EQ(dump_json(Json{{"a", {1}}}, {.indent = 1}), "{\n \"a\": [\n  1\n ]\n}");
  EXPECT_EQ(dump_json(Json("é"), {.ascii = true}), "\"\\u00e9\"");
}

TEST(OrderedJson, KeepsTheOrderOfKeys) {
  const std::string text = R"({"b":1,"a":{"z":[{"y":1,"x":2}],"c":null},"aa":true})";
  EXPECT_EQ(dump_json(parse_ordered_json(text, "t")), text);
  EXPECT_THROW(parse_ordered_json(R"({"a":1,"a":2})", "t", {.unique_keys = true}), Error);
  EXPECT_EQ(dump_json(parse_ordered_json(R"({"a":1,"b":0,"a":2})", "t")), R"({"a":2,"b":0})");
}

TEST(OrderedJson, BoundsTheKeysThatItSearchesOneByOne) {
  const auto with_keys = [](std::size_t n) {
    std::string text = "{";
    for (std::size_t i = 0; i < n; ++i)
      text += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":0";
    return text + "}";
  };
  EXPECT_EQ(parse_ordered_json(with_keys(kMaxOrderedKeys), "t").size(), kMaxOrderedKeys);
  EXPECT_THAT(error_of([&] { parse_ordered_json(with_keys(kMaxOrderedKeys + 1), "t"); }),
              HasSubstr("at most 1024 keys"));
}

TEST_F(JsonObjectTest, GivesValuesOfEveryType) {
  EXPECT_EQ(config_.get<std::int64_t>("hidden_size"), 576);
  EXPECT_EQ(config_.get_positive("hidden_size"), 576);
  EXPECT_EQ(config_.get<double>("eps"), 1e-5);
  EXPECT_EQ(config_.get<double>("hidden_size"), 576.0);
  EXPECT_EQ(config_.get<bool>("tie"), true);
  EXPECT_EQ(config_.get<std::string>("name"), "llama");
  EXPECT_THAT(config_.get<std::vector<std::int64_t>>("ids"), ElementsAre(1, 2));
  EXPECT_THAT(config_.get<std::vector<double>>("scales"), ElementsAre(1.0, 0.5));
  EXPECT_THAT(config_.get<std::vector<std::string>>("names"), ElementsAre("a", "b"));
  EXPECT_EQ(config_.object("rope_scaling").get<double>("factor"), 8.0);
}

TEST_F(JsonObjectTest, MissingAndNullAreTheSame) {
  for (const char* key : {"absent", "none"}) {
    EXPECT_FALSE(config_.contains(key));
    EXPECT_FALSE(config_.find<std::int64_t>(key).has_value());
    EXPECT_FALSE(config_.find_positive(key).has_value());
    EXPECT_FALSE(config_.find_object(key).has_value());
    EXPECT_EQ(config_.get_or<std::int64_t>(key, 7), 7);
    EXPECT_THAT(error_of([&] { config_.get<std::string>(key); }),
                HasSubstr(std::string("config.json: expected a key '") + key + "', got none"));
    EXPECT_THROW(config_.get_positive(key), Error);
    EXPECT_THROW(config_.object(key), Error);
  }
}

TEST_F(JsonObjectTest, ErrorsSayWhatWasExpectedAndWhatCame) {
  EXPECT_THAT(error_of([&] { config_.get_positive("bad_size"); }),
              HasSubstr("config.json: expected 'bad_size' to be a positive integer, got \"x\""));
  EXPECT_THAT(error_of([&] { config_.get_positive("zero"); }), HasSubstr("got 0"));
  EXPECT_THAT(error_of([&] { config_.get<std::int64_t>("whole"); }),
              HasSubstr("to be an integer, got 2.0"));
  EXPECT_THAT(error_of([&] { config_.get<std::int64_t>("huge"); }), HasSubstr("an integer"));
  EXPECT_THAT(error_of([&] { config_.get<bool>("zero"); }), HasSubstr("true or false"));
  EXPECT_THAT(error_of([&] { config_.get<std::string>("ids"); }), HasSubstr("got a list"));
  EXPECT_THAT(error_of([&] { config_.get<std::vector<std::int64_t>>("mixed"); }),
              HasSubstr("a list of integers"));
  // A wrong type is an error even where a fallback is at hand.
  EXPECT_THROW(config_.get_or<std::int64_t>("name", 7), Error);
}

TEST_F(JsonObjectTest, ObjectsInsideNameTheirPath) {
  EXPECT_THAT(error_of([&] { config_.object("rope_scaling").get<std::string>("type"); }),
              HasSubstr("config.json: rope_scaling: expected 'type' to be a string, got 3"));
  EXPECT_THAT(error_of([&] { config_.object("name"); }),
              HasSubstr("config.json: name: expected a JSON object, got \"llama\""));
}

TEST_F(JsonObjectTest, ErrorsKnowTheirField) {
  const auto field_of = [](auto&& action) {
    try {
      action();
    } catch (const FieldError& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      return error.field();
    }
    return std::string("nothing was thrown");
  };
  EXPECT_EQ(field_of([&] { config_.get<std::string>("absent"); }), "absent");
  EXPECT_EQ(field_of([&] { config_.get_positive("zero"); }), "zero");
  EXPECT_EQ(field_of([&] { config_.object("rope_scaling").get<std::string>("type"); }),
            "rope_scaling.type");
  EXPECT_EQ(field_of([&] { config_.object("name"); }), "name");
  const Json list = Json::array();
  EXPECT_EQ(field_of([&] { JsonObject(list, "config.json"); }), "") << "all of it";
  EXPECT_EQ(field_of([] { at_field("top_p", [] { bad_input("a", "b", "c"); }); }), "top_p");
  EXPECT_EQ(field_of([&] { at_field("all", [&] { return config_.get<bool>("name"); }); }), "name");
  try {
    at_field("a", [] { failed("a", "b", "c"); });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(dynamic_cast<const FieldError*>(&error), nullptr) << "the machine's fault";
  }
}

}  // namespace
}  // namespace safesail
