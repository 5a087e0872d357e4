#include "serve/trace_request.h"

#include <algorithm>
#include <fmt/format.h>
#include <initializer_list>

#include "base/error.h"
#include "formats/json.h"

// Fields are read one by one: gcc 12 destroys what it has not made when a part of a braced list
// throws.

namespace safesail {
namespace {

constexpr JsonLimits kLimits{
    .max_bytes = std::uint64_t{4} << 20, .max_depth = 16, .unique_keys = true};
constexpr std::size_t kMaxMessages = 256, kMaxNames = 64, kMinPrompts = 2, kMaxPrompts = 8;
constexpr std::int64_t kMaxTopN = 1 << 20, kDefaultNewTokens = 256;

using Names = std::vector<std::string_view>;
const Names kOptionNames = {"domains",  "min_score",    "top_n",        "saes",
                            "unlisted", "mask_special", "interventions"};
const Names kGenerationNames = {"max_tokens", "temperature", "top_k", "top_p", "seed"};
constexpr const char* kArguments = "chat_template_kwargs";
const Names kPromptNames = {"text", "messages", "add_generation_prompt", kArguments};

void check_names(const JsonObject& object, std::initializer_list<const Names*> known) {
  for (const auto& [name, value] : object.json().items()) {
    if (std::ranges::none_of(known, [&, &name = name](const Names* names) {
          return std::ranges::find(*names, name) != names->end();
        }))
      bad_input(object.where(), fmt::format("{}: no such field", printable(name)),
                "leave it out; /api/v1/openapi.json lists the fields");
    if (value.is_null())
      bad_input(object.where(), fmt::format("'{}': expected a value, got null", name),
                "leave it out");
  }
}

std::int64_t integer(const JsonObject& object, std::string_view name, std::int64_t low,
                     std::int64_t high, std::int64_t otherwise) {
  const std::int64_t value = object.get_or<std::int64_t>(name, otherwise);
  if (value < low || value > high)
    bad_input(object.where(),
              fmt::format("'{}': expected {} to {}, got {}", name, low, high, value),
              fmt::format("correct '{}'", name));
  return value;
}

std::vector<std::string> names_in(const JsonObject& object, std::string_view field) {
  auto names = object.get_or<std::vector<std::string>>(field, {});
  if (names.size() > kMaxNames)
    bad_input(object.where(),
              fmt::format("'{}': expected at most {}, got {}", field, kMaxNames, names.size()),
              "name fewer");
  return names;
}

TraceOptions read_options(const JsonObject& body) {
  if (const auto wanted = body.json().find("interventions");
      wanted != body.json().end() && !(wanted->is_array() && wanted->empty()))
    bad_input(body.where(), "'interventions': expected an empty list", "leave it out");
  TraceOptions options;
  options.domains = names_in(body, "domains");
  options.saes = names_in(body, "saes");
  options.min_score = body.get_or<double>("min_score", options.min_score);
  options.top_n = static_cast<std::size_t>(integer(body, "top_n", 0, kMaxTopN, 0));
  options.unlisted = body.get_or<bool>("unlisted", false);
  options.mask_special = body.get_or<bool>("mask_special", false);
  return options;
}

SequenceConfig read_generation(const JsonObject& body, std::int64_t otherwise) {
  SequenceConfig config;
  config.max_new_tokens = integer(body, "max_tokens", 0, 1 << 20, otherwise);
  config.sampling.temperature = body.get_or<double>("temperature", 0);
  config.sampling.top_p = body.get_or<double>("top_p", 1);
  config.sampling.top_k = static_cast<std::int32_t>(integer(body, "top_k", 0, 1 << 30, 0));
  config.sampling.seed = static_cast<std::uint64_t>(integer(body, "seed", 0, INT64_MAX, 0));
  check_sampling(config.sampling);
  return config;
}

/// `whole` is the same object with the keys in their order, which templates may walk over.
AskedMessages read_messages(const JsonObject& object, const OrderedJson& whole) {
  const auto list = whole.find("messages");
  if (list == whole.end() || !list->is_array() || list->empty() || list->size() > kMaxMessages)
    bad_input(object.where(),
              fmt::format("'messages': expected a list of 1 to {} messages", kMaxMessages),
              R"(write [{"role": "user", "content": "..."}])");
  AskedMessages asked;
  asked.messages = messages_of(*list, object.where());
  if (object.contains(kArguments)) {
    asked.template_arguments = object.json()[kArguments];
    check_template_arguments(asked.template_arguments,
                             fmt::format("{}: '{}'", object.where(), kArguments));
  }
  return asked;
}

AskedPrompt read_asked(const JsonObject& object, const OrderedJson& whole, bool answer) {
  const bool has_text = object.contains("text"), has_messages = object.contains("messages");
  if (has_text == has_messages)
    bad_input(object.where(), "expected one of 'text' and 'messages'", "give one of them");
  if (has_text)
    for (const char* of_messages : {"add_generation_prompt", kArguments})
      if (object.contains(of_messages))
        bad_input(object.where(),
                  fmt::format("'{}': a text has no template that would read it", of_messages),
                  "leave it out, or give 'messages' in place of 'text'");
  const bool add_prompt = object.get_or<bool>("add_generation_prompt", answer);
  if (has_text) return object.get<std::string>("text");
  AskedMessages asked = read_messages(object, whole);
  asked.add_generation_prompt = add_prompt;
  return asked;
}

}  // namespace

AskedTrace parse_trace_request(std::string_view text) {
  const Json json = parse_json(text, "request", kLimits);
  const JsonObject body(json, "request");
  check_names(body, {&kPromptNames, &kOptionNames});
  AskedTrace request;
  request.prompt = read_asked(body, parse_ordered_json(text, "request", kLimits), false);
  request.options = read_options(body);
  return request;
}

AskedChat parse_chat_request(std::string_view text) {
  static const Names kOwn = {"messages", kArguments};
  const Json json = parse_json(text, "request", kLimits);
  const JsonObject body(json, "request");
  check_names(body, {&kOwn, &kGenerationNames, &kOptionNames});
  AskedChat request;
  request.prompt = read_messages(body, parse_ordered_json(text, "request", kLimits));
  request.prompt.add_generation_prompt = true;
  request.options = read_options(body);
  request.generation = read_generation(body, kDefaultNewTokens);
  if (request.generation.max_new_tokens < 1)
    bad_input(body.where(), "'max_tokens': expected at least 1, got 0",
              "ask for some, or POST /trace to read a text without an answer");
  return request;
}

AskedComparison parse_compare_request(std::string_view text) {
  static const Names kOwn = {"prompts"}, kLabel = {"label"};
  const Json json = parse_json(text, "request", kLimits);
  const JsonObject body(json, "request");
  check_names(body, {&kOwn, &kGenerationNames, &kOptionNames});
  AskedComparison request;
  request.options = read_options(body);
  request.generation = read_generation(body, 0);
  const auto list = json.find("prompts");
  if (list == json.end() || !list->is_array() || list->size() < kMinPrompts ||
      list->size() > kMaxPrompts)
    bad_input(body.where(),
              fmt::format("'prompts': expected a list of {} to {}", kMinPrompts, kMaxPrompts),
              R"(write [{"label": "English", "text": "..."}, ...])");
  const bool answer = request.generation.max_new_tokens > 0;
  const OrderedJson whole = parse_ordered_json(text, "request", kLimits);
  for (std::size_t i = 0; i < list->size(); ++i) {
    const JsonObject prompt((*list)[i], fmt::format("request: prompts[{}]", i));
    check_names(prompt, {&kLabel, &kPromptNames});
    request.prompts.push_back({prompt.get_or<std::string>("label", fmt::format("{}", i + 1)),
                               read_asked(prompt, whole["prompts"][i], answer)});
  }
  return request;
}

}  // namespace safesail
