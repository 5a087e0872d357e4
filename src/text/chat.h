// Chat templates, rendered as Hugging Face renders them (minijinja with the Python methods that
// templates call). Prompts are data of the user: nothing here logs them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/json.h"
#include "text/tokenizer.h"

namespace safesail {

struct ChatMessage {
  std::string role;     ///< "system", "user", "assistant"...
  std::string content;  ///< empty where the message has none, as one that calls tools may
  /// All fields as they came, where there are more than these two ("tool_calls", "name"...): what
  /// the template sees. Null otherwise.
  OrderedJson fields = nullptr;
};

/// Renders `messages`; `add_generation_prompt` opens the assistant's turn. `arguments`: null, or an
/// object of further variables of the template ("enable_thinking"), see parse_template_arguments.
/// An input error when the tokenizer has no template or the template refuses the messages (its own
/// words are in the text).
std::string render_chat(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                        bool add_generation_prompt, const Json& arguments = nullptr);

/// Reads [{"role": ..., "content": ...}, ...] or {"messages": [...]}; `where` names the source in
/// errors. Content is a text or a list of text parts; it may be missing or null where the message
/// calls tools.
std::vector<ChatMessage> parse_messages(std::string_view json, std::string_view where);
/// The same of a list that is parsed already.
std::vector<ChatMessage> messages_of(const OrderedJson& list, std::string_view where);

/// Reads the object that other programs call chat_template_kwargs. An input error for what is no
/// object, and for the variables that are not the caller's to set.
Json parse_template_arguments(std::string_view json, std::string_view where);
void check_template_arguments(const Json& arguments, std::string_view where);

}  // namespace safesail
