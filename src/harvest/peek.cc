#include "harvest/peek.h"

#include <ATen/ATen.h>
#include <utility>

namespace safesail {

const std::deque<ActivationBlock>& Peek::peek(std::uint64_t n_rows) {
  std::uint64_t seen = 0;
  for (const ActivationBlock& block : peeked_) seen += block.n_rows();
  while (seen < n_rows) {
    std::optional<ActivationBlock> block = source_.next();
    if (!block) break;
    seen += block->n_rows();
    peeked_.push_back(std::move(*block));
  }
  return peeked_;
}

std::optional<ActivationBlock> Peek::next() {
  if (peeked_.empty()) return source_.next();
  ActivationBlock block = std::move(peeked_.front());
  peeked_.pop_front();
  return block;
}

void Peek::skip(std::uint64_t n_blocks) {
  for (; n_blocks > 0 && !peeked_.empty(); --n_blocks) peeked_.pop_front();
  source_.skip(n_blocks);
}

}  // namespace safesail
