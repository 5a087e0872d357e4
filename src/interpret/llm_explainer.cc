#include "interpret/llm_explainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "interpret/answer_schema.h"
#include "interpret/json_in_text.h"
#include "interpret/llm_values.h"

namespace safesail {
namespace {

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

/// The answer was cut although it had tokens left: the prompt took what the model reads.
bool no_room(const ChatRequest& request, const ChatResult& result) {
  return result.answer.finish_reason == "length" && result.answer.usage_given &&
         result.answer.usage.completion < static_cast<std::uint64_t>(request.max_tokens);
}

}  // namespace

LlmExplainer::LlmExplainer(ChatClient& client, const LlmExplainerSettings& settings)
    : client_(client), settings_(settings), explain_("explain.v2"), translate_("translate.v1") {}

ChatRequest LlmExplainer::request(const FeatureRecord& record, const ExcerptPlan& plan,
                                  int& n_excerpts) const {
  const auto chosen = choose_excerpts(record, plan, client_.settings().seed);
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
          .schema = explanation_schema(),
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
          .schema = explanation_schema(),
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

/// Asks about each record, with fewer excerpts as long as that helps.
void LlmExplainer::ask(std::span<const FeatureRecord> records,
                       std::vector<LlmExplanation>& explanations) {
  std::vector<std::size_t> lacking(records.size());
  std::iota(lacking.begin(), lacking.end(), 0);
  std::vector<int> n_planned(records.size(), 0);
  std::optional<ExcerptPlan> plan = settings_.excerpts;
  while (plan && !lacking.empty()) {
    std::vector<ChatRequest> requests;
    std::vector<std::size_t> asked;  // the record of each request
    for (const std::size_t i : lacking) {
      LlmExplanation& explanation = explanations[i];
      ChatRequest one = request(records[i], *plan, explanation.n_excerpts);
      n_planned[i] = std::max(n_planned[i], explanation.n_excerpts);
      explanation.text.prompt_hash = explain_.hash();
      explanation.text.detail = "insufficient: no excerpt in which it fires";
      if (explanation.n_excerpts == 0) continue;
      requests.push_back(std::move(one));
      asked.push_back(i);
    }
    const std::vector<ChatResult> results = client_.ask(requests);
    lacking.clear();
    for (std::size_t k = 0; k < asked.size(); ++k) {
      LlmExplanation& explanation = explanations[asked[k]];
      explanation.text = read(requests[k], results[k], explain_);
      if (explanation.text.status == AnswerStatus::ok) {
        if (explanation.n_excerpts < n_planned[asked[k]])
          explanation.text.detail = fmt::format("the model reads no more than {} of {} excerpts",
                                                explanation.n_excerpts, n_planned[asked[k]]);
      } else if (results[k].too_long || no_room(requests[k], results[k])) {
        lacking.push_back(asked[k]);
      }
    }
    plan = plan->fewer();
  }
}

std::vector<LlmExplanation> LlmExplainer::explain(std::span<const FeatureRecord> records) {
  std::vector<LlmExplanation> explanations(records.size());
  ask(records, explanations);
  if (settings_.second_language.empty()) return explanations;

  std::vector<ChatRequest> requests;
  std::vector<std::size_t> asked;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (explanations[i].text.status != AnswerStatus::ok) continue;
    requests.push_back(translation(records[i], explanations[i].text));
    asked.push_back(i);
  }
  const std::vector<ChatResult> results = client_.ask(requests);
  for (std::size_t k = 0; k < asked.size(); ++k)
    explanations[asked[k]].second = read(requests[k], results[k], translate_);
  return explanations;
}

CostEstimate LlmExplainer::estimate(std::span<const FeatureRecord> records) {
  std::vector<ChatRequest> requests;
  for (const FeatureRecord& record : records) {
    int n_excerpts = 0;
    ChatRequest one = request(record, settings_.excerpts, n_excerpts);
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
