#include "atlas/feature_table.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>

#include "atlas/test_support.h"
#include "base/error.h"

namespace safesail {
namespace {

/// 200 features of two SAEs with scores, densities and tags that follow from their number.
class Listing : public AtlasTest {
 protected:
  void SetUp() override {
    AtlasTest::SetUp();
    atlas_ = std::make_unique<Atlas>(dir_ / "atlas.sqlite");
    SaeRow late = make_sae();
    late.name = "resid_post.1/topk-k32";
    late.site = "resid_post.1";
    late.layer = 1;
    const std::int64_t saes[] = {atlas_->put_sae(make_sae()), atlas_->put_sae(late)};
    Transaction transaction = atlas_->transaction();
    for (int i = 0; i < 200; ++i) {
      FeatureRecord record = make_record(i / 2);
      record.exemplars.clear();
      record.n_active = static_cast<std::uint64_t>(i * 7 % 100);
      const std::int64_t id = atlas_->put_feature(
          saes[i % 2], record, i % 10 == 0 ? Atlas::insufficient(1) : std::string("ok"));
      if (i % 3 == 0) continue;
      Score score;
      score.key.scorer = "segment";
      score.value = i * 37 % 100 / 100.0;  // with ties
      if (i % 9 == 1) score.value = kUnknown;
      atlas_->put_score(atlas_->put_explanation(id, make_explanation("words")), score);
      if (i % 4 == 0) atlas_->put_tag(id, {"politics", "cult", "pairs", "{}"});
      if (i % 5 == 0) atlas_->put_tag(id, {"violence", "", "pairs", "{}"});
    }
    transaction.commit();
  }
  void TearDown() override {
    atlas_.reset();
    AtlasTest::TearDown();
  }

  /// What list() must give, the slow way: all features, filtered and sorted by their lines.
  std::vector<std::int64_t> expected(const FeatureQuery& query) {
    FeatureQuery all;
    all.limit = 1000;
    all.order = FeatureOrder::place;
    std::vector<FeatureLine> lines = atlas_->list(all).lines;
    std::erase_if(lines, [&](const FeatureLine& line) {
      const auto has = [&](const std::string& domain) {
        return std::count(line.domains.begin(), line.domains.end(), domain) > 0;
      };
      return (!query.domains.empty() && std::ranges::none_of(query.domains, has)) ||
             (query.layer && line.layer != *query.layer) ||
             (!query.site.empty() && line.site != query.site) ||
             (query.min_score && !(line.score >= *query.min_score)) ||
             (query.max_density && !(line.density <= *query.max_density)) ||
             (query.explained && *query.explained != !line.text.empty()) ||
             (query.sufficient && *query.sufficient != (line.status == "ok"));
    });
    const auto value = [&](const FeatureLine& line) {
      return query.order == FeatureOrder::density ? line.density : line.score;
    };
    std::stable_sort(lines.begin(), lines.end(), [&](const FeatureLine& a, const FeatureLine& b) {
      const double x = value(a), y = value(b);
      if (std::isnan(x) || std::isnan(y)) return !std::isnan(x) && std::isnan(y);
      return query.ascending ? x < y : x > y;
    });
    std::vector<std::int64_t> ids;
    for (const FeatureLine& line : lines) ids.push_back(line.id);
    return ids;
  }

  std::unique_ptr<Atlas> atlas_;
};

TEST_F(Listing, PagesPutTogetherAreTheWholeListInOrder) {
  std::vector<FeatureQuery> queries(10);
  queries[1].domains = {"politics"};
  queries[2].layer = 1;
  queries[3].site = "mlp_out.3";
  queries[3].min_score = 0.5;
  queries[4].max_density = 0.03;
  queries[5].explained = false;
  queries[6].sufficient = true;
  queries[7].domains = {"violence"};
  queries[7].layer = 3;
  queries[7].min_score = 0.1;
  queries[8].domains = {"weather"};
  queries[9].domains = {"violence", "politics"};
  for (FeatureQuery query : queries)
    for (const FeatureOrder order : {FeatureOrder::score, FeatureOrder::density})
      for (const bool ascending : {false, true}) {
        query.order = order;
        query.ascending = ascending;
        query.limit = 7;
        const std::vector<std::int64_t> want = expected(query);
        std::vector<std::int64_t> got;
        for (query.offset = 0; query.offset < 210; query.offset += query.limit) {
          const FeaturePage page = atlas_->list(query);
          EXPECT_EQ(page.n_total, static_cast<std::int64_t>(want.size()));
          for (const FeatureLine& line : page.lines) got.push_back(line.id);
        }
        EXPECT_EQ(got, want) << "domains " << testing::PrintToString(query.domains) << " order "
                             << to_string(order);
      }
}

TEST_F(Listing, ByPlaceMeansLayerSaeIndex) {
  const std::vector<FeatureLine> lines =
      atlas_->list({.order = FeatureOrder::place, .limit = 1000}).lines;
  ASSERT_EQ(lines.size(), 200u);
  for (std::size_t i = 1; i < lines.size(); ++i)
    EXPECT_LT(std::pair(lines[i - 1].layer, lines[i - 1].feature),
              std::pair(lines[i].layer, lines[i].feature));
}

TEST_F(Listing, CountsAgreeWithListings) {
  for (const std::vector<std::string>& domains :
       std::vector<std::vector<std::string>>{{}, {"politics"}, {"politics", "violence"}}) {
    FeatureQuery query;
    query.domains = domains;
    const FeatureCounts counts = atlas_->counts(query);
    EXPECT_EQ(counts.n_features, atlas_->list(query).n_total);
    for (const Count& count : counts.layers) {
      query.layer = std::stoi(count.name);
      EXPECT_EQ(count.n, atlas_->list(query).n_total) << "layer " << count.name;
    }
    query.layer.reset();
    query.explained = true;
    EXPECT_EQ(counts.n_explained, atlas_->list(query).n_total);
    query.explained.reset();
    query.sufficient = false;
    EXPECT_EQ(counts.n_insufficient, atlas_->list(query).n_total);
  }
  const FeatureCounts counts = atlas_->counts();
  for (const Count& count : counts.domains)
    EXPECT_EQ(count.n, atlas_->list({.domains = {count.name}}).n_total) << count.name;
  ASSERT_EQ(counts.subclasses.size(), 1u);
  EXPECT_EQ(counts.subclasses[0].name, "politics/cult");
  EXPECT_EQ(counts.subclasses[0].n, atlas_->list({.subclass = "cult"}).n_total);
}

TEST_F(Listing, ShowsTheLanguageAskedFor) {
  const std::int64_t id = atlas_->list({.explained = true}).lines[0].id;
  atlas_->put_explanation(id, make_explanation("शब्द", "llm", "hi"));
  EXPECT_EQ(atlas_->list({.explained = true, .limit = 1}).lines[0].text, "words");
  EXPECT_EQ(atlas_->list({.explained = true, .language = "hi", .limit = 1}).lines[0].text, "शब्द");
  EXPECT_EQ(atlas_->list({.explained = true, .language = "zh", .limit = 1}).lines[0].text, "words")
      << "what there is, when there is none in that language";
}

TEST_F(Listing, RefusesPagesThatAreNone) {
  EXPECT_THROW(atlas_->list({.offset = -1}), Error);
  EXPECT_THROW(atlas_->list({.limit = 0}), Error);
  EXPECT_THROW(atlas_->list({.limit = 1'000'000'000}), Error);
  EXPECT_THAT(atlas_->list({.offset = 1'000'000'000}).lines, testing::IsEmpty());
}

}  // namespace
}  // namespace safesail
