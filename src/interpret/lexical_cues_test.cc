#include "interpret/lexical_cues.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace safesail {
namespace {

using testing::ElementsAre;

std::vector<std::string> cues_of_last(std::string_view text) {
  std::vector<std::string> cues;
  const CuedPiece last = cued_pieces(text).back();
  for (const Cue& cue : last.cues)
    cues.push_back(std::string(to_string(cue.kind)) + " " + cue.text);
  return cues;
}

TEST(Cues, AreTheWordItsNeighbourItsEndsAndItsTraits) {
  EXPECT_THAT(cues_of_last("The Bombing"),
              ElementsAre("word bombing", "pair the bombing", "after the", "beginning bom",
                          "ending ing", "trait capital"));
  EXPECT_THAT(cues_of_last("of war"),
              ElementsAre("word war", "pair of war", "after of", "trait word"));
  EXPECT_THAT(cues_of_last("1945"), ElementsAre("word 1945", "trait number", "trait first"));
  EXPECT_THAT(cues_of_last("war:"), ElementsAre("word :", "pair war :", "after war", "trait mark"));
}

TEST(Cues, TakeLettersNotBytesOfOtherScripts) {
  EXPECT_THAT(cues_of_last("приветы"), ElementsAre("word приветы", "beginning при", "ending еты",
                                                   "trait word", "trait first"));
  EXPECT_THAT(cues_of_last("STRASSE Straße"),
              testing::Contains("word strasse"));  // full case folding
}

TEST(Cues, HoldOnAnyBytes) {
  EXPECT_TRUE(cued_pieces("").empty());
  EXPECT_EQ(fold_case("A\xff\xe4"), "a\xff\xe4");
  for (const CuedPiece& piece : cued_pieces("abcdef\xff\xfe\x80ghijk \x80\x80\x80\x80\x80"))
    EXPECT_FALSE(piece.cues.empty());
}

TEST(FunctionWords, AreSortedAndFound) {
  EXPECT_TRUE(is_function_word("the"));
  EXPECT_TRUE(is_function_word("fires"));
  EXPECT_FALSE(is_function_word("attack"));
}

}  // namespace
}  // namespace safesail
