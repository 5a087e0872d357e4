// Every dialect against what its own tool computes: tests/data/dialects, made by
// scripts/golden/dialects.py, where cases.json says which tool judged the numbers.
#include <ATen/ATen.h>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/json.h"
#include "formats/test_files.h"
#include "sae/convert.h"
#include "sae/dialects/dialect.h"
#include "sae/dialects/fold.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const fs::path kData = fs::path(SAFESAIL_SOURCE_DIR) / "tests/data/dialects";

const Json& cases() {
  static const Json json = read_json(kData / "cases.json");
  return json;
}

at::Tensor expected(const std::string& name) {
  static const auto tensors = TensorSet::from_safetensors(kData / "expected.safetensors");
  const auto [rows, columns] = tensors.matrix(name);
  at::Tensor values = at::empty({rows, columns});
  tensors.read(name, {rows, columns},
               std::span(values.mutable_data_ptr<float>(), std::size_t(rows * columns)));
  return values;
}

ReadOptions options_of(const Json& item) {
  ReadOptions options;
  if (item.contains("gain")) {
    static const auto tensors = TensorSet::from_safetensors(kData / "expected.safetensors");
    const std::string name = item["name"].get<std::string>() + ".gain";
    options.mlp_norm = [name](int) {
      return MlpNorm{.weight = tensors.vector(name, 8), .bias = {}};
    };
  }
  if (item.contains("k")) options.k = item["k"].get<std::int64_t>();
  if (item.contains("input_scale")) options.input_scale = item["input_scale"].get<double>();
  return options;
}

at::Tensor dense(const SparseCodes& codes, std::int64_t n_features) {
  at::Tensor values = at::zeros({codes.n_tokens(), n_features});
  float* out = values.mutable_data_ptr<float>();
  for (std::int64_t t = 0; t < codes.n_tokens(); ++t)
    for (auto i = codes.offsets[std::size_t(t)]; i < codes.offsets[std::size_t(t + 1)]; ++i)
      out[t * n_features + codes.indices[std::size_t(i)]] = codes.values[std::size_t(i)];
  return values;
}

std::span<const float> flat(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), std::size_t(tensor.numel())};
}

class EveryCase : public testing::TestWithParam<std::string> {
 protected:
  const Json& item() const {
    for (const Json& one : cases())
      if (one["name"] == GetParam()) return one;
    throw std::logic_error("no such case");
  }
};

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Json& item : cases()) all.push_back(item["name"]);
  return all;
}

// Sums of 8 products of numbers below 10 in f32: 8 sqrt(8) 2^-24 100 = 1.3e-4 at most; bf16 and f16
// files hold the numbers that were expected from.
constexpr double kTolerance = 1e-4;

TEST_P(EveryCase, ComputesWhatItsOwnToolComputes) {
  const std::string name = GetParam();
  const SaeSource source(kData / item()["path"].get<std::string>());
  const Dialect& dialect = detect_dialect(source);
  EXPECT_EQ(dialect.name, item()["format"].get<std::string>());
  const ImportedSae imported = dialect.read(source, options_of(item()));
  EXPECT_EQ(imported.encoder_only, item()["encoder_only"].get<bool>());
  EXPECT_EQ(imported.provenance.site, item()["site"].get<std::string>());

  const at::Tensor x = expected(name + ".x"), codes = expected(name + ".codes");
  const SparseCodes got = imported.sae.encode(x);
  const at::Tensor values = dense(got, imported.sae.spec().n_features);
  expect_near(flat(values), flat(codes), kTolerance, name + " codes");
  EXPECT_TRUE(at::equal(values > 0, codes > 0)) << name << ": other features fire";
  if (imported.encoder_only) return;
  expect_near(flat(imported.sae.decode(got, x).contiguous()), flat(expected(name + ".xhat")),
              5 * kTolerance, name + " xhat");
}

