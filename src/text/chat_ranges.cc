#include "text/chat_ranges.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"

namespace safesail {
namespace {

// Marks are characters of plane 15: two for each message, all of four bytes.
constexpr std::uint32_t kFirstMark = 0xF0000, kMostMarks = 0xFFFE;
constexpr std::size_t kMarkBytes = 4;
/// Chats of more messages are not rendered again for each of them.
constexpr std::size_t kMostAlone = 32;

/// What a template may trim. Beyond it only exotic blanks, which then stay inside the marks.
constexpr std::array<std::string_view, 8> kBlanks = {" ",  "\t", "\n",     "\r",
                                                     "\v", "\f", "\u00a0", "\u3000"};

std::string mark(std::uint32_t number) {
  const std::uint32_t code = kFirstMark + number;
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  return {byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 0x3F)),
          byte(0x80 | (code >> 6 & 0x3F)), byte(0x80 | (code & 0x3F))};
}

/// The number of the mark that `text` begins with.
std::optional<std::uint32_t> mark_at(std::string_view text, std::uint32_t n_marks) {
  if (text.size() < kMarkBytes || static_cast<unsigned char>(text[0]) != 0xF3) return std::nullopt;
  std::uint32_t code = 3;
  for (std::size_t k = 1; k < kMarkBytes; ++k)
    code = code << 6 | (static_cast<unsigned char>(text[k]) & 0x3F);
  if (code < kFirstMark || code >= kFirstMark + n_marks) return std::nullopt;
  return code - kFirstMark;
}

std::string_view trimmed(std::string_view text) {
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view blank : kBlanks) {
      if (text.starts_with(blank)) text.remove_prefix(blank.size()), again = true;
      if (text.ends_with(blank)) text.remove_suffix(blank.size()), again = true;
    }
  }
  return text;
}

/// How many bytes the two have in common at their ends, or at their beginnings.
std::size_t common_end(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.rbegin(), a.rend(), b.rbegin(), b.rend()).first -
                                  a.rbegin());
}
std::size_t common_start(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                                  a.begin());
}

class RangeFinder {
 public:
  RangeFinder(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
              bool add_generation_prompt, const Json& arguments)
      : tokenizer_(tokenizer),
        messages_(messages),
        add_generation_prompt_(add_generation_prompt),
        arguments_(arguments),
        text_(render(messages)) {}

  RenderedChat find() {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < messages_.size(); ++i)
      if (!trimmed(messages_[i].content).empty()) all.push_back(i);
    if (2 * messages_.size() > kMostMarks) return {text_, {}};
    std::vector<std::size_t> unknown;
    if (!read_marks(all)) {
      for (const std::size_t i : all)
        if (all.size() > kMostAlone || !read_marks({&i, 1})) unknown.push_back(i);
      for (const std::size_t i : unknown) search(i);
    }
    settle();
    return {std::move(text_), std::move(ranges_)};
  }

 private:
  std::string render(const std::vector<ChatMessage>& messages) const {
    return render_chat(tokenizer_, messages, add_generation_prompt_, arguments_);
  }

  /// Takes the ranges of these messages from a rendering with marks; false where the marks change
  /// the text.
  bool read_marks(std::span<const std::size_t> which) {
    std::vector<ChatMessage> marked = messages_;
    for (const std::size_t i : which) {
      const std::string_view whole = messages_[i].content, inner = trimmed(whole);
      const auto number = static_cast<std::uint32_t>(2 * i);
      const std::size_t at = static_cast<std::size_t>(inner.data() - whole.data());
      marked[i].content = std::string(whole.substr(0, at)) + mark(number) + std::string(inner) +
                          mark(number + 1) + std::string(whole.substr(at + inner.size()));
    }
    std::string rendered;
    try {
      rendered = render(marked);
    } catch (const Error&) {
      return false;
    }
    struct Place {
      std::size_t at;
      std::uint32_t mark;
    };
    std::vector<Place> places;
    std::string without;
    const auto n_marks = static_cast<std::uint32_t>(2 * messages_.size());
    for (std::size_t at = 0; at < rendered.size();) {
      if (const auto number = mark_at(std::string_view(rendered).substr(at), n_marks)) {
        places.push_back({without.size(), *number});
        at += kMarkBytes;
      } else {
        without += rendered[at++];
      }
    }
    if (without != text_) return false;

    for (std::size_t p = 0; p < places.size(); ++p) {
      const std::size_t message = places[p].mark / 2;
      const std::string_view content = trimmed(messages_[message].content);
      const bool opens = places[p].mark % 2 == 0;
      if (opens && p + 1 < places.size() && places[p + 1].mark == places[p].mark + 1) {
        ranges_.push_back({places[p].at, places[p + 1].at, message});
        ++p;
      } else if (opens) {  // the template cut the end off
        const std::size_t most = p + 1 < places.size() ? places[p + 1].at : text_.size();
        const std::string_view behind =
            std::string_view(text_).substr(places[p].at, most - places[p].at);
        add(places[p].at, places[p].at + common_start(content, behind), message);
      } else {  // or the beginning
        const std::size_t least = p > 0 ? places[p - 1].at : 0;
        const std::string_view before = std::string_view(text_).substr(least, places[p].at - least);
        add(places[p].at - common_end(content, before), places[p].at, message);
      }
    }
    return true;
  }

  /// Without the blanks at its ends, which may as well be the template's.
  void add(std::size_t begin, std::size_t end, std::size_t message) {
    const std::string_view inner = trimmed(std::string_view(text_).substr(begin, end - begin));
    if (inner.empty()) return;
    begin = static_cast<std::size_t>(inner.data() - text_.data());
    ranges_.push_back({begin, begin + inner.size(), message});
  }

  /// Where the content stands between those of the messages around it, if in one place only.
  void search(std::size_t message) {
    std::size_t from = 0, to = text_.size();
    for (const MessageRange& range : ranges_) {
      if (range.message < message) from = std::max(from, range.end);
      if (range.message > message) to = std::min(to, range.begin);
    }
    if (from >= to) return;
    const std::string_view content = trimmed(messages_[message].content),
                           within = std::string_view(text_).substr(from, to - from);
    const std::size_t at = within.find(content);
    if (at == within.npos || within.find(content, at + 1) != within.npos) return;
    ranges_.push_back({from + at, from + at + content.size(), message});
  }

  /// By place; of two that overlap the first stays.
  void settle() {
    std::ranges::stable_sort(ranges_, {}, &MessageRange::begin);
    std::size_t end = 0;
    std::erase_if(ranges_, [&](const MessageRange& range) {
      if (range.begin < end) return true;
      end = range.end;
      return false;
    });
  }

  const Tokenizer& tokenizer_;
  const std::vector<ChatMessage>& messages_;
  const bool add_generation_prompt_;
  const Json& arguments_;
  std::string text_;
  std::vector<MessageRange> ranges_;
};

}  // namespace

RenderedChat render_chat_with_ranges(const Tokenizer& tokenizer,
                                     const std::vector<ChatMessage>& messages,
                                     bool add_generation_prompt, const Json& arguments) {
  return RangeFinder(tokenizer, messages, add_generation_prompt, arguments).find();
}

}  // namespace safesail
