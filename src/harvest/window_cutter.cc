#include "harvest/window_cutter.h"

#include <algorithm>
#include <string_view>

#include "base/hash.h"
#include "text/likeness.h"

namespace safesail {

std::vector<WindowRows> cut_windows(const CodedBatch& batch, int window_tokens, int min_tokens) {
  std::vector<WindowRows> windows;
  for (std::size_t p = 0; p < batch.pieces.size(); ++p) {
    const CodedPiece& piece = batch.pieces[p];
    const std::size_t end = piece.first_row + piece.n_rows;
    for (std::size_t first = piece.first_row; first < end;) {
      std::size_t last = first + 1;
      while (last < end && last - first < static_cast<std::size_t>(window_tokens) &&
             batch.position[last] == batch.position[last - 1] + 1)
        ++last;
      if (last - first >= static_cast<std::size_t>(min_tokens)) {
        const auto* ids = reinterpret_cast<const char*>(batch.ids.data() + first);
        windows.push_back({p, first, last - first,
                           hash64(std::string_view(ids, (last - first) * sizeof(std::int32_t)))});
      }
      first = last;
    }
  }
  return windows;
}

Window make_window(const CodedBatch& batch, const WindowRows& rows) {
  const CodedPiece& piece = batch.pieces[rows.piece];
  const std::size_t end = rows.first_row + rows.n_rows;
  Window window{.document = piece.hash,
                .position = batch.position[rows.first_row],
                .ids = {batch.ids.begin() + static_cast<std::ptrdiff_t>(rows.first_row),
                        batch.ids.begin() + static_cast<std::ptrdiff_t>(end)},
                .text = {},
                .starts = {},
                .activation = std::vector<float>(rows.n_rows)};
  const std::uint32_t begin = batch.bytes[rows.first_row].first;
  window.text = piece.text.substr(begin, batch.bytes[end - 1].second - begin);
  for (std::size_t row = rows.first_row; row < end; ++row)
    window.starts.push_back(batch.bytes[row].first - begin);
  window.starts.push_back(static_cast<std::uint32_t>(window.text.size()));
  return window;
}

Use use_of_document(std::uint64_t likeness, double explain_share, double calibrate_share) {
  const double u = likeness_draw(likeness, "use of a document");
  if (u < explain_share) return Use::explain;
  return u < explain_share + calibrate_share ? Use::calibrate : Use::test;
}

}  // namespace safesail