TEST_P(EveryCase, ConvertsToEveryFormatOrIsRefusedByName) {
  const TempFolder folder;
  const at::Tensor x = expected(GetParam() + ".x");
  const ImportedSae before =
      read_any_sae(kData / item()["path"].get<std::string>(), "", options_of(item()));
  int n_written = 0;
  for (const Dialect& to : all_dialects()) {
    ConvertOptions options{.in = kData / item()["path"].get<std::string>(),
                           .out = folder / std::string(to.name),
                           .to = std::string(to.name),
                           .read = options_of(item())};
    options.out += to.extension;
    try {
      const Conversion done = convert_sae(options);
      ++n_written;
      EXPECT_EQ(done.agreement.n_tokens, 64);
      EXPECT_GT(done.agreement.n_active, 0) << to.name;
      // And on the activations of the golden file, which the conversion has not seen.
      ReadOptions again;
      if (before.sae.spec().rule == Rule::top_k) again.k = before.sae.spec().k;
      const ImportedSae after = read_any_sae(options.out, "", again);
      const Agreement agreement =
          compare_saes(before.sae, after.sae, x, !before.encoder_only && to.has_decoder);
      EXPECT_LE(agreement.worst_value, 1) << to.name << ": " << agreement.worst_feature;
      EXPECT_LE(agreement.worst_xhat, 1) << to.name << ": " << agreement.worst_feature;
      EXPECT_EQ(after.encoder_only, before.encoder_only || !to.has_decoder) << to.name;
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), to.name) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("that the format can hold, got "));
      EXPECT_FALSE(fs::exists(options.out));
    }
  }
  EXPECT_GE(n_written, before.encoder_only ? 1 : 2);
  for (const auto& entry : fs::directory_iterator(folder.path()))
    EXPECT_THAT(entry.path().string(), testing::Not(HasSubstr("partial")));
}

INSTANTIATE_TEST_SUITE_P(Dialects, EveryCase, testing::ValuesIn(names()),
                         [](const auto& one) { return one.param; });

/// A copy of a case's folder, to be damaged.
class EditedCase {
 public:
  explicit EditedCase(const std::string& path) {
    fs::remove_all(this->path());
    fs::copy(kData / path, this->path(), fs::copy_options::recursive);
  }
  fs::path path() const { return folder_ / "layers.3.mlp"; }

  EditedCase& set(const std::string& config, const std::string& key, const Json& value) {
    Json json = read_json(path() / config);
    json[Json::json_pointer(key)] = value;
    write_file(path() / config, json.dump());
    return *this;
  }
  std::string error(const ReadOptions& options = {}) const {
    return error_of([&] { read_any_sae(path(), "", options); });
  }

 private:
  TempFolder folder_;
};

TEST(Dialects, SaelensRefusesByName) {
  const auto error = [](const std::string& key, const Json& value) {
    return EditedCase("saelens/standard").set("cfg.json", key, value).error();
  };
  EXPECT_THAT(error("/normalize_activations", "layer_norm"), HasSubstr("layer_norm"));
  EXPECT_THAT(error("/normalize_activations", "constant_norm_rescale"),
              HasSubstr("constant_norm_rescale"));
  EXPECT_THAT(error("/normalize_activations", "expected_average_only_in"),
              AllOf(HasSubstr("without its constant"), HasSubstr("--input-scale")));
  EXPECT_THAT(error("/normalize_activations", true), HasSubstr("without its constant"));
  EXPECT_THAT(error("/reshape_activations", "hook_z"), HasSubstr("hook_z"));
  EXPECT_THAT(error("/architecture", "temporal"), HasSubstr("\"temporal\""));
  EXPECT_THAT(error("/metadata/hook_head_index", 3), HasSubstr("one attention head"));
  EXPECT_THAT(error("/d_sae", 25), HasSubstr("expected shape [8, 25]"));
  EXPECT_THAT(error("/activation_fn", "tanh-relu"), HasSubstr("tanh-relu"));
  // Factors from finetuning that the config does not know of.
  EXPECT_THAT(EditedCase("saelens/old_finetuned")
                  .set("cfg.json", "/finetuning_scaling_factor", false)
                  .error(),
              HasSubstr("finetuning_scaling_factor is false"));
}

