// Every key that the reference implementations read: what changes a result there changes our plan
// or is refused by its name, and a key that is missing means what it means there. The keys of
// transformers are in tests/data/model/config_keys.json (made by
// scripts/golden/make_config_keys.py); those of llama.cpp are its load_hparams'
// (src/llama-model.cpp, src/models/*.cpp).
#include <algorithm>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "formats/json.h"
#include "model/families/gguf_testing.h"
#include "model/families/plan.h"

namespace safesail {
namespace {

using ::testing::HasSubstr;

const fs::path kData = fs::path(SAFESAIL_SOURCE_DIR) / "tests" / "data" / "model";

ModelPlan plan_of(const Json& config) {
  return plan_from_config(config.dump(), "config.json");
}

/// Without what transformers' classes presume of texts, not of the pass: the length of the longest,
/// and an id that ends one (it means something only to the tokenizer that it is of).
ModelPlan of_the_pass(ModelPlan plan) {
  plan.spec.max_positions = plan.spec.learned_positions ? plan.spec.max_positions : 0;
  plan.spec.eos.clear();
  return plan;
}

/// Another value of each key that has an effect.
const std::map<std::string, Json>& changed_values() {
  static const std::map<std::string, Json> values{
      {"activation_function", "relu"},
      {"add_cross_attention", true},
      {"attention_bias", true},
      {"attn_logit_softcapping", 7.0},
      {"eos_token_id", 17},
      {"final_logit_softcapping", 7.0},
      {"head_dim", 16},
      {"hidden_act", "relu"},
      {"hidden_activation", "relu"},
      {"hidden_size", 1024},
      {"intermediate_size", 96},
      {"is_encoder_decoder", true},
      {"layer_norm_eps", 0.5},
      {"layer_norm_epsilon", 0.5},
      {"layer_types", std::vector<std::string>(30, "chunked_attention")},
      {"max_position_embeddings", 99},
      {"mlp_bias", true},
      {"model_type", "mamba"},
      {"n_embd", 1024},
      {"n_head", 16},
      {"n_inner", 96},
      {"n_layer", 3},
      {"n_positions", 99},
      {"num_attention_heads", 16},
      {"num_hidden_layers", 3},
      {"num_key_value_heads", 2},
      {"query_pre_attn_scalar", 7},
      {"rms_norm_eps", 0.5},
      {"rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 1e4}, {"factor", 2.0}}},
      {"scale_attn_by_inverse_layer_idx", true},
      {"scale_attn_weights", false},
      {"sliding_window", 99},
      {"tie_word_embeddings", true},
      {"use_bidirectional_attention", true},
      {"use_parallel_residual", false},
      {"use_sliding_window", true},
      {"vocab_size", 65},
  };
  return values;
}

/// Keys without effect on a pass that only reads: training, other tasks, bookkeeping. The order of
/// two operations (reorder_and_upcast_attn) is rounding.
const std::set<std::string> kNoEffect{"_name_or_path",
                                      "_sliding_window_pattern",
                                      "architectures",
                                      "attention_dropout",
                                      "attn_pdrop",
                                      "bos_token_id",
                                      "chunk_size_feed_forward",
                                      "classifier_dropout",
                                      "dtype",
                                      "embd_pdrop",
                                      "hidden_dropout",
                                      "id2label",
                                      "initializer_range",
                                      "is_decoder",
                                      "label2id",
                                      "output_attentions",
                                      "output_hidden_states",
                                      "pad_token_id",
                                      "pretraining_tp",
                                      "problem_type",
                                      "reorder_and_upcast_attn",
                                      "resid_pdrop",
                                      "return_dict",
                                      "summary_activation",
                                      "summary_first_dropout",
                                      "summary_proj_to_labels",
                                      "summary_type",
                                      "summary_use_proj",
                                      "transformers_version",
                                      "use_cache"};

/// Keys that a family has and does not go by, with why.
bool is_unused(const std::string& key, const Json& full) {
  // Qwen's window counts only where it is asked for, and from a layer on.
  if (key == "sliding_window" || key == "max_window_layers")
    return full.contains("use_sliding_window") && !full["use_sliding_window"].get<bool>();
  return false;
}

TEST(ConfigKeys, EachHasItsEffectOrIsRefusedByName) {
  const Json golden = read_json(kData / "config_keys.json");
  EXPECT_EQ(golden.size(), 8u);
  for (const auto& [family, keys] : golden.items()) {
    const ModelPlan plan = plan_of(keys["given"]);
    for (const auto& [key, value] : keys["full"].items()) {
      SCOPED_TRACE(family + ": " + key);
      Json config = keys["given"];
      if (kNoEffect.contains(key) || is_unused(key, keys["full"])) {
        config[key] = 12345;
        EXPECT_EQ(plan_of(config), plan);
        continue;
      }
      const auto other = changed_values().find(key);
      ASSERT_NE(other, changed_values().end()) << "a key that this test does not know";
      config[key] = other->second;
      if (config[key] == value && value.is_boolean()) config[key] = !value.get<bool>();
      ASSERT_NE(config[key], value);
      try {
        EXPECT_FALSE(plan_of(config) == plan) << "no effect";
      } catch (const Error& error) {
        // Other sizes follow from the number of heads, and may be what does not fit.
        const bool is_size = key == "num_attention_heads" || key.starts_with("n_");
        EXPECT_THAT(error.what(), HasSubstr(is_size ? "head" : key));
      }
    }
  }
}

TEST(ConfigKeys, OneThatIsMissingMeansTheDefaultOfTheClass) {
  const Json golden = read_json(kData / "config_keys.json");
  for (const auto& [family, keys] : golden.items())
    EXPECT_EQ(of_the_pass(plan_of(keys["given"])), of_the_pass(plan_of(keys["full"]))) << family;
}

Json llama() {
  return read_json(kData / "config_keys.json")["llama"]["given"];
}

// Null is no value missing: as many heads of keys as of queries, no window, no cap.
TEST(ConfigKeys, NullIsNotMissing) {
  const Json golden = read_json(kData / "config_keys.json");
  const auto with_null = [&](const char* family, const char* key) {
    Json config = golden[family]["given"];
    config[key] = nullptr;
    return plan_of(config).spec;
  };
  EXPECT_EQ(with_null("mistral", "num_key_value_heads").n_kv_heads, 32);
  EXPECT_EQ(with_null("mistral", "sliding_window").attention[0].mask, Mask::causal);
  EXPECT_EQ(with_null("gemma2", "attn_logit_softcapping").attention_softcap, 0);
  EXPECT_EQ(with_null("gemma2", "final_logit_softcapping").final_softcap, 0);
}

// Keys that no class here has, yet change what transformers computes, or what the model's own code
// does.
TEST(ConfigKeys, SettingsOfOtherModelsAreRefused) {
  const std::map<std::string, Json> settings{
      {"is_causal", false},
      {"attention_chunk_size", 64},
      {"embedding_multiplier", 12.0},
      {"residual_multiplier", 0.22},
      {"logits_scaling", 8.0},
      {"attention_multiplier", 0.01},
      {"logit_scale", 0.0625},
      {"clip_qkv", 8.0},
      {"use_qk_norm", true},
      {"num_local_experts", 8},
      {"num_experts", 128},
      {"n_routed_experts", 64},
      {"final_logit_softcapping", 30},
      {"attn_logit_softcapping", 50},
      {"partial_rotary_factor", 0.5},
      {"use_parallel_residual", true},
      {"alibi", true},
      {"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}, {"partial_rotary_factor", 0.5}}},
      {"layer_types", std::vector<std::string>(30, "sliding_attention")},
      {"qk_layernorm", true},
      {"parallel_attn", true},
      {"no_rope_layer_interval", 4},
  };
  for (const auto& [key, value] : settings) {
    Json config = llama();
    config[key] = value;
    try {
      plan_of(config);
      ADD_FAILURE() << key;
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_THAT(error.what(), HasSubstr(key == "rope_scaling" ? "partial_rotary_factor" : key));
    }
  }
  // Where they say what holds anyway they are no fault.
  Json config = llama();
  for (const auto& [key, value] :
       std::map<std::string, Json>{{"is_causal", true},
                                   {"attention_chunk_size", nullptr},
                                   {"embedding_multiplier", 1.0},
                                   {"num_local_experts", 0},
                                   {"use_qk_norm", false},
                                   {"partial_rotary_factor", 1.0},
                                   {"rope_scaling", nullptr},
                                   {"layer_types", std::vector<std::string>(30, "full_attention")},
                                   {"pruned_heads", Json::object()},
                                   {"sliding_window", 4096},
                                   {"anything", "else"}})
    config[key] = value;
  EXPECT_EQ(plan_of(config), plan_of(llama()));
}

TEST(ConfigKeys, QuantisedWeightsHaveASentenceOfTheirOwn) {
  Json config = llama();
  config["quantization_config"] = {{"quant_method", "gptq"}, {"bits", 4}};
  const auto error_of = [](const Json& bad) -> std::string {
    try {
      plan_of(bad);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return "no error";
  };
  EXPECT_THAT(error_of(config), HasSubstr("expected weights that are not quantised"));
  EXPECT_THAT(error_of(config), HasSubstr("gptq"));
  // Its words reach a terminal.
  config["quantization_config"] = {{"quant_method", "\x1b]0;x\x07"}};
  EXPECT_THAT(error_of(config), HasSubstr(R"(\u001b]0;x\u0007)"));
  config = llama();
  config["model_type"] = "\x1b]0;x\x07";
  EXPECT_THAT(error_of(config), HasSubstr(R"(\u001b]0;x\u0007)"));
  config = llama();
  config["hidden_act"] = "\x1b[31m";
  EXPECT_THAT(error_of(config), HasSubstr(R"(\u001b[31m)"));
}

// ---- GGUF

/// The golden file of an architecture, and what to call a key there.
const std::map<std::string, std::string> kFolders{
    {"llama", "llama"},   {"qwen2", "qwen2"}, {"qwen3", "qwen3"},     {"gemma2", "gemma2"},
    {"gemma3", "gemma3"}, {"gpt2", "gpt2"},   {"gptneox", "gpt_neox"}};

std::string full_key(const std::string& architecture, const std::string& key) {
  return key.starts_with("tokenizer.") ? key : architecture + "." + key;
}

/// What the plan is after `key` was set: nothing where it is refused, by its name.
std::optional<ModelPlan> plan_with(const std::string& architecture, const std::string& key,
                                   const GgufValue& value) {
  testing::ChangedGguf changed(kData / kFolders.at(architecture) / "model.gguf");
  changed.metadata.insert_or_assign(full_key(architecture, key), value);
  try {
    return plan_from_gguf(changed.file());
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::input);
    EXPECT_THAT(error.what(), HasSubstr(key));
    return std::nullopt;
  }
}

ModelPlan plan_without(const std::string& architecture, const std::vector<std::string>& keys) {
  testing::ChangedGguf changed(kData / kFolders.at(architecture) / "model.gguf");
  for (const std::string& key : keys) changed.metadata.erase(full_key(architecture, key));
  return plan_from_gguf(changed.file());
}

ModelPlan plan_as_it_is(const std::string& architecture) {
  return plan_without(architecture, {});
}

TEST(GgufKeys, EachHasItsEffectOrIsRefusedByName) {
  const std::vector<std::pair<std::string, GgufValue>> everywhere{
      {"context_length", std::int64_t{99}},
      {"embedding_length", std::int64_t{96}},
      {"block_count", std::int64_t{1}},
      {"feed_forward_length", std::int64_t{99}},
      {"attention.head_count", std::int64_t{1}},
      {"attention.head_count_kv", std::int64_t{1 << 20}},
      {"attention.key_length", std::int64_t{6}},
      {"attention.value_length", std::int64_t{5}},
      {"attention.causal", false},
      {"attention.max_alibi_bias", 8.0},
      {"attention.clamp_kqv", 8.0},
      {"attention.shared_kv_layers", std::int64_t{2}},
      {"attention.scale", 0.5},
      {"expert_count", std::int64_t{8}},
      {"logit_scale", 0.25},
      {"residual_scale", 0.25},
      {"embedding_scale", 12.0},
      {"nextn_predict_layers", std::int64_t{1}},
      {"tokenizer.ggml.eos_token_id", std::int64_t{3}},
      {"tokenizer.ggml.eot_token_id", std::int64_t{3}},
      {"tokenizer.ggml.eom_token_id", std::int64_t{3}},
  };
  const std::vector<std::pair<std::string, GgufValue>> rotary{
      {"rope.dimension_count", std::int64_t{2}},  {"rope.freq_base", 77.0},
      {"rope.scaling.type", std::string("yarn")}, {"rope.scaling.factor", 7.0},
      {"rope.scaling.attn_factor", 1.5},
  };
  std::map<std::string, std::vector<std::pair<std::string, GgufValue>>> own{
      {"llama", {{"attention.sliding_window", std::int64_t{5}}}},
      {"gemma2",
       {{"attention.sliding_window", std::int64_t{5}},
        {"attention.sliding_window_pattern", std::int64_t{1}},
        {"rope.freq_base_swa", 77.0},
        {"attn_logit_softcapping", 7.0},
        {"final_logit_softcapping", 7.0}}},
      {"gemma3",
       {{"attention.sliding_window", std::int64_t{5}},
        {"attention.sliding_window_pattern", std::int64_t{3}},
        {"rope.freq_base_swa", 77.0},
        {"final_logit_softcapping", 7.0}}},
      {"gptneox", {{"use_parallel_residual", false}}},
      {"gpt2", {}},
      {"qwen2", {}},
      {"qwen3", {}},
  };
  for (auto& [architecture, cases] : own) {
    const bool layer_norm = architecture.starts_with("gpt");
    cases.insert(cases.end(), everywhere.begin(), everywhere.end());
    cases.emplace_back(
        layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 0.5);
    if (architecture != "gpt2") cases.insert(cases.end(), rotary.begin(), rotary.end());
    const ModelPlan plan = plan_as_it_is(architecture);
    for (const auto& [key, value] : cases) {
      SCOPED_TRACE(fmt::format("{}.{}", architecture, key));
      EXPECT_NE(plan_with(architecture, key, value), plan) << "no effect";
    }
    for (const auto& [key, value] : std::vector<std::pair<std::string, GgufValue>>{
             {"vocab_size", std::int64_t{7}},
             {"tensor_data_layout", std::string("x")},
             {"rope.scaling.finetuned", true},
             {"attention.causal", true},
             {"expert_count", std::int64_t{0}},
             {"logit_scale", 1.0},
             {"tokenizer.ggml.eot_token_id", std::int64_t{-1}},
             {"tokenizer.ggml.eom_token_id", std::int64_t{4294967295}}})
      EXPECT_EQ(plan_with(architecture, key, value), plan) << architecture << " " << key;
  }
}

TEST(GgufKeys, OneThatIsMissingMeansLlamaCppsDefault) {
  const auto expect_same = [](const std::string& architecture, const std::string& key,
                              const GgufValue& value, std::vector<std::string> without = {}) {
    testing::ChangedGguf changed(kData / kFolders.at(architecture) / "model.gguf");
    for (const std::string& gone : without) changed.metadata.erase(architecture + "." + gone);
    changed.metadata.insert_or_assign(architecture + "." + key, value);
    const ModelPlan with = plan_from_gguf(changed.file());
    changed.metadata.erase(architecture + "." + key);
    EXPECT_EQ(plan_from_gguf(changed.file()), with) << architecture << " " << key;
  };
  expect_same("llama", "rope.freq_base", 10000.0);
  expect_same("llama", "attention.head_count_kv", std::int64_t{4});
  // The heads of qwen2's model are of the usual size.
  expect_same("qwen2", "attention.key_length", std::int64_t{8}, {"attention.value_length"});
  expect_same("qwen2", "rope.dimension_count", std::int64_t{8});
  expect_same("gptneox", "rope.dimension_count", std::int64_t{16});
  expect_same("gptneox", "use_parallel_residual", true);
  // A factor without a type is linear, and has an older name.
  expect_same("qwen3", "rope.scaling.type", std::string("linear"));
  EXPECT_EQ(plan_with("qwen2", "rope.scaling.factor", 4.0),
            plan_with("qwen2", "rope.scale_linear", 4.0));
  EXPECT_EQ(plan_with("qwen3", "rope.scaling.type", std::string("none")),
            plan_without("qwen3", {"rope.scaling.type", "rope.scaling.factor"}));
  expect_same("gemma2", "attention.sliding_window", std::int64_t{4096});
  expect_same("gemma2", "attention.sliding_window_pattern", std::int64_t{2});
  expect_same("gemma2", "attn_logit_softcapping", 50.0);
  expect_same("gemma2", "final_logit_softcapping", 30.0);
  expect_same("gemma3", "attention.sliding_window_pattern", std::int64_t{6});
  expect_same("gemma3", "rope.freq_base_swa", 10000.0);
  // Without a window every layer of Gemma 3 is a global one.
  for (const LayerAttention& layer :
       plan_without("gemma3", {"attention.sliding_window"}).spec.attention)
    EXPECT_EQ(layer, LayerAttention{});
  EXPECT_EQ(plan_without("llama", {"context_length"}).spec.max_positions, 0);
}

// Sizes are believed only where they can be: each of these once took gigabytes, an endless loop or
// a silent other model.
TEST(GgufKeys, ImpossibleSizesAreRefused) {
  const std::int64_t u32 = 4294967295, huge = 1000000000000;
  for (const std::int64_t n : {std::int64_t{-2}, std::int64_t{0}, std::int64_t{3}, u32, huge})
    EXPECT_FALSE(plan_with("llama", "rope.dimension_count", n).has_value()) << n;
  for (const std::int64_t n : {std::int64_t{-2}, std::int64_t{0}, u32, huge})
    for (const char* key : {"block_count", "embedding_length", "feed_forward_length",
                            "attention.head_count", "attention.key_length"})
      EXPECT_FALSE(plan_with("llama", key, n).has_value()) << key << " " << n;
  EXPECT_FALSE(plan_with("llama", "context_length", u32).has_value());
  // 2^32 is not 0, "no window", and 2^32 + 7 is not 7.
  for (const std::int64_t n : {std::int64_t{-7}, u32 + 1, u32 + 8})
    EXPECT_FALSE(plan_with("llama", "attention.sliding_window", n).has_value()) << n;
  for (const char* key : {"attention.sliding_window", "attention.sliding_window_pattern"})
    EXPECT_FALSE(plan_with("gemma3", key, std::int64_t{-1}).has_value()) << key;
  for (const double theta : {0.0, -1.0, std::numeric_limits<double>::infinity()})
    EXPECT_FALSE(plan_with("llama", "rope.freq_base", theta).has_value()) << theta;
  EXPECT_FALSE(plan_with("gptneox", "attention.head_count_kv", std::int64_t{1}).has_value());
}

// A head of one dimension has no pairs to turn.
TEST(GgufKeys, OddHeadsAreRefused) {
  testing::ChangedGguf changed(kData / "llama" / "model.gguf");
  for (const std::int64_t size : {1, 15}) {
    for (const char* key : {"attention.key_length", "attention.value_length"})
      changed.metadata.insert_or_assign(std::string("llama.") + key, size);
    changed.metadata.erase("llama.rope.dimension_count");
    try {
      plan_from_gguf(changed.file());
      ADD_FAILURE() << size;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("even number of rotary dimensions"));
    }
  }
}

}  // namespace
}  // namespace safesail
