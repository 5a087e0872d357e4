#include "serve/completion_request.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <initializer_list>
#include <limits>
#include <random>
#include <span>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

constexpr JsonLimits kLimits{.max_bytes = std::uint64_t{16} << 20, .max_depth = 64};
constexpr std::int64_t kMaxNewTokens = 1 << 20;
constexpr std::int64_t kMaxAlternatives = 20;
constexpr std::size_t kMaxStops = 16, kMaxStopBytes = 256;
constexpr std::size_t kMaxSlots = 1024, kMaxChoices = 16;

[[noreturn]] void not_supported(std::string_view field, std::string_view what) {
  bad_input("request", fmt::format("'{}': {} is not supported here", field, what),
            fmt::format("leave '{}' out", field));
}

/// Fields that say what the answer may not be like, and what they are where they ask for nothing.
struct NeutralField {
  std::string_view name;
  Json neutral;
};

const std::vector<NeutralField>& neutral_fields() {
  static const std::vector<NeutralField> fields = {{"n", 1},
                                                   {"frequency_penalty", 0},
                                                   {"presence_penalty", 0},
                                                   {"repetition_penalty", 1},
                                                   {"min_p", 0},
                                                   {"logit_bias", Json::object()},
                                                   {"modalities", Json::array({"text"})},
                                                   {"reasoning_effort", "none"}};
  return fields;
}

using Names = std::span<const std::string_view>;

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
constexpr auto kReadOfThinking = std::to_array<std::string_view>({"tokens", "seconds"});
constexpr auto kReadOfStreamOptions = std::to_array<std::string_view>({"include_usage"});
constexpr auto kReadOfFormat = std::to_array<std::string_view>({"type", "json_schema"});
constexpr auto kReadOfSchema =
    std::to_array<std::string_view>({"name", "description", "schema", "strict"});
constexpr auto kReadOfStructure =
    std::to_array<std::string_view>({"json", "json_object", "choice", "regex"});
/// They are for the provider's books, and change no answer.
constexpr auto kForTheBooks = std::to_array<std::string_view>(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"});

/// A field's name as it is, where it looks like one.
std::string plain_name(const std::string& name) {
  const auto is_plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return name.size() <= 64 && std::ranges::all_of(name, is_plain) ? name : printable(name);
}

/// An answer that is not as it was asked to be is worse than none.
void check_fields(const Json& object, Names known, const std::string& before) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_null() || std::ranges::find(known, name) != known.end()) continue;
    const std::string field = before + plain_name(name);
    if (!before.empty()) not_supported(field, "this");
    if (std::ranges::find(kForTheBooks, name) != kForTheBooks.end()) continue;
    const auto known_as = std::ranges::find(neutral_fields(), name, &NeutralField::name);
    if (known_as == neutral_fields().end()) not_supported(field, "this");
    if (value != known_as->neutral)
      not_supported(field, "anything but " + dump_json(known_as->neutral));
  }
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

std::optional<ThinkingRoom> read_thinking(const JsonObject& body) {
  const auto object = body.find_object("thinking");
  if (!object) return std::nullopt;
  check_fields(object->json(), kReadOfThinking, "thinking.");
  const ThinkingRoom room{object->get<std::int64_t>("tokens"),
                          object->get_or<double>("seconds", 0)};
  if (room.tokens < 0 || room.tokens > kMaxNewTokens || !(room.seconds >= 0))
    bad_input(
        "request",
        fmt::format("'thinking': expected 0..{} tokens and at least 0 seconds", kMaxNewTokens),
        "correct 'thinking'");
  return room;
}

constexpr const char* kAnyObject = R"({"type": "object"})";

/// The object at `path` as it was written: the order of its keys is that of the answer's. vLLM also
/// takes it as a text.
std::string schema_at(std::string_view body, std::initializer_list<const char*> path) {
  const OrderedJson json = parse_ordered_json(body, "request", kLimits);
  const OrderedJson* at = &json;
  for (const char* key : path) at = &at->at(key);
  if (at->is_string()) return at->get<std::string>();
  if (!at->is_object())
    bad_input("request", fmt::format("'{}': expected a JSON schema", fmt::join(path, ".")),
              "give an object");
  return dump_json(*at);
}

std::optional<ConstraintRequest> read_response_format(const JsonObject& body,
                                                      std::string_view text) {
  using Kind = ConstraintSource::Kind;
  constexpr const char* kField = "response_format";
  const auto format = body.find_object(kField);
  if (!format) return std::nullopt;
  check_fields(format->json(), kReadOfFormat, "response_format.");
  const auto type = format->get<std::string>("type");
  if (type == "text") return std::nullopt;
  if (type == "json_object") return ConstraintRequest{{Kind::json_schema, kAnyObject}, kField};
  if (type != "json_schema") not_supported(kField, "a type but text, json_object and json_schema");
  check_fields(format->object("json_schema").json(), kReadOfSchema, "response_format.json_schema.");
  format->object("json_schema").object("schema");
  return ConstraintRequest{{Kind::json_schema, schema_at(text, {kField, "json_schema", "schema"})},
                           kField};
}

