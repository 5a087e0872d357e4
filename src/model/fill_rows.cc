#include "model/fill_rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>

namespace safesail {
namespace {

void read_row(const SourceTensor& source, std::int64_t first, float* out, std::int64_t n) {
  source.read(first, {out, static_cast<std::size_t>(n)});
}
void read_row(const SourceTensor& source, std::int64_t first, at::BFloat16* out, std::int64_t n) {
  source.read_bf16(first, {reinterpret_cast<std::uint16_t*>(out), static_cast<std::size_t>(n)});
}

template <class T>
void fill_piece(T* out, const Target& target, const SourceRows& piece) {
  const bool matrix = target.shape.size() == 2;
  if (!matrix && piece.n_rows > 0) {
    // Quantised vectors are read whole: an element may lie inside a block.
    std::vector<T> values(static_cast<std::size_t>(piece.n_rows));
    read_row(piece.source, 0, values.data(), piece.n_rows);
    for (std::int64_t row = 0; row < piece.n_rows; ++row)
      out[piece.first_row + row] = values[static_cast<std::size_t>(piece.source_row(row))];
    return;
  }
  const std::int64_t columns = target.shape[1];
  if (piece.transposed) {
    // The file's row is our column; a tile of file rows is read and turned.
    constexpr std::int64_t kTile = 16;
    at::parallel_for(
        0, (columns + kTile - 1) / kTile, 1, [&](std::int64_t begin, std::int64_t end) {
          std::vector<T> tile(static_cast<std::size_t>(kTile * piece.n_rows));
          for (std::int64_t first = begin * kTile; first < std::min(end * kTile, columns);
               first += kTile) {
            const std::int64_t n = std::min(kTile, columns - first);
            read_row(piece.source, first * piece.n_rows, tile.data(), n * piece.n_rows);
            for (std::int64_t row = 0; row < piece.n_rows; ++row)
              for (std::int64_t c = 0; c < n; ++c)
                out[(piece.first_row + row) * columns + first + c] =
                    tile[static_cast<std::size_t>(c * piece.n_rows + row)];
          }
        });
    return;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, 32768 / columns);
  at::parallel_for(0, piece.n_rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      read_row(piece.source, piece.source_row(row) * columns,
               out + (piece.first_row + row) * columns, columns);
  });
}

void fill_piece(const Target& target, const SourceRows& piece) {
  if (target.dtype == at::kBFloat16)
    fill_piece(target.tensor->data_ptr<at::BFloat16>(), target, piece);
  else
    fill_piece(target.tensor->data_ptr<float>(), target, piece);
}

}  // namespace

std::uint64_t Target::bytes() const {
  std::uint64_t n = c10::elementSize(dtype);
  for (const std::int64_t size : shape) n *= static_cast<std::uint64_t>(size);
  return n;
}

void fill_rows(const Target& target) {
  if (target.zeroed) target.tensor->zero_();
  for (const SourceRows& piece : target.pieces) fill_piece(target, piece);
  if (target.offset != 0) target.tensor->add_(target.offset);
}

}  // namespace safesail
