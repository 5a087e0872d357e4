// Who wrote which byte of a rendered chat: where the messages' contents stand in it.
//
// A template may trim a message, cut it, move it or leave it out, and a message may say what the
// template says, so no search can tell. Instead the chat is rendered once more with marks around
// each content, characters of a private plane. Where that gives the same text but for the marks,
// their places are exact. Free function; errors as in render_chat().
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "text/chat.h"

namespace safesail {

/// A message's content, or the part of it that the template took: bytes [begin, end) of the text.
struct MessageRange {
  std::size_t begin = 0, end = 0;
  std::size_t message = 0;
};

struct RenderedChat {
  std::string text;
  /// By their place, without overlaps. A message that the template left out has none; one of which
  /// the marks change what the template does has one only if it stands in a single place between
  /// its neighbours.
  std::vector<MessageRange> ranges;
};

RenderedChat render_chat_with_ranges(const Tokenizer& tokenizer,
                                     const std::vector<ChatMessage>& messages,
                                     bool add_generation_prompt, const Json& arguments = nullptr);

}  // namespace safesail
