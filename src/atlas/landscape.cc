#include "atlas/landscape.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "base/rng.h"
#include "text/rust.h"
#include "text/text_rs.h"

namespace safesail {
namespace {

/// Above it rows are projected at random: distances then change by about 1 / sqrt(2 * 128) = 6 %
/// (Johnson & Lindenstrauss), far less than what tells neighbours from strangers.
constexpr std::size_t kMaxDimensions = 128;

std::vector<float> directions(std::span<const float> rows, std::size_t n, std::size_t d) {
  std::vector<float> result(rows.begin(), rows.end());
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < d; ++k) sum += double{result[i * d + k]} * result[i * d + k];
    if (!std::isfinite(sum))
      bad_input("landscape", "expected finite decoder rows", "train the SAE again");
    const auto scale = static_cast<float>(sum > 0 ? 1 / std::sqrt(sum) : 0);
    for (std::size_t k = 0; k < d; ++k) result[i * d + k] *= scale;
  }
  return result;
}

std::vector<float> projected(const std::vector<float>& rows, std::size_t n, std::size_t d,
                             std::uint64_t seed) {
  Rng rng(seed, "landscape projection");
  std::vector<float> matrix(d * kMaxDimensions);  // [d, kMaxDimensions]
  for (float& value : matrix)
    value = static_cast<float>(rng.normal() / std::sqrt(double{kMaxDimensions}));
  std::vector<float> result(n * kMaxDimensions);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < d; ++k)
      for (std::size_t j = 0; j < kMaxDimensions; ++j)
        result[i * kMaxDimensions + j] += rows[i * d + k] * matrix[k * kMaxDimensions + j];
  return result;
}

/// Both axes by one scale, so that distances keep their proportion.
PlanePoints scaled(const std::vector<float>& plane) {
  float low[2] = {plane[0], plane[1]}, high[2] = {plane[0], plane[1]};
  for (std::size_t i = 0; i < plane.size(); ++i) {
    low[i % 2] = std::min(low[i % 2], plane[i]);
    high[i % 2] = std::max(high[i % 2], plane[i]);
  }
  const float range = std::max(high[0] - low[0], high[1] - low[1]);
  PlanePoints points;
  for (std::size_t i = 0; i < plane.size(); ++i) {
    const float middle = (low[i % 2] + high[i % 2]) / 2;
    const float at = range > 0 ? 0.5F + (plane[i] - middle) / range : 0.5F;
    (i % 2 == 0 ? points.x : points.y).push_back(std::clamp(at, 0.0F, 1.0F));
  }
  return points;
}

}  // namespace

PlanePoints lay_out(std::span<const float> rows, std::size_t n, std::size_t d, std::uint64_t seed) {
  SAFESAIL_CHECK(rows.size() == n * d);
  if (n == 0) return {};
  std::vector<float> points = directions(rows, n, d);
  if (d > kMaxDimensions) points = projected(points, n, d, seed);
  // As t-SNE wants it: all points near the origin, none on another.
  Rng rng(seed, "landscape start");
  std::vector<float> plane(2 * n);
  for (float& value : plane) value = static_cast<float>(1e-4 * rng.normal());
  constexpr std::size_t kFewestPoints = 4;  // with fewer there is nothing to arrange
  if (n >= kFewestPoints) {
    TextRsString error{};
    std::vector<float> arranged(2 * n);
    if (!text_rs_tsne(points.data(), n, points.size() / n, plane.data(), arranged.data(), &error))
      failed("landscape", take(error), "please report this");
    plane = std::move(arranged);
  }
  return scaled(plane);
}

std::size_t lay_out_features(Atlas& atlas, std::int64_t sae, std::span<const float> decoder,
                             std::size_t d, std::uint64_t seed) {
  std::vector<std::int64_t> ids;
  std::vector<float> rows;
  Query row =
      atlas.database().query("SELECT id, feature FROM features WHERE sae_id = ? ORDER BY id", sae);
  while (row.next()) {
    const auto feature = static_cast<std::size_t>(row.integer(1));
    if (feature >= decoder.size() / d)
      bad_input(atlas.path().string(),
                fmt::format("the SAE has {} features, the atlas a feature {} of it",
                            decoder.size() / d, row.integer(1)),
                "give the SAE that the features are of");
    ids.push_back(row.integer(0));
    const std::span<const float> its_row = decoder.subspan(feature * d, d);
    rows.insert(rows.end(), its_row.begin(), its_row.end());
  }
  const PlanePoints points = lay_out(rows, ids.size(), d, seed);
  atlas.put_coordinates(ids, points.x, points.y);
  return ids.size();
}

}  // namespace safesail
