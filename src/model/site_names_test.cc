// Each name of our table against what TransformerLens computes in the tiny models of every family:
// tests/data/model/transformer_lens.safetensors, made by scripts/golden/make_hooks_golden.py.
#include "model/site_names.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

#include "base/error.h"
#include "formats/json.h"
#include "model/golden_testing.h"
#include "model/mlp_norm.h"
#include "model/read_spec.h"

namespace safesail {
namespace {

using testing::data_folder;
using testing::expect_close;
using testing::ids_of;
using testing::load_model;
using testing::tensor_of;

ModelSpec spec_of(const char* golden, const char* file = "") {
  return read_spec(data_folder() / golden / file);
}

constexpr std::array kKinds = {SiteKind::resid_pre, SiteKind::attn_out, SiteKind::mlp_in,
                               SiteKind::mlp_out,   SiteKind::mlp_post, SiteKind::resid_post};
constexpr int kLayer = 1;

at::Tensor tensor(const std::vector<float>& values) {
  return at::tensor(values, at::kFloat);
}

class Hooks : public ::testing::TestWithParam<std::string> {
 protected:
  Hooks()
      : golden_(data_folder() / "transformer_lens.safetensors"),
        model_(load_model(data_folder() / GetParam())) {
    const std::vector<std::int32_t> ids = ids_of(golden_, GetParam() + ".ids");
    const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(ids.size())};
    std::vector<Site> sites;
    for (const SiteKind kind : kKinds) sites.push_back({kind, kLayer});
    const ForwardResult result = model_.forward({.ids = ids, .starts = starts, .read = sites});
    for (std::size_t i = 0; i < sites.size(); ++i) ours_[kKinds[i]] = result.sites[i];
    const std::string prefix = GetParam() + ".blocks.";
    for (const auto& [name, view] : golden_.tensors())
      if (name.starts_with(prefix))
        theirs_[name.substr(GetParam().size() + 1)] = tensor_of(golden_, name);
  }
  bool post_norms() const { return model_.spec().post_norms; }

