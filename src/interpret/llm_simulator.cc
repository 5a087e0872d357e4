#include "interpret/llm_simulator.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/rng.h"
#include "interpret/llm_excerpts.h"
#include "interpret/llm_values.h"

namespace safesail {
namespace {

constexpr std::string_view kSchema = R"({
  "type": "object", "additionalProperties": false, "required": ["answers"],
  "properties": {"answers": {"type": "array", "items": {
    "type": "object", "additionalProperties": false, "required": ["id", "v"],
    "properties": {"id": {"type": "integer"}, "v": {"type": "array", "items": {"type": "integer"}}}}}}})";

std::string_view unit_text(const Question& question, Question::Range unit) {
  SAFESAIL_CHECK(unit.begin <= unit.end && unit.end <= question.text.size());
  return std::string_view(question.text).substr(unit.begin, unit.end - unit.begin);
}

/// A question as the scorer's prompt describes it, the id being its place in the request.
std::string shown(Scorer scorer, const Question& question, std::size_t id, const Marks& marks) {
  std::string text;
  const std::size_t n = question.units.size();
  switch (scorer) {
    case Scorer::segment:
      text = fmt::format("text {}, {} segments\n", id, n);
      for (std::size_t i = 0; i < n; ++i)
        text += fmt::format("{} {}\n", i + 1, json_string(unit_text(question, question.units[i])));
      break;
    case Scorer::token:
      text = fmt::format("text {}, {} tokens\n[", id, n);
      for (std::size_t i = 0; i < n; ++i) {
        if (i > 0) text += ',';
        text += json_string(unit_text(question, question.units[i]));
      }
      text += "]\n";
      break;
    case Scorer::detection:
      text = fmt::format("{{\"id\": {}, \"text\": {}}}\n", id, json_string(question.text));
      break;
    case Scorer::fuzzing:
      text = fmt::format("{{\"id\": {}, \"text\": {}}}\n", id,
                         json_string(text_with_marks(question.text, question.marked, marks)));
      break;
  }
  return text;
}

/// {"answers": [{"id": 1, "v": [_,_]}, ...]}
std::string form_of(const std::vector<std::size_t>& n_units) {
  std::string form = R"({"answers": [)";
  for (std::size_t i = 0; i < n_units.size(); ++i) {
    form += fmt::format(R"({}{{"id": {}, "v": [)", i == 0 ? "" : ", ", i + 1);
    for (std::size_t u = 0; u < n_units[i]; ++u) form += u == 0 ? "_" : ",_";
    form += "]}";
  }
  return form + "]}";
}

std::size_t index_of(Scorer scorer) {
  return static_cast<std::size_t>(scorer);
}

/// The largest value that the prompt asks for: a digit, though levels go to kMaxLevel.
int max_value(Scorer scorer) {
  return scorer == Scorer::token ? 9 : 1;
}

}  // namespace

LlmSimulator::LlmSimulator(ChatClient& client, int questions_per_request)
    : client_(client),
      questions_per_request_(questions_per_request),
      prompts_{Prompt("segment.v1"), Prompt("token.v2"), Prompt("detection.v1"),
               Prompt("fuzzing.v2")} {
  if (questions_per_request < 1)
    bad_input("simulator",
              fmt::format("expected at least 1 question a request, got {}", questions_per_request),
              "correct --batch");
}

std::string LlmSimulator::prompt_hash(Scorer scorer) const {
  return prompts_[index_of(scorer)].hash();
}

std::vector<ChatMessage> LlmSimulator::messages(Scorer scorer, const std::string& explanation,
                                                const std::string& questions,
                                                const Marks& marks) const {
  const Prompt& prompt = prompts_[index_of(scorer)];
  if (scorer != Scorer::fuzzing)
    return prompt.fill({{"explanation", explanation}, {"questions", questions}});
  return prompt.fill({{"open", marks.open},
                      {"close", marks.close},
                      {"explanation", explanation},
                      {"questions", questions}});
}

