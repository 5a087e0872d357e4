// What the families read from GGUF metadata in the same way. Free functions; a key that is missing,
// impossible or unknown is an input error.
#pragma once

#include <cstdint>
#include <string_view>

#include "formats/gguf.h"
#include "model/families/plan.h"

namespace safesail {

/// Sizes, epsilon and end tokens from `<architecture>.*`, with GGUF's own tensor names. No rotation
/// yet.
/// `hugging_face`: the family's names there, for those of its modules.
ModelPlan read_common(const GgufFile& file, NormKind norm, const WeightMap& hugging_face);

/// The rotation that llama.cpp takes: a factor without a type is linear, and has an older name.
/// `base_key`: an own key of the base, where the family has one beside rope.freq_base.
Rope read_rope(const GgufFile& file, std::int64_t head_dim,
               std::string_view base_key = "rope.freq_base");

/// A "<architecture>.key" of the file.
std::int64_t gguf_integer(const GgufFile& file, std::string_view key);
std::int64_t gguf_integer_or(const GgufFile& file, std::string_view key, std::int64_t otherwise);
double gguf_number_or(const GgufFile& file, std::string_view key, double otherwise);

}  // namespace safesail
