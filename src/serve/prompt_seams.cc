#include "serve/prompt_seams.h"

#include <algorithm>

namespace safesail {

std::size_t n_tokens_before(const Encoding& encoding, std::size_t end) {
  const auto behind =
      std::ranges::find_if(encoding.offsets, [&](const auto& bytes) { return bytes.second > end; });
  return static_cast<std::size_t>(behind - encoding.offsets.begin());
}

std::vector<std::size_t> prompt_seams(std::string_view text, const Encoding& encoding,
                                      const std::vector<ChatMessage>& messages) {
  std::vector<std::size_t> seams;
  std::size_t from = 0;
  for (const ChatMessage& message : messages) {
    // Templates trim what they put in.
    std::string_view content = message.content;
    content.remove_prefix(std::min(content.find_first_not_of(" \n"), content.size()));
    content = content.substr(0, content.find_last_not_of(" \n") + 1);
    const std::size_t at = content.empty() ? text.npos : text.find(content, from);
    if (at == text.npos) continue;
    seams.push_back(n_tokens_before(encoding, at));
    if (const std::size_t line = content.find('\n'); line != content.npos)
      seams.push_back(n_tokens_before(encoding, at + line + 1));
    from = at + content.size();
  }
  return seams;
}

}  // namespace safesail
