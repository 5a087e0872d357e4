// Whether JSON is as a schema of the API's description says. The part of JSON Schema 2020-12 that
// the description uses; any other keyword is a failure of its own.
#pragma once

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <string>

#include "formats/json.h"

namespace safesail {

class Schema {
 public:
  explicit Schema(const Json& document) : document_(document) {}

  /// The first violation, with its place; empty when there is none.
  std::string violation(const Json& value, const Json& schema, const std::string& at = "$") const {
    static const std::set<std::string> known = {
        "$ref",      "type",      "const",       "enum",    "properties",
        "required",  "items",     "oneOf",       "anyOf",   "additionalProperties",
        "minItems",  "maxItems",  "prefixItems", "minimum", "maximum",
        "minLength", "maxLength", "description"};
    for (const auto& [keyword, ignored] : schema.items())
      if (!known.contains(keyword)) return at + ": the test does not know " + keyword;
    if (schema.contains("$ref"))
      return violation(
          value, document_.at(Json::json_pointer(schema.at("$ref").get<std::string>().substr(1))),
          at);
    if (schema.contains("oneOf")) {
      const auto n = std::ranges::count_if(
          schema["oneOf"], [&](const Json& one) { return violation(value, one, at).empty(); });
      if (n != 1) return fmt::format("{}: is {} of the alternatives", at, n);
    }
    if (schema.contains("anyOf") && std::ranges::none_of(schema["anyOf"], [&](const Json& one) {
          return violation(value, one, at).empty();
        }))
      return at + ": is none of the alternatives";
    if (schema.contains("type") && !has_type(value, schema["type"]))
      return at + ": is " + value.type_name() + ", not " + schema["type"].dump();
    if (schema.contains("const") && value != schema["const"]) return at + ": is another constant";
    if (schema.contains("enum") && std::ranges::find(schema["enum"], value) == schema["enum"].end())
      return at + ": " + value.dump() + " is none of the choices";
    if (value.is_number()) {
      if (schema.contains("minimum") && value < schema["minimum"]) return at + ": is too small";
      if (schema.contains("maximum") && value > schema["maximum"]) return at + ": is too large";
    }
    if (value.is_string()) {
      const auto n = std::ranges::count_if(value.get_ref<const std::string&>(), [](char byte) {
        return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;  // begins a character
      });
      if (schema.contains("minLength") && n < schema["minLength"]) return at + ": is too short";
      if (schema.contains("maxLength") && n > schema["maxLength"]) return at + ": is too long";
    }
    if (value.is_array()) return violation_in_list(value, schema, at);
    if (value.is_object()) return violation_in_object(value, schema, at);
    return "";
  }

 private:
  static bool has_type(const Json& value, const Json& type) {
    if (type.is_array())
      return std::ranges::any_of(type, [&](const Json& one) { return has_type(value, one); });
    const std::string name = type;
    if (name == "integer") return value.is_number_integer();
    if (name == "number") return value.is_number();
    return value.type_name() == name;
  }

  std::string violation_in_list(const Json& list, const Json& schema, const std::string& at) const {
    if (schema.contains("minItems") && list.size() < schema["minItems"])
      return at + ": is too short";
    if (schema.contains("maxItems") && list.size() > schema["maxItems"])
      return at + ": is too long";
    const Json none = Json::array();
    const Json& first = schema.contains("prefixItems") ? schema["prefixItems"] : none;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string place = fmt::format("{}[{}]", at, i);
      std::string found;
      if (i < first.size())
        found = violation(list[i], first[i], place);
      else if (schema.contains("items"))
        found = schema["items"] == false ? place + ": is not described"
                                         : violation(list[i], schema["items"], place);
      if (!found.empty()) return found;
    }
    return "";
  }

  std::string violation_in_object(const Json& object, const Json& schema,
                                  const std::string& at) const {
    if (schema.contains("required"))
      for (const Json& name : schema["required"])
        if (!object.contains(name.get<std::string>())) return at + ": lacks " + name.dump();
    const Json none = Json::object();
    const Json& properties = schema.contains("properties") ? schema["properties"] : none;
    for (const auto& [name, value] : object.items()) {
      const std::string place = at + "." + name;
      std::string found;
      if (properties.contains(name)) {
        found = violation(value, properties[name], place);
      } else if (schema.contains("additionalProperties")) {
        const Json& rest = schema["additionalProperties"];
        if (rest.is_object()) found = violation(value, rest, place);
        if (rest == false) found = place + ": is not described";
      }
      if (!found.empty()) return found;
    }
    return "";
  }

  const Json& document_;
};

}  // namespace safesail
