#include "interpret/written_numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace safesail {

WrittenNumbers::WrittenNumbers(const std::vector<AnswerToken>& tokens) : tokens_(tokens) {
  std::size_t at = 0;
  for (const AnswerToken& token : tokens) starts_.push_back(at), at += token.text.size();
}

std::optional<float> WrittenNumbers::mean_at(Question::Range place, int max_value) const {
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), place.begin);
  if (after == starts_.begin()) return std::nullopt;
  const auto index = static_cast<std::size_t>(after - starts_.begin()) - 1;
  const AnswerToken& token = tokens_[index];
  const std::size_t from = place.begin - starts_[index], to = place.end - starts_[index];
  if (to > token.text.size()) return std::nullopt;
  const std::string_view before = std::string_view(token.text).substr(0, from);
  const std::string_view behind = std::string_view(token.text).substr(to);
  double sum = 0, weighted = 0;
  bool has_own = false;
  for (const auto& [text, logprob] : token.alternatives) {
    if (text.size() <= before.size() + behind.size() || !text.starts_with(before) ||
        !text.ends_with(behind) || !(logprob <= 1e-3F))
      continue;
    const char* const first = text.data() + before.size();
    const char* const last = text.data() + text.size() - behind.size();
    int value = 0;
    const auto [end, fault] = std::from_chars(first, last, value);
    if (fault != std::errc() || end != last || value < 0 || value > max_value) continue;
    const double probability = std::exp(static_cast<double>(logprob));
    sum += probability;
    weighted += probability * value;
    has_own = has_own || text == token.text;
  }
  if (!has_own || !(sum > 0)) return std::nullopt;
  return static_cast<float>(weighted / sum);
}

}  // namespace safesail
