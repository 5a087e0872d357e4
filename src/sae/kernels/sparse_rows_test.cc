#include "sae/kernels/sparse_rows.h"

#include <ATen/ATen.h>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>

#include "sae/code_pairs.h"
#include "sae/kernels/each_target.h"
#include "sae/kernels/prepare.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

constexpr double kEpsilon = 0x1p-24;

// Random pairs: token t has up to k distinct features; feature 0 is left without tokens.
struct Case {
  std::int64_t n_tokens, n_features, d;
  SparseCodes codes;
  std::vector<float> w, x, coefficients;
  CodePairs by_feature;  // its values: where each pair stands in the codes
  const ByFeature& pairs = by_feature.by_feature;
  ColumnBlocks columns;

  Case(std::int64_t tokens, std::int64_t features, std::int64_t width, std::int64_t k, Rng& rng)
      : n_tokens(tokens), n_features(features), d(width) {
    for (std::int64_t t = 0; t < tokens; ++t) {
      std::int64_t left = k;
      for (std::int64_t f = 1; f < features && left > 0; ++f) {
        if (rng.below(3) != 0) continue;
        codes.indices.push_back(std::int32_t(f));
        --left;
      }
      codes.offsets.push_back(std::int64_t(codes.indices.size()));
    }
    codes.values.resize(codes.indices.size());
    std::iota(codes.values.begin(), codes.values.end(), 0.0f);
    sort_by_feature({&codes, 1}, features, by_feature);
    w = random_floats(std::size_t(features * d), rng);
    x = random_floats(std::size_t(tokens * d), rng);
    coefficients = random_floats(std::size_t(pairs.n_pairs()), rng);
    columns.resize(tokens, d);
    for (std::int64_t t = 0; t < tokens; ++t) put_row(x.data() + t * d, t, columns);
  }

  // Calls visit(pair, feature, token).
  template <class Visit>
  void for_each_pair(Visit visit) const {
    for (std::int64_t f = 0; f < n_features; ++f) {
      for (const std::size_t p : pairs.of(f))
        visit(p, std::size_t(f), std::size_t(pairs.tokens[p]));
    }
  }
};

template <class Check>
void for_each_case(Check check) {
  for_each_target([&] {
    Rng rng(3, "sparse rows");
    for (const std::int64_t d : kTailSizes) {
      for (const auto& [tokens, features, k] :
           {std::tuple{1, 2, 1}, {17, 8, 3}, {33, 31, 31}, {100, 64, 7}}) {
        SCOPED_TRACE(testing::Message() << "d " << d << " tokens " << tokens);
        check(Case(tokens, features, d, k, rng));
      }
    }
  });
}

// A sum of n products of numbers of order 1, each below about 16, differs from the f64 sum by at
// most n * 16 rounding units.
double tolerance(std::int64_t n) {
  return double(n + 1) * 16 * kEpsilon;
}

TEST(SparseRows, SortsPairsByFeatureThenToken) {
  for_each_case([](const Case& c) {
    std::size_t n = 0;
    std::int32_t last_token = -1;
    std::size_t last_feature = 0;
    c.for_each_pair([&](std::size_t p, std::size_t f, std::size_t t) {
      ++n;
      ASSERT_EQ(c.codes.indices[std::size_t(c.by_feature.pre[p])], std::int32_t(f));
      if (f == last_feature) {
        ASSERT_GT(std::int32_t(t), last_token);
      }
      last_feature = f;
      last_token = std::int32_t(t);
    });
    EXPECT_EQ(n, c.codes.indices.size());
  });
}

