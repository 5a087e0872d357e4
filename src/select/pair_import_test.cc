#include "select/pair_import.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace safesail {
namespace {

class PairImport : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(dir_); }
  fs::path file(const std::string& name, const std::string& text) const {
    write_file(dir_ / name, text);
    return dir_ / name;
  }
  const fs::path dir_ =
      fs::temp_directory_path() / ("safesail_pair_import_" + std::to_string(::getpid()));
};

const std::string kHateCheck =
    "case_id,functionality,test_case,label_gold,target_ident,ref_case_id,templ_id\n"
    "1,derog_h,I hate Xs. ,hateful,Xs,,1\n"
    "2,clause_h,\"I met Xs, and hate them.\",hateful,Xs,1,9\n"
    "3,negate_nh,I do not hate Xs.,non-hateful,Xs,1.0,20\n"
    "4,other_nh,I hate tea.,non-hateful,,1,21\n"
    "5,plain_nh,Nothing here.,non-hateful,,,22\n";

TEST_F(PairImport, HateCheckGivesThePairsThatContrast) {
  const std::vector<ContrastPair> pairs = read_any_pairs({file("h.csv", kHateCheck)}, {});
  ASSERT_EQ(pairs.size(), 2U);
  EXPECT_EQ(pairs[0].id, "3");
  EXPECT_EQ(pairs[0].text, "I hate Xs.");
  EXPECT_EQ(pairs[0].counterpart, "I do not hate Xs.");
  EXPECT_EQ(pairs[0].domain, "hate");
  EXPECT_EQ(pairs[0].subclass, "Xs");
  EXPECT_EQ(pairs[0].language, "en");
  EXPECT_EQ(pairs[1].subclass, "Xs");
  EXPECT_NE(pairs[0].concept_, pairs[1].concept_);
}

TEST_F(PairImport, AReferenceToNothingIsNamed) {
  try {
    read_any_pairs({file("h.csv", kHateCheck + "6,negate_nh,a,non-hateful,Xs,77,20\n")}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("h.csv:7"), std::string::npos) << error.what();
  }
}

TEST_F(PairImport, TablesByTheNamesOfTheirColumns) {
  const PairColumns columns{.columns = {{"text", "risky"}, {"counterpart", "plain"}},
                            .values = {{"domain", "violence"}}};
  for (const fs::path& path :
       {file("t.csv", "risky,plain\na bomb,a lamp\n"),
        file("T.CSV", "risky,plain\na bomb,a lamp\n"),
        file("t.tsv", "risky\tplain\na bomb\ta lamp\n"),
        file("t.jsonl", "{\"risky\": \"a bomb\", \"plain\": \"a lamp\"}\n")}) {
    const std::vector<ContrastPair> pairs = read_any_pairs({path}, columns);
    ASSERT_EQ(pairs.size(), 1U) << path;
    EXPECT_EQ(pairs[0].text, "a bomb");
    EXPECT_EQ(pairs[0].counterpart, "a lamp");
    EXPECT_EQ(pairs[0].subclass, "violence");
    EXPECT_EQ(pairs[0].id, "1");
  }
  EXPECT_THROW(read_any_pairs({file("u.csv", "risk,plain\na,b\n")}, columns), Error);
  EXPECT_THROW(
      read_any_pairs({file("t.csv", "risky,plain\na,b\n")}, {.columns = {{"txt", "risky"}}}),
      Error);
}

// The real sets, where they are at hand.
TEST_F(PairImport, RealHateCheck) {
  const fs::path folder = fs::path(SAFESAIL_SOURCE_DIR) / "../shared/data/hatecheck";
  if (!fs::exists(folder / "english.csv")) GTEST_SKIP() << folder << " is not here";
  EXPECT_EQ(read_any_pairs({folder / "english.csv"}, {}).size(), 600U);
  const std::vector<ContrastPair> mandarin = read_any_pairs({folder / "mandarin.csv"}, {});
  EXPECT_GT(mandarin.size(), 400U);
  EXPECT_EQ(mandarin.front().language, "mandarin");
}

}  // namespace
}  // namespace safesail
