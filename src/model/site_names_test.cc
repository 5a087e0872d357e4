#include "model/site_names.h"

#include <gtest/gtest.h>

#include "formats/json.h"
#include "model/golden_testing.h"
#include "model/read_spec.h"

namespace safesail {
namespace {

ModelSpec spec_of(const char* golden, const char* file = "") {
  return read_spec(testing::data_folder() / golden / file);
}

TEST(SiteNames, HuggingFaceModules) {
  const Site mlp_out{SiteKind::mlp_out, 17}, mlp_in{SiteKind::mlp_in, 3};
  const Site mlp_post{SiteKind::mlp_post, 3}, resid_pre{SiteKind::resid_pre, 0};
  const ModelSpec llama = spec_of("llama"), gemma = spec_of("gemma2");
  EXPECT_EQ(hf_module(llama, mlp_out), "model.layers.17.mlp.down_proj");
  EXPECT_EQ(hf_module(llama, mlp_in), "model.layers.3.post_attention_layernorm");
  EXPECT_EQ(hf_module(llama, mlp_post), "model.layers.3.mlp.down_proj");
  EXPECT_EQ(hf_module(llama, resid_pre), "model.layers.0 (input)");
  EXPECT_EQ(hf_module(gemma, mlp_in), "model.layers.3.pre_feedforward_layernorm");
  EXPECT_EQ(hf_module(gemma, mlp_post), "model.layers.3.post_feedforward_layernorm");
  EXPECT_EQ(hf_module(spec_of("gpt2"), mlp_out), "transformer.h.17.mlp.c_proj");
  EXPECT_EQ(hf_module(spec_of("gpt_neox"), mlp_out), "gpt_neox.layers.17.mlp.dense_4h_to_h");
}

// They say where an SAE belongs, whatever file the model was read from; the names are
// transformers'.
TEST(SiteNames, HuggingFaceModulesOfEveryFamily) {
  for (const char* family :
       {"llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "gpt_neox", "gpt2"}) {
    const Json modules = read_json(testing::data_folder() / family / "modules.json");
    EXPECT_EQ(modules.size(), 6u);
    for (const char* file : {"", "model.gguf"})
      for (const auto& [site, module] : modules.items())
        EXPECT_EQ(hf_module(spec_of(family, file), parse_site(site, 2)), module)
            << family << " " << file << " " << site;
  }
}

// TransformerLens hooks the MLP's output behind the post-norm.
TEST(SiteNames, TransformerLensHooks) {
  const ModelSpec llama = spec_of("llama"), gemma = spec_of("gemma3");
  EXPECT_EQ(transformer_lens_hook(llama, {SiteKind::mlp_out, 17}), "blocks.17.hook_mlp_out");
  EXPECT_EQ(transformer_lens_hook(gemma, {SiteKind::mlp_out, 17}), "");
  EXPECT_EQ(transformer_lens_hook(gemma, {SiteKind::mlp_post, 17}), "blocks.17.hook_mlp_out");
  EXPECT_EQ(transformer_lens_hook(llama, {SiteKind::resid_post, 2}), "blocks.2.hook_resid_post");
  EXPECT_EQ(transformer_lens_hook(llama, {SiteKind::mlp_in, 2}), "");
}

}  // namespace
}  // namespace safesail
