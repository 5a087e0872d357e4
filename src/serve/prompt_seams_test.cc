#include "serve/prompt_seams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Tokens of `size` bytes each.
Encoding tokens_of(std::string_view text, std::size_t size) {
  Encoding encoding;
  for (std::size_t at = 0; at < text.size(); at += size) {
    encoding.ids.push_back(0);
    encoding.offsets.emplace_back(at, std::min(at + size, text.size()));
  }
  return encoding;
}

TEST(PromptSeams, AreWhereMessagesAndTheirSecondLinesBegin) {
  const std::string text = "<s>Be brief.<u>About: tea\nText: a cup<u>again";
  const std::vector<ChatMessage> messages = {
      {"system", " Be brief.\n"}, {"user", "About: tea\nText: a cup"}, {"user", "again"}};
  EXPECT_THAT(prompt_seams(text, tokens_of(text, 1), messages), ElementsAre(3, 15, 26, 40));
  // A token that reaches over a seam stands behind it.
  EXPECT_THAT(prompt_seams(text, tokens_of(text, 4), messages), ElementsAre(0, 3, 6, 10));
}

TEST(PromptSeams, WhatATemplateDropsHasNone) {
  const std::string text = "<u>tea";
  EXPECT_THAT(prompt_seams(text, tokens_of(text, 1), {{"system", "Be brief."}, {"user", "tea"}}),
              ElementsAre(3));
  EXPECT_THAT(prompt_seams(text, tokens_of(text, 1), {{"user", ""}, {"user", "\n"}}), IsEmpty());
}

}  // namespace
}  // namespace safesail
