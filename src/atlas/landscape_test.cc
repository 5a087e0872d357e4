#include "atlas/landscape.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "atlas/test_support.h"
#include "base/error.h"
#include "base/rng.h"

namespace safesail {
namespace {

constexpr std::size_t kClusters = 6, kPerCluster = 40, kDimensions = 300;

/// Directions around six centres that are at right angles to each other, more or less.
std::vector<float> clustered() {
  Rng rng(1, "clusters");
  std::vector<float> centres(kClusters * kDimensions), rows;
  for (float& value : centres) value = static_cast<float>(rng.normal());
  for (std::size_t i = 0; i < kClusters * kPerCluster; ++i)
    for (std::size_t k = 0; k < kDimensions; ++k)
      rows.push_back(centres[i % kClusters * kDimensions + k] +
                     0.7F * static_cast<float>(rng.normal()));
  return rows;
}

TEST(Landscape, NeighboursStayNeighbours) {
  const std::vector<float> rows = clustered();
  const std::size_t n = kClusters * kPerCluster;
  const PlanePoints plane = lay_out(rows, n, kDimensions, 3);
  ASSERT_EQ(plane.x.size(), n);
  std::size_t n_right = 0;
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t nearest = i == 0 ? 1 : 0;
    const auto distance = [&](std::size_t j) {
      return std::hypot(plane.x[i] - plane.x[j], plane.y[i] - plane.y[j]);
    };
    for (std::size_t j = 0; j < n; ++j)
      if (j != i && distance(j) < distance(nearest)) nearest = j;
    n_right += nearest % kClusters == i % kClusters;
  }
  // By chance one of six.
  EXPECT_GE(n_right, n * 98 / 100) << "points whose nearest is of their own cluster, of " << n;
}

TEST(Landscape, StaysInItsSquareAndFillsIt) {
  const PlanePoints plane = lay_out(clustered(), kClusters * kPerCluster, kDimensions, 3);
  float widest = 0;
  for (const std::vector<float>* axis : {&plane.x, &plane.y}) {
    const auto [low, high] = std::minmax_element(axis->begin(), axis->end());
    EXPECT_GE(*low, 0);
    EXPECT_LE(*high, 1);
    widest = std::max(widest, *high - *low);
  }
  // Two roundings of numbers up to 1.
  EXPECT_NEAR(widest, 1, 4 * std::numeric_limits<float>::epsilon());
}

TEST(Landscape, TheSeedDecidesAll) {
  const std::vector<float> rows = clustered();
  const std::size_t n = kClusters * kPerCluster;
  const PlanePoints first = lay_out(rows, n, kDimensions, 3),
                    again = lay_out(rows, n, kDimensions, 3),
                    other = lay_out(rows, n, kDimensions, 4);
  EXPECT_EQ(first.x, again.x);
  EXPECT_EQ(first.y, again.y);
  EXPECT_NE(first.x, other.x);
}

TEST(Landscape, FewPointsZerosAndCopies) {
  for (std::size_t n = 0; n < 12; ++n)
    for (const float value : {0.0F, 1.0F}) {
      const PlanePoints plane = lay_out(std::vector<float>(n * 3, value), n, 3, 1);
      ASSERT_EQ(plane.x.size(), n);
      for (std::size_t i = 0; i < n; ++i)
        EXPECT_TRUE(plane.x[i] >= 0 && plane.x[i] <= 1 && plane.y[i] >= 0 && plane.y[i] <= 1)
            << "point " << i << " of " << n << ": " << plane.x[i] << ", " << plane.y[i];
    }
}

TEST(Landscape, RefusesWhatIsNoNumber) {
  std::vector<float> rows(30, 1);
  rows[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(lay_out(rows, 10, 3, 1), Error);
  rows[7] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(lay_out(rows, 10, 3, 1), Error);
}

class LandscapeOfAnAtlas : public AtlasTest {};

TEST_F(LandscapeOfAnAtlas, PlacesItsFeatures) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t sae = atlas.put_sae(make_sae());
  for (const int feature : {9, 3, 5, 0, 7}) atlas.put_feature(sae, make_record(feature));
  std::vector<float> decoder;
  Rng rng(1, "decoder");
  for (int i = 0; i < 10 * 4; ++i) decoder.push_back(static_cast<float>(rng.normal()));
  EXPECT_EQ(lay_out_features(atlas, sae, decoder, 4, 1), 5u);
  const Landscape landscape = atlas.landscape();
  ASSERT_EQ(landscape.ids.size(), 5u);
  EXPECT_EQ(atlas.entry(landscape.ids[2]).x, landscape.x[2]);
  EXPECT_THROW(lay_out_features(atlas, sae, std::span(decoder).first(8 * 4), 4, 1), Error)
      << "a decoder of 8 features has no feature 9";
}

using TextLandscape = AtlasTest;

TEST_F(TextLandscape, FeaturesThatSpeakOfTheSameLieTogether) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t sae = atlas.put_sae(make_sae());
  const std::vector<std::string> subjects = {"bombs and explosive devices", "elections and voters",
                                             "weather and rain clouds"};
  for (std::int32_t i = 0; i < 90; ++i) {
    const std::int64_t id = atlas.put_feature(sae, make_record(i));
    atlas.put_explanation(
        id, make_explanation(fmt::format("Fires on {} in text {}",
                                         subjects[static_cast<std::size_t>(i % 3)], i % 7)));
  }
  EXPECT_EQ(lay_out_texts(atlas, 1), 90u);
  const Landscape plane = atlas.landscape();
  ASSERT_EQ(plane.ids.size(), 90u);
  std::size_t n_right = 0;
  for (std::size_t i = 0; i < 90; ++i) {
    std::size_t nearest = i == 0 ? 1 : 0;
    const auto distance = [&](std::size_t j) {
      return std::hypot(plane.x[i] - plane.x[j], plane.y[i] - plane.y[j]);
    };
    for (std::size_t j = 0; j < 90; ++j)
      if (j != i && distance(j) < distance(nearest)) nearest = j;
    n_right += nearest % 3 == i % 3;
  }
  EXPECT_GE(n_right, 85u);  // by chance: 30
}

}  // namespace
}  // namespace safesail
