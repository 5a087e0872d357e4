// The whole of `safesail harvest`: blocks from a source into shards.
#pragma once

#include <cstdint>
#include <stop_token>

#include "base/report.h"
#include "harvest/activation_files.h"
#include "harvest/block.h"

namespace safesail {

/// Writes every block of `source`; `expected_rows` is for the progress only. Returns the rows
/// written. `stop` ends with an environment error behind a whole shard.
std::uint64_t harvest_to_files(BlockSource& source, ActivationWriter& writer,
                               std::uint64_t expected_rows, Reporter& reporter,
                               std::stop_token stop);

}  // namespace safesail
