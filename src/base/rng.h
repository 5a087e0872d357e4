// Seeded, counter-based random numbers: Philox4x32-10 (Salmon et al., SC'11).
//
// A stream is named by (seed, stream): the same pair gives the same numbers on every machine and
// with any number of threads, and a position can be saved and restored exactly (`counter`). Not for
// secrets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace safesail {

class Rng {
 public:
  /// `stream` tells apart independent uses of one seed ("init", "shuffle"...).
  Rng(std::uint64_t seed, std::string_view stream);
  Rng(std::uint64_t seed, std::uint64_t stream);

  std::uint32_t next_u32();
  std::uint64_t next_u64();
  /// Uniform in [0, 1), 53 random bits.
  double uniform();
  /// Standard normal (Box-Muller; two draws of uniform() each).
  double normal();
  /// Uniform in [0, n), without modulo bias. n > 0.
  std::uint64_t below(std::uint64_t n);

  /// 32-bit words drawn so far; set_position() continues from there.
  std::uint64_t position() const { return position_; }
  void set_position(std::uint64_t position);

 private:
  void refill();

  std::array<std::uint32_t, 2> key_;
  std::uint64_t stream_;
  std::uint64_t position_ = 0;
  std::array<std::uint32_t, 4> block_{};
};

/// Fisher-Yates over a random-access container.
template <class Container>
void shuffle(Container& items, Rng& rng) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.below(i)]);
}

}  // namespace safesail