TEST(Dialects, TensorsThatNobodyReadAreRefused) {
  EXPECT_THAT(EditedCase("saelens/jumprelu").set("cfg.json", "/architecture", "standard").error(),
              AllOf(HasSubstr("threshold"), HasSubstr("expected no such tensor")));
  EXPECT_THAT(
      EditedCase("saelens/skip_transcoder").set("cfg.json", "/architecture", "transcoder").error(),
      HasSubstr("W_skip"));
}

TEST(Dialects, SaelensReadsItsScalerFile) {
  EditedCase edited("saelens/normalized");
  write_file(edited.path() / "activation_scaler.json", R"({"scaling_factor": 0.37})");
  EXPECT_FLOAT_EQ(read_any_sae(edited.path(), "", {}).sae.transform().scale, 0.37f);
}

TEST(Dialects, SaelensMissingArchitectureIsStandard) {
  EditedCase edited("saelens/standard");
  Json json = read_json(edited.path() / "cfg.json");
  json.erase("architecture");
  write_file(edited.path() / "cfg.json", json.dump());
  EXPECT_EQ(read_any_sae(edited.path(), "", {}).sae.spec().architecture, "relu");
}

TEST(Dialects, SparsifyRefusesByName) {
  const auto error = [](const std::string& key, const Json& value) {
    return EditedCase("sparsify/f32/layers.3.mlp").set("cfg.json", key, value).error();
  };
  EXPECT_THAT(error("/activation", "groupmax"), HasSubstr("groupmax"));
  EXPECT_THAT(error("/signed", true), HasSubstr("signed TopK"));
  EXPECT_THAT(error("/num_latents", 25), HasSubstr("expected shape [25, 8]"));
  EXPECT_THAT(error("/k", 0), HasSubstr("'k'"));
  EXPECT_THAT(EditedCase("sparsify/f32/layers.3.mlp").error({.k = 6}),
              HasSubstr("k = 5 as the file says"));
}

TEST(Dialects, DictionaryLearningNeedsTheClassWhereFilesLookAlike) {
  EditedCase edited("dictionary_learning/topk");
  fs::remove(edited.path() / "config.json");
  EXPECT_THAT(edited.error(), AllOf(HasSubstr("look alike"), HasSubstr("config.json")));
  EditedCase unknown("dictionary_learning/topk");
  unknown.set("config.json", "/trainer/dict_class", "CrossCoder");
  EXPECT_THAT(unknown.error(), HasSubstr("class \"CrossCoder\""));
}

TEST(Dialects, DictionaryLearningNamesItsTraps) {
  const auto notes = [](const std::string& path) {
    std::string text;
    for (const std::string& note : read_any_sae(kData / path, "", {}).notes) text += note + "\n";
    return text;
  };
  EXPECT_THAT(notes("dictionary_learning/batchtopk_unset"), HasSubstr("runs as a ReLU"));
  EXPECT_THAT(notes("dictionary_learning/mid_run"), HasSubstr("norm_factor 2.5"));
  EXPECT_THAT(notes("dictionary_learning/autoencoder"), HasSubstr("unit decoder rows"));
  EXPECT_EQ(notes("dictionary_learning/autoencoder_unit"), "");
  EXPECT_THAT(read_any_sae(kData / "dictionary_learning/matryoshka", "", {}).sae.spec().groups,
              testing::ElementsAre(4, 12, 24));
}

