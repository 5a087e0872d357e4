// What the cross-room tests share: a temporary folder, the packaged model, the program as a
// subprocess.
#pragma once

#include <array>
#include <cstdio>
#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

namespace safesail {

/// A folder of its own for each test, removed at the end.
class WorkspaceTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    dir_ = fs::temp_directory_path() / (std::string("safesail_") + info->test_suite_name() + "_" +
                                        info->name() + std::to_string(::getpid()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  fs::path dir_;
};

inline fs::path packaged_model() {
  return fs::path(SAFESAIL_SOURCE_DIR) / ".deps/models/smollm2-135m-instruct-q4_1.gguf";
}

struct Outcome {
  int exit_code = 0;
  std::string output;  ///< stdout and stderr together
};

/// Runs the program with `arguments` (a shell's words).
inline Outcome run_safesail(const std::string& arguments) {
  const std::string command = std::string(SAFESAIL_PROGRAM) + " " + arguments + " 2>&1";
  Outcome outcome;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return {-1, "popen failed"};
  std::array<char, 4096> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.output.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

}  // namespace safesail
