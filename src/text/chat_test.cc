#include "text/chat.h"

#include <gmock/gmock.h>
#include <set>

#include "base/error.h"
#include "formats/test_files.h"
#include "text/test_tokenizers.h"

namespace safesail {
namespace {

using testing::HasSubstr;

void expect_golden_chats(const Tokenizer& tokenizer, const std::string& name) {
  const Json expected = golden(name);
  ASSERT_FALSE(expected["chats"].empty());
  for (const Json& chat : expected["chats"]) {
    SCOPED_TRACE(chat.dump());
    const auto messages = parse_messages(chat["messages"].dump(), "golden");
    const bool prompt = chat["add_generation_prompt"].get<bool>();
    if (chat.contains("text"))
      EXPECT_EQ(render_chat(tokenizer, messages, prompt), chat["text"].get<std::string>());
    else
      EXPECT_THAT(error_of([&] { render_chat(tokenizer, messages, prompt); }),
                  HasSubstr(chat["error"].get<std::string>()));
  }
}

TEST(Chat, EqualsTransformersSmolLm2) {
  SAFESAIL_NEED_INSTALLED(smollm2_gguf());
  expect_golden_chats(Tokenizer::load(smollm2_gguf()), "smollm2");
}

class PublishedChat : public testing::TestWithParam<const char*> {};

TEST_P(PublishedChat, EqualsTransformers) {
  const fs::path folder = tokenizer_folder(GetParam());
  SAFESAIL_NEED_INSTALLED(folder);
  expect_golden_chats(Tokenizer::load(folder), GetParam());
}
INSTANTIATE_TEST_SUITE_P(, PublishedChat, testing::Values("qwen3", "llama3", "gemma3"),
                         [](const auto& name) { return name.param; });

/// A tokenizer with `source` as its template.
class ChatTemplate : public testing::Test {
 protected:
  std::string render(std::string_view source,
                     const std::vector<ChatMessage>& messages = {{"user", "hi"}}) {
    return render_chat(tokenizer_with_template(source), messages, true);
  }
};

/// What transformers renders, or refuses (scripts/golden/make_template_golden.py).
TEST(PythonTemplates, EqualTransformers) {
  // What minijinja cannot do. The first are refused by name, the others differ: printing a range, a
  // blank that Python does not print, and asking whether a text holds what is not defined.
  const std::set<std::string> refused = {"'½'.isnumeric()",
                                         "'½'.isdigit()",
                                         "'²'.isdigit()",
                                         "'²'.isdecimal()",
                                         "'abc'.isidentifier()",
                                         "'é'.encode('utf-8')",
                                         "'abc'.translate({97: 'x'})",
                                         "'%d%%' % 5",
                                         "'%s' % 'x'",
                                         "'%.2f' % 1.005",
                                         "'%s and %s' % ('a', 'b')",
                                         "'%s' % [1]",
                                         "'a b'|urlencode",
                                         "{'a': 'b c'}|urlencode",
                                         "'abc'|wordcount",
                                         "'x y'|wordwrap(1)",
                                         "'abcdefghijkl'|truncate(5, true)",
                                         "'abc def ghi'|truncate(8)",
                                         "'abc'|random|length",
                                         "strftime_now('%Y')|length"};
  const std::set<std::string> different = {"range(3)", R"(['é\u200b\x7f']|string)",
                                           "undefinedvar in 'abc'"};
  const OrderedJson file = OrderedJson::parse(
      read_file(source_path("tests/data/text/template_golden.json"), std::size_t{1} << 24));
  ASSERT_GT(file["cases"].size(), 300u);
  for (const OrderedJson& golden : file["cases"]) {
    const std::string source = golden["template"];
    SCOPED_TRACE(source);
    const bool is_expression = source.starts_with("{{ ") && source.ends_with(" }}");
    const std::string expression = is_expression ? source.substr(3, source.size() - 6) : source;
    // Objects inside a template's arguments are told in the order of their keys.
    if (different.contains(expression) || expression.find("levels | tojson") != expression.npos)
      continue;
    const std::vector<ChatMessage> messages =
        golden.contains("messages") ? parse_messages(golden["messages"].dump(), "golden")
                                    : std::vector<ChatMessage>{{"user", "Hi there"}};
    const auto render = [&] {
      return render_chat(tokenizer_with_template(source), messages, false,
                         Json::parse(golden.value("arguments", OrderedJson()).dump()));
    };
    if (golden.contains("text") && !refused.contains(expression)) {
      try {
        EXPECT_EQ(render(), golden["text"].get<std::string>());
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    } else {
      EXPECT_THAT(error_of([&] { render(); }), HasSubstr("template"));
    }
  }
}

// Expected texts: jinja2 with transformers' settings on the same templates.
TEST_F(ChatTemplate, TrimsBlocksAsTransformersDoes) {
  EXPECT_EQ(render("a\n  {% if true %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc");
}

TEST_F(ChatTemplate, KnowsVariablesAndUndefinedOnes) {
  EXPECT_EQ(render("{{ bos_token }}{{ add_generation_prompt }}|{{ nothing }}|{{ tools is none }}"),
            "<s>True||True");
}

TEST_F(ChatTemplate, RunsWhatTemplatesUse) {
  EXPECT_EQ(
      render("{% set ns = namespace(n=0) %}{% for i in range(9) %}{% if i == 2 %}{% continue %}"
             "{% endif %}{% if i == 5 %}{% break %}{% endif %}{% set ns.n = ns.n + i %}"
             "{% endfor %}{{ ns.n }}"),
      "8");
  EXPECT_EQ(render("{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}{{ twice('ab') }}"), "abab");
  EXPECT_EQ(render("{{ ' a b '.strip().split(' ') | join('-') }} {{ 'abc'.upper()[::-1] }} "
                   "{{ 'x.y'.replace('.', '/') }} {{ messages[-1].get('role') }}"),
            "a-b CBA x/y user");
  EXPECT_EQ(render("{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}"),
            "role=user;content=hi;");
}

TEST_F(ChatTemplate, PrintsValuesAsPythonDoes) {
  EXPECT_EQ(render("{{ messages }} {{ [1.0, 'a', none] }} {{ {'a': true} }}"),
            "[{'role': 'user', 'content': 'hi'}] [1.0, 'a', None] {'a': True}");
  EXPECT_EQ(
      render("{{ 1 / 2 }} {{ 7 // 2 }} {{ 'a' ~ 1 }} {{ 'Ab cD' | title }} {{ x | default('d') }}"),
      "0.5 3 a1 Ab Cd d");
}

TEST_F(ChatTemplate, WritesJsonAsPythonDoes) {
  EXPECT_EQ(render("{{ messages | tojson }}", {{"user", "<é> \"q\"\n/"}}),
            R"([{"role": "user", "content": "<é> \"q\"\n/"}])");
  EXPECT_EQ(render("{{ [1, 2.5, none, true, {}, []] | tojson }}"), "[1, 2.5, null, true, {}, []]");
  EXPECT_EQ(render("{{ {'a': [1]} | tojson(indent=2) }}"), "{\n  \"a\": [\n    1\n  ]\n}");
}

TEST_F(ChatTemplate, SpeaksItsOwnErrors) {
  EXPECT_THAT(error_of([&] { render("\n{{ raise_exception('No system role.') }}"); }),
              testing::AllOf(HasSubstr("No system role."), HasSubstr("line 2")));
  EXPECT_THAT(error_of([&] { render("{% if %}"); }), HasSubstr("template"));
  EXPECT_THAT(error_of([&] { render("{{ nothing.at.all }}"); }), HasSubstr("undefined"));
}

TEST_F(ChatTemplate, CannotSpinOrGrowForEver) {
  for (const char* source :
       {"{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}x"
        "{% endfor %}{% endfor %}{% endfor %}",
        "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
        "{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}"
        "{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
        "{{ 'x' * 99999999999 }}"}) {
    SCOPED_TRACE(source);
    error_of([&] { render(source); });
  }
  for (const char* source :
       {"{{ 'x'.ljust(9999999999) }}", "{{ 'x'.zfill(9999999999) }}",
        "{{ 'x'.center(9999999999) }}", "{{ '\\t'.expandtabs(9999999999) }}"}) {
    SCOPED_TRACE(source);
    error_of([&] { render(source); });
  }
  // Nested deeper than any parser's stack.
  error_of(
      [&] { render("{{ " + std::string(100000, '(') + "1" + std::string(100000, ')') + " }}"); });
}

TEST(ParseMessages, TakesAListOrAnObject) {
  for (const char* json : {R"([{"role": "user", "content": "hi", "name": "x"}])",
                           R"({"id": 1, "messages": [{"role": "user", "content": "hi"}]})"}) {
    const auto messages = parse_messages(json, "here");
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].role, "user");
    EXPECT_EQ(messages[0].content, "hi");
  }
}

