#include "text/chat.h"

#include <fmt/format.h>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

constexpr std::string_view kShape =
    R"(give [{"role": "user", "content": "..."}, ...] or {"messages": [...]})";

}  // namespace

std::string render_chat(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                        bool add_generation_prompt) {
  using Ordered = nlohmann::ordered_json;  // templates may walk over a message's keys
  Ordered list = Ordered::array();
  for (const ChatMessage& message : messages)
    list.push_back({{"role", message.role}, {"content", message.content}});
  // The variables that transformers gives; the call's own win over the tokens of the same name.
  Ordered variables = tokenizer.named_tokens();
  variables["messages"] = std::move(list);
  variables["tools"] = nullptr;
  variables["documents"] = nullptr;
  variables["add_generation_prompt"] = add_generation_prompt;
  return tokenizer.render_template(variables.dump());
}

std::vector<ChatMessage> parse_messages(std::string_view json, std::string_view where) {
  const Json value = parse_json(json, where);
  const Json* list = &value;
  if (value.is_object()) {
    const auto entry = value.find("messages");
    if (entry != value.end()) list = &*entry;
  }
  if (!list->is_array())
    bad_input(where, fmt::format("expected a list of messages, got {}", list->type_name()), kShape);
  if (list->empty()) bad_input(where, "expected messages, got an empty list", kShape);
  std::vector<ChatMessage> messages;
  for (const Json& item : *list) {
    const JsonObject message(item, fmt::format("{}: message {}", where, messages.size()));
    messages.push_back({message.get<std::string>("role"), message.get<std::string>("content")});
  }
  return messages;
}

}  // namespace safesail
