// Chat templates, rendered as Hugging Face renders them (minijinja with the Python string methods
// that templates call). Prompts are data of the user: nothing here logs them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "text/tokenizer.h"

namespace safesail {

struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant"...
  std::string content;
};

/// Renders `messages`; `add_generation_prompt` opens the assistant's turn. An input error when the
/// tokenizer has no template or the template refuses the messages (its own words are in the text).
std::string render_chat(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                        bool add_generation_prompt);

/// Reads [{"role": ..., "content": ...}, ...] or {"messages": [...]}; `where` names the source in
/// errors.
std::vector<ChatMessage> parse_messages(std::string_view json, std::string_view where);

}  // namespace safesail
