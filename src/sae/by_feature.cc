#include "sae/by_feature.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "base/error.h"

namespace safesail {

void sort_by_feature(const SparseCodes& codes, std::int64_t n_features, ByFeature& out) {
  if (codes.n_active() > std::numeric_limits<std::int32_t>::max()) {
    bad_input("sae codes",
              fmt::format("expected fewer than 2^31 active features in a batch, got {}",
                          codes.n_active()),
              "take smaller batches, or more sparsity");
  }
  out.offsets.assign(std::size_t(n_features) + 1, 0);
  for (const std::int32_t feature : codes.indices) ++out.offsets[std::size_t(feature) + 1];
  for (std::size_t f = 0; f < std::size_t(n_features); ++f) out.offsets[f + 1] += out.offsets[f];
  out.tokens.resize(std::size_t(out.n_pairs()));
  out.slots.resize(std::size_t(out.n_pairs()));
  // offsets[f] serves as the write position of f and ends at the start of f + 1; shifted back
  // below.
  for (std::size_t token = 0; token < std::size_t(codes.n_tokens()); ++token) {
    for (std::int64_t slot = codes.offsets[token]; slot < codes.offsets[token + 1]; ++slot) {
      const std::int32_t feature = codes.indices[std::size_t(slot)];
      const auto place = std::size_t(out.offsets[std::size_t(feature)]++);
      out.tokens[place] = std::int32_t(token);
      out.slots[place] = std::int32_t(slot);
    }
  }
  std::copy_backward(out.offsets.begin(), out.offsets.end() - 1, out.offsets.end());
  out.offsets[0] = 0;
}

std::vector<std::int64_t> ByFeature::split(std::int64_t first, std::int64_t last,
                                           std::int64_t n_parts, std::int64_t step) const {
  // A feature without tokens still costs a row of the optimiser: about as much as ten pairs.
  constexpr std::int64_t kRowCost = 10;
  const auto cost_before = [&](std::int64_t f) {
    return offsets[std::size_t(f)] - offsets[std::size_t(first)] + kRowCost * (f - first);
  };
  std::vector<std::int64_t> borders{first};
  for (std::int64_t part = 1; part < n_parts; ++part) {
    const std::int64_t goal = cost_before(last) * part / n_parts;
    std::int64_t low = borders.back(), high = last;
    while (low < high) {
      const std::int64_t middle = (low + high) / 2;
      (cost_before(middle) < goal) ? low = middle + 1 : high = middle;
    }
    borders.push_back(std::clamp(low / step * step, borders.back(), last));
  }
  borders.push_back(last);
  return borders;
}

}  // namespace safesail
