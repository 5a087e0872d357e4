#include "serve/constraint_request.h"

#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <initializer_list>
#include <utility>
#include <vector>

#include "formats/field_error.h"
#include "serve/request_fields.h"

namespace safesail {
namespace {

constexpr auto kReadOfFormat = std::to_array<std::string_view>({"type", "json_schema"});
constexpr auto kReadOfSchema =
    std::to_array<std::string_view>({"name", "description", "schema", "strict"});
constexpr auto kReadOfStructure =
    std::to_array<std::string_view>({"json", "json_object", "choice", "regex"});
constexpr const char* kAnyObject = R"({"type": "object"})";

/// Whether an object in `value` has more keys than can be kept in order: `place` is then its own.
bool is_crowded(const Json& value, Json::json_pointer& place) {
  if (value.is_object() && value.size() > kMaxOrderedKeys) return true;
  if (!value.is_structured()) return false;
  for (const auto& [key, item] : value.items()) {
    place.push_back(key);
    if (is_crowded(item, place)) return true;
    place.pop_back();
  }
  return false;
}

std::string shown(const Json::json_pointer& place) {
  constexpr std::size_t kMaxShown = 200;
  const std::string text = place.to_string();
  return text.size() <= kMaxShown ? text : text.substr(0, kMaxShown) + "...";
}

/// The schema at `path` of the body as it was written: the order of its keys is that of the
/// answer's. vLLM also takes it as a text.
ConstraintRequest schema_request(const JsonObject& body, std::string_view text,
                                 std::initializer_list<const char*> path) {
  std::string field = fmt::format("{}", fmt::join(path, "."));
  const Json* schema = &body.json();
  for (const char* key : path) schema = &schema->at(key);
  constexpr auto kKind = ConstraintSource::Kind::json_schema;
  if (schema->is_string()) return {{kKind, schema->get<std::string>()}, std::move(field)};
  if (!schema->is_object())
    refuse_field(field, fmt::format("expected a JSON schema, got {}", schema->type_name()),
                 "give an object");
  if (Json::json_pointer place; is_crowded(*schema, place))
    throw FieldError(fmt::format("request: {}#{}", field, shown(place)), field,
                     fmt::format("expected at most {} keys in an object, got {}", kMaxOrderedKeys,
                                 schema->at(place).size()),
                     "ask for fewer");
  const OrderedJson ordered = parse_ordered_json(text, "request", kRequestLimits);
  const OrderedJson* as_written = &ordered;
  for (const char* key : path) as_written = &as_written->at(key);
  return {{kKind, dump_json(*as_written)}, std::move(field)};
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
  return schema_request(body, text, {kField, "json_schema", "schema"});
}

}  // namespace

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
      asked.push_back(schema_request(body, text, {"structured_outputs", "json"}));
    if (object->get_or<bool>("json_object", false))
      add(Kind::json_schema, kAnyObject, "structured_outputs.json_object");
    if (object->contains("choice"))
      add(Kind::choice, choices(*object, "choice"), "structured_outputs.choice");
    if (const auto regex = object->find<std::string>("regex"))
      add(Kind::regex, *regex, "structured_outputs.regex");
  }
  if (body.contains("guided_json")) asked.push_back(schema_request(body, text, {"guided_json"}));
  if (body.contains("guided_choice"))
    add(Kind::choice, choices(body, "guided_choice"), "guided_choice");
  if (const auto regex = body.find<std::string>("guided_regex"))
    add(Kind::regex, *regex, "guided_regex");
  if (asked.size() > 1)
    not_supported(asked[1].field, fmt::format("this beside '{}'", asked[0].field));
  if (asked.empty()) return std::nullopt;
  return std::move(asked.front());
}

}  // namespace safesail
