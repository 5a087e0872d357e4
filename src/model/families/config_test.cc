// Configurations as they are published, old style and new, read into one description.
#include <cmath>
#include <fmt/format.h>
#include <functional>
#include <gtest/gtest.h>

#include "model/families/plan.h"
#include "model/families/rope.h"

namespace safesail {
namespace {

ModelPlan plan(const char* json) {
  return plan_from_config(json, "config.json");
}

/// Keys that a token sees in each layer, 0 for all.
std::vector<std::int32_t> windows_of(const ModelSpec& spec) {
  std::vector<std::int32_t> windows;
  for (const LayerAttention& layer : spec.attention) windows.push_back(layer.window);
  return windows;
}

/// The rotation of each layer.
const std::vector<float>& frequencies(const ModelSpec& spec, std::size_t layer) {
  return spec.ropes.at(static_cast<std::size_t>(spec.attention.at(layer).rope)).inv_freq;
}

TEST(Config, Llama32OldStyle) {
  const ModelSpec spec = plan(R"({
    "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256,
    "rms_norm_eps": 1e-05, "hidden_act": "silu", "attention_bias": false, "mlp_bias": false,
    "max_position_embeddings": 131072, "tie_word_embeddings": true, "rope_theta": 500000.0,
    "eos_token_id": [128001, 128008, 128009],
    "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                     "original_max_position_embeddings": 8192, "rope_type": "llama3"}})")
                             .spec;
  EXPECT_EQ(spec.qkv_dim(), 2048 + 2 * 512);
  EXPECT_TRUE(spec.tied_head);
  EXPECT_EQ(spec.eos, (std::vector<std::int32_t>{128001, 128008, 128009}));
  EXPECT_EQ(windows_of(spec), std::vector<std::int32_t>(16, 0));
  // The fastest dimension is untouched, the slowest stretched 32 times.
  ASSERT_EQ(frequencies(spec, 0).size(), 32u);
  const Rope unscaled = plain_rope("test", 500000, 64, 64);
  EXPECT_EQ(frequencies(spec, 0).front(), unscaled.inv_freq.front());
  EXPECT_FLOAT_EQ(frequencies(spec, 0).back(), unscaled.inv_freq.back() / 32);
}

TEST(Config, BothStylesOfRotaryScalingAgree) {
  const auto with = [](std::string_view rope) {
    return plan(fmt::format(R"({{"model_type": "llama", "hidden_size": 64, "intermediate_size": 64,
      "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 10, {}}})",
                            rope)
                    .c_str())
        .spec.ropes.at(0)
        .inv_freq;
  };
  const auto old_style =
      with(R"("rope_theta": 5000.0, "rope_scaling": {"type": "linear", "factor": 4.0})");
  EXPECT_EQ(
      old_style,
      with(R"("rope_parameters": {"rope_type": "linear", "rope_theta": 5000.0, "factor": 4.0})"));
  EXPECT_EQ(old_style[0], 0.25f);
  EXPECT_EQ(with(R"("rope_theta": 5000.0, "rope_scaling": null)"),
            with(R"("rope_parameters": {"rope_type": "default", "rope_theta": 5000.0})"));
  EXPECT_EQ(with(R"("rope_scaling": null)")[1], with(R"("rope_theta": 10000)")[1]);
}

TEST(Config, MistralWithAndWithoutAWindow) {
  const auto windows = [](const char* window) {
    return windows_of(
        plan(fmt::format(
                 R"({{"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336,
      "num_hidden_layers": 2, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
      "rope_theta": 1000000.0{}}})",
                 window)
                 .c_str())
            .spec);
  };
  EXPECT_EQ(windows(R"(, "sliding_window": null)"), std::vector<std::int32_t>(2, 0));
  EXPECT_EQ(windows(R"(, "sliding_window": 512)"), std::vector<std::int32_t>(2, 512));
  EXPECT_EQ(windows(""), std::vector<std::int32_t>(2, 4096));  // the default of the class
}

TEST(Config, Qwen25KeepsItsUnusedWindowUnused) {
  const char* json = R"({{"model_type": "qwen2", "hidden_size": 2048, "intermediate_size": 11008,
    "num_hidden_layers": 4, "num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151936,
    "max_window_layers": 3, "sliding_window": 32768, "use_sliding_window": {},
    "rope_theta": 1000000.0, "tie_word_embeddings": true, "rms_norm_eps": 1e-06}})";
  const ModelPlan unused = plan(fmt::format(fmt::runtime(json), "false").c_str());
  const ModelSpec& off = unused.spec;
  EXPECT_EQ(unused.map.qkv_bias, Bias::always);
  EXPECT_EQ(unused.map.attn_out_bias, Bias::none);
  EXPECT_EQ(windows_of(off), std::vector<std::int32_t>(4, 0));
  const ModelSpec on = plan(fmt::format(fmt::runtime(json), "true").c_str()).spec;
  EXPECT_EQ(windows_of(on), (std::vector<std::int32_t>{0, 0, 0, 32768}));
}

