// Settings that change what a model computes and that no family here knows: where one is made, the
// model is refused by its name instead of computed wrongly. Everything else that a configuration
// may hold and nobody reads has no effect in the reference implementations either.
#pragma once

#include "formats/gguf.h"
#include "formats/json.h"

namespace safesail {

/// Keys of config.json, and of its text_config.
void refuse_settings(const JsonObject& config);
/// Keys "<architecture>.*".
void refuse_settings(const GgufFile& file);

}  // namespace safesail
