// A writer that is killed at any moment leaves an atlas that is whole, and that knows exactly what
// is left to do.
#include <csignal>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "atlas/atlas.h"
#include "atlas/test_support.h"

namespace safesail {
namespace {

constexpr int kFeatures = 3000;

class Kill : public AtlasTest {};

Explanation explanation_of(std::int64_t feature) {
  return make_explanation(fmt::format("word{}", feature));
}

/// Explains what is left, a transaction a feature, until it is done or killed.
void explain_all(const fs::path& path) {
  Atlas atlas(path);
  Score score;
  score.key.scorer = "segment";
  score.value = 0.5;
  for (const std::int64_t id : atlas.features_lacking(explanation_of(0).key)) {
    Transaction transaction = atlas.transaction();
    atlas.put_score(atlas.put_explanation(id, explanation_of(id)), score);
    transaction.commit();
  }
}

TEST_F(Kill, LosesAndRepeatsNothing) {
  const fs::path path = dir_ / "atlas.sqlite";
  {
    Atlas atlas(path);
    const std::int64_t sae = atlas.put_sae(make_sae());
    Transaction transaction = atlas.transaction();
    FeatureRecord record;
    for (record.feature = 0; record.feature < kFeatures; ++record.feature)
      atlas.put_feature(sae, record);
    transaction.commit();
  }
  std::size_t n_done = 0, n_killed = 0;
  for (int round = 0; n_done < kFeatures; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      explain_all(path);
      ::_exit(0);
    }
    // Killed while it writes: after some of its transactions, or, from the third time on, never.
    const std::size_t enough = round < 3 ? n_done + 50 : kFeatures;
    std::int64_t n_seen = 0;
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      Atlas reader(path, Atlas::Mode::read);
      n_seen = *reader.database().find_integer("SELECT count(*) FROM explanations");
      if (n_seen >= static_cast<std::int64_t>(enough) && round < 3) ::kill(child, SIGKILL);
    }
    n_killed += WIFSIGNALED(status) ? 1 : 0;

    Atlas atlas(path);
    Query check = atlas.database().query("PRAGMA integrity_check");
    ASSERT_TRUE(check.next());
    EXPECT_EQ(check.text(0), "ok");
    n_done = kFeatures - atlas.features_lacking(explanation_of(0).key).size();
    EXPECT_GE(static_cast<std::int64_t>(n_done), n_seen) << "what was committed is lost";
    EXPECT_EQ(atlas.list({.explained = true}).n_total, static_cast<std::int64_t>(n_done));
    EXPECT_EQ(atlas.list({.min_score = 0.5}).n_total, static_cast<std::int64_t>(n_done));
    EXPECT_EQ(atlas.list({.text = "word*"}).n_total, static_cast<std::int64_t>(n_done));
  }
  EXPECT_GE(n_killed, 1u) << "every child was done before it could be killed";
}

}  // namespace
}  // namespace safesail