TEST(Dialects, OpenmossRefusesByName) {
  const auto error = [](const std::string& key, const Json& value) {
    return EditedCase("openmoss/relu").set("config.json", key, value).error();
  };
  for (const char* type : {"crosscoder", "clt", "lorsa", "molt"})
    EXPECT_THAT(error("/sae_type", type), HasSubstr(std::string("\"") + type + "\""));
  EXPECT_THAT(error("/use_glu_encoder", true), HasSubstr("GLU"));
  for (const char* act : {"batchtopk", "layertopk", "batchlayertopk"})
    EXPECT_THAT(error("/act_fn", act), HasSubstr(std::string("\"") + act + "\""));
  for (const char* norm : {"token-wise", "batch-wise"})
    EXPECT_THAT(error("/norm_activation", norm), HasSubstr(std::string("\"") + norm + "\""));
  EXPECT_THAT(error("/expansion_factor", 3.2), HasSubstr("expected shape [8, 25]"));
  EXPECT_THAT(error("/expansion_factor", 1e300), HasSubstr("within reason"));
  EditedCase distributed("openmoss/relu");
  fs::remove(distributed.path() / "sae_weights.safetensors");
  fs::create_directory(distributed.path() / "sae_weights.dcp");
  EXPECT_THAT(distributed.error(), HasSubstr("distributed checkpoint"));
}

TEST(Dialects, OpenmossAsksAboutTheThresholdOfAFoldedFile) {
  const auto read = [](std::optional<double> scale) {
    return read_any_sae(kData / "openmoss/folded_with_defect", "", {.input_scale = scale});
  };
  const ImportedSae as_it_stands = read(std::nullopt), repaired = read(0.5);
  ASSERT_EQ(as_it_stands.notes.size(), 1u);
  EXPECT_THAT(as_it_stands.notes[0], HasSubstr("--input-scale"));
  EXPECT_TRUE(repaired.notes.empty());
  for (std::size_t f = 0; f < 24; ++f)
    EXPECT_FLOAT_EQ(repaired.sae.threshold()[f], 2 * as_it_stands.sae.threshold()[f]) << f;
}

TEST(Dialects, TopKOfUnknownKIsAsked) {
  const TempFolder folder;
  fs::copy(kData / "SAE-Res-Tiny-L0_5/layer3.sae.pt", folder / "layer3.sae.pt");
  EXPECT_THAT(error_of([&] { read_any_sae(folder / "layer3.sae.pt", "", {}); }), HasSubstr("--k"));
  EXPECT_EQ(read_any_sae(folder / "layer3.sae.pt", "", {.k = 7}).sae.spec().k, 7);
  // Safe-SAIL's is the constant of its demo, more than these 24 features.
  EXPECT_THAT(error_of([&] { read_any_sae(kData / "safe_sail/topk/ckpt_layer17.pt", "", {}); }),
              HasSubstr("got 200"));
}

TEST(Dialects, SaelensTranscodersNeverSubtract) {
  EXPECT_THAT(
      EditedCase("saelens/transcoder").set("cfg.json", "/apply_b_dec_to_input", true).error(),
      HasSubstr("a transcoder with apply_b_dec_to_input"));
}

TEST(Dialects, SparsifySeedsLieInFoldersOfTheirHookpoint) {
  const TempFolder folder;
  fs::create_directories(folder / "layers.10");
  fs::copy(kData / "sparsify/f32/layers.3.mlp", folder / "layers.10/seed3");
  EXPECT_EQ(read_any_sae(folder / "layers.10/seed3", "", {}).provenance.site, "resid_post.10");
  EXPECT_EQ(read_any_sae(folder / "layers.10/seed3", "", {.site = "mlp_in.2"}).provenance.site,
            "mlp_in.2");
}

TEST(Dialects, DictionaryLearningCheckpointsLieBelowTheirConfig) {
  const TempFolder folder;
  fs::create_directories(folder / "checkpoints");
  fs::copy(kData / "dictionary_learning/topk/config.json", folder / "config.json");
  fs::copy(kData / "dictionary_learning/topk/ae.pt", folder / "checkpoints/ae_100.pt");
  EXPECT_EQ(read_any_sae(folder / "checkpoints/ae_100.pt", "", {}).sae.spec().architecture, "topk");
}

