#include "interpret/lexical_simulator.h"

#include <algorithm>
#include <cmath>

#include "interpret/statistics.h"

namespace safesail {
namespace {

/// The word and what regular English inflection makes of it, or it of.
std::vector<std::string> forms_of(const std::string& word) {
  std::vector<std::string> forms = {word, word + "s", word + "es", word + "ed", word + "ing"};
  if (word.size() > 3 && word.back() == 's') forms.push_back(word.substr(0, word.size() - 1));
  if (word.size() > 3 && word.back() == 'e') {
    forms.push_back(word + "d");
    forms.push_back(word.substr(0, word.size() - 1) + "ing");
  }
  return forms;
}

bool overlap(TextRange a, TextRange b) {
  return a.begin < b.end && b.begin < a.end;
}

/// A question's words with what is expected of them.
struct Reading {
  std::vector<TextRange> words;
  std::vector<Expected> expected;

  Reading(const Lexicon& lexicon, std::string_view text) {
    for (const CuedPiece& piece : cued_pieces(text)) {
      words.push_back(piece.range);
      expected.push_back(lexicon.expected(piece));
    }
  }

  float highest(float Expected::*what, TextRange unit) const {
    float value = 0;
    for (std::size_t i = 0; i < words.size(); ++i)
      if (overlap(words[i], unit)) value = std::max(value, expected[i].*what);
    return value;
  }

  float agreement(std::span<const TextRange> marked) const {
    std::vector<double> predicted, is_marked;
    for (std::size_t i = 0; i < words.size(); ++i) {
      predicted.push_back(expected[i].active);
      is_marked.push_back(
          std::ranges::any_of(marked, [&](TextRange mark) { return overlap(words[i], mark); }));
    }
    const double area = auroc(predicted, is_marked);
    return std::isnan(area) ? 0.5F : static_cast<float>(area);
  }
};

}  // namespace

Lexicon lexicon_of_prose(std::string_view text) {
  Lexicon lexicon;
  for (const CuedPiece& piece : cued_pieces(text)) {
    const std::string& word = piece.cues.front().text;
    if (!piece.is_word || is_function_word(word)) continue;
    for (std::string& form : forms_of(word))
      lexicon.effects[{CueKind::word, std::move(form)}] = {kNamedLevel, 1};
  }
  return lexicon;
}

Simulated LexicalSimulator::answer(Scorer scorer, const ExplanationText& explanation,
                                   std::span<const Question> questions) {
  const Lexicon lexicon = explanation.lexicon.empty() ? lexicon_of_prose(explanation.text)
                                                      : parse_lexicon(explanation.lexicon);
  Simulated simulated;
  for (const Question& question : questions) {
    const Reading reading(lexicon, question.text);
    Answer& answer = simulated.answers.emplace_back();
    answer.status = AnswerStatus::ok;
    for (const TextRange unit : question.units)
      answer.values.push_back(
          scorer == Scorer::fuzzing
              ? reading.agreement(question.marked)
              : reading.highest(scorer == Scorer::token ? &Expected::level : &Expected::active,
                                unit));
  }
  return simulated;
}

}  // namespace safesail
