#include "interpret/llm_excerpts.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "base/error.h"
#include "base/rng.h"
#include "formats/json.h"

namespace safesail {
namespace {

bool is_near(WindowKind kind) {
  return kind == WindowKind::hard_token || kind == WindowKind::hard_cofiring;
}

/// The next start of a character at or after `at`.
std::size_t character_end(std::string_view text, std::size_t at) {
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

std::size_t character_begin(std::string_view text, std::size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

}  // namespace

std::string json_string(std::string_view text) {
  return dump_json(Json(text));
}

Marks marks_for(std::span<const std::string_view> texts) {
  std::size_t longest = 1;
  for (const std::string_view text : texts) {
    std::size_t run = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool goes_on = run > 0 && text[i] == text[i - 1];
      run = text[i] != '<' && text[i] != '>' ? 0 : goes_on ? run + 1 : 1;
      longest = std::max(longest, run);
    }
  }
  return {std::string(longest + 1, '<'), std::string(longest + 1, '>')};
}

std::string text_with_levels(const Window& window, float quantile, const Marks& marks) {
  const std::string_view text = window.text;
  std::string marked;
  for (std::size_t t = 0, at = 0; t < window.n_tokens();) {
    int level = activation_level(window.activation[t], quantile);
    std::size_t end = window.starts[++t];
    for (; t < window.n_tokens() && character_end(text, end) != end; end = window.starts[++t])
      level = std::max(level, activation_level(window.activation[t], quantile));
    const std::string_view token = text.substr(at, end - at);
    at = end;
    if (level == 0) {
      marked += token;
      continue;
    }
    // The blank that many tokens begin with stays outside, as a reader would mark it.
    const std::size_t blank = token.size() > 1 && token[0] == ' ' ? 1 : 0;
    marked += fmt::format("{}{}{}|{}{}", token.substr(0, blank), marks.open, token.substr(blank),
                          level, marks.close);
  }
  return marked;
}

std::string text_with_marks(std::string_view text, std::span<const Question::Range> marked,
                            const Marks& marks) {
  std::string result;
  std::size_t at = 0;
  for (std::size_t i = 0; i < marked.size();) {
    SAFESAIL_CHECK(marked[i].begin <= marked[i].end && marked[i].end <= text.size());
    std::size_t begin = std::max(at, character_begin(text, marked[i].begin));
    std::size_t end = character_end(text, marked[i].end);
    for (++i; i < marked.size() && marked[i].begin <= end; ++i)
      end = std::max(end, character_end(text, marked[i].end));
    if (begin + 1 < end && text[begin] == ' ') ++begin;
    result.append(text.substr(at, begin - at)).append(marks.open);
    result.append(text.substr(begin, end - begin)).append(marks.close);
    at = end;
  }
  return result.append(text.substr(at));
}

std::optional<ExcerptPlan> ExcerptPlan::fewer() const {
  const ExcerptPlan half{std::max(1, per_level / 2), near / 2, silent / 2};
  const bool is_less = half.per_level < per_level || half.near < near || half.silent < silent;
  return is_less ? std::optional(half) : std::nullopt;
}

std::vector<const Exemplar*> choose_excerpts(const FeatureRecord& record, const ExcerptPlan& plan,
                                             std::uint64_t seed) {
  std::array<std::vector<const Exemplar*>, kMaxLevel + 1> by_level;
  std::vector<const Exemplar*> near, silent;
  for (const Exemplar& exemplar : record.exemplars) {
    SAFESAIL_CHECK(exemplar.use == Use::explain);
    SAFESAIL_CHECK(exemplar.level >= 0 && exemplar.level <= kMaxLevel);
    if (is_near(exemplar.kind))
      near.push_back(&exemplar);
    else if (exemplar.kind == WindowKind::silent)
      silent.push_back(&exemplar);
    else
      by_level[static_cast<std::size_t>(exemplar.level)].push_back(&exemplar);
  }
  Rng rng(seed, "excerpts " + feature_name(record.site, record.feature));
  std::vector<const Exemplar*> chosen;
  const auto draw = [&](std::vector<const Exemplar*>& from, int n) {
    shuffle(from, rng);
    from.resize(std::min(from.size(), static_cast<std::size_t>(n)));
    chosen.insert(chosen.end(), from.begin(), from.end());
  };
  for (std::size_t level = kMaxLevel; level >= 1; --level) draw(by_level[level], plan.per_level);
  draw(near, plan.near);
  draw(silent, plan.silent);
  return chosen;
}

}  // namespace safesail
