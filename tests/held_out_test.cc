// What was trained on and what is evaluated on, from harvest over training to the report; and that
// an SAE meets no other model than its own.
#include <ATen/Parallel.h>
#include <cstdlib>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "sae/checkpoint.h"
#include "tiny_model.h"
#include "workspace.h"

namespace safesail {
namespace {

class HeldOutTest : public WorkspaceTest {
 protected:
  void SetUp() override {
    WorkspaceTest::SetUp();
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_tiny_model(dir_ / "model");
    write_file(dir_ / "corpus.txt", tiny_corpus(400, 20));
    write_file(dir_ / "other.txt", tiny_corpus(50, 20, 13));
  }
  void TearDown() override {
    ::unsetenv("OMP_NUM_THREADS");
    WorkspaceTest::TearDown();
  }

  std::string path(const char* name) const { return (dir_ / name).string(); }
  std::string input(const char* corpus = "corpus.txt") const {
    return fmt::format(" --model {} --corpus {} --max-sequence 100 --batch-tokens 500",
                       path("model"), path(corpus));
  }
  static constexpr const char* kSae = " --arch topk -k 4 --features 64 --batch 128 --block 500";

  void do_well(const std::string& arguments) const {
    const Outcome outcome = run_safesail("-q " + arguments);
    ASSERT_EQ(outcome.exit_code, 0) << arguments << "\n" << outcome.output;
  }
  /// What the report of an evaluation says of its documents.
  std::string documents_of(const std::string& arguments) const {
    do_well("evaluate --tokens 500 --loss-tokens 100 --report " + path("report.html") + arguments);
    const std::string page = read_file(dir_ / "report.html", 1 << 24);
    const std::size_t begin = page.find("documents</");
    return begin == std::string::npos ? page : page.substr(begin, 400);
  }
};

TEST_F(HeldOutTest, ARunIsEvaluatedOnWhatItsTrainingLeftOut) {
  do_well("train" + input() + kSae + " --sites mlp_out.0 --tokens 3000 --held-out 0.2 --out " +
          path("run"));
  const std::string run = input() + " --run " + path("run");
  EXPECT_THAT(documents_of(run), testing::HasSubstr("20 % of the corpus, held out of training"));
  EXPECT_THAT(documents_of(run + " --held-out 0.1"),
              testing::HasSubstr("10 % of the corpus, held out of training"));
  EXPECT_THAT(documents_of(run + " --held-out 0.5"),
              testing::HasSubstr("may have been trained on"));
  EXPECT_THAT(documents_of(run + " --all-documents"),
              testing::HasSubstr("may have been trained on"));
  EXPECT_THAT(documents_of(input("other.txt") + " --run " + path("run") + " --all-documents"),
              testing::HasSubstr("of files that training did not read"));
}

TEST_F(HeldOutTest, ActivationsInFilesKeepWhatTheyAreOf) {
  do_well("harvest" + input() + " --sites mlp_out.0 --tokens 3000 --out " + path("all"));
  do_well("harvest" + input() + " --sites mlp_out.0 --tokens 3000 --held-out 0.2 --out " +
          path("part"));
  for (const char* folder : {"all", "part"})
    do_well(fmt::format("train --activations {} --key mlp_out.0{} --out {}", path(folder), kSae,
                        path(folder) + "-run"));
  EXPECT_THAT(documents_of(input() + " --run " + path("all-run")),
              testing::HasSubstr("may have been trained on"));
  EXPECT_THAT(documents_of(input() + " --run " + path("part-run")),
              testing::HasSubstr("20 % of the corpus, held out of training"));

  do_well("train" + input() + kSae + " --sites mlp_out.0 --tokens 3000 --out " + path("run"));
  const auto provenance = [&](const char* run) {
    return load_sae(dir_ / run / "sae/mlp_out.0/topk-k4/sae.safetensors").provenance;
  };
  const SaeProvenance by_model = provenance("run"), by_files = provenance("all-run");
  EXPECT_EQ(by_files.model_name, "model");
  EXPECT_EQ(by_files.model_hash.size(), 32u);
  EXPECT_EQ(by_files.model_hash, by_model.model_hash);
  EXPECT_EQ(by_files.tokenizer_hash, by_model.tokenizer_hash);
  EXPECT_EQ(by_files.token_policy, by_model.token_policy);
  EXPECT_EQ(by_model.prepends_bos, false);
  EXPECT_EQ(by_model.context_size, 100);
  EXPECT_EQ(by_model.dataset, path("corpus.txt"));
}

TEST_F(HeldOutTest, NothingHeldOutIsNothingEvaluated) {
  do_well("train" + input() + kSae + " --sites mlp_out.0 --tokens 3000 --held-out 0 --out " +
          path("run"));
  EXPECT_TRUE(fs::exists(dir_ / "run/sae/mlp_out.0/topk-k4/sae.safetensors"));
  EXPECT_EQ(read_file(dir_ / "run/evaluation.jsonl", 1 << 20), "");
  EXPECT_THAT(read_file(dir_ / "run/report.html", 1 << 24),
              testing::HasSubstr("nothing is held out"));
}

TEST_F(HeldOutTest, AnSaeOfAnotherModelIsRefusedUnlessTold) {
  do_well("train" + input() + kSae + " --sites mlp_out.0 --tokens 3000 --out " + path("run"));
  const std::string sae = path("run/sae/mlp_out.0/topk-k4/sae.safetensors");
  write_tiny_model(dir_ / "renamed", "first");
  write_tiny_model(dir_ / "other");
  // The same shapes with other settings.
  auto config = nlohmann::json::parse(read_file(dir_ / "other/config.json", 1 << 20));
  config["rms_norm_eps"] = 2e-5;
  write_file(dir_ / "other/config.json", config.dump());
  write_file(dir_ / "pairs.jsonl",
             R"({"pair": "weapons-01", "domain": "terror", "subclass": "weapons", "concept": "x", )"
             R"("language": "en", "text": "w1 w2", "counterpart": "w3 w4", "source": "test"})"
             "\n");
  for (const auto& [model, what] :
       {std::pair{"other", "another model"}, std::pair{"renamed", "another tokenizer"}}) {
    const std::string with = " --model " + path(model);
    const std::string corpus = with + " --corpus " + path("corpus.txt") + " --max-sequence 100" +
                               " --batch-tokens 500 --tokens 500 --loss-tokens 100";
    for (const std::string& command :
         {"evaluate" + corpus + " --run " + path("run"), "evaluate" + corpus + " --sae " + sae,
          "select" + with + " --sae " + sae + " --out " + path("select") + " --pairs " +
              path("pairs.jsonl"),
          "trace" + with + " --sae " + sae + " --text w1"}) {
      const Outcome outcome = run_safesail(command);
      EXPECT_EQ(outcome.exit_code, 2) << command << "\n" << outcome.output;
      EXPECT_THAT(outcome.output, testing::HasSubstr(what)) << command;
      EXPECT_THAT(outcome.output, testing::HasSubstr("--any-model")) << command;
    }
    do_well("evaluate" + corpus + " --any-model --sae " + sae);
    do_well("trace" + with + " --any-model --unlisted --text w1 --sae " + sae);
  }
  do_well("trace --model " + path("model") + " --unlisted --text w1 --sae " + sae);
}

}  // namespace
}  // namespace safesail