std::optional<ConstraintRequest> read_constraint(const JsonObject& body, std::string_view text) {
  using Kind = ConstraintSource::Kind;
  std::vector<ConstraintRequest> asked;
  if (auto format = read_response_format(body, text)) asked.push_back(*std::move(format));
  const auto add = [&](Kind kind, std::string source, std::string field) {
    asked.push_back({{kind, std::move(source)}, std::move(field)});
  };
  const auto choices = [](const JsonObject& object, std::string_view key) {
    return dump_json(Json(object.get<std::vector<std::string>>(key)));
  };
  if (const auto object = body.find_object("structured_outputs")) {
    check_fields(object->json(), kReadOfStructure, "structured_outputs.");
    if (object->contains("json"))
      add(Kind::json_schema, schema_at(text, {"structured_outputs", "json"}),
          "structured_outputs.json");
    if (object->get_or<bool>("json_object", false))
      add(Kind::json_schema, kAnyObject, "structured_outputs.json_object");
    if (object->contains("choice"))
      add(Kind::choice, choices(*object, "choice"), "structured_outputs.choice");
    if (const auto regex = object->find<std::string>("regex"))
      add(Kind::regex, *regex, "structured_outputs.regex");
  }
  if (body.contains("guided_json"))
    add(Kind::json_schema, schema_at(text, {"guided_json"}), "guided_json");
  if (body.contains("guided_choice"))
    add(Kind::choice, choices(body, "guided_choice"), "guided_choice");
  if (const auto regex = body.find<std::string>("guided_regex"))
    add(Kind::regex, *regex, "guided_regex");
  if (asked.size() > 1)
    not_supported(asked[1].field, fmt::format("this beside '{}'", asked[0].field));
  if (asked.empty()) return std::nullopt;
  return std::move(asked.front());
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
    check_fields(item, kReadOfMessages, fmt::format("messages[{}].", messages.size()));
    messages.push_back({message.get<std::string>("role"), content_of(item, where)});
  }
  return messages;
}

/// All tokens where it is 0 or -1, as other servers have it.
std::int32_t top_k_of(const JsonObject& body) {
  const auto top_k = body.get_or<std::int64_t>("top_k", 0);
  if (top_k < -1 || top_k > std::numeric_limits<std::int32_t>::max())
    bad_input("request", fmt::format("'top_k': expected -1 or more, got {}", top_k),
              "correct 'top_k'");
  return static_cast<std::int32_t>(std::max<std::int64_t>(top_k, 0));
}

/// Who names no seed wants another sample each time.
std::uint64_t seed_of(const JsonObject& body) {
  if (body.contains("seed")) return static_cast<std::uint64_t>(body.get<std::int64_t>("seed"));
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

CompletionRequest parse_completion_request(std::string_view body) {
  const Json json = parse_json(body, "request", kLimits);
  const JsonObject object(json, "request");
  check_fields(json, kRead, "");

  CompletionRequest request;
  request.model = object.get_or<std::string>("model", "");
  request.messages = read_messages(json);
  if (object.contains("chat_template_kwargs")) {
    request.template_arguments = json["chat_template_kwargs"];
    check_template_arguments(request.template_arguments, "request: 'chat_template_kwargs'");
  }
  const auto limit = object.find_positive("max_completion_tokens");
  request.max_tokens =
      limit ? *limit : object.find_positive("max_tokens").value_or(request.max_tokens);
  request.max_tokens = std::min(request.max_tokens, kMaxNewTokens);
  request.sampling.temperature = object.get_or<double>("temperature", 1);
  request.sampling.top_p = object.get_or<double>("top_p", 1);
  request.sampling.top_k = top_k_of(object);
  request.sampling.seed = seed_of(object);
  check_sampling(request.sampling);
  request.stop = read_stops(json);
  request.stream = object.get_or<bool>("stream", false);
  request.form = read_form(object);
  request.thinking = read_thinking(object);
  if (request.form && request.stream) not_supported("stream", "streaming of an 'answer_form'");
  if (request.form && !request.stop.empty()) not_supported("stop", "this beside 'answer_form'");
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
      bad_input("request",
                fmt::format("'top_logprobs': expected 0..{}, got {}", kMaxAlternatives, n),
                "correct 'top_logprobs'");
    request.n_alternatives = static_cast<int>(n);
  } else if (object.get_or<std::int64_t>("top_logprobs", 0) != 0) {
    bad_input("request", "'top_logprobs': expected 'logprobs' beside it", "set 'logprobs' to true");
  }
  return request;
}

}  // namespace safesail
