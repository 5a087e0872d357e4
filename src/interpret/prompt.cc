#include "interpret/prompt.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/hash.h"

namespace safesail {
namespace {

constexpr std::string_view kMessage = "@@ ", kOpen = "{{", kClose = "}}";

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
  for (std::string_view rest = file.text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.starts_with(kMessage)) {
      const std::string_view role = line.substr(kMessage.size());
      SAFESAIL_CHECK(role == "system" || role == "user" || role == "assistant");
      messages_.push_back({std::string(role), ""});
    } else if (!messages_.empty()) {
      messages_.back().content.append(line).append("\n");
    }
  }
  SAFESAIL_CHECK(!messages_.empty() && messages_.back().role == "user");
  for (ChatMessage& message : messages_) {
    std::string& text = message.content;
    text.erase(text.find_last_not_of('\n') + 1);
    SAFESAIL_CHECK(!text.empty());
  }
}

std::vector<ChatMessage> Prompt::fill(Values values) const {
  std::set<std::string_view> used;
  std::vector<ChatMessage> filled;
  for (const ChatMessage& message : messages_) {
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

}  // namespace safesail
