// What a family may be besides its usual self, against transformers: tests/data/model/variants/,
// made by scripts/golden/make_variants_golden.py; and models whose files differ from those of their
// family in name only.
#include <ATen/ATen.h>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "formats/json.h"
#include "model/golden_testing.h"

namespace safesail {
namespace {

using testing::expect_close;
using testing::tensor_of;

at::Tensor logits_of(const LanguageModel& model, const SafetensorsFile& golden) {
  const auto ids = testing::ids_of(golden, "ids"), starts = testing::ids_of(golden, "starts");
  return *model.forward({.ids = ids, .starts = starts, .logits = ForwardRequest::Logits::all})
              .logits;
}

/// A file of a variant and how far it may be from transformers: as in families_test.cc.
class Variants : public ::testing::TestWithParam<const char*> {};

TEST_P(Variants, LogitsAsTransformers) {
  const fs::path path = testing::data_folder() / "variants" / GetParam();
  const fs::path folder = fs::is_directory(path) ? path : path.parent_path();
  const SafetensorsFile golden(folder / "golden.safetensors");
  expect_close(logits_of(testing::load_model(path), golden), tensor_of(golden, "logits"), 1e-4,
               GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, Variants,
                         ::testing::Values("llama_bias", "llama_bias/model.gguf", "llama_own_head",
                                           "gpt_neox_serial", "gpt_neox_serial/model.gguf",
                                           "gemma2_untied", "gemma2_untied/model.gguf",
                                           "gemma3_pattern", "gemma3_pattern/model.gguf",
                                           "llama_partial/model.gguf"),
                         [](const auto& variant) {
                           std::string name = variant.param;
                           if (const auto slash = name.find('/'); slash != name.npos)
                             name = name.substr(0, slash) + "_gguf";
                           return name;
                         });

/// A copy of a golden model under other names.
class RenamedModels : public ::testing::Test {
 protected:
  RenamedModels()
      : folder_(fs::temp_directory_path() / ("safesail_renamed." + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~RenamedModels() override { fs::remove_all(folder_); }

  /// The tensors of `family`, each under `name(its name)`, and `more`.
  void write(const std::string& family, const Json& config,
             const std::function<std::string(std::string)>& name,
             std::vector<NamedTensor> more = {}) const {
    const SafetensorsFile file(testing::data_folder() / family / "model.safetensors");
    for (const auto& [known, view] : file.tensors()) more.push_back({name(known), view});
    write_safetensors(folder_ / "model.safetensors", more);
    write_file(folder_ / "config.json", config.dump());
  }

  void expect_logits_of(const std::string& family) const {
    const SafetensorsFile golden(testing::data_folder() / family / "golden.safetensors");
    expect_close(logits_of(testing::load_model(folder_), golden), tensor_of(golden, "logits"), 1e-4,
                 family);
  }

  static Json config_of(const std::string& family) {
    return read_json(testing::data_folder() / family / "config.json");
  }

  fs::path folder_;
  const std::vector<float> numbers_ = std::vector<float>(64, 1.5F);
  const TensorView any_{DType::f32, {8, 8}, std::as_bytes(std::span(numbers_))};
};

// transformers 4 and 5 and the published checkpoints put the language model under three prefixes.
TEST_F(RenamedModels, LanguageModelInsideAMultimodalOne) {
  const Json config{{"model_type", "gemma3"},
                    {"eos_token_id", {1, 106}},
                    {"text_config", config_of("gemma3")},
                    {"vision_config", {{"hidden_size", 8}}}};
  for (const char* prefix : {"language_model.model.", "model.language_model.", "model."}) {
    write("gemma3", config, [&](std::string name) { return prefix + name.substr(6); },
          {{"vision_tower.vision_model.embeddings.patch_embedding.weight", any_},
           {"multi_modal_projector.mm_input_projection_weight", any_}});
    expect_logits_of("gemma3");
  }
}

TEST_F(RenamedModels, AHeadThatRepeatsTheEmbeddingIsTied) {
  const SafetensorsFile file(testing::data_folder() / "qwen2" / "model.safetensors");
  write("qwen2", config_of("qwen2"), [](std::string name) { return name; },
        {{"lm_head.weight", file.at("model.embed_tokens.weight")}});
  expect_logits_of("qwen2");
  EXPECT_EQ(testing::load_model(folder_).weight_bytes(),
            testing::load_model(testing::data_folder() / "qwen2").weight_bytes());
}

TEST_F(RenamedModels, TensorsThatCarryNothingAreLeftOut) {
  write("llama", config_of("llama"), [](std::string name) { return name; },
        {{"model.layers.0.self_attn.rotary_emb.inv_freq", any_}, {"rotary_emb.inv_freq", any_}});
  expect_logits_of("llama");
  write("gpt_neox", config_of("gpt_neox"), [](std::string name) { return name; },
        {{"gpt_neox.layers.1.attention.bias", any_},
         {"gpt_neox.layers.1.attention.masked_bias", any_},
         {"gpt_neox.layers.0.attention.rotary_emb.inv_freq", any_}});
  expect_logits_of("gpt_neox");
  write("gpt2", config_of("gpt2"), [](std::string name) { return name.substr(12); },
        {{"h.0.attn.bias", any_}, {"h.1.attn.masked_bias", any_}});
  expect_logits_of("gpt2");
}

// Ollama's blobs have no extension.
TEST_F(RenamedModels, AGgufFileOfAnyName) {
  const SafetensorsFile golden(testing::data_folder() / "llama" / "golden.safetensors");
  for (const char* name : {"sha256-74701a8c35f6", "MODEL.GGUF"}) {
    fs::copy(testing::data_folder() / "llama" / "model.gguf", folder_ / name);
    expect_close(logits_of(testing::load_model(folder_ / name), golden),
                 tensor_of(golden, "logits"), 1e-4, name);
  }
  write_file(folder_ / "tokenizer.json", "{}");
  for (const fs::path& none : {folder_ / "tokenizer.json", folder_, folder_ / "none"}) {
    try {
      testing::load_model(none);
      ADD_FAILURE() << none;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(),
                  ::testing::HasSubstr("a folder with a config.json, or a GGUF file"));
    }
  }
}

// A bias, a norm or a scale that nobody asked for would have changed the result.
TEST_F(RenamedModels, TensorsThatNobodyAskedForAreRefused) {
  for (const char* more :
       {"model.layers.1.mlp.down_proj.bias", "model.layers.0.self_attn.q_norm.weight",
        "model.layers.2.input_layernorm.weight", "score.weight", "lm_head.bias",
        "model.embed_tokens.weight_scale", "model.layers.0.self_attn.bias"}) {
    write("llama", config_of("llama"), [](std::string name) { return name; }, {{more, any_}});
    try {
      testing::load_model(folder_);
      ADD_FAILURE() << more;
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_THAT(error.what(), ::testing::HasSubstr(more));
    }
  }
}

}  // namespace
}  // namespace safesail
