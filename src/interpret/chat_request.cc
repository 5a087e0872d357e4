#include "interpret/chat_request.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/hash.h"
#include "formats/json.h"
#include "interpret/answer_schema.h"

namespace safesail {
namespace {

OrderedJson message(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

OrderedJson messages_json(const std::vector<ChatMessage>& messages, bool system_role) {
  OrderedJson list = OrderedJson::array();
  std::string instructions;  // of the system, put before the user's next words
  for (const ChatMessage& m : messages) {
    if (m.role == "system" && !system_role) {
      instructions += m.content + "\n\n";
      continue;
    }
    list.push_back(message(m.role, m.role == "user" ? instructions + m.content : m.content));
    if (m.role == "user") instructions.clear();
  }
  return list;
}

/// Where `word` stands as a whole word from `from` on: "exceeded" complains of no seed.
std::size_t find_word(std::string_view text, std::string_view word, std::size_t from = 0) {
  const auto is_part = [&](std::size_t i) {
    return i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '_');
  };
  for (auto at = text.find(word, from); at != text.npos; at = text.find(word, at + 1))
    if (!(at > 0 && is_part(at - 1)) && !is_part(at + word.size())) return at;
  return text.npos;
}

bool has_bounds(const std::string& schema) {
  return plain_schema(schema) != dump_json(parse_ordered_json(schema, "answer schema"));
}

}  // namespace

std::string chat_body(const ChatRequest& request, const EndpointSettings& settings,
                      const ChatDialect& dialect) {
  // Ordered for the schema: its keys stand in the order in which they are to be written.
  OrderedJson body{{"model", settings.model},
                   {"messages", messages_json(request.messages, dialect.system_role)}};
  body[dialect.max_completion_tokens ? "max_completion_tokens" : "max_tokens"] =
      request.max_tokens + settings.thinking_tokens;
  if (dialect.temperature) body["temperature"] = settings.temperature;
  if (dialect.seed) body["seed"] = settings.seed;
  const bool by_form = settings.answer_forms && !request.form.empty();
  if (by_form) {
    OrderedJson digits = OrderedJson::array();
    for (int digit = 0; digit <= request.form_max; ++digit) digits.push_back(std::to_string(digit));
    body["answer_form"] = {{"text", request.form}, {"slot", "_"}, {"choices", digits}};
  }
  if (settings.answer_forms && !by_form)
    body["thinking"] = {{"tokens", settings.thinking_tokens},
                        {"seconds", settings.thinking_seconds}};
  using Schema = ChatDialect::Schema;
  if (dialect.schema != Schema::none && !request.schema.empty() && !by_form) {
    const std::string schema =
        dialect.schema == Schema::exact ? request.schema : plain_schema(request.schema);
    body["response_format"] = {{"type", "json_schema"},
                               {"json_schema",
                                {{"name", "answer"},
                                 {"strict", true},
                                 {"schema", parse_ordered_json(schema, "answer schema")}}}};
  }
  if (dialect.logprobs && settings.logprobs && request.top_logprobs > 0) {
    body["logprobs"] = true;
    body["top_logprobs"] = request.top_logprobs;
  }
  return dump_json(body);
}

std::string request_hash(const ChatRequest& request, const EndpointSettings& settings) {
  return hash_hex(settings.base_url + "\n" + chat_body(request, settings, {}));
}

ChatDialect adapt(const ChatDialect& dialect, const ChatRequest& request,
                  std::string_view complaint, std::string_view model) {
  std::string text(complaint);
  const auto next_name = [&](std::size_t from) {
    return model.empty() ? text.npos : find_word(text, model, from);
  };
  for (auto at = next_name(0); at != text.npos; at = next_name(at)) text.erase(at, model.size());
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto names = [&](std::string_view word) { return find_word(text, word) != text.npos; };

  using Schema = ChatDialect::Schema;
  ChatDialect next = dialect;
  if (names("max_completion_tokens") && !dialect.max_completion_tokens)
    next.max_completion_tokens = true;
  else if ((names("logprobs") || names("top_logprobs")) && dialect.logprobs &&
           request.top_logprobs > 0)
    next.logprobs = false;
  else if (names("temperature") && dialect.temperature)
    next.temperature = false;
  else if (names("seed") && dialect.seed)
    next.seed = false;
  else if (names("system") && names("role") && dialect.system_role)
    next.system_role = false;
  else if ((names("response_format") || names("json_schema") || names("schema")) &&
           dialect.schema != Schema::none && !request.schema.empty())
    next.schema = dialect.schema == Schema::exact && has_bounds(request.schema) ? Schema::plain
                                                                                : Schema::none;
  return next;
}

}  // namespace safesail
