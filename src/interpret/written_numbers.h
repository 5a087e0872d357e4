// Numbers that a model wrote into its answer, by the probabilities of all that it might have
// written in their place.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "interpret/chat_answer.h"

namespace safesail {

class WrittenNumbers {
 public:
  /// `tokens` are an answer's; they outlive this.
  explicit WrittenNumbers(const std::vector<AnswerToken>& tokens);

  /// The mean of the numbers of 0..`max_value` that might stand at `place` of the answer's text,
  /// weighed by their probabilities: P(1) / (P(0) + P(1)) for a binary one. Nothing where no one
  /// token holds the place, or its alternatives are not known.
  std::optional<float> mean_at(Question::Range place, int max_value) const;

 private:
  const std::vector<AnswerToken>& tokens_;
  std::vector<std::size_t> starts_;
};

}  // namespace safesail
