#include "model/site_names.h"

#include <gtest/gtest.h>

namespace safesail {
namespace {

ModelSpec spec_of(const char* family, bool post_norms) {
  ModelSpec spec;
  spec.family = family;
  spec.post_norms = post_norms;
  return spec;
}

TEST(SiteNames, HuggingFaceModules) {
  const Site mlp_out{SiteKind::mlp_out, 17}, mlp_in{SiteKind::mlp_in, 3};
  const Site mlp_post{SiteKind::mlp_post, 3}, resid_pre{SiteKind::resid_pre, 0};
  const ModelSpec llama = spec_of("llama", false), gemma = spec_of("gemma2", true);
  EXPECT_EQ(hf_module(llama, mlp_out), "model.layers.17.mlp.down_proj");
  EXPECT_EQ(hf_module(llama, mlp_in), "model.layers.3.post_attention_layernorm");
  EXPECT_EQ(hf_module(llama, mlp_post), "model.layers.3.mlp.down_proj");
  EXPECT_EQ(hf_module(llama, resid_pre), "model.layers.0 (input)");
  EXPECT_EQ(hf_module(gemma, mlp_in), "model.layers.3.pre_feedforward_layernorm");
  EXPECT_EQ(hf_module(gemma, mlp_post), "model.layers.3.post_feedforward_layernorm");
  EXPECT_EQ(hf_module(spec_of("gpt2", false), mlp_out), "transformer.h.17.mlp.c_proj");
  EXPECT_EQ(hf_module(spec_of("gpt_neox", false), mlp_out), "gpt_neox.layers.17.mlp.dense_4h_to_h");
}

// TransformerLens hooks the MLP's output behind the post-norm.
TEST(SiteNames, TransformerLensHooks) {
  const ModelSpec llama = spec_of("llama", false), gemma = spec_of("gemma3", true);
  EXPECT_EQ(transformer_lens_hook(llama, {SiteKind::mlp_out, 17}), "blocks.17.hook_mlp_out");
  EXPECT_EQ(transformer_lens_hook(gemma, {SiteKind::mlp_out, 17}), "");
  EXPECT_EQ(transformer_lens_hook(gemma, {SiteKind::mlp_post, 17}), "blocks.17.hook_mlp_out");
  EXPECT_EQ(transformer_lens_hook(llama, {SiteKind::resid_post, 2}), "blocks.2.hook_resid_post");
  EXPECT_EQ(transformer_lens_hook(llama, {SiteKind::mlp_in, 2}), "");
}

}  // namespace
}  // namespace safesail
