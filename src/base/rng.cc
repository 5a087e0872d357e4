#include "base/rng.h"

#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/hash.h"

namespace safesail {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{kMultiplier0} * counter[0];
    const std::uint64_t p1 = std::uint64_t{kMultiplier1} * counter[2];
    counter = {
        static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
        static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

}  // namespace

Rng::Rng(std::uint64_t seed, std::string_view stream) : Rng(seed, hash64(stream)) {}

Rng::Rng(std::uint64_t seed, std::uint64_t stream)
    : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
      stream_(stream) {
  refill();
}

void Rng::refill() {
  const std::uint64_t block = position_ / 4;
  block_ = philox({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                   static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                  key_);
}

void Rng::set_position(std::uint64_t position) {
  position_ = position;
  refill();
}

std::uint32_t Rng::next_u32() {
  const std::uint32_t word = block_[position_ % 4];
  if (++position_ % 4 == 0) refill();
  return word;
}

std::uint64_t Rng::next_u64() {
  const std::uint64_t low = next_u32();
  return low | std::uint64_t{next_u32()} << 32;
}

double Rng::uniform() {
  return static_cast<double>(next_u64() >> 11) * 0x1.0p-53;
}

double Rng::normal() {
  const double radius = std::sqrt(-2 * std::log1p(-uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::uint64_t Rng::below(std::uint64_t n) {
  SAFESAIL_CHECK(n > 0);
  // Numbers below `skip` would make the first residues more frequent; draw again for those.
  const std::uint64_t skip = (0 - n) % n;
  std::uint64_t draw = next_u64();
  while (draw < skip) draw = next_u64();
  return draw % n;
}

}  // namespace safesail