TEST(SparseRows, DotsAndSumsEqualTheScalarTruth) {
  for_each_case([](const Case& c) {
    std::vector<double> dots(c.coefficients.size()), sums(c.w.size());
    const auto d = std::size_t(c.d);
    c.for_each_pair([&](std::size_t p, std::size_t f, std::size_t t) {
      for (std::size_t i = 0; i < d; ++i) {
        dots[p] += double(c.w[f * d + i]) * c.x[t * d + i];
        sums[f * d + i] += double(c.coefficients[p]) * c.x[t * d + i];
      }
    });
    const std::vector<float> true_dots(dots.begin(), dots.end());
    const std::vector<float> true_sums(sums.begin(), sums.end());
    std::vector<float> got_dots(dots.size()), got_sums(sums.size());
    pair_dots(c.pairs, 0, c.n_features, c.w.data(), c.columns, got_dots.data());
    pair_sums(c.pairs, 0, c.n_features, c.coefficients.data(), c.columns, got_sums.data());
    expect_near(got_dots, true_dots, tolerance(c.d), "dots");
    expect_near(got_sums, true_sums, tolerance(c.n_tokens), "sums");

    // Cut in two anywhere, both products at once: the same bits.
    std::vector<float> both_dots(dots.size()), both_sums(sums.size());
    for (const std::int64_t cut : {std::int64_t{0}, c.n_features / 2, c.n_features}) {
      pair_dots_and_sums(c.pairs, 0, cut, c.w.data(), c.coefficients.data(), c.columns,
                         both_dots.data(), both_sums.data());
      const std::size_t first = c.pairs.begin_of(cut);
      pair_dots_and_sums(c.pairs, cut, c.n_features, c.w.data(), c.coefficients.data() + first,
                         c.columns, both_dots.data() + first, both_sums.data() + cut * c.d);
      expect_near(both_dots, got_dots, 0, "dots of both");
      expect_near(both_sums, got_sums, 0, "sums of both");
    }
  });
}

TEST(SparseRows, SpreadEqualsTheScalarTruth) {
  for_each_case([](const Case& c) {
    const auto d = std::size_t(c.d);
    std::vector<double> y(c.x.begin(), c.x.end());
    c.for_each_pair([&](std::size_t p, std::size_t f, std::size_t t) {
      for (std::size_t i = 0; i < d; ++i)
        y[t * d + i] += double(c.coefficients[p]) * c.w[f * d + i];
    });
    ColumnBlocks columns;
    columns.resize(c.n_tokens, c.d);
    std::vector<float> got(y.size());
    for (std::int64_t t = 0; t < c.n_tokens; ++t) put_row(c.x.data() + t * c.d, t, columns);
    for (std::int64_t b = 0; b < columns.n_blocks(); ++b) {
      // In two parts, as nested groups do, and the first once too often.
      const std::int64_t cut = c.n_features / 2;
      const float* second = c.coefficients.data() + c.pairs.begin_of(cut);
      pair_spread(c.pairs, 0, cut, c.coefficients.data(), 1, c.w.data(), b, columns);
      pair_spread(c.pairs, cut, c.n_features, second, 1, c.w.data(), b, columns);
      pair_spread(c.pairs, 0, cut, c.coefficients.data(), 1, c.w.data(), b, columns);
      pair_spread(c.pairs, 0, cut, c.coefficients.data(), -1, c.w.data(), b, columns);
      for (std::int64_t t = 0; t < c.n_tokens; ++t) {
        std::copy_n(columns.block(b) + t * kBlockColumns, columns.width(b),
                    got.data() + t * c.d + b * kBlockColumns);
      }
    }
    expect_near(got, std::vector<float>(y.begin(), y.end()), tolerance(c.n_features), "y");
  });
}

TEST(SparseRows, SplitCoversAllFeaturesInOrder) {
  Rng rng(4, "split");
  const Case c(50, 300, 1, 20, rng);
  for (const std::int64_t parts : {1, 2, 3, 64}) {
    for (const std::int64_t step : {1, 128}) {
      const std::vector<std::int64_t> borders = c.pairs.split(0, 300, parts, step);
      ASSERT_EQ(std::int64_t(borders.size()), parts + 1);
      EXPECT_EQ(borders.front(), 0);
      EXPECT_EQ(borders.back(), 300);
      EXPECT_TRUE(std::ranges::is_sorted(borders));
      for (std::size_t i = 1; i + 1 < borders.size(); ++i) EXPECT_EQ(borders[i] % step, 0);
    }
  }
}

}  // namespace
}  // namespace safesail
