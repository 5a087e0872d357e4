// The program as its users meet it: help, results, and one clear error for each kind of bad input.
#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "workspace.h"

namespace safesail {
namespace {

using testing::HasSubstr;

class Cli : public WorkspaceTest {
 protected:
  /// Exit code 2, one error with a remedy, and nothing left in the workspace but what was there.
  void expect_bad_input(const std::string& arguments, const std::string& says) {
    const Outcome outcome = run_safesail(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments << "\n" << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr(says)) << arguments;
  }
  std::string path(const char* name) const { return (dir_ / name).string(); }
  std::string write(const char* name, const std::string& text) const {
    std::ofstream(dir_ / name) << text;
    return path(name);
  }
  const std::string model_ = "--model " + packaged_model().string();
};

TEST_F(Cli, EveryCommandHasHelpWithAnExample) {
  for (const char* command : {"demo",           "doctor",
                              "model info",     "model tokenize",
                              "model logits",   "model activations",
                              "model generate", "harvest",
                              "train",          "run",
                              "evaluate",       "sae info",
                              "sae encode",     "sae convert",
                              "sae verify",     "select",
                              "exemplars",      "explain",
                              "score",          "serve",
                              "trace",          "atlas search"}) {
    const Outcome outcome = run_safesail(std::string(command) + " --help");
    EXPECT_EQ(outcome.exit_code, 0) << command;
    EXPECT_THAT(outcome.output, HasSubstr("Example")) << command;
  }
}

TEST_F(Cli, ItsThreadsWaitShortlyUnlessToldOtherwise) {
  ::setenv("OMP_DISPLAY_ENV", "verbose", 1);  // libgomp then tells what it was loaded with
  ::unsetenv("GOMP_SPINCOUNT");
  const Outcome untold = run_safesail("--version");
  ::setenv("OMP_WAIT_POLICY", "active", 1);
  const Outcome told = run_safesail("--version");
  for (const char* name : {"OMP_DISPLAY_ENV", "OMP_WAIT_POLICY"}) ::unsetenv(name);
  ::setenv("GOMP_SPINCOUNT", "1000", 1);  // as for the other tests
  constexpr const char* kShortly = "GOMP_SPINCOUNT = '1000'";
  EXPECT_THAT(untold.output, HasSubstr(kShortly));
  EXPECT_THAT(told.output, testing::Not(HasSubstr(kShortly)));
  for (const Outcome& outcome : {untold, told}) {
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.output, HasSubstr("safesail ")) << "the arguments are the same";
  }
}

TEST_F(Cli, TokenizePrintsJson) {
  const Outcome outcome = run_safesail("model tokenize " + model_ + " --text 'Hello world' --json");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  const auto json = nlohmann::json::parse(outcome.output);
  EXPECT_EQ(json["tokens"], (std::vector<std::string>{"Hello", "Ġworld"}));
  EXPECT_EQ(json["ids"].size(), 2u);
}

TEST_F(Cli, UnknownCommandsAndOptionsAreBadInput) {
  expect_bad_input("fly", "expected a command, got 'fly'\n  -> 'safesail --help'");
  expect_bad_input("trian --k 3", "did you mean 'safesail train'?");
  expect_bad_input("generate --prompt hi", "did you mean 'safesail model generate'?");
  expect_bad_input("model inform", "safesail model: expected a command, got 'inform'");
  expect_bad_input("doctor --wings", "safesail doctor: expected an option of this command");
  expect_bad_input("model info --modle x", "did you mean '--model'?");
  expect_bad_input("doctor now", "safesail doctor: expected options, got 'now'");
  expect_bad_input("model info", "--model is required");
  expect_bad_input("demo --tokens -3", "--tokens: expected a number above 0, got -3\n");
  expect_bad_input("demo --tokens many", "--tokens: expected a number above 0, got many\n");
  expect_bad_input("", "Subcommands:");
  expect_bad_input("model", "generate");
}

TEST_F(Cli, OptionsThatWouldDoNothingAreRefused) {
  for (const char* option : {"--max-prompt 5", "--max-new 5", "--max-waiting 5", "--no-model",
                             "--web .", "--run .", "--atlas .", "--any-model"})
    expect_bad_input("serve --openai " + model_ + " " + option, "with --openai, got it");
  for (const char* option : {"--name m", "--prefix-cache 5"})
    expect_bad_input(std::string("serve --run . ") + option, "without --openai, got it");
}

TEST_F(Cli, ModelsThatAreNotModels) {
  expect_bad_input("model info --model " + path("none.gguf"), "none.gguf");
  expect_bad_input("model info --model " + write("bad.gguf", "GGUF but not really"), "bad.gguf");
  expect_bad_input("model info --model " + write("empty.gguf", ""), "empty.gguf");
  fs::create_directories(dir_ / "folder");
  expect_bad_input("model info --model " + path("folder"), "config.json");
  write("folder/config.json", R"({"model_type": "mamba"})");
  expect_bad_input("model info --model " + path("folder"), "llama");
}

TEST_F(Cli, SitesAndIdsThatTheModelDoesNotHave) {
  const std::string out = " --out " + path("a.safetensors");
  expect_bad_input("model activations " + model_ + " --ids 1,2 --sites mlp_out.99" + out,
                   "mlp_out.99");
  expect_bad_input("model activations " + model_ + " --ids 1,2 --sites mlp_side.1" + out,
                   "mlp_side");
  expect_bad_input("model activations " + model_ + " --ids 1,x --sites mlp_out.1" + out, "1,x");
  expect_bad_input("model logits " + model_ + " --ids 1,9999999" + out, "9999999");
  EXPECT_FALSE(fs::exists(dir_ / "a.safetensors"));
}

TEST_F(Cli, TrainingThatCannotWork) {
  const std::string corpus =
      " --corpus " + write("c.jsonl", "{\"text\": \"one two three four five\"}\n");
  const std::string rest = " --out " + path("run");
  expect_bad_input("train " + model_ + corpus + " --sites mlp_out.1 -k 99999" + rest, "99999");
  expect_bad_input(
      "train " + model_ + " --corpus " + path("none.jsonl") + " --sites mlp_out.1" + rest,
      "none.jsonl");
  expect_bad_input("train " + model_ + " --corpus " + write("bad.jsonl", "not json\nnor this\n") +
                       " --sites mlp_out.1" + rest,
                   "bad.jsonl");
  expect_bad_input("train " + model_ + corpus + rest, "--sites");
  EXPECT_FALSE(fs::exists(dir_ / "run" / "sae"));
}

TEST_F(Cli, MistakesAreSaidBeforeTheWeightsAreLoaded) {
  const std::string corpus =
      " --corpus " + write("c.jsonl", "{\"text\": \"one two three four five\"}\n");
  const std::string none = " --corpus " + path("none.jsonl"), out = " --out " + path("run");
  const std::string runless = " --run " + path("no_run");
  for (const std::string& arguments :
       {"train " + model_ + none + " --sites mlp_out.1" + out,
        "train " + model_ + corpus + " --sites mlp_out.30" + out,
        "train " + model_ + corpus + " --sites mlp_out.1 -k 99999" + out,
        "harvest " + model_ + none + " --sites mlp_out.1" + out,
        "harvest " + model_ + corpus + " --sites mlp_out.30" + out,
        "evaluate " + model_ + none + runless, "evaluate " + model_ + corpus + runless,
        "select " + model_ + runless, "exemplars " + model_ + corpus + runless}) {
    const Outcome outcome = run_safesail(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments << "\n" << outcome.output;
    EXPECT_THAT(outcome.output, testing::Not(HasSubstr("weights in"))) << arguments;
  }
  EXPECT_THAT(run_safesail("model logits " + model_ + " --ids 1" + out).output,
              HasSubstr("weights in"));
}

TEST_F(Cli, HarvestSaysWhatTheDiskCannotHold) {
  const std::string corpus =
      " --corpus " + write("c.jsonl", "{\"text\": \"one two three four five\"}\n");
  expect_bad_input("harvest " + model_ + corpus +
                       " --sites 'mlp_out.*' --tokens 100000000000 --out " + path("acts"),
                   "free");
  EXPECT_FALSE(fs::exists(dir_ / "acts"));
}

TEST_F(Cli, SaesThatAreNotSaes) {
  expect_bad_input("sae info --sae " + path("none.safetensors"), "none.safetensors");
  expect_bad_input("sae info --sae " + write("bad.safetensors", "12345678901234567890"),
                   "bad.safetensors");
}

// oneDNN's bf16 products are silently wrong where OpenMP gives fewer threads than were asked for.
TEST_F(Cli, AThreadLimitChangesNoResult) {
  const auto continuation = [&] {
    return run_safesail("-q --threads 3 model generate " + model_ +
                        " --dtype bf16 --text 'The capital of France is' -n 12 --json")
        .output;
  };
  const std::string free = continuation();
  EXPECT_THAT(free, HasSubstr("Paris"));
  ASSERT_EQ(::setenv("OMP_THREAD_LIMIT", "1", 1), 0);
  const std::string limited = continuation();
  ::unsetenv("OMP_THREAD_LIMIT");
  EXPECT_EQ(limited, free);
}

}  // namespace
}  // namespace safesail
