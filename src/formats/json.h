// JSON from outside: bounded parsing and typed getters whose errors say what was expected.
//
// The text may be hostile: its size and depth are limited (so that no later walk over the value can
// exhaust the stack), and every error names the source and the byte. Writing never fails: strings
// from outside may hold any bytes. Free functions, and a view that does not own the JSON it reads;
// safe to use from several threads.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace safesail {

using Json = nlohmann::json;
/// Its objects keep the order of their keys, and look them up one by one.
using OrderedJson = nlohmann::ordered_json;

struct JsonLimits {
  std::uint64_t max_bytes = std::uint64_t{64} << 20;
  int max_depth = 64;
  /// Refuse an object that names a key twice; otherwise the last one wins, as in Python.
  bool unique_keys = false;
  /// Take NaN, Infinity and -Infinity, which Python writes, as null.
  bool non_finite = false;
};

/// Parses all of `text`; `where` names it in errors ("config.json", "pairs.jsonl:17").
Json parse_json(std::string_view text, std::string_view where, const JsonLimits& limits = {});

/// The same with the order of keys kept; an object of more than `kMaxOrderedKeys` is an input
/// error.
OrderedJson parse_ordered_json(std::string_view text, std::string_view where,
                               const JsonLimits& limits = {});
inline constexpr std::size_t kMaxOrderedKeys = 1024;

/// Parses a whole file.
Json read_json(const fs::path& path, const JsonLimits& limits = {});

struct JsonStyle {
  int indent = -1;     ///< -1: all on one line
  bool ascii = false;  ///< other characters as \uXXXX
};

/// The value as text. What is not UTF-8 in its strings becomes U+FFFD.
std::string dump_json(const Json& value, JsonStyle style = {});
std::string dump_json(const OrderedJson& value, JsonStyle style = {});

/// `text` quoted and escaped to printable ASCII, long texts cut: how outside strings enter errors.
std::string printable(std::string_view text);

/// A view of a JSON object that must outlive it. Getters come in two kinds: get() wants the key,
/// find() gives nothing where the key is missing or null. Both refuse a value of another type.
/// T: bool, std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>,
/// std::vector<std::string>. A double may be written as an integer, never the other way round.
class JsonObject {
 public:
  /// An input error unless `value` is an object.
  JsonObject(const Json& value, std::string where);
  JsonObject(Json&& value, std::string where) = delete;

  const std::string& where() const { return where_; }
  const Json& json() const { return *value_; }
  /// Present and not null.
  bool contains(std::string_view key) const { return lookup(key) != nullptr; }

  template <class T>
  T get(std::string_view key) const;
  template <class T>
  std::optional<T> find(std::string_view key) const;
  template <class T>
  T get_or(std::string_view key, T fallback) const {
    return find<T>(key).value_or(std::move(fallback));
  }

  /// An integer of at least 1.
  std::int64_t get_positive(std::string_view key) const;
  std::optional<std::int64_t> find_positive(std::string_view key) const;

  /// Objects inside; their errors read "config.json: rope_scaling: ...".
  JsonObject object(std::string_view key) const;
  std::optional<JsonObject> find_object(std::string_view key) const;

 private:
  const Json* lookup(std::string_view key) const;
  [[noreturn]] void missing(std::string_view key) const;
  [[noreturn]] void wrong(std::string_view key, std::string_view expected, const Json& got) const;

  const Json* value_;
  std::string where_;
};

}  // namespace safesail
