// What bytes a token stands for. A token may be part of a character, which no text can show.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace safesail {

/// Bytes of `id` by itself; those of its spelling where it is a special token. The blank that some
/// tokenizers leave out before the first word of a text is there.
std::string token_bytes(const Tokenizer& tokenizer, std::int32_t id);

}  // namespace safesail
