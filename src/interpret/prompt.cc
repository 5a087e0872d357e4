#include "interpret/prompt.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <set>

#include "base/error.h"
#include "base/hash.h"

namespace safesail {
namespace {

constexpr std::string_view kMessage = "@@ ", kOpen = "{{", kClose = "}}";
constexpr std::size_t kCopiedWords = 5;

/// Letters and digits of any script, in small letters where they are ASCII.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_part = byte >= 0x80 || std::isalnum(byte) != 0;
    if (is_part) {
      if (!in_word) words.emplace_back();
      words.back() += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
    }
    in_word = is_part;
  }
  return words;
}

const PromptFile& find(std::string_view name) {
  const auto files = prompt_files();
  const auto file =
      std::find_if(files.begin(), files.end(), [&](const PromptFile& f) { return f.name == name; });
  SAFESAIL_CHECK(file != files.end());
  return *file;
}

}  // namespace

Prompt::Prompt(std::string_view name) : Prompt(find(name)) {}

Prompt::Prompt(const PromptFile& file) : name_(file.name), hash_(hash_hex(file.text)) {
  std::string* text = nullptr;  // of the message that is being read
  for (std::string_view rest = file.text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.starts_with(kMessage)) {
      if (text != nullptr) text->append(line).append("\n");
      continue;
    }
    const std::string_view role = line.substr(kMessage.size());
    if (role == "example") {
      text = &examples_.emplace_back(Example{{"user", ""}, {"assistant", ""}}).question.content;
    } else if (role == "answer") {
      SAFESAIL_CHECK(!examples_.empty() && text == &examples_.back().question.content);
      text = &examples_.back().answer.content;
    } else {
      SAFESAIL_CHECK(role == "system" || role == "user" || role == "assistant");
      text = &messages_.emplace_back(ChatMessage{std::string(role), ""}).content;
    }
  }
  SAFESAIL_CHECK(!messages_.empty() && messages_.back().role == "user");
  SAFESAIL_CHECK(examples_.empty() || (examples_.size() >= 4 && examples_.size() % 2 == 0));
  const auto close = [](ChatMessage& message) {
    message.content.erase(message.content.find_last_not_of('\n') + 1);
    SAFESAIL_CHECK(!message.content.empty());
  };
  for (ChatMessage& message : messages_) close(message);
  for (Example& example : examples_) {
    close(example.question);
    close(example.answer);
  }
}

std::vector<ChatMessage> Prompt::shown(std::string_view drawn_by) const {
  if (examples_.empty()) return messages_;
  const std::uint64_t hash = hash64(drawn_by);
  const std::size_t half = examples_.size() / 2;
  std::array<const Example*, 2> two = {&examples_[hash % half],
                                       &examples_[half + hash / half % half]};
  if (hash / half / half % 2 != 0) std::swap(two[0], two[1]);
  std::vector<ChatMessage> messages(messages_.begin(), messages_.end() - 1);
  for (const Example* example : two) {
    messages.push_back(example->question);
    messages.push_back(example->answer);
  }
  messages.push_back(messages_.back());
  return messages;
}

std::vector<ChatMessage> Prompt::fill(Values values, std::string_view drawn_by) const {
  std::set<std::string_view> used;
  std::vector<ChatMessage> filled;
  for (const ChatMessage& message : shown(drawn_by)) {
    std::string text;
    std::string_view rest = message.content;
    for (auto at = rest.find(kOpen); at != rest.npos; at = rest.find(kOpen)) {
      const auto end = rest.find(kClose, at);
      SAFESAIL_CHECK(end != rest.npos);
      const std::string_view name = rest.substr(at + kOpen.size(), end - at - kOpen.size());
      const auto* const value = std::find_if(values.begin(), values.end(),
                                             [&](const auto& v) { return v.first == name; });
      SAFESAIL_CHECK(value != values.end());
      used.insert(name);
      text.append(rest.substr(0, at)).append(value->second);
      rest.remove_prefix(end + kClose.size());
    }
    filled.push_back({message.role, text.append(rest)});
  }
  SAFESAIL_CHECK(used.size() == values.size());
  return filled;
}

bool copies_an_example(std::string_view answer, std::span<const ChatMessage> messages) {
  const std::vector<std::string> said = words_of(answer);
  for (std::size_t m = 1; m + 1 < messages.size(); ++m) {
    const std::vector<std::string> example = words_of(messages[m].content);
    for (std::size_t at = 0; at + kCopiedWords <= said.size(); ++at) {
      const auto run = std::span(said).subspan(at, kCopiedWords);
      if (std::search(example.begin(), example.end(), run.begin(), run.end()) != example.end())
        return true;
    }
  }
  return false;
}

}  // namespace safesail
