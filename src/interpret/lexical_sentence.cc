#include "interpret/lexical_sentence.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <fmt/format.h>
#include <map>

namespace safesail {
namespace {

using Group = LexicalFindings::Group;

/// The frame of the sentences in one language. Numbers are positions of arguments.
struct Frame {
  std::string_view comma, stop, or_, quoted;
  std::string_view never, on, on_and_others, on_many, on_such_as, on_group;
  std::string_view everywhere, sometimes;
  std::string_view beginning, ending, after, word_after;
  std::map<std::string_view, std::string_view> traits;
  std::string_view group, company, promotes, dense;
};

const Frame& frame_of(SentenceLanguage language) {
  static const std::array<Frame, 2> frames = {
      Frame{.comma = ", ",
            .stop = ". ",
            .or_ = " or ",
            .quoted = "“{}”",
            .never = "Does not fire in any text it was to be explained from.",
            .on = "Fires on {0} ({1} % of its activation)",
            .on_and_others = "Fires on {0} ({1} % of its activation) and other words",
            .on_many = "Fires on many different words, among them {0} ({1} % of its activation)",
            .on_such_as = "Fires on many different words, most strongly on {0}",
            .on_group = "Fires on {0} ({1} % of its activation), most strongly on {2}",
            .everywhere = ", in any context",
            .sometimes = ", in some contexts only",
            .beginning = "words that begin with {}",
            .ending = "words that end in {}",
            .after = "what follows {}",
            .word_after = "{0} after {1}",
            .traits = {{"capital", "capitalised words"},
                       {"number", "numbers"},
                       {"mark", "punctuation"},
                       {"first", "the first word of a text"}},
            .group = ", often {0} ({1} %)",
            .company = "In texts with {}",
            .promotes = "Promotes {}",
            .dense = "Dense: fires on {} % of all tokens"},
      Frame{.comma = "、",
            .stop = "。",
            .or_ = "或",
            .quoted = "“{}”",
            .never = "在用于解释的文本中从未激活。",
            .on = "在 {0} 上激活（占激活量的 {1} %）",
            .on_and_others = "在 {0}（占激活量的 {1} %）及其他词上激活",
            .on_many = "在许多不同的词上激活，其中有 {0}（占激活量的 {1} %）",
            .on_such_as = "在许多不同的词上激活，最强的是 {0}",
            .on_group = "在{0}上激活（占激活量的 {1} %），最强的是 {2}",
            .everywhere = "，不论上下文",
            .sometimes = "，仅在部分上下文中",
            .beginning = "以 {} 开头的词",
            .ending = "以 {} 结尾的词",
            .after = "{} 之后的词",
            .word_after = "{1} 之后的 {0}",
            .traits = {{"capital", "首字母大写的词"},
                       {"number", "数字"},
                       {"mark", "标点"},
                       {"first", "文本的第一个词"}},
            .group = "，常为{0}（{1} %）",
            .company = "所在文本常含 {}",
            .promotes = "促进输出 {}",
            .dense = "密集：在 {} % 的词元上激活"}};
  return frames[static_cast<std::size_t>(language)];
}

template <class... Arguments>
std::string fill(std::string_view pattern, const Arguments&... arguments) {
  return fmt::format(fmt::runtime(pattern), arguments...);
}

int percent(double share) {
  return static_cast<int>(std::lround(100 * share));
}

/// "a, b or c", with `last` in place of the last comma.
std::string joined(const std::vector<std::string>& parts, std::string_view comma,
                   std::string_view last) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += i + 1 == parts.size() ? last : comma;
    text += parts[i];
  }
  return text;
}
std::string joined(const Frame& frame, const std::vector<std::string>& parts) {
  return joined(parts, frame.comma, frame.comma);
}

/// Words stand as they are; marks and words that would be read as part of the sentence are quoted.
std::string shown(const Frame& frame, const std::string& word) {
  const auto is_letter = [](unsigned char c) { return c >= 0x80 || std::isalnum(c) != 0; };
  const bool is_plain =
      std::ranges::all_of(word,
                          [&](unsigned char c) { return is_letter(c) || c == '\'' || c == '-'; }) &&
      std::ranges::any_of(word, is_letter);
  return is_plain && !is_function_word(fold_case(word)) ? word : fill(frame.quoted, word);
}

std::string list_of_strongest(const Frame& frame, const LexicalFindings& findings) {
  std::vector<std::string> parts;
  for (const std::string& word : findings.strongest) parts.push_back(shown(frame, word));
  return joined(frame, parts);
}

