// The parameters of a request's query, read strictly: each must be known, come once, be UTF-8 and
// of its type and range; else a Refusal (400) that names it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace safesail {

class QueryParameters {
 public:
  /// As httplib gives them. The view must not outlive them.
  using Params = std::multimap<std::string, std::string>;
  QueryParameters(const Params& params, std::initializer_list<std::string_view> known);

  /// Empty when it is missing.
  std::string text(std::string_view name) const;
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t low,
                                      std::int64_t high) const;
  std::optional<double> number(std::string_view name) const;
  std::optional<bool> flag(std::string_view name) const;  ///< true, false, 1, 0
  /// "terror,violence"; at most `max_n`, none empty. Empty when it is missing.
  std::vector<std::string> texts(std::string_view name, std::size_t max_n) const;
  /// "3,17,42"; at most `max_n`, none negative.
  std::optional<std::vector<std::int64_t>> integers(std::string_view name, std::size_t max_n) const;

 private:
  const std::string* find(std::string_view name) const;
  const Params& params_;
};

}  // namespace safesail
