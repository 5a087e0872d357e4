// Texts and chats as tokens with their byte ranges and roles, and answers to them.
#include <algorithm>

#include "diagnose/trace.h"
#include "text/chat_ranges.h"
#include "text/stream_decoder.h"

namespace safesail {
namespace {

TracePrompt prompt_of(const Tokenizer& tokenizer, std::string text, bool add_special) {
  TracePrompt prompt{std::move(text), {}};
  const Encoding encoding = tokenizer.encode(prompt.text, add_special);
  std::uint32_t begin = 0;
  for (std::size_t t = 0; t < encoding.ids.size(); ++t) {
    TraceToken& token = prompt.tokens.emplace_back();
    token.position = static_cast<std::int32_t>(t);
    token.id = encoding.ids[t];
    token.start = begin;
    token.end = begin = std::max(begin, encoding.offsets[t].second);
    token.is_special = tokenizer.is_special(token.id);
    token.role = "text";
  }
  return prompt;
}

}  // namespace

std::vector<std::int32_t> ids_of(const TracePrompt& prompt) {
  std::vector<std::int32_t> ids;
  for (const TraceToken& token : prompt.tokens) ids.push_back(token.id);
  return ids;
}

TracePrompt prompt_of_text(const Tokenizer& tokenizer, const std::string& text) {
  return prompt_of(tokenizer, text, true);
}

TracePrompt prompt_of_messages(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                               bool add_generation_prompt, const Json& arguments) {
  RenderedChat chat =
      render_chat_with_ranges(tokenizer, messages, add_generation_prompt, arguments);
  TracePrompt prompt = prompt_of(tokenizer, std::move(chat.text), false);
  for (TraceToken& token : prompt.tokens) {
    // A token across a border belongs to the message that its last byte is in.
    const auto range = std::ranges::find_if(chat.ranges, [&](const MessageRange& one) {
      return token.end > one.begin && token.end <= one.end;
    });
    token.role = range == chat.ranges.end() ? "template" : messages[range->message].role;
  }
  return prompt;
}

const TraceToken& append_response(TracePrompt& prompt, std::int32_t id, std::string_view text,
                                  const Tokenizer& tokenizer) {
  TraceToken& token = prompt.tokens.emplace_back();
  token.position = static_cast<std::int32_t>(prompt.tokens.size() - 1);
  token.id = id;
  token.start = static_cast<std::uint32_t>(prompt.text.size());
  prompt.text += text;
  token.end = static_cast<std::uint32_t>(prompt.text.size());
  token.role = "assistant";
  token.is_response = true;
  token.is_special = tokenizer.is_special(id);
  return token;
}

TracePrompt with_answer(const TextModel& model, TracePrompt prompt, const GenerateConfig& config,
                        std::stop_token stop) {
  const std::vector<std::int32_t> ids = ids_of(prompt);
  StreamDecoder decoder(model.tokenizer);
  generate(
      model.model, {ids}, config,
      [&](std::size_t, std::int32_t id) {
        append_response(prompt, id, decoder.add(id), model.tokenizer);
      },
      stop);
  return prompt;
}

}  // namespace safesail
