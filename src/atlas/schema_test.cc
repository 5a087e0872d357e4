#include "atlas/schema.h"

#include <gmock/gmock.h>

#include "atlas/blobs.h"
#include "atlas/test_support.h"

namespace safesail {
namespace {

class SchemaTest : public AtlasTest {
 protected:
  /// A file as Safesail made it when version 1 was the newest: two features with one window each,
  /// the same one.
  void write_version_1() const {
    Database database(dir_ / "atlas.sqlite", Database::Mode::create);
    database.execute(atlas_migrations()[0]);
    database.execute(
        fmt::format("PRAGMA application_id = {}; PRAGMA user_version = 1", kAtlasApplicationId));
    database.execute(
        "INSERT INTO models VALUES (1, 'm', '{}');"
        "INSERT INTO saes VALUES (1, 1, 's', 'mlp_out.3', 3, 'topk', 9, '{}');"
        "INSERT INTO features (id, sae_id, feature) VALUES (1, 1, 5), (2, 1, 6);"
        "INSERT INTO explanations VALUES (1, 2, 'llm', '', 'en', '', 0, 'ok', 'café', '', '', '', "
        "0, "
        "NULL);"
        "INSERT INTO scores VALUES (1, 1, 'token', '', '', 0, 0.5, NULL, NULL, NULL, 1, 2, 0, 0, "
        "0, "
        "'{}', 0, NULL);"
        "INSERT INTO ledger VALUES (1, 0, 'explain', 2, '', 'm', 'h', 1, 2, 3, 1, 0.5, 'ok', "
        "NULL)");
    const Blob ids = pack_ids(std::vector{7, 8}), activation = pack_sparse(std::vector{0.0F, 2.5F}),
               starts = pack_offsets(std::vector<std::uint32_t>{0, 1, 3});
    for (const int feature : {1, 2})
      database.run(
          "INSERT INTO exemplars VALUES (?, ?, 3, 'test', 'top', 9, 4, 5, 'abc', ?, ?, ?, '{}')",
          feature, feature, std::span<const std::byte>(ids), std::span<const std::byte>(starts),
          std::span<const std::byte>(activation));
    database.run("INSERT INTO simulations VALUES (1, 1, 2, ?)",
                 std::span<const std::byte>(pack_floats(std::vector{1.0F, 0.25F})));
  }
};

TEST_F(SchemaTest, AnOlderFileBecomesANewerOneWithoutLoss) {
  for (const Atlas::Mode mode : {Atlas::Mode::write, Atlas::Mode::read}) {
    fs::remove(dir_ / "atlas.sqlite");
    write_version_1();
    Atlas atlas(dir_ / "atlas.sqlite", mode);
    for (const std::int64_t id : {1, 2}) {
      const FeatureRecord record = atlas.record(id);
      ASSERT_EQ(record.exemplars.size(), 1u);
      EXPECT_TRUE(record.parts.empty());
      const Window& window = record.exemplars[0].window;
      EXPECT_EQ(record.exemplars[0].use, Use::test);
      EXPECT_EQ(window.document, 4u);
      EXPECT_EQ(window.text, "abc");
      EXPECT_THAT(window.ids, testing::ElementsAre(7, 8));
      EXPECT_THAT(window.activation, testing::ElementsAre(0.0F, 2.5F));
    }
    EXPECT_EQ(atlas.database().find_integer("SELECT count(*) FROM windows"), 1);
    const std::vector<Score> scores = atlas.scores(1);
    ASSERT_EQ(scores.size(), 1u);
    ASSERT_EQ(scores[0].simulations.size(), 1u);
    EXPECT_EQ(atlas.list({.text = "cafe"}).n_total, 1) << "texts are indexed as today";
    EXPECT_EQ(atlas.spending().at(0).currency, "");
    EXPECT_EQ(scores[0].simulations[0].exemplar, 3u);
    EXPECT_THAT(scores[0].simulations[0].values, testing::ElementsAre(1.0F, 0.25F));
    EXPECT_EQ(scores[0].key, (ScoreKey{.scorer = "token"})) << "what was asked is not known";
    if (mode == Atlas::Mode::write) {
      atlas.put_explanation(2, make_explanation("another"));
      atlas.database().run("DELETE FROM explanations WHERE id = 1");
      EXPECT_EQ(atlas.database().find_integer("SELECT count(*) FROM scores"), 0);
      EXPECT_EQ(atlas.database().find_integer("SELECT count(*) FROM simulations"), 0);
    }
  }
}

TEST_F(SchemaTest, WindowsAreSharedAndSimulationsGoWithTheirExemplars) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t sae = atlas.put_sae(make_sae());
  const auto n_windows = [&] {
    return *atlas.database().find_integer("SELECT count(*) FROM windows");
  };
  const std::int64_t id = atlas.put_feature(sae, make_record(1));
  const std::int64_t n = n_windows();
  atlas.put_feature(sae, make_record(2));
  EXPECT_EQ(n_windows(), n) << "the same windows were kept twice";
  Score score;
  score.key.scorer = "detection";
  score.simulations = {{0, {1.0F}}};
  const std::int64_t explanation = atlas.put_explanation(id, make_explanation("x"));
  atlas.put_score(explanation, score);
  FeatureRecord record = make_record(1);
  record.exemplars.pop_back();
  atlas.put_feature(sae, record);
  EXPECT_THAT(atlas.scores(explanation), testing::IsEmpty());
  EXPECT_EQ(atlas.database().find_integer("SELECT count(*) FROM simulations"), 0);
}

}  // namespace
}  // namespace safesail
