// A batch of coded text cut into windows: runs of content tokens of one document, all of at most
// the same length.
#pragma once

#include <cstdint>
#include <vector>

#include "harvest/coded_stream.h"
#include "harvest/exemplars.h"

namespace safesail {

/// Rows [first_row, first_row + n_rows) of a batch, all of the batch's piece number `piece`.
struct WindowRows {
  std::size_t piece = 0, first_row = 0, n_rows = 0;
  std::uint64_t hash = 0;  ///< of its tokens: equal for equal text
};

/// In the batch's order. A window ends at a special token too; one of fewer than `min_tokens` is
/// left out.
std::vector<WindowRows> cut_windows(const CodedBatch& batch, int window_tokens, int min_tokens);

/// The window with its text; activations are zeros.
Window make_window(const CodedBatch& batch, const WindowRows& rows);

/// By shares of explain and calibrate documents; the rest are for the test.
Use use_of_document(std::uint64_t likeness, double explain_share, double calibrate_share);

}  // namespace safesail
