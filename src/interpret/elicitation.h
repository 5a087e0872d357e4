// How a language model is asked where a feature fires, and how what it says is read.
//
// Two ways: list_elicitation.h asks about several windows at once and reads a list of numbers,
// which is cheap and which a large model does well; verdict_elicitation.h asks one thing at a time
// and reads how likely each verdict is, which a small model can answer too. Pure functions of the
// settings; nothing is sent here (llm_simulator.h does that).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "interpret/chat_client.h"
#include "interpret/simulator.h"

namespace safesail {

enum class Asking {
  lists,    ///< several windows a request, numbers in JSON
  verdicts  ///< one text a request, the probabilities of Yes and No
};
std::string_view to_string(Asking asking);
Asking parse_asking(std::string_view text);

/// A request, and what it asks about.
struct AskedBatch {
  std::vector<std::size_t> questions;  ///< their places in what was given
  std::size_t unit = 0;  ///< of its one question, where each unit is asked about alone
  ChatRequest request;
};

class Elicitation {
 public:
  virtual ~Elicitation() = default;
  virtual std::string prompt_hash(Scorer scorer) const = 0;
  virtual int questions_per_request() const = 0;
  /// Every unit of every question once. Purpose and feature of the requests are for the caller to
  /// fill in.
  virtual std::vector<AskedBatch> batches(Scorer scorer, const ExplanationText& explanation,
                                          std::span<const Question> questions) const = 0;
  /// Reads the result of `batch` into the `answers` to its questions, one a question, which begin
  /// as ok and empty. A question that has anything that cannot be read has no values.
  virtual void read(Scorer scorer, const AskedBatch& batch, std::span<const Question> questions,
                    const ChatResult& result, std::vector<Answer>& answers) const = 0;
  /// Told all that was read: brings it to one scale.
  virtual void settle(Scorer scorer, std::vector<Answer>& answers) const = 0;
};

/// The text of a unit of a question.
std::string_view unit_text(const Question& question, Question::Range unit);

}  // namespace safesail