TEST(Dialects, OpenmossWithoutDecoderBiasHasNone) {
  EditedCase edited("openmoss/relu");
  edited.set("config.json", "/use_decoder_bias", false);
  const ImportedSae imported = read_any_sae(edited.path(), "", {});
  for (const float bias : imported.sae.b_dec()) EXPECT_EQ(bias, 0);
}

TEST(Dialects, OpenmossFindsLegacyNames) {
  EditedCase edited("openmoss/relu");
  fs::create_directory(edited.path() / "checkpoints");
  fs::rename(edited.path() / "sae_weights.safetensors",
             edited.path() / "checkpoints/final.safetensors");
  EXPECT_EQ(read_any_sae(edited.path(), "", {}).sae.spec().n_features, 24);
}

TEST(Dialects, LlamaScopeRefusesByName) {
  const auto error = [](const std::string& key, const Json& value) {
    return EditedCase("llama_scope").set("hyperparams.json", key, value).error();
  };
  EXPECT_THAT(error("/use_glu_encoder", true), HasSubstr("use_glu_encoder"));
  EXPECT_THAT(error("/apply_decoder_bias_to_pre_encoder", true), HasSubstr("pre_encoder"));
  EXPECT_THAT(error("/norm_activation", "token-wise"), HasSubstr("token-wise"));
  EXPECT_THAT(error("/act_fn", "gelu"), HasSubstr("gelu"));
  EXPECT_THAT(error("/dataset_average_activation_norm/in", 0), HasSubstr("positive norm"));
}

TEST(Dialects, GemmaScopeTakesItsL0FromTheFolder) {
  const auto imported =
      read_any_sae(kData / "gemma-scope-2b-pt-res/layer_12/width_24/average_l0_8", "", {});
  EXPECT_EQ(imported.sae.spec().k, 8);
  EXPECT_EQ(imported.sae.spec().rule, Rule::threshold);
  EXPECT_FALSE(imported.sae.spec().apply_b_dec_to_input);
}

TEST(Dialects, AnUnknownFileListsWhatIsKnown) {
  const TempFolder folder;
  write_file(folder / "x.txt", "hello");
  EXPECT_THAT(error_of([&] { read_any_sae(folder / "x.txt", "", {}); }),
              AllOf(HasSubstr("sparsify"), HasSubstr("gemma-scope")));
  EXPECT_THAT(error_of([&] { read_any_sae(folder / "none", "", {}); }), HasSubstr("got none"));
  EXPECT_THAT(error_of([&] { find_dialect("onnx"); }), HasSubstr("\"onnx\""));
}

TEST(Dialects, ATorchProgramIsRefusedByName) {
  EXPECT_THAT(error_of([&] { read_any_sae(kData / "torch/module.pt", "", {}); }),
              HasSubstr("refused torch.nn.modules.linear.Linear"));
  EXPECT_THAT(error_of([&] { read_any_sae(kData / "torch/legacy.pt", "", {}); }),
              HasSubstr("old format"));
}

TEST(Dialects, NumbersBehindTheirPrefix) {
  EXPECT_EQ(number_after("layer_12/width_16k/average_l0_82", "average_l0_"), 82);
  EXPECT_EQ(number_after("layer_x/layer_7/layer_", "layer_"), 7);
  EXPECT_EQ(number_after("layer", "layer"), -1);
}