TEST(ParseMessages, JoinsTextPartsAndKeepsAllFields) {
  const auto messages = parse_messages(
      R"([{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"text": "!", "type": "text"}]},
          {"role": "assistant", "content": null, "tool_calls": [{"z": 1, "a": 2}]},
          {"role": "tool", "name": "f", "content": "x"}])",
      "here");
  EXPECT_EQ(messages[0].content, "Hi!");
  EXPECT_TRUE(messages[0].fields.is_null());
  EXPECT_EQ(messages[1].content, "");
  EXPECT_EQ(dump_json(messages[1].fields["tool_calls"]), R"([{"z":1,"a":2}])");
  EXPECT_EQ(dump_json(messages[2].fields), R"({"role":"tool","name":"f","content":"x"})");
}

TEST(ParseMessages, NamesWhatIsNoContent) {
  EXPECT_THAT(error_of([] { parse_messages(R"([{"role": "user", "content": null}])", "here"); }),
              HasSubstr("'content' to be a text, got null"));
  EXPECT_THAT(error_of([] {
                parse_messages(R"([{"role": "user", "content": [{"type": "image_url"}]}])", "here");
              }),
              HasSubstr("got another kind"));
  EXPECT_THAT(error_of([] { parse_template_arguments("[1]", "here"); }), HasSubstr("an object"));
  EXPECT_THAT(error_of([] { parse_template_arguments(R"({"messages": []})", "here"); }),
              HasSubstr("'messages' comes from the request"));
}

