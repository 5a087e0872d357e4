// Encodes activations from a file into a file, for comparison with other implementations.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"
#include "sae/sae.h"

namespace safesail {

/// Reads `key` [T, d] (F32, BF16 or F16) of `in` and writes `indices` [T, k] int32 (-1 pads; k is
/// that of a TopK SAE, of others the most that a token has) and `values` [T, k] f32, sorted by
/// falling value; with `reconstruct` also `xhat` [T, d] f32. Returns T.
std::int64_t encode_file(const Sae& sae, const fs::path& in, const std::string& key,
                         const fs::path& out, bool reconstruct);

}  // namespace safesail
