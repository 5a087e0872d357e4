// The token that ends a turn of a chat. Model files often name another one as the end of a text
// ("<eos>", "<|endoftext|>"), and a chat would then run on to its limit; the chat template knows.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "text/tokenizer.h"

namespace safesail {

/// The special token that the chat template writes behind what the assistant said: <|im_end|>,
/// <end_of_turn>, <|eot_id|>, </s>... Nothing without a template, or where it writes none.
std::optional<std::int32_t> end_of_turn(const Tokenizer& tokenizer);

/// Every token at which an answer ends by what the tokenizer's files say: its EOS and end_of_turn.
std::vector<std::int32_t> end_tokens(const Tokenizer& tokenizer);

}  // namespace safesail
