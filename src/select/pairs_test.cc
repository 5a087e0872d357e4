#include "select/pairs.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/error.h"
#include "select/pairs_testing.h"

namespace safesail {
namespace {

fs::path source(const std::string& path) {
  return fs::path(SAFESAIL_SOURCE_DIR) / path;
}

TEST(Pairs, ReadsWhatIsWritten) {
  const std::vector<ContrastPair> pairs = read_pairs({source("tests/data/pairs/good.jsonl")});
  ASSERT_EQ(pairs.size(), 4U);
  for (const ContrastPair& pair : pairs) {
    EXPECT_FALSE(pair.domain.empty());
    EXPECT_NE(pair.text, pair.counterpart);
  }
}

TEST(Pairs, BadLinesAreNamed) {
  for (const std::string name : {"json", "missing_key", "same_text", "type", "twice"}) {
    const fs::path path = source("tests/data/pairs/bad_" + name + ".jsonl");
    ASSERT_TRUE(fs::exists(path)) << path;
    try {
      read_pairs({path});
      ADD_FAILURE() << name << " was read";
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_NE(std::string(error.what()).find(path.filename().string() + ":2"), std::string::npos)
          << error.what();
    }
  }
  EXPECT_THROW(read_pairs({}), Error);
  EXPECT_THROW(read_pairs({source("tests/data/pairs/none.jsonl")}), Error);
}

// The pairs that the project brings: the paper's 4 domains and 17 subclasses, at least a dozen
// pairs each, the same in three languages.
TEST(Pairs, OurOwnAreWholeInEveryLanguage) {
  std::map<std::string, std::set<std::string>> ids;
  for (const std::string language : {"en", "zh", "hi"}) {
    const std::vector<ContrastPair> pairs =
        read_pairs({source("data/pairs/" + language + ".jsonl")});
    for (const ContrastPair& pair : pairs) {
      EXPECT_EQ(pair.language, language);
      ids[language].insert(pair.id);
    }
    std::vector<std::string> left_out;
    const std::vector<Concept> concepts = concepts_of(pairs, all_of(pairs), 12, left_out);
    EXPECT_TRUE(left_out.empty());
    EXPECT_EQ(concepts.size(), 17U + 4U);
    EXPECT_EQ(std::ranges::count(concepts, "", &Concept::subclass), 4);
  }
  EXPECT_EQ(ids["en"], ids["zh"]);
  EXPECT_EQ(ids["en"], ids["hi"]);
}

TEST(Pairs, ConceptsWithTooFewPairsAreNamed) {
  const std::vector<ContrastPair> pairs = read_pairs({source("tests/data/pairs/good.jsonl")});
  std::vector<std::string> left_out;
  EXPECT_TRUE(concepts_of(pairs, all_of(pairs), 5, left_out).empty());
  EXPECT_FALSE(left_out.empty());
}

}  // namespace
}  // namespace safesail