TEST(Config, Gemma2OldStyle) {
  const ModelSpec spec =
      plan(R"({"model_type": "gemma2", "hidden_size": 2304, "intermediate_size": 9216,
    "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
    "vocab_size": 256000, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
    "query_pre_attn_scalar": 256, "sliding_window": 4096, "rope_theta": 10000.0,
    "hidden_activation": "gelu_pytorch_tanh", "hidden_act": "gelu_pytorch_tanh"})")
          .spec;
  EXPECT_EQ(windows_of(spec), (std::vector<std::int32_t>{4096, 0, 4096, 0}));
  EXPECT_EQ(spec.attention_softcap, 50);
  EXPECT_EQ(spec.final_softcap, 30);
  EXPECT_EQ(spec.attention_scale, 1.0 / 16);
  EXPECT_EQ(spec.embedding_scale, 48);
  EXPECT_TRUE(spec.tied_head);
  EXPECT_EQ(frequencies(spec, 0), frequencies(spec, 1));
}

TEST(Config, Gemma3InsideAMultimodalModel) {
  const ModelPlan gemma =
      plan(R"({"model_type": "gemma3", "eos_token_id": [1, 106], "text_config": {
    "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 8,
    "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
    "vision_config": {"hidden_size": 1152}})");
  const ModelSpec& spec = gemma.spec;
  EXPECT_EQ(spec.n_heads, 8);  // defaults of the class
  EXPECT_EQ(spec.n_kv_heads, 4);
  EXPECT_EQ(spec.vocab_size, 262208);
  EXPECT_EQ(windows_of(spec),
            (std::vector<std::int32_t>{1024, 1024, 1024, 1024, 1024, 0, 1024, 1024}));
  EXPECT_EQ(spec.eos, (std::vector<std::int32_t>{1, 106}));
  EXPECT_EQ(frequencies(spec, 5)[0], 1.0f / 8);
  EXPECT_EQ(frequencies(spec, 0)[0], 1);
  EXPECT_FLOAT_EQ(frequencies(spec, 0)[64], 1.0f / 100);       // 10000^(-1/2)
  EXPECT_FLOAT_EQ(frequencies(spec, 5)[64], 1.0f / 1000 / 8);  // 1e6^(-1/2) / 8
  EXPECT_EQ(gemma.map.norm_offset, 1);
}

TEST(Config, PythiaOldStyle) {
  const ModelSpec spec =
      plan(R"({"model_type": "gpt_neox", "hidden_size": 512, "intermediate_size": 2048,
    "num_hidden_layers": 6, "num_attention_heads": 8, "vocab_size": 50304, "layer_norm_eps": 1e-05,
    "rotary_pct": 0.25, "rotary_emb_base": 10000, "use_parallel_residual": true, "hidden_act": "gelu",
    "max_position_embeddings": 2048, "tie_word_embeddings": false})")
          .spec;
  EXPECT_EQ(frequencies(spec, 0).size(), 8u);  // 16 of 64 dimensions
  EXPECT_TRUE(spec.parallel_residual);
  EXPECT_EQ(spec.activation, Activation::gelu);
  EXPECT_EQ(spec.n_kv_heads, 8);
}

// A family that gives layers a window and forgets their rotation, or the other way round, is found
// when it is read, not by its wrong results.
TEST(Config, EveryLayerHasARotationOrSaysThatItHasNone) {
  const ModelSpec good = plan(R"({"model_type": "llama", "hidden_size": 64, "intermediate_size": 64,
      "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 10})")
                             .spec;
  EXPECT_NO_THROW(check_spec(good, "test"));
  const auto with = [&](const std::function<void(ModelSpec&)>& change) {
    ModelSpec spec = good;
    change(spec);
    check_spec(spec, "test");
  };
  EXPECT_ANY_THROW(with([](ModelSpec& spec) { spec.ropes.clear(); }));
  EXPECT_ANY_THROW(with([](ModelSpec& spec) { spec.ropes[0].inv_freq.clear(); }));
  EXPECT_ANY_THROW(with([](ModelSpec& spec) { spec.attention[1].rope = 1; }));
  EXPECT_ANY_THROW(with([](ModelSpec& spec) { spec.attention.pop_back(); }));
  EXPECT_ANY_THROW(with([](ModelSpec& spec) { spec.attention[1].window = 7; }));
  EXPECT_ANY_THROW(with([](ModelSpec& spec) { spec.attention[1].mask = Mask::sliding; }));
  EXPECT_NO_THROW(with([](ModelSpec& spec) {
    spec.attention[1] = {.mask = Mask::sliding, .window = 7, .rope = LayerAttention::kNoRope};
  }));
}

TEST(Config, LengthsThatNobodyKnowsAreNoLimit) {
  const auto longest = [](const char* more) {
    return plan(fmt::format(R"({{"model_type": "llama", "hidden_size": 64, "intermediate_size": 64,
      "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 10{}}})",
                            more)
                    .c_str())
        .spec.longest_text();
  };
  EXPECT_EQ(longest(R"(, "max_position_embeddings": 77)"), 77);
  EXPECT_EQ(longest(""), std::numeric_limits<std::int64_t>::max());
}

TEST(Config, Gpt2AsPublished) {
  const ModelSpec spec = plan(R"({"model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
    "n_layer": 12, "n_positions": 1024, "vocab_size": 50257, "layer_norm_epsilon": 1e-05,
    "activation_function": "gelu_new", "eos_token_id": 50256})")
                             .spec;
  EXPECT_EQ(spec.d_ff, 3072);
  EXPECT_EQ(spec.max_positions, 1024);
  EXPECT_TRUE(spec.learned_positions);
  EXPECT_TRUE(spec.tied_head);
  EXPECT_TRUE(spec.ropes.empty());
  EXPECT_EQ(spec.attention[0].rope, LayerAttention::kNoRope);
}

}  // namespace
}  // namespace safesail
