#include "interpret/answer_schema.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "formats/json.h"

namespace safesail {
namespace {

using Property = std::pair<const char*, OrderedJson>;

/// These properties, all of them, in this order, and no other.
OrderedJson object_of(std::initializer_list<Property> properties) {
  OrderedJson object{{"type", "object"}, {"additionalProperties", false}};
  for (const auto& [name, schema] : properties) {
    object["required"].push_back(name);
    object["properties"][name] = schema;
  }
  return object;
}

OrderedJson text_of(int most) {
  return {{"type", "string"}, {"minLength", 1}, {"maxLength", most}};
}

OrderedJson integer_of(std::size_t least, std::size_t most) {
  return {{"type", "integer"}, {"minimum", least}, {"maximum", most}};
}

OrderedJson one_of(std::span<const std::string_view> names) {
  return {{"type", "string"}, {"enum", names}};
}

void loosen(OrderedJson& schema) {
  static constexpr std::array<const char*, 6> kBounds = {"minLength", "maxLength", "minItems",
                                                         "maxItems",  "minimum",   "maximum"};
  if (schema.is_object()) {
    for (const char* bound : kBounds) schema.erase(bound);
    if (const auto items = schema.find("prefixItems"); items != schema.end()) {
      OrderedJson first = items->at(0);
      schema.erase("prefixItems");
      schema["items"] = std::move(first);
    }
  }
  if (schema.is_structured())
    for (OrderedJson& inside : schema) loosen(inside);
}

}  // namespace

std::string explanation_schema() {
  return dump_json(object_of({{"short", text_of(kMaxShortText)}, {"long", text_of(kMaxLongText)}}));
}

std::string values_schema(std::span<const std::size_t> n_units, int max_value) {
  const OrderedJson value = integer_of(0, static_cast<std::size_t>(max_value));
  OrderedJson answers = OrderedJson::array();
  for (std::size_t i = 0; i < n_units.size(); ++i)
    answers.push_back(object_of({{"id", integer_of(i + 1, i + 1)},
                                 {"v",
                                  {{"type", "array"},
                                   {"items", value},
                                   {"minItems", n_units[i]},
                                   {"maxItems", n_units[i]}}}}));
  return dump_json(object_of({{"answers",
                               {{"type", "array"},
                                {"prefixItems", answers},
                                {"minItems", n_units.size()},
                                {"maxItems", n_units.size()}}}}));
}

std::string tags_schema(std::span<const TagLabels> labels) {
  OrderedJson domains = OrderedJson::array();
  for (const auto& [domain, subclasses] : labels)
    domains.push_back(object_of({{"domain", one_of({&domain, 1})},
                                 {"subclass", one_of(subclasses)},
                                 {"evidence", text_of(kMaxEvidence)}}));
  return dump_json(object_of(
      {{"tags",
        {{"type", "array"}, {"items", {{"anyOf", std::move(domains)}}}, {"maxItems", kMaxTags}}}}));
}

std::string plain_schema(std::string_view schema) {
  OrderedJson json = parse_ordered_json(schema, "answer schema");
  loosen(json);
  return dump_json(json);
}

}  // namespace safesail
