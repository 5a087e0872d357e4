#include "interpret/verdict_elicitation.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "interpret/llm_excerpts.h"
#include "interpret/llm_values.h"
#include "interpret/segment.h"

namespace safesail {
namespace {

constexpr int kAlternatives = 20;  // as many as OpenAI's API has

/// "Yes", " yes", "YES" are one word.
std::string bare(std::string_view text) {
  std::string word;
  for (const char c : text)
    if (std::isalpha(static_cast<unsigned char>(c)) != 0)
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word;
}

/// The words that open an answer which is not told by its tokens.
std::string first_word(std::string_view content) {
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  const auto begin = std::find_if(content.begin(), content.end(), is_letter);
  return bare({begin, std::find_if_not(begin, content.end(), is_letter)});
}

double log_odds(double probability) {
  // No model is surer than its float32 logits can say.
  constexpr double kSurest = 1e-7;
  probability = std::clamp(probability, kSurest, 1 - kSurest);
  return std::log(probability / (1 - probability));
}

/// The word that a token is part of; of a token that is no part of one word, its own text.
std::string_view word_of(const Question& question, Question::Range token,
                         const std::vector<Piece>& pieces) {
  const auto first = std::ranges::find_if(
      pieces, [&](const Piece& piece) { return piece.range.end > token.begin; });
  const bool is_one = first != pieces.end() && first->range.begin < token.end &&
                      (first + 1 == pieces.end() || (first + 1)->range.begin >= token.end);
  return unit_text(question, is_one ? first->range : token);
}

}  // namespace

VerdictElicitation::VerdictElicitation() : text_("detection.v2"), marked_("fuzzing.v3") {}

std::string VerdictElicitation::prompt_hash(Scorer scorer) const {
  return (scorer == Scorer::fuzzing ? marked_ : text_).hash();
}

std::vector<AskedBatch> VerdictElicitation::batches(Scorer scorer,
                                                    const ExplanationText& explanation,
                                                    std::span<const Question> questions) const {
  const std::string told =
      json_string(explanation.gist.empty() ? explanation.text : explanation.gist);
  std::vector<AskedBatch> all;
  const auto ask = [&](std::size_t q, std::size_t unit, std::vector<ChatMessage> messages) {
    all.push_back({{q},
                   unit,
                   {.messages = std::move(messages),
                    .max_tokens = 1,
                    .expected_tokens = 1,
                    .top_logprobs = kAlternatives}});
  };
  const auto about = [&](std::string_view text) {
    return text_.fill({{"explanation", told}, {"text", json_string(text)}});
  };
  for (std::size_t q = 0; q < questions.size(); ++q) {
    const Question& question = questions[q];
    if (scorer == Scorer::detection) {
      ask(q, 0, about(question.text));
    } else if (scorer == Scorer::fuzzing) {
      const std::string_view text = question.text;
      const Marks marks = marks_for({&text, 1});
      ask(q, 0,
          marked_.fill({{"open", marks.open},
                        {"close", marks.close},
                        {"explanation", told},
                        {"text", json_string(text_with_marks(text, question.marked, marks))}}));
    } else {
      const std::vector<Piece> pieces =
          scorer == Scorer::token ? split_pieces(question.text) : std::vector<Piece>();
      for (std::size_t u = 0; u < question.units.size(); ++u)
        ask(q, u,
            about(scorer == Scorer::token ? word_of(question, question.units[u], pieces)
                                          : unit_text(question, question.units[u])));
    }
  }
  return all;
}

void VerdictElicitation::read(Scorer scorer, const AskedBatch& batch,
                              std::span<const Question> questions, const ChatResult& result,
                              std::vector<Answer>& answers) const {
  const std::size_t q = batch.questions.front();
  Answer& answer = answers[q];
  if (answer.status != AnswerStatus::ok) return;
  if (result.status != AnswerStatus::ok) {
    answer = {result.status, {}, result.detail};
    return;
  }
  const std::optional<float> share = share_of_yes(result.answer);
  if (!share) {
    answer = unreadable(result.answer.content, "neither yes nor no");
    return;
  }
  answer.values.resize(questions[q].units.size());
  answer.values[batch.unit] =
      scorer == Scorer::token ? *share * static_cast<float>(kMaxLevel) : *share;
}

void VerdictElicitation::settle(Scorer scorer, std::vector<Answer>& answers) const {
  if (scorer == Scorer::segment || scorer == Scorer::token) return;
  std::vector<double> all;
  for (const Answer& answer : answers)
    for (const float value : answer.values) all.push_back(log_odds(value));
  if (all.empty()) return;
  std::ranges::sort(all);
  const double middle = (all[(all.size() - 1) / 2] + all[all.size() / 2]) / 2;
  for (Answer& answer : answers)
    for (float& value : answer.values)
      value = static_cast<float>(1 / (1 + std::exp(middle - log_odds(value))));
}

std::optional<float> share_of_yes(const ChatAnswer& answer) {
  const auto first = std::ranges::find_if(
      answer.tokens, [](const AnswerToken& token) { return !bare(token.text).empty(); });
  double yes = 0, no = 0, least = 1;
  if (first != answer.tokens.end())
    for (const auto& [text, logprob] : first->alternatives) {
      const double probability = std::exp(static_cast<double>(std::min(logprob, 0.0F)));
      least = std::min(least, probability);
      const std::string word = bare(text);
      if (word == "yes") yes += probability;
      if (word == "no") no += probability;
    }
  if (yes + no > 0) {
    if (yes == 0) yes = least;
    if (no == 0) no = least;
    return static_cast<float>(yes / (yes + no));
  }
  const std::string word = first_word(answer.content);
  if (word == "yes") return 1.0F;
  if (word == "no") return 0.0F;
  return std::nullopt;
}

}  // namespace safesail
