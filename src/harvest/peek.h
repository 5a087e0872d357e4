// Looks at the first blocks of a stream before it is read: the sample that a site is measured on
// is trained on too, and the model runs over it once.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "harvest/block.h"

namespace safesail {

/// `source` must outlive this object.
class Peek final : public BlockSource {
 public:
  explicit Peek(BlockSource& source) : source_(source) {}

  /// The next whole blocks, up to the first with which they hold `n_rows`; all when there are
  /// fewer. next() gives them again.
  const std::deque<ActivationBlock>& peek(std::uint64_t n_rows);

  std::optional<ActivationBlock> next() override;
  void skip(std::uint64_t n_blocks) override;

 private:
  BlockSource& source_;
  std::deque<ActivationBlock> peeked_;
};

}  // namespace safesail
