#include "sae/checkpoint.h"

#include <ATen/ATen.h>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <unistd.h>

#include "base/error.h"
#include "formats/safetensors.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

class Checkpoint : public testing::Test {
 public:
  ~Checkpoint() override { fs::remove_all(folder_); }

 protected:
  Checkpoint()
      : folder_(fs::temp_directory_path() /
                ("safesail_checkpoint_test." + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
    Rng rng(51, "checkpoint");
    x = random_tensor(80, 12, rng).mul_(4);
    save_sae(path, sae, provenance, x);
  }

  // The file again with other metadata and one float of one tensor changed.
  void rewrite(const std::map<std::string, std::string>& changes, const std::string& tensor = "",
               float value = 0) {
    const SafetensorsFile file(path);
    std::vector<NamedTensor> tensors;
    std::vector<std::byte> changed;
    for (const auto& [name, view] : file.tensors()) {
      tensors.push_back({name, view});
      if (name != tensor) continue;
      changed.assign(view.bytes.begin(), view.bytes.end());
      reinterpret_cast<float*>(changed.data())[1] = value;
      tensors.back().tensor.bytes = changed;
    }
    std::map<std::string, std::string> metadata = file.metadata();
    for (const auto& [key, text] : changes) metadata[key] = text;
    write_safetensors(bad, tensors, metadata);
  }

  const fs::path folder_;
  const fs::path path = folder_ / "sae.safetensors", bad = folder_ / "bad.safetensors";
  const Sae sae = [] {
    Rng rng(50, "center");
    Sae random = random_sae(12, 40, 5, 15);
    Sae moved(SaeSpec::topk(12, 40, 5), {random_floats(12, rng), 0.3f});
    std::ranges::copy(random.w_enc(), moved.w_enc().begin());
    std::ranges::copy(random.b_enc(), moved.b_enc().begin());
    std::ranges::copy(random.w_dec(), moved.w_dec().begin());
    std::ranges::copy(random.b_dec(), moved.b_dec().begin());
    return moved;
  }();
  const SaeProvenance provenance{.site = "mlp_out.17",
                                 .hf_module = "model.layers.17.mlp.down_proj",
                                 .transformer_lens_hook = "blocks.17.hook_mlp_out",
                                 .model_name = "a \"model\"",
                                 .token_policy = "BOS left out",
                                 .seed = std::numeric_limits<std::uint64_t>::max(),
                                 .tokens_trained = 123};
  at::Tensor x;
};

TEST_F(Checkpoint, LoadsWhatWasSaved) {
  const LoadedSae loaded = load_sae(path);
  EXPECT_EQ(loaded.sae.spec(), sae.spec());
  EXPECT_EQ(loaded.sae.transform().center, sae.transform().center);
  EXPECT_EQ(loaded.sae.transform().scale, sae.transform().scale);
  expect_near(loaded.sae.w_enc(), sae.w_enc(), 0, "w_enc");
  expect_near(loaded.sae.b_enc(), sae.b_enc(), 0, "b_enc");
  expect_near(loaded.sae.w_dec(), sae.w_dec(), 0, "w_dec");
  expect_near(loaded.sae.b_dec(), sae.b_dec(), 0, "b_dec");
  EXPECT_EQ(loaded.provenance.site, provenance.site);
  EXPECT_EQ(loaded.provenance.model_name, provenance.model_name);
  EXPECT_EQ(loaded.provenance.seed, provenance.seed);
  EXPECT_EQ(loaded.provenance.tokens_trained, 123);
  EXPECT_EQ(loaded.metadata.at("architecture"), "topk");
}

TEST_F(Checkpoint, GoldenVectorsProveTheLoader) {
  const GoldenCheck check = verify_sae(path);
  EXPECT_EQ(check.n_tokens, 64);
  EXPECT_EQ(check.n_different, 0);
  EXPECT_EQ(check.max_relative_difference, 0);
}

TEST_F(Checkpoint, GoldenVectorsCatchAWrongTransformOrWeight) {
  rewrite({{"scale", "0.31"}});
  EXPECT_NO_THROW(load_sae(bad));
  EXPECT_THROW(verify_sae(bad), Error);
  rewrite({}, "b_dec", 0.9f);
  EXPECT_THROW(verify_sae(bad), Error);
  rewrite({}, "golden.values", 7.0f);
  EXPECT_THROW(verify_sae(bad), Error);
}

TEST_F(Checkpoint, RefusesHostileFiles) {
  const auto expect_refused = [&](const char* what) { EXPECT_THROW(load_sae(bad), Error) << what; };
  const std::map<std::string, std::map<std::string, std::string>> cases{
      {"unknown format", {{"format", "safesail.sae.2"}}},
      {"unknown architecture", {{"architecture", "moonrelu"}}},
      {"k > n_features", {{"k", "41"}}},
      {"k = 0", {{"k", "0"}}},
      {"more features than rows", {{"n_features", "41"}}},
      {"features that would not fit memory", {{"n_features", "130000000"}}},
      {"overflowing features", {{"n_features", "99999999999999999999"}}},
      {"negative width", {{"d_in", "-12"}}},
      {"another output width", {{"d_out", "13"}}},
      {"unknown rule", {{"rule", "sometimes"}}},
      {"thresholds that are not there", {{"rule", "threshold"}}},
      {"text for a flag", {{"skip", "maybe"}}},
      {"a skip that is not there", {{"skip", "true"}}},
      {"a transcoder without its output", {{"transcoder", "true"}}},
      {"groups that do not fit", {{"groups", "3,50"}}},
      {"groups that are no numbers", {{"groups", "3,,40"}}},
      {"zero scale", {{"scale", "0"}}},
      {"negative scale", {{"scale", "-1"}}},
      {"infinite scale", {{"scale", "inf"}}},
      {"NaN scale", {{"scale", "nan"}}},
      {"text for a number", {{"k", "5 features"}}},
      {"negative tokens", {{"tokens_trained", "-1"}}},
  };
  for (const auto& [what, changes] : cases) {
    rewrite(changes);
    expect_refused(what.c_str());
  }
  for (const char* tensor : {"W_enc", "b_enc", "W_dec", "b_dec", "center"}) {
    rewrite({}, tensor, std::numeric_limits<float>::quiet_NaN());
    expect_refused(tensor);
  }
  const SafetensorsFile file(path);
  for (const auto& [missing, view] : file.tensors()) {
    if (missing.starts_with("golden")) continue;
    std::vector<NamedTensor> tensors;
    for (const auto& [name, tensor] : file.tensors()) {
      if (name != missing) tensors.push_back({name, tensor});
    }
    write_safetensors(bad, tensors, file.metadata());
    expect_refused(missing.c_str());
    // The same tensor under another dtype.
    tensors.push_back({missing, view});
    tensors.back().tensor.dtype = DType::i32;
    write_safetensors(bad, tensors, file.metadata());
    expect_refused(missing.c_str());
  }
  for (const auto& [key, text] : file.metadata()) {
    if (key == "encode" || key == "decode") continue;
    std::map<std::string, std::string> metadata = file.metadata();
    metadata.erase(key);
    std::vector<NamedTensor> tensors;
    for (const auto& [name, tensor] : file.tensors()) tensors.push_back({name, tensor});
    write_safetensors(bad, tensors, metadata);
    expect_refused(key.c_str());
  }
  write_file(bad, "not a safetensors file");
  expect_refused("noise");
}

}  // namespace
}  // namespace safesail
