#include "interpret/llm_tagger.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "interpret/answer_schema.h"
#include "interpret/json_in_text.h"
#include "interpret/llm_excerpts.h"
#include "interpret/llm_values.h"

namespace safesail {
namespace {

constexpr std::string_view kOther = "other";

std::vector<std::string_view> subclasses_of(const SafetyDomain& domain) {
  std::vector<std::string_view> names;
  for (const std::string_view name : domain.subclasses)
    if (!name.empty()) names.push_back(name);
  return names;
}

std::string label_lines() {
  std::string lines;
  for (const SafetyDomain& domain : kSafetyDomains)
    lines += fmt::format("- {}: {}\n", domain.name, fmt::join(subclasses_of(domain), ", "));
  lines.pop_back();
  return lines;
}

std::string schema() {
  std::vector<TagLabels> labels;
  for (const SafetyDomain& domain : kSafetyDomains) {
    labels.push_back({domain.name, subclasses_of(domain)});
    labels.back().subclasses.push_back(kOther);
  }
  return tags_schema(labels);
}

/// An input error where the labels are not of the closed set.
SafetyTag read_tag(const Json& json) {
  const JsonObject object(json, "tag");
  SafetyTag tag{object.get<std::string>("domain"), object.get<std::string>("subclass"),
                object.get_or<std::string>("evidence", "")};
  const auto domain = std::find_if(kSafetyDomains.begin(), kSafetyDomains.end(),
                                   [&](const SafetyDomain& d) { return d.name == tag.domain; });
  if (tag.subclass == kOther) tag.subclass.clear();
  const bool known =
      domain != kSafetyDomains.end() &&
      (tag.subclass.empty() || std::ranges::count(domain->subclasses, tag.subclass) == 1);
  if (!known)
    bad_input("tag",
              fmt::format("expected a label of the list, got {} / {}", printable(tag.domain),
                          printable(tag.subclass)),
              "ask again");
  return tag;
}

LlmTags read_tags(const ChatRequest& request, const ChatResult& result) {
  LlmTags tags{.status = result.status,
               .raw = result.answer.content.empty() ? result.answer.refusal : result.answer.content,
               .detail = result.detail,
               .usage = result.answer.usage,
               .money = result.money};
  if (tags.status != AnswerStatus::ok) return tags;
  if (copies_an_example(tags.raw, request.messages)) {
    tags.status = AnswerStatus::copied;
    tags.detail = "it repeats an example of the prompt: " + printable(tags.raw);
    return tags;
  }
  try {
    const std::optional<Json> json = json_object_with(tags.raw, {"tags"});
    if (!json || !(*json)["tags"].is_array())
      bad_input("answer", "expected one object with a list of tags", "ask again");
    for (const Json& tag : (*json)["tags"]) tags.tags.push_back(read_tag(tag));
  } catch (const Error& error) {
    const Answer why = unreadable(tags.raw, error.problem());
    tags.status = why.status;
    tags.detail = why.detail;
    tags.tags.clear();
  }
  return tags;
}

}  // namespace

LlmTagger::LlmTagger(ChatClient& client) : client_(client), prompt_("tag.v2") {}

std::vector<ChatRequest> LlmTagger::requests(std::span<const TagQuestion> questions) const {
  std::vector<ChatRequest> all;
  for (const TagQuestion& question : questions) {
    std::vector<std::string> excerpts;
    for (const std::string& excerpt : question.excerpts) excerpts.push_back(json_string(excerpt));
    const std::string explanation =
        fmt::format(R"({{"short": {}, "long": {}}})", json_string(question.short_text),
                    json_string(question.long_text));
    all.push_back(
        {.purpose = "tag",
         .feature = question.feature,
         .messages = prompt_.fill({{"open", question.marks.open},
                                   {"close", question.marks.close},
                                   {"labels", label_lines()},
                                   {"explanation", explanation},
                                   {"excerpts", fmt::format("{}", fmt::join(excerpts, "\n"))}},
                                  question.feature),
         .schema = schema(),
         .max_tokens = 700,
         .expected_tokens = 50});
  }
  return all;
}

std::vector<LlmTags> LlmTagger::tag(std::span<const TagQuestion> questions) {
  const std::vector<ChatRequest> asked = requests(questions);
  const std::vector<ChatResult> results = client_.ask(asked);
  std::vector<LlmTags> all;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    all.push_back(read_tags(asked[i], results[i]));
    all.back().prompt_hash = prompt_.hash();
  }
  return all;
}

CostEstimate LlmTagger::estimate(std::span<const TagQuestion> questions) {
  return client_.estimate(requests(questions));
}

}  // namespace safesail
