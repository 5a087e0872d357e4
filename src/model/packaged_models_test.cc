// The packaged GGUF models against what transformers computes with the same files
// (scripts/golden/make_packaged_model_golden.py). Skipped where set-up has not brought the models.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/installed_testing.h"
#include "model/golden_testing.h"
#include "model/language_model.h"

namespace safesail {
namespace {

using testing::expect_close;
using testing::tensor_of;

class PackagedModels : public ::testing::TestWithParam<const char*> {};

TEST_P(PackagedModels, HighestLogitsAsTransformers) {
  const std::string name = GetParam();
  const fs::path path = fs::path(SAFESAIL_SOURCE_DIR) / ".deps" / "models" / (name + ".gguf");
  if (name.starts_with("gemma") && !fs::exists(path)) GTEST_SKIP() << path << " comes on demand";
  SAFESAIL_NEED_INSTALLED(path);
  const LanguageModel model = testing::load_model(path);
  const SafetensorsFile golden(testing::data_folder() / (name + ".top.safetensors"));
  const std::vector<std::int32_t> ids = testing::ids_of(golden, "ids");
  const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(ids.size())};
  const ForwardResult result =
      model.forward({.ids = ids, .starts = starts, .logits = ForwardRequest::Logits::all});
  // Thirty layers in f32, values up to 40: the same bound as for the small models holds.
  expect_close(result.logits->gather(1, tensor_of(golden, "top.ids").to(at::kLong)),
               tensor_of(golden, "top.logits"), 1e-4, "highest logits");
  expect_close(result.logits->norm(2, -1), tensor_of(golden, "norm"), 1e-4, "norms");
}

INSTANTIATE_TEST_SUITE_P(
    All, PackagedModels, ::testing::Values("smollm2-135m-instruct-q4_1", "gemma3-270m-q4_k_m"),
    [](const auto& model) {
      return std::string(model.param).substr(0, std::string_view(model.param).find('-'));
    });

}  // namespace
}  // namespace safesail