std::string list_of_words(const Frame& frame, const LexicalFindings& findings) {
  std::vector<std::string> parts;
  for (const LexicalFindings::Word& word : findings.words)
    parts.push_back(word.after.empty() ? shown(frame, word.text)
                                       : fill(frame.word_after, fill(frame.quoted, word.text),
                                              fill(frame.quoted, word.after)));
  return joined(frame, parts);
}

std::string list_of_group(const Frame& frame, const Group& group) {
  std::vector<std::string> parts;
  for (const std::string& text : group.texts) switch (group.kind) {
      case CueKind::beginning:
        parts.push_back(text + "-");
        break;
      case CueKind::ending:
        parts.push_back("-" + text);
        break;
      case CueKind::trait:
        parts.emplace_back(frame.traits.at(text));
        break;
      default:
        parts.push_back(fill(frame.quoted, text));
    }
  const std::string list = joined(parts, frame.comma, frame.or_);
  switch (group.kind) {
    case CueKind::beginning:
      return fill(frame.beginning, list);
    case CueKind::ending:
      return fill(frame.ending, list);
    case CueKind::after:
      return fill(frame.after, list);
    default:
      return list;
  }
}

std::string clause_of_words(const Frame& frame, const LexicalFindings& findings) {
  constexpr double kMostOfIt = 0.5, kMuchOfIt = 0.25;
  constexpr double kAlways = 0.8, kSometimes = 0.5;  // of the units of the listed words
  const std::string_view pattern = findings.share >= kMostOfIt   ? frame.on
                                   : findings.share >= kMuchOfIt ? frame.on_and_others
                                                                 : frame.on_many;
  std::string text = fill(pattern, list_of_words(frame, findings), percent(findings.share));
  if (findings.share >= kMuchOfIt && findings.precision >= kAlways) text += frame.everywhere;
  if (findings.share >= kMuchOfIt && findings.precision < kSometimes) text += frame.sometimes;
  return text;
}

/// What it fires on: a group where one has most of it, else the words, else that they are many;
/// then up to two groups.
std::string what_it_fires_on(const Frame& frame, const LexicalFindings& findings) {
  constexpr double kLeads = 0.5, kLittleOfIt = 0.1;
  std::vector<Group> groups = findings.groups;
  std::string text;
  if (!groups.empty() && groups[0].share >= std::max(kLeads, findings.share)) {
    text = fill(frame.on_group, list_of_group(frame, groups[0]), percent(groups[0].share),
                list_of_strongest(frame, findings));
    groups.erase(groups.begin());
  } else if (findings.share >= kLittleOfIt) {
    text = clause_of_words(frame, findings);
  } else {
    text = fill(frame.on_such_as, list_of_strongest(frame, findings));
  }
  constexpr std::size_t kMaxGroups = 2;
  for (std::size_t i = 0; i < std::min(kMaxGroups, groups.size()); ++i)
    text += fill(frame.group, list_of_group(frame, groups[i]), percent(groups[i].share_beyond));
  return text;
}

}  // namespace

std::string lexical_sentence(const LexicalFindings& findings,
                             const std::vector<std::string>& promoted, double density,
                             SentenceLanguage language) {
  constexpr double kDense = 0.02;
  const Frame& frame = frame_of(language);
  if (findings.n_documents == 0) return std::string(frame.never);
  std::string text = what_it_fires_on(frame, findings) + std::string(frame.stop);
  if (!findings.company.empty())
    text += fill(frame.company, joined(frame, findings.company)) + std::string(frame.stop);
  if (!promoted.empty())
    text += fill(frame.promotes, joined(frame, promoted)) + std::string(frame.stop);
  if (density >= kDense) text += fill(frame.dense, percent(density)) + std::string(frame.stop);
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string lexical_gist(std::string_view sentence) {
  for (const std::string_view rest : {" Promotes ", " Dense: fires on "})
    if (const auto at = sentence.find(rest); at != sentence.npos && sentence[at - (at > 0)] == '.')
      sentence = sentence.substr(0, at);
  for (const std::string_view opening : {"Fires on ", "many different words, among them ",
                                         "many different words, most strongly on "})
    if (sentence.starts_with(opening)) sentence.remove_prefix(opening.size());
  std::string gist;
  for (std::size_t at = 0; at < sentence.size(); ++at) {
    // " (41 % of its activation)", " (18 %)"
    if (sentence.substr(at).starts_with(" (")) {
      std::size_t end = at + 2;
      while (end < sentence.size() && sentence[end] >= '0' && sentence[end] <= '9') ++end;
      if (end > at + 2 && sentence.substr(end).starts_with(" %"))
        if (const auto close = sentence.find(')', end); close != sentence.npos) {
          at = close;
          continue;
        }
    }
    gist += sentence[at];
  }
  gist.erase(gist.find_last_not_of(". ") + 1);
  return gist;
}

}  // namespace safesail
