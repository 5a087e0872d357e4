#include "interpret/list_elicitation.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/rng.h"
#include "interpret/answer_schema.h"
#include "interpret/llm_excerpts.h"
#include "interpret/llm_values.h"

namespace safesail {
namespace {

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

ListElicitation::ListElicitation(std::uint64_t seed, int questions_per_request)
    : seed_(seed),
      questions_per_request_(questions_per_request),
      prompts_{Prompt("segment.v1"), Prompt("token.v2"), Prompt("detection.v1"),
               Prompt("fuzzing.v2")} {
  if (questions_per_request < 1)
    bad_input("simulator",
              fmt::format("expected at least 1 question a request, got {}", questions_per_request),
              "correct --batch");
}

std::string ListElicitation::prompt_hash(Scorer scorer) const {
  return prompts_[index_of(scorer)].hash();
}

std::vector<ChatMessage> ListElicitation::messages(Scorer scorer, const std::string& explanation,
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

std::vector<AskedBatch> ListElicitation::batches(Scorer scorer, const ExplanationText& explanation,
                                                 std::span<const Question> questions) const {
  std::vector<std::size_t> order(questions.size());
  std::iota(order.begin(), order.end(), 0);
  Rng rng(seed_, fmt::format("{} {}", to_string(scorer), explanation.text));
  shuffle(order, rng);

  const auto per_request = static_cast<std::size_t>(questions_per_request_);
  std::vector<AskedBatch> all;
  for (std::size_t begin = 0; begin < order.size(); begin += per_request) {
    AskedBatch& batch = all.emplace_back();
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
    batch.request = {.purpose = {},
                     .feature = {},
                     .messages = messages(scorer, json_string(explanation.text), text, marks),
                     .schema = values_schema(n_units, max_value(scorer)),
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

void ListElicitation::read(Scorer scorer, const AskedBatch& batch,
                           std::span<const Question> questions, const ChatResult& result,
                           std::vector<Answer>& answers) const {
  std::vector<std::size_t> n_units;
  for (const std::size_t q : batch.questions) n_units.push_back(questions[q].units.size());
  std::vector<Answer> read(n_units.size(), {result.status, {}, result.detail});
  if (result.status == AnswerStatus::ok)
    read = read_values(result.answer, n_units, max_value(scorer));
  if (scorer == Scorer::token)
    for (Answer& one : read)
      for (float& value : one.values)
        value *= static_cast<float>(kMaxLevel) / static_cast<float>(max_value(scorer));
  for (std::size_t i = 0; i < read.size(); ++i) answers[batch.questions[i]] = std::move(read[i]);
}

}  // namespace safesail
