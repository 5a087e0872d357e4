#include "sae/by_feature.h"

#include <algorithm>

namespace safesail {

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
