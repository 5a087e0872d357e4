#include "interpret/language.h"

#include <array>
#include <gtest/gtest.h>

#include "base/error.h"

namespace safesail {
namespace {

TEST(Language, IsFoundByNameAndByCode) {
  for (const auto& [text, code, name] : {std::array{"Hindi", "hi", "Hindi"},
                                         {"hi", "hi", "Hindi"},
                                         {"chinese", "zh", "Chinese"},
                                         {"SWAHILI", "sw", "Swahili"},
                                         {"Hawaiian", "haw", "Hawaiian"}}) {
    EXPECT_EQ(find_language(text).code, code);
    EXPECT_EQ(find_language(text).name, name);
  }
  for (const char* text : {"", "Klingonese", "h", "Hindi and Urdu"})
    EXPECT_THROW(find_language(text), Error) << text;
}

}  // namespace
}  // namespace safesail
