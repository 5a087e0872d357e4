// Token ids to text while they arrive: gives only whole characters, and joins words as decoding all
// the ids at once would.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace safesail {

/// One sequence, one thread; the tokenizer must outlive it. Special tokens give no text.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// The text that `id` completes; empty while a character is still in pieces.
  std::string add(std::int32_t id);
  /// What is left at the end: an unfinished character as U+FFFD.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  // Decoding starts a little before what was given out, since a token's text depends on the one
  // before it (a leading space, a byte of a character).
  std::vector<std::int32_t> ids_;
  std::size_t window_ = 0, given_ = 0;
};

}  // namespace safesail
