#include "text/end_of_turn.h"

#include <string>
#include <string_view>

#include "base/error.h"
#include "text/chat.h"

namespace safesail {

std::optional<std::int32_t> end_of_turn(const Tokenizer& tokenizer) {
  if (!tokenizer.chat_template()) return std::nullopt;
  constexpr std::string_view kAnswer = "safesail";
  std::string chat;
  try {
    chat = render_chat(tokenizer, {{"user", "hello"}, {"assistant", std::string(kAnswer)}}, false);
  } catch (const Error&) {
    return std::nullopt;  // it does not take such a chat; who renders one is told why
  }
  const std::size_t answer = chat.rfind(kAnswer);
  if (answer == chat.npos) return std::nullopt;
  const std::size_t behind = answer + kAnswer.size();
  const Encoding encoding = tokenizer.encode(chat, false);
  for (std::size_t t = 0; t < encoding.ids.size(); ++t) {
    const std::size_t start = encoding.offsets[t].first;
    if (start < behind || !tokenizer.is_special(encoding.ids[t])) continue;
    const std::string_view between = std::string_view(chat).substr(behind, start - behind);
    if (between.find_first_not_of(" \n") != between.npos) return std::nullopt;
    return encoding.ids[t];
  }
  return std::nullopt;
}

std::vector<std::int32_t> end_tokens(const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  for (const auto& id : {tokenizer.eos(), end_of_turn(tokenizer)})
    if (id) ids.push_back(*id);
  return ids;
}

}  // namespace safesail
