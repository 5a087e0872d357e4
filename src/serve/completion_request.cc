#include "serve/completion_request.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>
#include <random>

#include "base/error.h"
#include "formats/field_error.h"
#include "formats/json.h"
#include "serve/request_fields.h"

namespace safesail {
namespace {

constexpr std::int64_t kMaxNewTokens = 1 << 20;
constexpr std::int64_t kMaxAlternatives = 20;
constexpr std::size_t kMaxStops = 16, kMaxStopBytes = 256;
constexpr std::size_t kMaxSlots = 1024, kMaxChoices = 16;

constexpr auto kRead = std::to_array<std::string_view>({"model",
                                                        "messages",
                                                        "chat_template_kwargs",
                                                        "max_tokens",
                                                        "max_completion_tokens",
                                                        "temperature",
                                                        "top_p",
                                                        "top_k",
                                                        "seed",
                                                        "stop",
                                                        "stream",
                                                        "logprobs",
                                                        "top_logprobs",
                                                        "answer_form",
                                                        "thinking",
                                                        "stream_options",
                                                        "response_format",
                                                        "structured_outputs",
                                                        "guided_json",
                                                        "guided_choice",
                                                        "guided_regex"});
constexpr auto kReadOfMessages = std::to_array<std::string_view>({"role", "content"});
constexpr auto kReadOfForm = std::to_array<std::string_view>({"text", "slot", "choices"});
constexpr auto kReadOfThinking = std::to_array<std::string_view>({"tokens", "seconds"});
constexpr auto kReadOfStreamOptions = std::to_array<std::string_view>({"include_usage"});
/// Tools are not spoken here, so none has the word.
constexpr auto kRoles =
    std::to_array<std::string_view>({"system", "developer", "user", "assistant"});

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
      refuse_field(
          "stop", fmt::format("expected at most {} texts of 1..{} bytes", kMaxStops, kMaxStopBytes),
          "correct 'stop'");
  return stops;
}

std::optional<AnswerForm> read_form(const JsonObject& body) {
  const auto object = body.find_object("answer_form");
  if (!object) return std::nullopt;
  check_fields(object->json(), kReadOfForm, "answer_form.");
  AnswerForm form;
  form.text = object->get<std::string>("text");
  form.slot = object->get<std::string>("slot");
  form.choices = object->get<std::vector<std::string>>("choices");
  std::size_t n_slots = 0;
  for (auto at = form.slot.empty() ? form.text.npos : form.text.find(form.slot);
       at != form.text.npos; at = form.text.find(form.slot, at + form.slot.size()))
    ++n_slots;
  bool fits = n_slots >= 1 && n_slots <= kMaxSlots && form.choices.size() >= 2 &&
              form.choices.size() <= kMaxChoices;
  for (const std::string& choice : form.choices)
    fits = fits && !choice.empty() && choice.size() <= 16;
  if (!fits)
    refuse_field("answer_form",
                 fmt::format("expected a text with 1..{} slots, and 2..{} short choices", kMaxSlots,
                             kMaxChoices),
                 "correct 'answer_form'");
  return form;
}

std::optional<ThinkingRoom> read_thinking(const JsonObject& body) {
  const auto object = body.find_object("thinking");
  if (!object) return std::nullopt;
  check_fields(object->json(), kReadOfThinking, "thinking.");
  const ThinkingRoom room{object->get<std::int64_t>("tokens"),
                          object->get_or<double>("seconds", 0)};
  if (room.tokens < 0 || room.tokens > kMaxNewTokens || !(room.seconds >= 0))
    refuse_field("thinking",
                 fmt::format("expected 0..{} tokens and at least 0 seconds", kMaxNewTokens),
                 "correct 'thinking'");
  return room;
}

/// A text, or parts that are texts. `field` is the message's own.
std::string content_of(const JsonObject& message, const std::string& field) {
  const auto content = message.json().find("content");
  if (content == message.json().end() || !content->is_array())
    return message.get<std::string>("content");
  std::string text;
  for (std::size_t i = 0; i < content->size(); ++i) {
    const std::string part = fmt::format("{}.content[{}]", field, i);
    const JsonObject object((*content)[i], "request: " + part);
    if (object.get<std::string>("type") != "text") not_supported(part, "anything but text");
    text += object.get<std::string>("text");
  }
  return text;
}

/// Templates know the word of the developer as the system's.
std::string role_of(const JsonObject& message, const std::string& field) {
  std::string role = message.get<std::string>("role");
  if (std::ranges::find(kRoles, role) == kRoles.end())
    refuse_field(
        field + ".role",
        fmt::format("expected one of {}, got {}", fmt::join(kRoles, ", "), printable(role)),
        "give the message to one of them");
  return role == "developer" ? "system" : role;
}

std::vector<ChatMessage> read_messages(const Json& body) {
  const auto list = body.find("messages");
  if (list == body.end() || !list->is_array() || list->empty())
    refuse_field("messages", "expected a list of at least one message", "add 'messages'");
  std::vector<ChatMessage> messages;
  for (const Json& item : *list) {
    const std::string field = fmt::format("messages[{}]", messages.size());
    const JsonObject message(item, "request: " + field);
    check_fields(item, kReadOfMessages, field + ".");
    ChatMessage& read = messages.emplace_back();
    read.role = role_of(message, field);
    read.content = content_of(message, field);
  }
  return messages;
}

/// All tokens where it is 0 or -1, as other servers have it.
std::int32_t top_k_of(const JsonObject& body) {
  const auto top_k = body.get_or<std::int64_t>("top_k", 0);
  if (top_k < -1 || top_k > std::numeric_limits<std::int32_t>::max())
    refuse_field("top_k", fmt::format("expected -1 or more, got {}", top_k), "correct 'top_k'");
  return static_cast<std::int32_t>(std::max<std::int64_t>(top_k, 0));
}

void check(const SamplingConfig& sampling) try {
  check_sampling(sampling);
} catch (const Error& error) {
  refuse_field(error.where(), error.problem(), error.remedy());
}

/// Who names no seed wants another sample each time.
std::uint64_t seed_of(const JsonObject& body) {
  if (body.contains("seed")) return static_cast<std::uint64_t>(body.get<std::int64_t>("seed"));
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

CompletionRequest parse_completion_request(std::string_view body) {
  const Json json = parse_json(body, "request", kRequestLimits);
  const JsonObject object(json, "request");
  check_fields(json, kRead, "");

  CompletionRequest request;
  request.model = object.get_or<std::string>("model", "");
  request.messages = read_messages(json);
  if (object.contains("chat_template_kwargs")) {
    request.template_arguments = json["chat_template_kwargs"];
    at_field("chat_template_kwargs", [&] {
      check_template_arguments(request.template_arguments, "request: 'chat_template_kwargs'");
    });
  }
  for (const char* field : {"max_tokens", "max_completion_tokens"})  // the newer one wins
    if (const auto limit = object.find_positive(field)) {
      request.max_tokens = std::min(*limit, kMaxNewTokens);
      request.limited_by = field;
    }
  request.sampling.temperature = object.get_or<double>("temperature", 1);
  request.sampling.top_p = object.get_or<double>("top_p", 1);
  request.sampling.top_k = top_k_of(object);
  request.sampling.seed = seed_of(object);
  check(request.sampling);
  request.stop = read_stops(json);
  request.stream = object.get_or<bool>("stream", false);
  request.form = read_form(object);
  request.thinking = read_thinking(object);
  if (request.form && request.stream) not_supported("stream", "streaming of an 'answer_form'");
  if (request.form && !request.stop.empty()) not_supported("stop", "this beside 'answer_form'");
  if (request.form && request.thinking) not_supported("thinking", "this beside 'answer_form'");
  request.constraint = read_constraint(object, body);
  if (request.form && request.constraint)
    not_supported(request.constraint->field, "this beside 'answer_form'");
  if (const auto options = object.find_object("stream_options")) {
    check_fields(options->json(), kReadOfStreamOptions, "stream_options.");
    request.stream_usage = options->get_or<bool>("include_usage", false);
  }
  if (object.get_or<bool>("logprobs", false)) {
    const auto n = object.get_or<std::int64_t>("top_logprobs", 0);
    if (n < 0 || n > kMaxAlternatives)
      refuse_field("top_logprobs", fmt::format("expected 0..{}, got {}", kMaxAlternatives, n),
                   "correct 'top_logprobs'");
    request.n_alternatives = static_cast<int>(n);
  } else if (object.get_or<std::int64_t>("top_logprobs", 0) != 0) {
    refuse_field("top_logprobs", "expected 'logprobs' beside it", "set 'logprobs' to true");
  }
  return request;
}

}  // namespace safesail
