#include "formats/json.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/units.h"
#include "formats/field_error.h"

namespace safesail {
namespace {

constexpr std::string_view kRemedy = "correct the JSON";
/// A file may be the rest of one that was cut on its way.
constexpr std::string_view kFileRemedy = "correct the JSON, or fetch the file again";

/// Printable ASCII, long texts cut.
std::string escaped(std::string_view text) {
  constexpr std::size_t kMaxShown = 80;
  const std::string in_quotes =
      dump_json(Json(std::string(text.substr(0, kMaxShown))), {.ascii = true});
  return in_quotes.substr(1, in_quotes.size() - 2) + (text.size() > kMaxShown ? "..." : "");
}

/// Builds the value event by event. nlohmann's own builder has no depth limit and lets duplicate
/// keys pass; this one throws Error at the first of either.
template <class AnyJson>
class Builder final : public nlohmann::json_sax<AnyJson> {
  using Sax = nlohmann::json_sax<AnyJson>;

 public:
  using typename Sax::binary_t, typename Sax::number_float_t, typename Sax::number_integer_t,
      typename Sax::number_unsigned_t, typename Sax::string_t;

  Builder(std::string_view where, const JsonLimits& limits, std::string_view remedy)
      : where_(where), limits_(limits), remedy_(remedy) {}

  AnyJson take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(AnyJson::object()); }
  bool key(string_t& name) override {
    auto& object = open_.back()->template get_ref<typename AnyJson::object_t&>();
    if constexpr (std::is_same_v<AnyJson, OrderedJson>)
      if (object.size() >= kMaxOrderedKeys)
        bad_input(where_, fmt::format("expected at most {} keys in an object", kMaxOrderedKeys),
                  remedy_);
    const auto [entry, is_new] = object.emplace(std::move(name), nullptr);
    if (!is_new && limits_.unique_keys)
      bad_input(where_,
                fmt::format("expected every key once, got {} twice in one object",
                            printable(entry->first)),
                remedy_);
    slot_ = &entry->second;
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(AnyJson::array()); }
  bool end_array() override { return close(); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // nlohmann writes "[json.exception...] parse error at line 1, column 2: <reason>; last read:
    // '<all of the token>'". Only the reason is wanted: the token may be megabytes of anything.
    std::string_view reason = error.what();
    if (const auto colon = reason.find(": "); colon != reason.npos) reason.remove_prefix(colon + 2);
    reason = reason.substr(0, reason.find("; last read"));
    bad_input(where_, fmt::format("expected JSON, at byte {}: {}", position, escaped(reason)),
              remedy_);
  }

 private:
  AnyJson* place(AnyJson value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      // A pointer into this array is only kept while its last element is open, so that growth
      // cannot leave one dangling; the same goes for ordered objects.
      auto& array = open_.back()->template get_ref<typename AnyJson::array_t&>();
      array.push_back(std::move(value));
      return &array.back();
    }
    *slot_ = std::move(value);
    return slot_;
  }

  bool put(AnyJson value) {
    place(std::move(value));
    return true;
  }

  bool open(AnyJson container) {
    if (open_.size() >= static_cast<std::size_t>(limits_.max_depth))
      bad_input(where_,
                fmt::format("expected at most {} nested levels, got more", limits_.max_depth),
                remedy_);
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view where_;
  const JsonLimits& limits_;
  std::string_view remedy_;
  AnyJson root_;
  std::vector<AnyJson*> open_;
  AnyJson* slot_ = nullptr;  // the value of the key read last
};

/// What each T is called in errors, and whether a value may be read as it.
template <class T>
struct Kind;

template <>
struct Kind<bool> {
  static constexpr std::string_view name = "true or false";
  static bool fits(const Json& value) { return value.is_boolean(); }
};
template <>
struct Kind<std::int64_t> {
  static constexpr std::string_view name = "an integer";
  static bool fits(const Json& value) {
    if (value.is_number_unsigned())
      return value.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max();
    return value.is_number_integer();
  }
};
template <>
struct Kind<double> {
  static constexpr std::string_view name = "a number";
  static bool fits(const Json& value) { return value.is_number(); }
};
template <>
struct Kind<std::string> {
  static constexpr std::string_view name = "a string";
  static bool fits(const Json& value) { return value.is_string(); }
};
template <class Item>
bool all_fit(const Json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), Kind<Item>::fits);
}
template <>
struct Kind<std::vector<std::int64_t>> {
  static constexpr std::string_view name = "a list of integers";
  static bool fits(const Json& value) { return all_fit<std::int64_t>(value); }
};
template <>
struct Kind<std::vector<double>> {
  static constexpr std::string_view name = "a list of numbers";
  static bool fits(const Json& value) { return all_fit<double>(value); }
};
template <>
struct Kind<std::vector<std::string>> {
  static constexpr std::string_view name = "a list of strings";
  static bool fits(const Json& value) { return all_fit<std::string>(value); }
};

std::string shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  if (value.is_string()) return printable(value.get_ref<const std::string&>());
  return dump_json(value);
}

/// "rope_scaling.type" of "config.json: rope_scaling" and "type".
std::string path_of(std::string_view where, std::string_view key = {}) {
  constexpr std::string_view kBetween = ": ";
  std::string path;
  for (auto at = where.find(kBetween); at != where.npos; at = where.find(kBetween)) {
    where.remove_prefix(at + kBetween.size());
    path.append(path.empty() ? "" : ".").append(where.substr(0, where.find(kBetween)));
  }
  if (!key.empty()) path.append(path.empty() ? "" : ".").append(escaped(key));
  return path;
}

