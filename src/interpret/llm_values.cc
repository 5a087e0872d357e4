#include "interpret/llm_values.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>

#include "base/error.h"
#include "formats/json.h"
#include "interpret/written_numbers.h"

namespace safesail {
namespace {

constexpr JsonLimits kLimits{.max_bytes = kMaxAnswerBytes, .max_depth = 16};

/// An object of the answer: its id, its values, and where in the content each of them is written.
struct Found {
  std::int64_t id = 0;
  std::vector<float> values;
  std::vector<Question::Range> written;  ///< empty where that is not clear
};

std::optional<float> number(const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1.0F : 0.0F;
  if (!value.is_number()) return std::nullopt;
  const auto result = value.get<float>();
  return std::isfinite(result) ? std::optional(result) : std::nullopt;
}

/// The places of the numbers in "[0, 1, 0]", which follows the key "v".
std::vector<Question::Range> places(std::string_view content, std::size_t begin, std::size_t end) {
  std::vector<Question::Range> found;
  const auto key = content.find("\"v\"", begin);
  const auto open = content.find('[', key == content.npos ? end : key);
  if (open >= end) return found;
  for (std::size_t at = open + 1; at < end && content[at] != ']';) {
    if (const char c = content[at]; c < '0' || c > '9') {
      ++at;
      continue;
    }
    const std::size_t from = at;
    while (at < end && content[at] >= '0' && content[at] <= '9') ++at;
    found.push_back({static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(at)});
  }
  return found;
}

std::optional<Found> read_object(std::string_view content, std::size_t begin, std::size_t end) {
  const std::string_view text = content.substr(begin, end - begin);
  if (text.find("\"id\"") == text.npos || text.find("\"v\"") == text.npos) return std::nullopt;
  try {
    const Json json = parse_json(text, "answer", kLimits);
    const auto id = json.find("id"), values = json.find("v");
    if (id == json.end() || values == json.end()) return std::nullopt;
    if (!id->is_number_integer() || !values->is_array()) return std::nullopt;
    Found found;
    found.id = id->get<std::int64_t>();
    for (const Json& value : *values) {
      // NaN is out of every range.
      found.values.push_back(number(value).value_or(std::nanf("")));
    }
    found.written = places(content, begin, end);
    if (found.written.size() != found.values.size()) found.written.clear();
    return found;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<Found> read_objects(std::string_view content) {
  std::vector<Found> all;
  std::size_t begin = content.npos;
  for (std::size_t at = 0; at < content.size(); ++at) {
    if (content[at] == '{') begin = at;
    if (content[at] != '}' || begin == content.npos) continue;
    if (auto found = read_object(content, begin, at + 1)) all.push_back(*std::move(found));
    begin = content.npos;
  }
  return all;
}

Answer read_answer(const std::vector<const Found*>& found, std::size_t n_units, int max_value,
                   const WrittenNumbers& written) {
  Answer answer{AnswerStatus::unparsable, {}, ""};
  if (found.size() != 1) {
    answer.detail = fmt::format("expected one answer, got {}", found.size());
    return answer;
  }
  const Found& one = *found.front();
  if (one.values.size() != n_units) {
    answer.detail = fmt::format("expected {} values, got {}", n_units, one.values.size());
    return answer;
  }
  for (std::size_t i = 0; i < n_units; ++i) {
    float value = one.values[i];
    if (!(value >= 0 && value <= static_cast<float>(max_value))) {
      answer.detail = fmt::format("expected values of 0..{}, got another", max_value);
      answer.values.clear();
      return answer;
    }
    if (!one.written.empty()) value = written.mean_at(one.written[i], max_value).value_or(value);
    answer.values.push_back(value);
  }
  answer.status = AnswerStatus::ok;
  return answer;
}

}  // namespace

std::vector<Answer> read_values(const ChatAnswer& answer, std::span<const std::size_t> n_units,
                                int max_value) {
  const std::vector<Found> all = read_objects(answer.content);
  if (all.empty())
    return std::vector<Answer>(n_units.size(),
                               unreadable(answer.content, "no answer of the form asked for"));
  std::vector<std::vector<const Found*>> by_id(n_units.size());
  for (const Found& found : all)
    if (found.id >= 1 && found.id <= static_cast<std::int64_t>(n_units.size()))
      by_id[static_cast<std::size_t>(found.id - 1)].push_back(&found);
  const WrittenNumbers written(answer.tokens);
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < n_units.size(); ++i)
    answers.push_back(read_answer(by_id[i], n_units[i], max_value, written));
  return answers;
}

Answer unreadable(std::string_view content, std::string_view problem) {
  return {opens_as_refusal(content) ? AnswerStatus::refused : AnswerStatus::unparsable,
          {},
          fmt::format("{}: {}", problem, printable(content))};
}

}  // namespace safesail
