// What a simulator's model answered, read from its text: {"id": 1, "v": [0,1,0]} for each question.
//
// The text is hostile and often not quite what was asked for: fenced, wrapped in prose, cut short.
// Every object of this form counts, wherever it stands; a question without exactly one, or with a
// wrong number of values or a value out of range, is unparsable, the others stay.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "interpret/chat_answer.h"

namespace safesail {

/// One answer a question, the question with id i at [i - 1]; `n_units` says how many values each
/// has, in 0..`max_value`. Where the answer's tokens have alternatives, a value is the mean of the
/// numbers that might have stood there, weighed by their probabilities: P(1) / (P(0) + P(1)) for a
/// binary one.
std::vector<Answer> read_values(const ChatAnswer& answer, std::span<const std::size_t> n_units,
                                int max_value);

/// Why an answer could not be read: refused where it opens as refusals do, else unparsable.
Answer unreadable(std::string_view content, std::string_view problem);

}  // namespace safesail