// A norm's output before its weight is no site: it takes the model, or the user who knows better.
TEST(Dialects, WhatReadsBeforeTheNormsWeightNeedsTheModel) {
  for (const char* path :
       {"saelens/transcoder", "gemma-scope-2b-pt-transcoders/layer_12/width_24/average_l0_8"}) {
    EXPECT_THAT(error_of([&] { read_any_sae(kData / path, "", {}); }),
                AllOf(HasSubstr("ln2.hook_normalized"), HasSubstr("--model")));
    ReadOptions wide;
    wide.mlp_norm = [](int) { return MlpNorm{.weight = std::vector<float>(9, 1), .bias = {}}; };
    EXPECT_THAT(error_of([&] { read_any_sae(kData / path, "", wide); }), HasSubstr("width 8"));
    wide.mlp_norm = [](int) { return MlpNorm{.weight = std::vector<float>(8, 0), .bias = {}}; };
    EXPECT_THAT(error_of([&] { read_any_sae(kData / path, "", wide); }),
                HasSubstr("weights to divide by"));
    const ImportedSae told = read_any_sae(kData / path, "", {.site = "mlp_in.3"});
    EXPECT_EQ(told.provenance.site, "mlp_in.3");
    EXPECT_EQ(told.provenance.transformer_lens_hook, "blocks.3.mlp.hook_in");
  }
  EditedCase llama("llama_scope");
  llama.set("hyperparams.json", "/hook_point_in", "blocks.3.ln2.hook_normalized")
      .set("hyperparams.json", "/hook_point_out", "blocks.3.hook_mlp_out");
  EXPECT_THAT(llama.error(), HasSubstr("--model"));
}

TEST(Dialects, HooksOfGemma2And3LieBehindThePostNorms) {
  const auto site = [](const char* model, const char* hook) {
    EditedCase edited("saelens/standard");
    edited.set("cfg.json", "/metadata/model_name", model)
        .set("cfg.json", "/metadata/hook_name", hook);
    return read_any_sae(edited.path(), "", {}).provenance.site;
  };
  EXPECT_EQ(site("gemma-2b", "blocks.3.hook_mlp_out"), "mlp_out.3");  // the first generation
  EXPECT_EQ(site("gemma-2-2b", "blocks.3.hook_mlp_out"), "mlp_post.3");
  EXPECT_EQ(site("google/gemma-3-1b-it", "blocks.3.hook_mlp_out"), "mlp_post.3");
  EXPECT_EQ(site("gemma-2-2b", "blocks.3.hook_attn_out"), "");
  EXPECT_EQ(site("gemma-2-2b", "blocks.3.mlp.hook_out"), "mlp_out.3");
  // The model itself is believed before its name.
  EditedCase edited("saelens/standard");
  EXPECT_EQ(read_any_sae(edited.path(), "", {.post_norms = true}).provenance.site, "mlp_post.3");
}

TEST(Dialects, DictionaryLearningsConfigAndFileMustAgreeOnK) {
  EditedCase edited("dictionary_learning/topk");
  edited.set("config.json", "/trainer/k", 4);
  EXPECT_THAT(edited.error(), AllOf(HasSubstr("expected 4"), HasSubstr("got 5")));
  EXPECT_EQ(read_any_sae(kData / "dictionary_learning/topk_no_k", "", {}).sae.spec().k, 5);
}

TEST(Dialects, TheSecondGemmaScopeSaysWhereItBelongs) {
  const fs::path folder = kData / "gemma-scope-2-270m-pt/resid_post/layer_5_width_24_l0_medium";
  const ImportedSae imported = read_any_sae(folder, "", {});
  EXPECT_EQ(imported.provenance.model_name, "google/gemma-3-270m");
  EXPECT_EQ(imported.sae.spec().k, 8);
  const auto error = [](const std::string& key, const Json& value) {
    return EditedCase("gemma-scope-2-270m-pt/transcoder/layer_5_width_24_l0_medium")
        .set("config.json", key, value)
        .error();
  };
  EXPECT_THAT(error("/architecture", "topk"), HasSubstr("architecture \"topk\""));
  EXPECT_THAT(error("/width", 25), HasSubstr("expected 25 features"));
  EXPECT_THAT(error("/affine_connection", false), HasSubstr("affine_connection"));
  EditedCase heads("gemma-scope-2-270m-pt/mlp_out/layer_5_width_24_l0_medium");
  heads.set("config.json", "/hf_hook_point_in", "model.layers.5.self_attn.o_proj.input");
  const ImportedSae at_heads = read_any_sae(heads.path(), "", {});
  EXPECT_EQ(at_heads.provenance.site, "");
  EXPECT_THAT(at_heads.notes, testing::Contains(HasSubstr("not a site here")));
}

}  // namespace
}  // namespace safesail