std::vector<LlmSimulator::Batch> LlmSimulator::batches(Scorer scorer,
                                                       const ExplanationText& explanation,
                                                       std::span<const Question> questions) const {
  std::vector<std::size_t> order(questions.size());
  std::iota(order.begin(), order.end(), 0);
  Rng rng(client_.settings().seed, fmt::format("{} {}", to_string(scorer), explanation.text));
  shuffle(order, rng);

  const auto per_request = static_cast<std::size_t>(questions_per_request_);
  std::vector<Batch> all;
  for (std::size_t begin = 0; begin < order.size(); begin += per_request) {
    Batch& batch = all.emplace_back();
    std::vector<std::string_view> texts;
    std::vector<std::size_t> n_units;
    for (std::size_t i = begin; i < std::min(order.size(), begin + per_request); ++i) {
      batch.questions.push_back(order[i]);
      texts.push_back(questions[order[i]].text);
      n_units.push_back(questions[order[i]].units.size());
    }
    const Marks marks = marks_for(texts);
    std::string text;
    for (std::size_t i = 0; i < batch.questions.size(); ++i)
      text += shown(scorer, questions[batch.questions[i]], i + 1, marks);
    text.pop_back();
    // A value and its comma are two tokens, the braces around them about ten.
    const std::size_t expected =
        10 + 10 * batch.questions.size() +
        2 * std::accumulate(n_units.begin(), n_units.end(), std::size_t{0});
    batch.request = {.purpose = fmt::format("score.{}", to_string(scorer)),
                     .feature = explanation.feature,
                     .messages = messages(scorer, json_string(explanation.text), text, marks),
                     .schema = std::string(kSchema),
                     // Room for blanks and a sentence before it, not for a model that rambles.
                     .max_tokens = static_cast<int>(3 * expected + 64),
                     .expected_tokens = static_cast<int>(expected),
                     .form = form_of(n_units),
                     .form_max = max_value(scorer),
                     // Enough to hold the likely levels, and within what every endpoint allows.
                     .top_logprobs = 5};
  }
  return all;
}

Simulated LlmSimulator::answer(Scorer scorer, const ExplanationText& explanation,
                               std::span<const Question> questions) {
  const std::vector<Batch> all = batches(scorer, explanation, questions);
  std::vector<ChatRequest> requests;
  for (const Batch& batch : all) requests.push_back(batch.request);
  const std::vector<ChatResult> results = client_.ask(requests);

  Simulated simulated;
  std::vector<Answer>& answers = simulated.answers;
  answers.resize(questions.size());
  for (std::size_t b = 0; b < all.size(); ++b) {
    ++simulated.cost.n_requests;
    simulated.cost.usage += results[b].answer.usage;
    simulated.cost.usage += results[b].lost;
    simulated.cost.money += results[b].money;
    const std::vector<std::size_t>& asked = all[b].questions;
    std::vector<std::size_t> n_units;
    for (const std::size_t q : asked) n_units.push_back(questions[q].units.size());
    std::vector<Answer> read(asked.size(), {results[b].status, {}, results[b].detail});
    if (results[b].status == AnswerStatus::ok)
      read = read_values(results[b].answer, n_units, max_value(scorer));
    if (scorer == Scorer::token)
      for (Answer& answer : read)
        for (float& value : answer.values)
          value *= static_cast<float>(kMaxLevel) / static_cast<float>(max_value(scorer));
    for (std::size_t i = 0; i < asked.size(); ++i) answers[asked[i]] = std::move(read[i]);
  }
  return simulated;
}

CostEstimate LlmSimulator::estimate(Scorer scorer, const ExplanationText& explanation,
                                    std::span<const Question> questions) {
  std::vector<ChatRequest> requests;
  for (Batch& batch : batches(scorer, explanation, questions))
    requests.push_back(std::move(batch.request));
  return client_.estimate(requests);
}

}  // namespace safesail
