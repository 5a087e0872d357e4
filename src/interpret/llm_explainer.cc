#include "interpret/llm_explainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>

#include "base/error.h"
#include "interpret/json_in_text.h"
#include "interpret/llm_values.h"

namespace safesail {
namespace {

constexpr std::string_view kSchema = R"({
  "type": "object", "additionalProperties": false, "required": ["short", "long"],
  "properties": {"short": {"type": "string"}, "long": {"type": "string"}}})";
constexpr std::size_t kMaxShortBytes = 600, kMaxLongBytes = 6000, kMaxTokensShown = 10;

std::string token_list(const std::vector<WeightedToken>& tokens) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < std::min(tokens.size(), kMaxTokensShown); ++i)
    texts.push_back(json_string(tokens[i].text));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

bool fires(const Exemplar& exemplar) {
  return exemplar.kind == WindowKind::top || exemplar.kind == WindowKind::level;
}

}  // namespace

LlmExplainer::LlmExplainer(ChatClient& client, const LlmExplainerSettings& settings)
    : client_(client), settings_(settings), explain_("explain.v2"), translate_("translate.v1") {}

ChatRequest LlmExplainer::request(const FeatureRecord& record, int& n_excerpts) const {
  const auto chosen = choose_excerpts(record, settings_.excerpts, client_.settings().seed);
  n_excerpts = static_cast<int>(chosen.size());
  std::vector<std::string_view> texts;
  for (const Exemplar* excerpt : chosen) texts.push_back(excerpt->window.text);
  const Marks marks = marks_for(texts);
  std::vector<std::string> firing, silent;
  for (const Exemplar* excerpt : chosen) {
    if (fires(*excerpt))
      firing.push_back(
          fmt::format(R"({{"level": {}, "text": {}}})", excerpt->level,
                      json_string(text_with_levels(excerpt->window, record.quantile, marks))));
    else
      silent.push_back(fmt::format(R"({{"near": {}, "text": {}}})",
                                   excerpt->kind != WindowKind::silent,
                                   json_string(excerpt->window.text)));
  }
  if (firing.empty()) n_excerpts = 0;
  const std::string feature = fmt::format(
      R"({{"density": "{:.3g} % of tokens", "promoted": {}, "suppressed": {}}})",
      100 * record.density(), token_list(record.promoted), token_list(record.suppressed));
  const std::string name = feature_name(record.sae, record.feature);
  return {.purpose = "explain",
          .feature = name,
          .messages = explain_.fill({{"open", marks.open},
                                     {"close", marks.close},
                                     {"feature", feature},
                                     {"firing", fmt::format("{}", fmt::join(firing, "\n"))},
                                     {"silent", fmt::format("{}", fmt::join(silent, "\n"))}},
                                    name),
          .schema = std::string(kSchema),
          .max_tokens = settings_.max_tokens,
          .expected_tokens = 160};
}

ChatRequest LlmExplainer::translation(const FeatureRecord& record, const LlmText& text) const {
  const std::string explanation = fmt::format(
      R"({{"short": {}, "long": {}}})", json_string(text.short_text), json_string(text.long_text));
  return {.purpose = "translate",
          .feature = feature_name(record.sae, record.feature),
          .messages = translate_.fill(
              {{"language", settings_.second_language}, {"explanation", explanation}}),
          .schema = std::string(kSchema),
          .max_tokens = 2 * settings_.max_tokens,
          .expected_tokens = 200};
}

LlmText LlmExplainer::read(const ChatRequest& request, const ChatResult& result,
                           const Prompt& prompt) const {
  LlmText text{.status = result.status,
               .raw = result.answer.content.empty() ? result.answer.refusal : result.answer.content,
               .detail = result.detail,
               .prompt_hash = prompt.hash(),
               .request_hash = request_hash(request, client_.settings()),
               .usage = result.answer.usage,
               .money = result.money};
  if (text.status != AnswerStatus::ok) return text;
  if (copies_an_example(text.raw, request.messages)) {
    text.status = AnswerStatus::copied;
    text.detail = "it repeats an example of the prompt: " + printable(text.raw);
    return text;
  }
  const auto refuse = [&](std::string_view problem) {
    const Answer why = unreadable(text.raw, problem);
    text.status = why.status;
    text.detail = why.detail;
    return text;
  };
  const std::optional<Json> json = json_object_with(text.raw, {"short", "long"});
  if (!json) return refuse("expected one JSON object with a short and a long text");
  try {
    const JsonObject object(*json, "answer");
    text.short_text = object.get<std::string>("short");
    text.long_text = object.get<std::string>("long");
  } catch (const Error& error) {
    return refuse(error.problem());
  }
  const bool fits = !text.short_text.empty() && text.short_text.size() <= kMaxShortBytes &&
                    !text.long_text.empty() && text.long_text.size() <= kMaxLongBytes;
  if (fits) return text;
  text.short_text.clear();
  text.long_text.clear();
  return refuse("expected two texts, none empty or endless");
}

std::vector<LlmExplanation> LlmExplainer::explain(std::span<const FeatureRecord> records) {
  std::vector<LlmExplanation> explanations(records.size());
  std::vector<ChatRequest> requests;
  std::vector<std::size_t> asked;  // the record of each request
  for (std::size_t i = 0; i < records.size(); ++i) {
    ChatRequest one = request(records[i], explanations[i].n_excerpts);
    explanations[i].text.prompt_hash = explain_.hash();
    explanations[i].text.detail = "insufficient: no excerpt in which it fires";
    if (explanations[i].n_excerpts == 0) continue;
    requests.push_back(std::move(one));
    asked.push_back(i);
  }
  std::vector<ChatResult> results = client_.ask(requests);
  for (std::size_t i = 0; i < asked.size(); ++i)
    explanations[asked[i]].text = read(requests[i], results[i], explain_);
  if (settings_.second_language.empty()) return explanations;

  requests.clear();
  std::erase_if(asked,
                [&](std::size_t i) { return explanations[i].text.status != AnswerStatus::ok; });
  for (const std::size_t i : asked)
    requests.push_back(translation(records[i], explanations[i].text));
  results = client_.ask(requests);
  for (std::size_t i = 0; i < asked.size(); ++i)
    explanations[asked[i]].second = read(requests[i], results[i], translate_);
  return explanations;
}

CostEstimate LlmExplainer::estimate(std::span<const FeatureRecord> records) {
  std::vector<ChatRequest> requests;
  for (const FeatureRecord& record : records) {
    int n_excerpts = 0;
    ChatRequest one = request(record, n_excerpts);
    if (n_excerpts == 0) continue;
    if (!settings_.second_language.empty()) {
      // Its text is not written yet: one of the usual length stands for it.
      const LlmText usual{.short_text = std::string(80, 'x'), .long_text = std::string(400, 'x')};
      requests.push_back(translation(record, usual));
    }
    requests.push_back(std::move(one));
  }
  return client_.estimate(requests);
}

}  // namespace safesail
