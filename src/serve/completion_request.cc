#include <fmt/format.h>
#include <limits>

#include "base/error.h"
#include "formats/json.h"
#include "serve/completion.h"

namespace safesail {
namespace {

constexpr JsonLimits kLimits{.max_bytes = std::uint64_t{16} << 20, .max_depth = 32};
constexpr std::int64_t kMaxNewTokens = 1 << 20;
constexpr std::int64_t kMaxAlternatives = 20;
constexpr std::size_t kMaxStops = 16, kMaxStopBytes = 256;
constexpr std::size_t kMaxSlots = 1024, kMaxChoices = 16;

[[noreturn]] void not_supported(std::string_view field, std::string_view what) {
  bad_input("request", fmt::format("'{}': {} is not supported here", field, what),
            fmt::format("leave '{}' out", field));
}

std::vector<std::string> read_stops(const Json& body) {
  const auto stop = body.find("stop");
  std::vector<std::string> stops;
  if (stop == body.end() || stop->is_null()) return stops;
  if (stop->is_string())
    stops.push_back(stop->get<std::string>());
  else
    stops = JsonObject(body, "request").get<std::vector<std::string>>("stop");
  for (const std::string& text : stops)
    if (text.empty() || text.size() > kMaxStopBytes || stops.size() > kMaxStops)
      bad_input(
          "request",
          fmt::format("'stop': expected at most {} texts of 1..{} bytes", kMaxStops, kMaxStopBytes),
          "correct 'stop'");
  return stops;
}

std::optional<AnswerForm> read_form(const JsonObject& body) {
  const auto object = body.find_object("answer_form");
  if (!object) return std::nullopt;
  AnswerForm form{object->get<std::string>("text"), object->get<std::string>("slot"),
                  object->get<std::vector<std::string>>("choices")};
  std::size_t n_slots = 0;
  for (auto at = form.slot.empty() ? form.text.npos : form.text.find(form.slot);
       at != form.text.npos; at = form.text.find(form.slot, at + form.slot.size()))
    ++n_slots;
  bool fits = n_slots >= 1 && n_slots <= kMaxSlots && form.choices.size() >= 2 &&
              form.choices.size() <= kMaxChoices;
  for (const std::string& choice : form.choices)
    fits = fits && !choice.empty() && choice.size() <= 16;
  if (!fits)
    bad_input(
        "request",
        fmt::format("'answer_form': expected a text with 1..{} slots, and 2..{} short choices",
                    kMaxSlots, kMaxChoices),
        "correct 'answer_form'");
  return form;
}

/// A text, or parts that are texts.
std::string content_of(const Json& message, const std::string& where) {
  const auto content = message.find("content");
  if (content == message.end() || !content->is_array())
    return JsonObject(message, where).get<std::string>("content");
  std::string text;
  for (const Json& part : *content) {
    const JsonObject object(part, where + ": content");
    if (object.get<std::string>("type") != "text") not_supported("content", "anything but text");
    text += object.get<std::string>("text");
  }
  return text;
}

std::vector<ChatMessage> read_messages(const Json& body) {
  const auto list = body.find("messages");
  if (list == body.end() || !list->is_array() || list->empty())
    bad_input("request", "expected 'messages', a list of at least one", "add 'messages'");
  std::vector<ChatMessage> messages;
  for (const Json& item : *list) {
    const std::string where = fmt::format("request: message {}", messages.size());
    const JsonObject message(item, where);
    messages.push_back({message.get<std::string>("role"), content_of(item, where)});
  }
  return messages;
}

}  // namespace

CompletionRequest parse_completion_request(std::string_view body) {
  const Json json = parse_json(body, "request", kLimits);
  const JsonObject object(json, "request");
  for (const char* field : {"tools", "functions", "audio", "prediction"})
    if (object.contains(field)) not_supported(field, "this");
  if (object.get_or<std::int64_t>("n", 1) != 1) not_supported("n", "more than one answer");
  if (const auto form = object.find_object("response_format"))
    if (form->get<std::string>("type") != "text")
      not_supported("response_format", "anything but text");

  CompletionRequest request;
  request.model = object.get_or<std::string>("model", "");
  request.messages = read_messages(json);
  const auto limit = object.find_positive("max_completion_tokens");
  request.max_tokens =
      limit ? *limit : object.find_positive("max_tokens").value_or(request.max_tokens);
  request.max_tokens = std::min(request.max_tokens, kMaxNewTokens);
  request.sampling.temperature = object.get_or<double>("temperature", 1);
  request.sampling.top_p = object.get_or<double>("top_p", 1);
  request.sampling.seed = static_cast<std::uint64_t>(object.get_or<std::int64_t>("seed", 0));
  check_sampling(request.sampling);
  request.stop = read_stops(json);
  request.stream = object.get_or<bool>("stream", false);
  request.form = read_form(object);
  if (request.form && request.stream) not_supported("stream", "streaming of an 'answer_form'");
  if (const auto options = object.find_object("stream_options"))
    request.stream_usage = options->get_or<bool>("include_usage", false);
  if (object.get_or<bool>("logprobs", false)) {
    const auto n = object.get_or<std::int64_t>("top_logprobs", 0);
    if (n < 0 || n > kMaxAlternatives)
      bad_input("request",
                fmt::format("'top_logprobs': expected 0..{}, got {}", kMaxAlternatives, n),
                "correct 'top_logprobs'");
    request.n_alternatives = static_cast<int>(n);
  }
  return request;
}

}  // namespace safesail
