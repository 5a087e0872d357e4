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
/// contiguous. The provenance vectors are empty or hold n_rows entries.
struct ActivationBlock {
  std::vector<at::Tensor> values;
  std::vector<std::int32_t> token;
  std::vector<std::int32_t> position;   ///< in its document, from 0
  std::vector<std::uint64_t> document;  ///< Document::id
  /// How far the source had been read when this block was complete; BlockSource::skip_to continues
  /// there.
  std::uint64_t cursor = 0;

  std::size_t n_rows() const;
};

/// A stream of blocks: the model over a corpus, or files of activations. Used by one thread at a
/// time.
class BlockSource {
 public:
  virtual ~BlockSource() = default;

  /// The next block, or nothing at the end. Never empty.
  virtual std::optional<ActivationBlock> next() = 0;
  /// Continues behind the block that carried `cursor`, without computing what lies before. Call
  /// before the first next().
  virtual void skip_to(std::uint64_t cursor) = 0;
};

}  // namespace safesail
