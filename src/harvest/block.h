// A block of activations: what flows from the model to the SAEs, to statistics and to files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace at {
class Tensor;
}

namespace safesail {

/// Rows are tokens; `values[s]` is the s-th site's [n_rows, d_model] in the model's dtype,
/// contiguous, all sites of one row from the same token. The provenance vectors are empty or hold
/// n_rows entries.
struct ActivationBlock {
  std::vector<at::Tensor> values;
  std::vector<std::int32_t> token;
  std::vector<std::int32_t> position;   ///< in its document, from 0
  std::vector<std::uint64_t> document;  ///< Document::id
  double seconds = 0;                   ///< that the model spent on it

  std::size_t n_rows() const;
};

/// A stream of blocks: the model over a corpus, files of activations, or another stream shuffled.
/// The same stream opened again gives the same blocks, bit for bit, so that a number of blocks is
/// all that a resume must know. Used by one thread at a time.
class BlockSource {
 public:
  virtual ~BlockSource() = default;

  /// The next block, or nothing at the end. Never empty.
  virtual std::optional<ActivationBlock> next() = 0;
  /// Passes over the next `n_blocks` as next() would, without computing them. An input error when
  /// the stream has fewer.
  virtual void skip(std::uint64_t n_blocks) = 0;
};

}  // namespace safesail
