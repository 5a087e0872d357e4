#include "harvest/to_files.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"

namespace safesail {

std::uint64_t harvest_to_files(BlockSource& source, ActivationWriter& writer,
                               std::uint64_t expected_rows, Reporter& reporter,
                               std::stop_token stop) {
  while (const std::optional<ActivationBlock> block = source.next()) {
    writer.write(*block);
    reporter.progress("harvest", writer.rows_written(), expected_rows, "tokens", "");
    if (stop.stop_requested() && writer.rows_written() < expected_rows)
      failed("harvest",
             fmt::format("stopped after {} tokens; the shards written so far are whole",
                         writer.rows_written()),
             "use them as they are, or remove the folder to harvest again");
  }
  return writer.rows_written();
}

}  // namespace safesail
