#include "text/chat.h"

#include <array>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace safesail {
namespace {

constexpr std::string_view kShape =
    R"(give [{"role": "user", "content": "..."}, ...] or {"messages": [...]})";
constexpr std::array kReasoningFields = {"reasoning_content", "thinking", "reasoning"};

bool is_null_at(const OrderedJson& object, const char* key) {
  const auto entry = object.find(key);
  return entry == object.end() || entry->is_null();
}

/// Templates know the model's thoughts by several names, of which transformers fills two from any.
void alias_reasoning(OrderedJson& message) {
  for (const char* name : kReasoningFields) {
    if (is_null_at(message, name)) continue;
    const OrderedJson reasoning = message[name];
    OrderedJson aliased = {{"thinking", reasoning}};
    aliased.update(message);
    aliased["reasoning_content"] = reasoning;
    message = std::move(aliased);
    return;
  }
}

OrderedJson fields_of(const ChatMessage& message) {
  if (!message.fields.is_object()) return {{"role", message.role}, {"content", message.content}};
  OrderedJson fields = message.fields;
  if (!is_null_at(fields, "content")) fields["content"] = message.content;
  alias_reasoning(fields);
  return fields;
}

/// A text, or parts that are texts.
std::string text_of(const OrderedJson& content, const std::string& where) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array())
    bad_input(where, fmt::format("expected 'content' to be a text, got {}", content.type_name()),
              kShape);
  std::string text;
  for (const OrderedJson& part : content) {
    const auto type = part.is_object() ? part.find("type") : part.end();
    const auto words = part.is_object() ? part.find("text") : part.end();
    if (type == part.end() || *type != "text" || words == part.end() || !words->is_string())
      bad_input(where, "expected the parts of 'content' to be texts, got another kind",
                R"(give parts as {"type": "text", "text": "..."}: only text is read here)");
    text += words->get_ref<const std::string&>();
  }
  return text;
}

ChatMessage message_of(const OrderedJson& item, const std::string& where) {
  if (!item.is_object())
    bad_input(where, fmt::format("expected an object, got {}", item.type_name()), kShape);
  ChatMessage message;
  const auto role = item.find("role");
  if (role == item.end() || !role->is_string())
    bad_input(where, "expected a key 'role' with a text", kShape);
  message.role = role->get<std::string>();
  const auto content = item.find("content");
  if (content != item.end() && !content->is_null())
    message.content = text_of(*content, where);
  else if (const auto calls = item.find("tool_calls");
           calls == item.end() || !calls->is_array() || calls->empty())
    bad_input(where,
              content == item.end() ? "expected a key 'content', got none"
                                    : "expected 'content' to be a text, got null",
              kShape);
  if (item.size() > 2 || content == item.end() || content->is_null()) message.fields = item;
  return message;
}

void check_utf8(const ChatMessage& message, std::size_t number) {
  if (!is_utf8(message.role) || !is_utf8(message.content))
    bad_input(fmt::format("message {}", number), "expected UTF-8, got other bytes",
              "give UTF-8 text");
}

}  // namespace

std::string render_chat(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                        bool add_generation_prompt, const Json& arguments) {
  OrderedJson list = OrderedJson::array();  // templates may walk over a message's keys
  for (const ChatMessage& message : messages) {
    check_utf8(message, list.size());
    list.push_back(fields_of(message));
  }
  // The variables that transformers gives; the call's own win over the tokens of the same name.
  OrderedJson variables = tokenizer.named_tokens();
  variables["tools"] = nullptr;
  variables["documents"] = nullptr;
  if (!arguments.is_null()) {
    check_template_arguments(arguments, "template arguments");
    for (const auto& [name, value] : arguments.items()) variables[name] = value;
  }
  variables["messages"] = std::move(list);
  variables["add_generation_prompt"] = add_generation_prompt;
  try {
    return tokenizer.render_template(dump_json(variables));
  } catch (const Error& error) {
    for (std::size_t i = 0; i < messages.size(); ++i)
      if (messages[i].fields.is_object() && is_null_at(messages[i].fields, "content"))
        bad_input(error.where(), fmt::format("{}; message {} has no content", error.problem(), i),
                  error.remedy());
    throw;
  }
}

std::vector<ChatMessage> messages_of(const OrderedJson& list, std::string_view where) {
  if (!list.is_array())
    bad_input(where, fmt::format("expected a list of messages, got {}", list.type_name()), kShape);
  if (list.empty()) bad_input(where, "expected messages, got an empty list", kShape);
  std::vector<ChatMessage> messages;
  for (const OrderedJson& item : list)
    messages.push_back(message_of(item, fmt::format("{}: message {}", where, messages.size())));
  return messages;
}

std::vector<ChatMessage> parse_messages(std::string_view json, std::string_view where) {
  const OrderedJson value = parse_ordered_json(json, where);
  const auto list = value.is_object() ? value.find("messages") : value.end();
  return messages_of(list == value.end() ? value : *list, where);
}

Json parse_template_arguments(std::string_view json, std::string_view where) {
  Json arguments = parse_json(json, where);
  check_template_arguments(arguments, where);
  return arguments;
}

void check_template_arguments(const Json& arguments, std::string_view where) {
  if (!arguments.is_object())
    bad_input(where, fmt::format("expected an object, got {}", arguments.type_name()),
              R"(write it as {"enable_thinking": false})");
  for (const char* name : {"messages", "add_generation_prompt"})
    if (arguments.contains(name))
      bad_input(where, fmt::format("'{}' comes from the request itself", name), "leave it out");
}

}  // namespace safesail
