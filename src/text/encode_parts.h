// Texts -> tokens on several threads: the owner of what the Rust half gives, and the division of
// work. Internal to the room; a tokenizer may encode on any number of threads at once.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/rust.h"
#include "text/tokenizer.h"

namespace safesail {

inline constexpr std::string_view kTextRemedy = "give UTF-8 text";

/// The tokens of several texts, freed when done. Text that is not UTF-8 is an input error.
class EncodedTexts {
 public:
  EncodedTexts(const TextRsTokenizer* tokenizer, std::span<const TextRsSlice> texts,
               bool add_special, bool with_offsets);
  ~EncodedTexts();
  EncodedTexts(EncodedTexts&& other) noexcept;

  std::span<const std::int32_t> ids() const { return {tokens_.ids, tokens_.n_tokens}; }
  std::span<const std::size_t> ends() const { return {tokens_.ends, tokens_.n_texts}; }
  /// Of one text; it needs the offsets.
  Encoding encoding(std::size_t text) const;

 private:
  TextRsTokens tokens_;
};

/// The tokens of many texts, encoded on several threads; the parts in order.
std::vector<EncodedTexts> encode_parts(const TextRsTokenizer* tokenizer,
                                       std::span<const std::string> texts, bool add_special,
                                       bool with_offsets);

}  // namespace safesail
