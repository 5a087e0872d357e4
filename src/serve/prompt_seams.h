// Where prompts that open alike are likely to part: at the starts of their messages, and after the
// first line of each, which often says what the rest is about. What a pass over a prompt does not
// read across, another prompt need not read again (model/prefix_cache.h).
//
// A pure function. Where a message begins must follow from what stands before it and itself alone,
// or prompts would be cut differently within what they share; that a template moves, trims or drops
// a message costs its seams at most.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "text/chat.h"
#include "text/tokenizer.h"

namespace safesail {

/// For each message that is found in `text`, in order, how many tokens of `encoding`, which is of
/// `text`, stand before its content, and before its second line.
std::vector<std::size_t> prompt_seams(std::string_view text, const Encoding& encoding,
                                      const std::vector<ChatMessage>& messages);

/// How many tokens end at byte `end` or before it.
std::size_t n_tokens_before(const Encoding& encoding, std::size_t end);

}  // namespace safesail
