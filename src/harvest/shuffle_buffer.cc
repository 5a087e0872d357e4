#include "harvest/shuffle_buffer.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/rng.h"

namespace safesail {
namespace {

using Rows = std::vector<std::int64_t>;

Rows permutation(std::size_t n, std::uint64_t seed, std::string_view what, std::uint64_t number) {
  Rows order(n);
  std::iota(order.begin(), order.end(), 0);
  Rng rng(seed, fmt::format("{} {}", what, number));
  shuffle(order, rng);
  return order;
}

template <class T>
std::vector<T> gathered(const std::vector<T>& values, const Rows& rows) {
  std::vector<T> out;
  if (values.empty()) return out;
  out.reserve(rows.size());
  for (const std::int64_t row : rows) out.push_back(values[static_cast<std::size_t>(row)]);
  return out;
}

ActivationBlock gathered(const ActivationBlock& block, const Rows& rows) {
  ActivationBlock out;
  const at::Tensor index = at::tensor(rows, at::kLong);
  for (const at::Tensor& value : block.values)
    out.values.push_back(value.index_select(0, index.to(value.device())));
  out.token = gathered(block.token, rows);
  out.position = gathered(block.position, rows);
  out.document = gathered(block.document, rows);
  out.seconds =
      block.seconds * static_cast<double>(rows.size()) / static_cast<double>(block.n_rows());
  return out;
}

template <class T>
void append(std::vector<T>& values, const std::vector<T>& more) {
  values.insert(values.end(), more.begin(), more.end());
}

ActivationBlock joined(const std::vector<ActivationBlock>& parts) {
  ActivationBlock out;
  std::vector<std::vector<at::Tensor>> values(parts.front().values.size());
  for (const ActivationBlock& part : parts) {
    for (std::size_t s = 0; s < values.size(); ++s) values[s].push_back(part.values[s]);
    append(out.token, part.token);
    append(out.position, part.position);
    append(out.document, part.document);
    out.seconds += part.seconds;
  }
  for (const std::vector<at::Tensor>& value : values) out.values.push_back(at::cat(value));
  return out;
}

}  // namespace

std::int64_t shuffle_ways(std::int64_t buffer_rows, std::int64_t block_rows) {
  SAFESAIL_CHECK(block_rows > 0);
  // Held between two blocks: (n_ways - 1) / 2 blocks; while one is given: a block more.
  return std::max<std::int64_t>(1, 2 * buffer_rows / block_rows - 1);
}

ShuffleBuffer::ShuffleBuffer(BlockSource& source, std::int64_t n_ways, std::uint64_t seed)
    : source_(source), n_ways_(static_cast<std::size_t>(n_ways)), seed_(seed) {
  SAFESAIL_CHECK(n_ways >= 1);
}

void ShuffleBuffer::read(std::size_t first_part) {
  if (source_ended_) return;
  const std::optional<ActivationBlock> block = source_.next();
  source_ended_ = !block;
  if (!block) return;
  const Rows order = permutation(block->n_rows(), seed_, "shuffle buffer, in", n_read_++);
  // A tiny block stays whole, so that no block of this stream is empty.
  const std::size_t n_parts = order.size() < n_ways_ ? 1 : n_ways_;
  for (std::size_t part = first_part; part < n_parts; ++part) {
    const auto begin = static_cast<std::ptrdiff_t>(order.size() * part / n_parts),
               end = static_cast<std::ptrdiff_t>(order.size() * (part + 1) / n_parts);
    const std::size_t ahead = part - first_part;
    if (waiting_.size() <= ahead) waiting_.resize(ahead + 1);
    waiting_[ahead].push_back(gathered(*block, Rows(order.begin() + begin, order.begin() + end)));
  }
}

std::optional<ActivationBlock> ShuffleBuffer::next() {
  const c10::InferenceMode inference;
  read(0);
  if (waiting_.empty()) return std::nullopt;
  const ActivationBlock all = joined(waiting_.front());
  waiting_.pop_front();
  return gathered(all, permutation(all.n_rows(), seed_, "shuffle buffer, out", n_given_++));
}

void ShuffleBuffer::skip(std::uint64_t n_blocks) {
  const c10::InferenceMode inference;
  SAFESAIL_CHECK(n_read_ == 0 && n_given_ == 0);
  const std::uint64_t held = std::min<std::uint64_t>(n_blocks, n_ways_ - 1);
  source_.skip(n_blocks - held);
  n_read_ = n_blocks - held;
  // The oldest block has only its last part left, the newest all but the first.
  for (std::uint64_t i = 0; i < held; ++i) read(static_cast<std::size_t>(held - i));
  n_given_ = n_blocks;
}

}  // namespace safesail
