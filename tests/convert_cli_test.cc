// `safesail sae convert` as its users meet it: exit codes, JSON, and nothing left behind.
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "workspace.h"

namespace safesail {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ConvertCommand : public WorkspaceTest {
 protected:
  Outcome convert(const std::string& in, const std::string& to, const std::string& out,
                  const std::string& more = "") const {
    const fs::path data = fs::path(SAFESAIL_SOURCE_DIR) / "tests/data/dialects";
    return run_safesail("sae convert --in " + (data / in).string() + " --to " + to + " --out " +
                        (dir_ / out).string() + " " + more);
  }
};

TEST_F(ConvertCommand, ConvertsAndSaysWhatItProved) {
  const Outcome outcome = convert("saelens/jumprelu", "safesail", "sae.safetensors", "--json");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  const auto json = nlohmann::json::parse(outcome.output);
  EXPECT_EQ(json["from"], "saelens");
  EXPECT_EQ(json["architecture"], "jumprelu");
  EXPECT_EQ(json["check"]["n_tokens"], 64);
  EXPECT_LE(json["check"]["share_of_tolerance"], 1);
  EXPECT_EQ(run_safesail("sae verify --sae " + (dir_ / "sae.safetensors").string()).exit_code, 0);
}

TEST_F(ConvertCommand, RefusesByNameAndLeavesNothing) {
  const Outcome top_k = convert("saelens/topk", "gemma-scope", "params.npz");
  EXPECT_EQ(top_k.exit_code, 2);
  EXPECT_THAT(top_k.output, AllOf(HasSubstr("a TopK SAE"), HasSubstr("->")));
  const Outcome program = convert("torch/module.pt", "saelens", "out");
  EXPECT_EQ(program.exit_code, 2);
  EXPECT_THAT(program.output, HasSubstr("refused torch.nn.modules.linear.Linear"));
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(ConvertCommand, AnEncoderAloneEncodesButDoesNotReconstruct) {
  ASSERT_EQ(
      convert("safe_sail/topk/ckpt_layer17.pt", "safesail", "sae.safetensors", "--k 5").exit_code,
      0);
  const std::string encode =
      "sae encode --sae " + (dir_ / "sae.safetensors").string() + " --in " +
      (fs::path(SAFESAIL_SOURCE_DIR) / "tests/data/dialects/expected.safetensors").string() +
      " --key safe_sail_topk.x --out " + (dir_ / "codes.safetensors").string();
  EXPECT_EQ(run_safesail(encode).exit_code, 0);
  const Outcome outcome = run_safesail(encode + " --reconstruct");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("an encoder alone"));
}

}  // namespace
}  // namespace safesail
