// Contrast pairs with nothing in them but where they belong, for tests.
#pragma once

#include <fmt/format.h>
#include <numeric>
#include <string>
#include <vector>

#include "select/pairs.h"

namespace safesail {

struct PairGrid {
  int n_domains = 1, n_subclasses = 1, n_concepts = 5, n_each = 4;  ///< of the one before
  std::vector<std::string> languages = {"en"};

  /// By language, domain, subclass, concept.
  std::vector<ContrastPair> pairs() const {
    std::vector<ContrastPair> all;
    for (const std::string& language : languages)
      for (int d = 0; d < n_domains; ++d)
        for (int s = 0; s < n_subclasses; ++s)
          for (int c = 0; c < n_concepts; ++c)
            for (int i = 0; i < n_each; ++i)
              all.push_back({.id = fmt::format("{}-{}-{}-{}", d, s, c, i),
                             .domain = fmt::format("domain {}", d),
                             .subclass = fmt::format("subclass {}-{}", d, s),
                             .concept_ = fmt::format("concept {}-{}-{}", d, s, c),
                             .language = language,
                             .text = "a",
                             .counterpart = "b",
                             .source = "test"});
    return all;
  }
};

/// The numbers of all of them: nothing is held out.
inline std::vector<std::size_t> all_of(const std::vector<ContrastPair>& pairs) {
  std::vector<std::size_t> numbers(pairs.size());
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  return numbers;
}

}  // namespace safesail