TEST_F(ChatTemplate, SaysWhichMessageHasNoContent) {
  const auto messages = parse_messages(
      R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": null, "tool_calls": [1]}])",
      "here");
  EXPECT_THAT(error_of([&] {
                render("{% for m in messages %}{{ '<' + m.content }}{% endfor %}", messages);
              }),
              HasSubstr("message 1 has no content"));
}

TEST_F(ChatTemplate, RefusesBytesThatAreNoText) {
  EXPECT_THAT(error_of([&] {
                render("{{ messages[0].content }}", {{"user", "a\xff"}});
              }),
              testing::AllOf(HasSubstr("message 0"), HasSubstr("UTF-8")));
}

TEST(ParseMessages, RefusesOtherShapes) {
  for (const char* json : {"", "1", "{}", "[]", R"(["hi"])", R"([{"role": "user"}])",
                           R"([{"role": "user", "content": 3}])", R"({"messages": "hi"})"}) {
    SCOPED_TRACE(json);
    EXPECT_THAT(error_of([&] { parse_messages(json, "here.json"); }), HasSubstr("here.json"));
  }
}

TEST(Chat, NeedsATemplate) {
  const TempFolder folder;
  write_file(folder / "tokenizer.json", R"({"version": "1.0", "added_tokens": [],
      "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0}}})");
  EXPECT_THAT(error_of([&] {
                render_chat(Tokenizer::load(folder.path()), {{"user", "hi"}}, true);
              }),
              HasSubstr("expected a chat template, got none"));
}

}  // namespace
}  // namespace safesail
