#include "serve/request_fields.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>
#include <vector>

#include "formats/field_error.h"

namespace safesail {
namespace {

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

/// They are for the provider's books, and change no answer.
constexpr auto kForTheBooks = std::to_array<std::string_view>(
    {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"});

/// A field's name as it is, where it looks like one.
std::string plain_name(const std::string& name) {
  const auto is_plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return name.size() <= 64 && std::ranges::all_of(name, is_plain) ? name : printable(name);
}

}  // namespace

void refuse_field(std::string_view field, std::string_view problem, std::string_view remedy) {
  throw FieldError("request", std::string(field), fmt::format("'{}': {}", field, problem), remedy);
}

void not_supported(std::string_view field, std::string_view what) {
  refuse_field(field, fmt::format("{} is not supported here", what),
               fmt::format("leave '{}' out", field));
}

void check_fields(const Json& object, FieldNames known, const std::string& before) {
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

}  // namespace safesail
