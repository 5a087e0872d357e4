#include "formats/model_path.h"

#include <gtest/gtest.h>

#include "formats/test_files.h"

namespace safesail {
namespace {

TEST(ModelPath, NamesWhatPeopleCallIt) {
  EXPECT_EQ(name_of_model("models/smollm2-135m-q4_1.gguf"), "smollm2-135m-q4_1");
  for (const char* folder : {"Qwen2.5-3B-Instruct", "models/Qwen2.5-3B-Instruct/"})
    EXPECT_EQ(name_of_model(folder), "Qwen2.5-3B-Instruct");
  EXPECT_EQ(name_of_model("blobs/sha256-1234"), "sha256-1234");
}

TEST(ModelPath, IsDecidedByWhatIsThere) {
  const TempFolder folder;
  write_file(folder / "sha256-0123", "GGUF\3\0\0");
  write_file(folder / "tokenizer.json", "{}");
  write_file(folder / "short", "GG");
  EXPECT_EQ(kind_of_model(folder.path()), ModelPath::folder);
  EXPECT_EQ(kind_of_model(folder / "sha256-0123"), ModelPath::gguf);
  EXPECT_EQ(kind_of_model(folder / "tokenizer.json"), ModelPath::other);
  EXPECT_EQ(kind_of_model(folder / "short"), ModelPath::other);
  EXPECT_EQ(kind_of_model("/dev/null"), ModelPath::other);
  // By its name where it is not there or is damaged: the reader of GGUF says what is wrong.
  EXPECT_EQ(kind_of_model(folder / "none.GGUF"), ModelPath::gguf);
  EXPECT_EQ(kind_of_model(folder / "none"), ModelPath::other);
}

}  // namespace
}  // namespace safesail
