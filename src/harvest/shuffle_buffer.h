// Tokens shuffled across documents: a BlockSource that mixes the blocks of another.
//
// Block t of the source is permuted and cut into `n_ways` equal parts. Block t of this stream is
// part 0 of the source's block t, part 1 of its block t - 1, ..., part n_ways - 1 of its block
// t - n_ways + 1, permuted once more. So each row comes out exactly once, every block mixes the
// documents of the last `n_ways` blocks evenly, and (n_ways - 1) / 2 blocks of rows are held in
// between. The stream begins and ends with n_ways - 1 smaller blocks, where there is less to mix.
//
// Both permutations are functions of (seed, block number) alone. What is held is therefore a
// function of (seed, number of blocks given), and a resume needs no activations on disk: skip(n)
// reads the last n_ways - 1 blocks before the n-th again and keeps of each the parts that are still
// to come, bit for bit those of an uninterrupted stream.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "harvest/block.h"

namespace safesail {

/// How many blocks to mix so that about `buffer_rows` rows are in memory at the fullest moment; 1
/// (a shuffle inside each block) when they are less than one block.
std::int64_t shuffle_ways(std::int64_t buffer_rows, std::int64_t block_rows);

/// `source` must outlive this object.
class ShuffleBuffer final : public BlockSource {
 public:
  ShuffleBuffer(BlockSource& source, std::int64_t n_ways, std::uint64_t seed);

  std::optional<ActivationBlock> next() override;
  void skip(std::uint64_t n_blocks) override;

 private:
  /// Reads one more block of the source; its parts from `first_part` on wait in their outputs.
  void read(std::size_t first_part);

  BlockSource& source_;
  const std::size_t n_ways_;
  const std::uint64_t seed_;
  bool source_ended_ = false;
  std::uint64_t n_read_ = 0, n_given_ = 0;
  /// waiting_[i]: the parts that block n_given_ + i of this stream has so far, in source order.
  std::deque<std::vector<ActivationBlock>> waiting_;
};

}  // namespace safesail
