#include "base/file.h"

#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "base/error.h"

namespace safesail {
namespace {

using testing::HasSubstr;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    dir_ = fs::temp_directory_path() /
           (std::string("safesail_") + info->name() + std::to_string(::getpid()));
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }
  std::size_t n_files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(dir_), fs::directory_iterator{}));
  }
  fs::path dir_;
};

TEST_F(FileTest, AtomicFileAppearsOnlyOnCommit) {
  const fs::path path = dir_ / "sub" / "a.txt";
  AtomicFile file(path);
  file.write("hello");
  EXPECT_FALSE(fs::exists(path));
  file.commit();
  EXPECT_EQ(read_file(path, 100), "hello");
}

TEST_F(FileTest, AbandonedAtomicFileLeavesTheOldOneAndNoRest) {
  write_file(dir_ / "a.txt", "old");
  {
    AtomicFile file(dir_ / "a.txt");
    file.write("half of the new");
  }
  EXPECT_EQ(read_file(dir_ / "a.txt", 100), "old");
  EXPECT_EQ(n_files(), 1u);
}

TEST_F(FileTest, TwoAtOnceDoNotWriteIntoOneFile) {
  // Of one process, as two containers with the same process number would be on one disk.
  AtomicFile first(dir_ / "a.txt"), second(dir_ / "a.txt");
  EXPECT_EQ(n_files(), 2u);
  first.write("the first, which is longer");
  second.write("the second");
  first.commit();
  EXPECT_EQ(read_file(dir_ / "a.txt", 100), "the first, which is longer");
  second.commit();
  EXPECT_EQ(read_file(dir_ / "a.txt", 100), "the second");
  EXPECT_EQ(n_files(), 1u);
}

TEST_F(FileTest, RemovalThatIsKilledLeavesAllOrNothing) {
  constexpr std::size_t kFiles = 300;
  const fs::path folder = dir_ / "folder";
  for (int round = 0; round < 20; ++round) {
    fs::create_directory(folder);
    for (std::size_t file = 0; file < kFiles; ++file)
      std::ofstream(folder / std::to_string(file)) << "kept";
    const pid_t child = ::fork();
    if (child == 0) {
      remove_whole(folder);
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    if (fs::exists(folder)) {
      EXPECT_EQ(static_cast<std::size_t>(
                    std::distance(fs::directory_iterator(folder), fs::directory_iterator{})),
                kFiles)
          << "round " << round;
    }
  }
  remove_whole(folder);
  EXPECT_EQ(n_files(), 0u);
  remove_whole(folder);  // of what is not there
}

TEST_F(FileTest, MapsAnEmptyFile) {
  write_file(dir_ / "empty", "");
  EXPECT_TRUE(MappedFile(dir_ / "empty").bytes().empty());
}

TEST_F(FileTest, ErrorsNameThePath) {
  try {
    MappedFile file(dir_ / "none");
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::input);
    EXPECT_THAT(error.what(), HasSubstr("none"));
    EXPECT_FALSE(error.remedy().empty());
  }
  EXPECT_THROW(MappedFile{dir_}, Error);
}

TEST_F(FileTest, APointerOfGitLfsIsNamed) {
  write_file(dir_ / "model.safetensors",
             "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1234567\n");
  for (const auto& read : std::vector<std::function<void(const fs::path&)>>{
           [](const fs::path& path) { MappedFile file(path); },
           [](const fs::path& path) { read_file(path, 1000); }}) {
    try {
      read(dir_ / "model.safetensors");
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_NE(std::string(error.what()).find("git-lfs pointer"), std::string::npos);
      EXPECT_NE(error.remedy().find("git lfs pull"), std::string_view::npos);
    }
  }
}

TEST_F(FileTest, ReadFileRefusesMoreThanItsLimit) {
  write_file(dir_ / "a", "12345");
  EXPECT_EQ(read_file(dir_ / "a", 5), "12345");
  EXPECT_THROW(read_file(dir_ / "a", 4), Error);
}

TEST_F(FileTest, RequireDiskKnowsFoldersThatDoNotExistYet) {
  EXPECT_NO_THROW(require_disk(dir_ / "x" / "y", 1, "a byte"));
  EXPECT_THROW(require_disk(dir_ / "x" / "y", std::uint64_t{1} << 62, "everything"), Error);
}

}  // namespace
}  // namespace safesail
