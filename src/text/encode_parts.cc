#include "text/encode_parts.h"

#include <map>
#include <mutex>
#include <utility>

#include "base/threads.h"

namespace safesail {

EncodedTexts::EncodedTexts(const TextRsTokenizer* tokenizer, std::span<const TextRsSlice> texts,
                           bool add_special, bool with_offsets)
    : tokens_(rust<TextRsTokens>("text", kTextRemedy, [&](auto* out, auto* error) {
        return text_rs_encode(tokenizer, texts.data(), texts.size(), add_special, with_offsets, out,
                              error);
      })) {}

EncodedTexts::~EncodedTexts() {
  text_rs_tokens_free(tokens_);
}

EncodedTexts::EncodedTexts(EncodedTexts&& other) noexcept
    : tokens_(std::exchange(other.tokens_, {})) {}

Encoding EncodedTexts::encoding(std::size_t text) const {
  const std::size_t begin = text == 0 ? 0 : tokens_.ends[text - 1], end = tokens_.ends[text];
  Encoding encoding;
  encoding.ids.assign(tokens_.ids + begin, tokens_.ids + end);
  encoding.offsets.reserve(end - begin);
  for (std::size_t t = begin; t < end; ++t)
    encoding.offsets.emplace_back(tokens_.offsets[2 * t], tokens_.offsets[2 * t + 1]);
  return encoding;
}

std::vector<EncodedTexts> encode_parts(const TextRsTokenizer* tokenizer,
                                       std::span<const std::string> texts, bool add_special,
                                       bool with_offsets) {
  // Below this a thread costs more than it gains.
  constexpr std::size_t kGrain = 256;
  std::map<std::size_t, EncodedTexts> parts;
  std::mutex mutex;
  parallel_for(texts.size(), kGrain, 0, [&](std::size_t begin, std::size_t end) {
    std::vector<TextRsSlice> slices;
    slices.reserve(end - begin);
    for (std::size_t i = begin; i < end; ++i) slices.push_back(slice_of(texts[i]));
    EncodedTexts part(tokenizer, slices, add_special, with_offsets);
    const std::scoped_lock lock(mutex);
    parts.emplace(begin, std::move(part));
  });
  std::vector<EncodedTexts> in_order;
  in_order.reserve(parts.size());
  for (auto& [begin, part] : parts) in_order.push_back(std::move(part));
  return in_order;
}

}  // namespace safesail
