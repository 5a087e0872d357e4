// tokenizer_config.json -> what text_rs_tokenizer_new adds to tokenizer.json. Internal to the room;
// free functions.
#pragma once

#include <map>
#include <string>

#include "formats/json.h"
#include "text/tokenizer_source.h"

namespace safesail {

/// "bos_token", "eos_token", "unk_token"... -> their texts. Chat templates see them as variables.
std::map<std::string, std::string> named_tokens_of(const Json& config);

/// The settings of text_rs_tokenizer_new, as transformers reads them out of the config: every token
/// of added_tokens_decoder, then the named and the additional special ones.
Json tokenizer_settings(const Json& config, std::optional<AddedEnds> ends);

}  // namespace safesail
