#include "serve/query_parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/utf8.h"
#include "formats/json.h"
#include "serve/refusal.h"

namespace safesail {
namespace {

constexpr std::size_t kMaxBytes = 4000;
constexpr std::ptrdiff_t kMaxCharacters = 200;

[[noreturn]] void refuse(std::string_view name, const std::string& expected, std::string_view got) {
  throw Refusal(400, "bad_request",
                fmt::format("parameter {}: expected {}, got {}", name, expected, printable(got)),
                fmt::format("correct {} or leave it out", name));
}

template <class T>
std::optional<T> parse(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

QueryParameters::QueryParameters(const Params& params,
                                 std::initializer_list<std::string_view> known)
    : params_(params) {
  for (const auto& [name, value] : params) {
    if (std::ranges::find(known, name) == known.end())
      throw Refusal(400, "bad_request", fmt::format("there is no parameter {}", printable(name)),
                    known.size() == 0 ? std::string("leave it out")
                                      : fmt::format("use {}", fmt::join(known, ", ")));
    if (params.count(name) > 1) refuse(name, "one value", "several");
    if (value.size() > kMaxBytes) refuse(name, fmt::format("at most {} bytes", kMaxBytes), value);
    if (!is_utf8(value) || value.find('\0') != value.npos) refuse(name, "text in UTF-8", value);
  }
}

const std::string* QueryParameters::find(std::string_view name) const {
  const auto found = params_.find(std::string(name));
  return found == params_.end() ? nullptr : &found->second;
}

std::string QueryParameters::text(std::string_view name) const {
  const std::string* value = find(name);
  if (value == nullptr) return "";
  const auto starts_character = [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  };
  if (std::ranges::count_if(*value, starts_character) > kMaxCharacters)
    refuse(name, fmt::format("at most {} characters", kMaxCharacters), *value);
  return *value;
}

std::vector<std::string> QueryParameters::texts(std::string_view name, std::size_t max_n) const {
  const std::string all = text(name);
  std::vector<std::string> parts;
  if (find(name) == nullptr) return parts;
  for (std::string_view rest = all;;) {
    const std::size_t comma = rest.find(',');
    parts.emplace_back(rest.substr(0, comma));
    if (parts.back().empty() || parts.size() > max_n)
      refuse(name, fmt::format("at most {} names with commas between them", max_n), all);
    if (comma == rest.npos) return parts;
    rest.remove_prefix(comma + 1);
  }
}

std::optional<std::int64_t> QueryParameters::integer(std::string_view name, std::int64_t low,
                                                     std::int64_t high) const {
  const std::string* value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto parsed = parse<std::int64_t>(*value);
  if (!parsed || *parsed < low || *parsed > high)
    refuse(name, fmt::format("an integer from {} to {}", low, high), *value);
  return parsed;
}

std::optional<double> QueryParameters::number(std::string_view name) const {
  const std::string* value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto parsed = parse<double>(*value);
  if (!parsed || !std::isfinite(*parsed)) refuse(name, "a number", *value);
  return parsed;
}

std::optional<bool> QueryParameters::flag(std::string_view name) const {
  const std::string* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (*value == "true" || *value == "1") return true;
  if (*value == "false" || *value == "0") return false;
  refuse(name, "true or false", *value);
}

std::optional<std::vector<std::int64_t>> QueryParameters::integers(std::string_view name,
                                                                   std::size_t max_n) const {
  const std::string* value = find(name);
  if (value == nullptr) return std::nullopt;
  std::vector<std::int64_t> all;
  for (std::string_view rest = *value;;) {
    const std::size_t comma = rest.find(',');
    const auto one = parse<std::int64_t>(rest.substr(0, comma));
    if (!one || *one < 0 || all.size() == max_n)
      refuse(name, fmt::format("at most {} numbers with commas between them", max_n), *value);
    all.push_back(*one);
    if (comma == rest.npos) return all;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace safesail