/// NaN, Infinity and -Infinity outside of strings as null.
std::string without_non_finite(std::string_view text) {
  constexpr std::array<std::string_view, 3> kNames = {"NaN", "-Infinity", "Infinity"};
  std::string changed;
  changed.reserve(text.size());
  bool in_string = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto name = std::ranges::find_if(
        kNames, [&](std::string_view one) { return text.substr(at).starts_with(one); });
    if (!in_string && name != kNames.end()) {
      changed += "null";
      at += name->size();
      continue;
    }
    if (text[at] == '"') in_string = !in_string;
    if (in_string && text[at] == '\\' && at + 1 < text.size()) changed += text[at++];
    changed += text[at++];
  }
  return changed;
}

template <class AnyJson>
AnyJson parse(std::string_view text, std::string_view where, const JsonLimits& limits,
              std::string_view remedy = kRemedy) {
  if (text.size() > limits.max_bytes)
    bad_input(where,
              fmt::format("expected at most {} of JSON, got {}", human_bytes(limits.max_bytes),
                          human_bytes(text.size())),
              "check that this is the right file");
  Builder<AnyJson> builder(where, limits, remedy);
  if (limits.non_finite && (text.find("NaN") != text.npos || text.find("Infinity") != text.npos))
    AnyJson::sax_parse(without_non_finite(text), &builder);
  else
    AnyJson::sax_parse(text, &builder);
  return builder.take();
}

template <class AnyJson>
std::string dump(const AnyJson& value, const JsonStyle& style) {
  return value.dump(style.indent, ' ', style.ascii, AnyJson::error_handler_t::replace);
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits) {
  return parse<Json>(text, where, limits);
}

OrderedJson parse_ordered_json(std::string_view text, std::string_view where,
                               const JsonLimits& limits) {
  return parse<OrderedJson>(text, where, limits);
}

std::string dump_json(const Json& value, JsonStyle style) {
  return dump(value, style);
}

std::string dump_json(const OrderedJson& value, JsonStyle style) {
  return dump(value, style);
}

Json read_json(const fs::path& path, const JsonLimits& limits) {
  return parse<Json>(read_file(path, limits.max_bytes), path.string(), limits, kFileRemedy);
}

std::string printable(std::string_view text) {
  return fmt::format("\"{}\"", escaped(text));
}

JsonObject::JsonObject(const Json& value, std::string where)
    : value_(&value), where_(std::move(where)) {
  if (!value.is_object())
    throw FieldError(where_, path_of(where_),
                     fmt::format("expected a JSON object, got {}", shown(value)), kRemedy);
}

const Json* JsonObject::lookup(std::string_view key) const {
  const auto entry = value_->find(key);
  return entry == value_->end() || entry->is_null() ? nullptr : &*entry;
}

void JsonObject::missing(std::string_view key) const {
  throw FieldError(where_, path_of(where_, key),
                   fmt::format("expected a key '{}', got none", escaped(key)),
                   fmt::format("add '{}'", escaped(key)));
}

void JsonObject::wrong(std::string_view key, std::string_view expected, const Json& got) const {
  throw FieldError(
      where_, path_of(where_, key),
      fmt::format("expected '{}' to be {}, got {}", escaped(key), expected, shown(got)),
      fmt::format("correct '{}'", escaped(key)));
}

template <class T>
std::optional<T> JsonObject::find(std::string_view key) const {
  const Json* value = lookup(key);
  if (value == nullptr) return std::nullopt;
  if (!Kind<T>::fits(*value)) wrong(key, Kind<T>::name, *value);
  return value->get<T>();
}

template <class T>
T JsonObject::get(std::string_view key) const {
  std::optional<T> value = find<T>(key);
  if (!value) missing(key);
  return *std::move(value);
}

#define SAFESAIL_JSON_GETTERS(T)                                         \
  template std::optional<T> JsonObject::find<T>(std::string_view) const; \
  template T JsonObject::get<T>(std::string_view) const
SAFESAIL_JSON_GETTERS(bool);
SAFESAIL_JSON_GETTERS(std::int64_t);
SAFESAIL_JSON_GETTERS(double);
SAFESAIL_JSON_GETTERS(std::string);
SAFESAIL_JSON_GETTERS(std::vector<std::int64_t>);
SAFESAIL_JSON_GETTERS(std::vector<double>);
SAFESAIL_JSON_GETTERS(std::vector<std::string>);
#undef SAFESAIL_JSON_GETTERS

std::optional<std::int64_t> JsonObject::find_positive(std::string_view key) const {
  const Json* value = lookup(key);
  if (value == nullptr) return std::nullopt;
  if (!Kind<std::int64_t>::fits(*value) || value->get<std::int64_t>() < 1)
    wrong(key, "a positive integer", *value);
  return value->get<std::int64_t>();
}

std::int64_t JsonObject::get_positive(std::string_view key) const {
  const std::optional<std::int64_t> value = find_positive(key);
  if (!value) missing(key);
  return *value;
}

std::optional<JsonObject> JsonObject::find_object(std::string_view key) const {
  const Json* value = lookup(key);
  if (value == nullptr) return std::nullopt;
  return JsonObject(*value, fmt::format("{}: {}", where_, escaped(key)));
}

JsonObject JsonObject::object(std::string_view key) const {
  std::optional<JsonObject> value = find_object(key);
  if (!value) missing(key);
  return *std::move(value);
}

}  // namespace safesail
