#include "formats/nearest.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <numeric>
#include <utility>

#include "formats/json.h"

namespace safesail {
namespace {

// Candidates come from files: what is compared is cut, so that a hostile file cannot make an error
// message cost minutes.
constexpr std::size_t kMaxCompared = 128;
constexpr std::size_t kMaxCandidates = 10'000;

}  // namespace

// One row at a time.
std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replace, row[j] + 1, diagonal + 1});
    }
  }
  return row[b.size()];
}

std::string nearest_names(std::string_view name, const std::vector<std::string_view>& candidates) {
  std::vector<std::pair<std::size_t, std::string_view>> ranked;
  for (const std::string_view candidate : candidates) {
    if (ranked.size() == kMaxCandidates) break;
    ranked.emplace_back(
        edits_between(name.substr(0, kMaxCompared), candidate.substr(0, kMaxCompared)), candidate);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  if (ranked.empty()) return "none";
  std::vector<std::string> shown;
  for (const auto& [edits, candidate] : ranked)
    if (shown.size() < 3) shown.push_back(printable(candidate));
  return fmt::format("{}", fmt::join(shown, ", "));
}

}  // namespace safesail