  SafetensorsFile golden_;
  LanguageModel model_;
  std::map<SiteKind, at::Tensor> ours_;
  std::map<std::string, at::Tensor> theirs_;
};

// The tolerance of families_test: 1e-4 of the root mean square.
constexpr double kTolerance = 1e-4;

TEST_P(Hooks, ThatAreWrittenReadWhatTheSiteDoes) {
  for (const SiteKind kind : kKinds) {
    const std::string hook = transformer_lens_hook({kind, kLayer}, post_norms());
    ASSERT_TRUE(theirs_.contains(hook)) << hook;
    expect_close(ours_.at(kind), theirs_.at(hook), kTolerance, hook);
  }
}

TEST_P(Hooks, ThatAreReadGiveTheSiteOfTheirValue) {
  std::size_t n_known = 0;
  for (const auto& [hook, value] : theirs_) {
    const std::optional<HookedValue> read = value_of_hook(hook, post_norms());
    if (!read) continue;
    ++n_known;
    ASSERT_EQ(read->site.layer, kLayer);
    at::Tensor theirs = value;
    if (read->before_gain) {
      const MlpNorm norm = read_mlp_norm(data_folder() / GetParam(), kLayer);
      EXPECT_FALSE(at::allclose(value, ours_.at(read->site.kind), 1e-2)) << hook << " has the gain";
      theirs = value * tensor(norm.weight);
      if (!norm.bias.empty()) theirs = theirs + tensor(norm.bias);
    }
    expect_close(ours_.at(read->site.kind), theirs, kTolerance, hook);
  }
  EXPECT_GE(n_known, 7u);
}

TEST_P(Hooks, ThatAreNoSiteHaveAValueThatNoSiteHas) {
  for (const auto& [hook, value] : theirs_) {
    if (value_of_hook(hook, post_norms())) continue;
    for (const auto& [kind, site] : ours_) {
      // What the norm before the MLP reads (hook_mlp_in) is this where the branches are parallel.
      if (model_.spec().parallel_residual && kind == SiteKind::resid_pre) continue;
      EXPECT_FALSE(at::allclose(site, value, 1e-2, 1e-3))
          << hook << " is " << to_string(Site{kind, kLayer});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Hooks,
                         ::testing::Values("gemma2", "gemma3", "gpt2", "gpt_neox", "llama",
                                           "mistral", "qwen2", "qwen3"),
                         [](const auto& one) { return one.param; });

TEST(MlpNorm, IsTheSameFromBothKindsOfFile) {
  for (const char* family : {"gemma2", "llama", "gpt2"}) {
    const MlpNorm folder = read_mlp_norm(data_folder() / family, kLayer);
    const MlpNorm file = read_mlp_norm(data_folder() / family / "model.gguf", kLayer);
    expect_close(tensor(file.weight), tensor(folder.weight), 1e-6, family);
    EXPECT_EQ(folder.bias.size(), file.bias.size());
    EXPECT_EQ(folder.bias.empty(), std::string(family) != "gpt2");
  }
  EXPECT_THROW(read_mlp_norm(data_folder() / "llama", 2), Error);
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
    const Json modules = read_json(data_folder() / family / "modules.json");
    EXPECT_EQ(modules.size(), 6u);
    for (const char* file : {"", "model.gguf"})
      for (const auto& [site, module] : modules.items())
        EXPECT_EQ(hf_module(spec_of(family, file), parse_site(site, 2)), module)
            << family << " " << file << " " << site;
  }
}

TEST(SiteNames, ModulesAreReadWithAndWithoutTheirBase) {
  const auto output = [](const char* module) {
    const auto site = site_of_module(module, false);
    return site ? to_string(*site) : "";
  };
  EXPECT_EQ(output("layers.10"), "resid_post.10");
  EXPECT_EQ(output("gpt_neox.layers.10.mlp"), "mlp_out.10");
  EXPECT_EQ(output("model.layers.17.mlp.down_proj"), "mlp_out.17");
  EXPECT_EQ(output("h.0.attn"), "attn_out.0");
  EXPECT_EQ(output("layers.3.self_attn.o_proj"), "attn_out.3");
  EXPECT_EQ(output("model.layers.5.post_feedforward_layernorm"), "mlp_post.5");
  // What lies behind the attention of one family is before the MLP of another.
  EXPECT_EQ(output("layers.3.post_attention_layernorm"), "");
  EXPECT_EQ(output("graph.0"), "");
  EXPECT_EQ(output("layers.x.mlp"), "");
  EXPECT_EQ(site_of_module("h.0.mlp", true), (Site{SiteKind::mlp_in, 0}));
  EXPECT_EQ(site_of_module("layers.4", true), (Site{SiteKind::resid_pre, 4}));
  EXPECT_EQ(site_of_module("layers.4.self_attn", true), std::nullopt);
  for (const SiteKind kind : {SiteKind::resid_post, SiteKind::mlp_out, SiteKind::attn_out}) {
    const Site site{kind, 7};
    EXPECT_EQ(site_of_module(base_module(site), false), site);
  }
  EXPECT_EQ(base_module({SiteKind::mlp_in, 7}), "");
}

TEST(SiteNames, OfHooks) {
  EXPECT_EQ(transformer_lens_hook({SiteKind::mlp_out, 17}, false), "blocks.17.hook_mlp_out");
  EXPECT_EQ(transformer_lens_hook({SiteKind::mlp_out, 17}, true), "blocks.17.mlp.hook_out");
  EXPECT_EQ(transformer_lens_hook({SiteKind::mlp_post, 17}, true), "blocks.17.hook_mlp_out");
  EXPECT_EQ(transformer_lens_hook({SiteKind::attn_out, 2}, true), "blocks.2.attn.hook_out");
  for (const bool post_norms : {false, true})
    for (const SiteKind kind : kKinds) {
      const auto back = value_of_hook(transformer_lens_hook({kind, 3}, post_norms), post_norms);
      ASSERT_TRUE(back.has_value());
      EXPECT_FALSE(back->before_gain);
      const bool as_mlp_out = kind == SiteKind::mlp_post && !post_norms;
      EXPECT_EQ(back->site, (Site{as_mlp_out ? SiteKind::mlp_out : kind, 3}));
    }
  EXPECT_EQ(value_of_hook("blocks.3.hook_attn_out", true), std::nullopt);
  EXPECT_EQ(value_of_hook("blocks.3.hook_mlp_in", false), std::nullopt);
  EXPECT_EQ(value_of_hook("blocks.3.attn.hook_z", false), std::nullopt);
  EXPECT_EQ(value_of_hook("blocks.x.hook_mlp_out", false), std::nullopt);
  EXPECT_EQ(value_of_hook("hook_embed", false), std::nullopt);
}

TEST(SiteNames, PostNormsByTheModelsName) {
  for (const char* name : {"gemma-2-2b", "google/gemma-2-9b-it", "gemma2", "Gemma-3-270m",
                           "google/gemma-3-1b-pt", "shieldgemma-2b", "medgemma-4b-it"})
    EXPECT_TRUE(may_have_post_norms(name)) << name;
  for (const char* name : {"gemma-2b", "google/gemma-2b-it", "gemma-7b", "gemma-1.1-2b-it",
                           "codegemma-7b", "Llama-3.1-8B", "gpt2", "tiny", ""})
    EXPECT_FALSE(may_have_post_norms(name)) << name;
}

}  // namespace
}  // namespace safesail
