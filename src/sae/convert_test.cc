#include "sae/convert.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/json.h"
#include "formats/safetensors.h"
#include "formats/test_files.h"
#include "sae/dialects/fold.h"
#include "sae/test_support.h"

namespace safesail {
namespace {

using testing::AllOf;
using testing::HasSubstr;

InputTransform random_transform(std::int64_t d, float scale, Rng& rng) {
  return {random_floats(std::size_t(d), rng), scale};
}

/// Every part random: biases, thresholds of both signs, centres, scales, a skip connection.
Sae random_full_sae(SaeSpec spec, std::uint64_t seed) {
  Rng rng(seed, "convert test");
  const InputTransform in = random_transform(spec.d_in, 0.4f, rng),
                       out = random_transform(spec.d_out, 2.5f, rng);
  Sae sae = spec.transcoder ? Sae(spec, in, out) : Sae(spec, in);
  for (const auto part :
       {sae.w_enc(), sae.b_enc(), sae.threshold(), sae.w_dec(), sae.b_dec(), sae.w_skip()})
    for (float& value : part) value = 0.7f * float(rng.normal());
  return sae;
}

SaeSpec spec_with(Rule rule, bool apply, bool transcoder, bool skip, std::int64_t d_out) {
  SaeSpec spec = SaeSpec::topk(12, 40, rule == Rule::top_k ? 4 : 0);
  spec.architecture = rule == Rule::top_k ? "topk" : "jumprelu";
  spec.rule = rule;
  spec.apply_b_dec_to_input = apply;
  spec.transcoder = transcoder;
  spec.skip = skip;
  spec.d_out = d_out;
  return spec;
}

at::Tensor activations(std::int64_t d) {
  Rng rng(5, "activations");
  return random_tensor(64, d, rng).mul_(2);
}

TEST(FoldTransforms, ChangesNoValueAndNoReconstruction) {
  for (const Rule rule : {Rule::top_k, Rule::threshold}) {
    for (const SaeSpec& spec :
         {spec_with(rule, true, true, false, 12), spec_with(rule, false, true, false, 12),
          spec_with(rule, true, true, true, 12), spec_with(rule, false, true, true, 12)}) {
      const Sae sae = random_full_sae(spec, 1);
      for (const bool subtract : {true, false}) {
        const Sae folded = fold_transforms(sae, subtract);
        EXPECT_EQ(folded.transform(), identity_transform(12));
        EXPECT_EQ(folded.output_transform(), identity_transform(12));
        EXPECT_EQ(folded.spec().apply_b_dec_to_input, subtract);
        EXPECT_TRUE(std::ranges::equal(folded.threshold(), sae.threshold()));
        const Agreement agreement = compare_saes(sae, folded, activations(12), true);
        EXPECT_GT(agreement.n_active, 64);
        EXPECT_LE(agreement.worst_value, 1) << agreement.worst_feature;
        EXPECT_LE(agreement.worst_xhat, 1) << agreement.worst_feature;
      }
    }
    const Sae narrow = random_full_sae(spec_with(rule, false, true, true, 5), 2);
    const Agreement agreement =
        compare_saes(narrow, fold_transforms(narrow, false), activations(12), true);
    EXPECT_LE(agreement.worst_value, 1) << agreement.worst_feature;
    EXPECT_LE(agreement.worst_xhat, 1) << agreement.worst_feature;
  }
}

TEST(WithInputGain, ReadsBehindTheGainWhatItReadBefore) {
  Rng rng(4, "gain");
  std::vector<float> gain(12), bias(12);
  for (float& g : gain) g = float((rng.normal() > 0 ? 1 : -1) * (0.3 + std::abs(rng.normal())));
  for (float& b : bias) b = float(rng.normal());
  const at::Tensor n = activations(12), g = at::tensor(gain), b = at::tensor(bias);
  const at::Tensor x = n * g + b;
  for (const Rule rule : {Rule::top_k, Rule::threshold})
    for (const SaeSpec& spec :
         {spec_with(rule, true, false, false, 12), spec_with(rule, false, false, false, 12),
          spec_with(rule, false, true, false, 12), spec_with(rule, true, true, true, 12),
          spec_with(rule, false, true, true, 5)}) {
      const Sae sae = random_full_sae(spec, 9);
      const Sae behind = with_input_gain(sae, gain, bias);
      const SparseCodes before = sae.encode(n), after = behind.encode(x);
      EXPECT_EQ(before.indices, after.indices);
      // Sums of 12 products of numbers below 10, divided by gains of 0.3 and more, in f32.
      expect_near(after.values, before.values, 1e-4, "values");
      at::Tensor expected = sae.decode(before, n);
      if (!spec.transcoder) expected = expected * g + b;
      const at::Tensor xhat = behind.decode(after, x).contiguous();
      expect_near({xhat.const_data_ptr<float>(), std::size_t(xhat.numel())},
                  {expected.contiguous().const_data_ptr<float>(), std::size_t(expected.numel())},
                  5e-4, "xhat");
    }
}

TEST(ScaleFeatures, KeepsTheFunctionAndScalesValues) {
  Sae sae = random_full_sae(spec_with(Rule::threshold, false, true, false, 12), 3);
  const Sae before = sae.clone();
  const std::vector<float> norms = decoder_norms(sae);
  scale_features(sae, norms, "test");
  for (const float norm : decoder_norms(sae)) EXPECT_NEAR(norm, 1, 1e-6);
  const at::Tensor x = activations(12);
  const SparseCodes old_codes = before.encode(x), codes = sae.encode(x);
  EXPECT_EQ(old_codes.n_active(), codes.n_active());
  // 40 terms of size ~3 in f32.
  expect_near(sae.decode(codes, x),
              {before.decode(old_codes, x).contiguous().data_ptr<float>(), std::size_t(64 * 12)},
              1e-4, "xhat");
  EXPECT_THAT(error_of([&] { scale_features(sae, std::vector<float>(40, 0), "W_dec"); }),
              HasSubstr("feature 0"));
}

TEST(CompareSaes, FindsTheWorstFeature) {
  const Sae sae = random_full_sae(spec_with(Rule::threshold, true, true, false, 12), 4);
  const at::Tensor x = activations(12);
  EXPECT_EQ(compare_saes(sae, sae, x, true).worst_value, 0);
  EXPECT_EQ(compare_saes(sae, sae, x, true).worst_xhat, 0);

  Sae other = sae.clone();
  other.b_enc()[17] += 1e-3f;
  Agreement agreement = compare_saes(sae, other, x, true);
  EXPECT_GT(agreement.worst_value, 10);
  EXPECT_THAT(agreement.worst_feature, HasSubstr("feature 17"));

  other = sae.clone();
  other.threshold()[9] += 3;  // values stay, some are gone
  agreement = compare_saes(sae, other, x, true);
  EXPECT_GT(agreement.worst_value, 10);
  EXPECT_THAT(agreement.worst_feature, AllOf(HasSubstr("feature 9"), HasSubstr("0 after")));

  other = sae.clone();
  other.w_dec()[3] += 1e-2f;
  agreement = compare_saes(sae, other, x, true);
  EXPECT_EQ(agreement.worst_value, 0);
  EXPECT_GT(agreement.worst_xhat, 1);
  EXPECT_THAT(agreement.worst_feature, HasSubstr("reconstruction of token"));
  EXPECT_EQ(compare_saes(sae, other, x, false).worst_xhat, 0);
}

TEST(CompareSaes, LetsTiesTradePlaces) {
  // Features 0 and 1 are the same; which of them is kept may differ.
  Sae sae = random_full_sae(spec_with(Rule::top_k, true, true, false, 12), 6);
  for (std::size_t i = 0; i < 12; ++i) sae.w_enc()[12 + i] = sae.w_enc()[i];
  sae.b_enc()[0] = sae.b_enc()[1] = 0;
  for (std::size_t i = 0; i < 12; ++i) sae.w_dec()[12 + i] = sae.w_dec()[i];
  Sae nudged = sae.clone();
  nudged.b_enc()[1] = 1e-8f;
  const Agreement agreement = compare_saes(sae, nudged, activations(12), true);
  EXPECT_LE(agreement.worst_value, 1) << agreement.worst_feature;
}

TEST(ActivationsFor, MakeFeaturesFireWhateverTheScale) {
  for (const float scale : {1e-4f, 1.0f, 1e4f}) {
    Sae sae = random_full_sae(spec_with(Rule::threshold, true, true, false, 12), 7);
    for (const auto part : {sae.w_enc(), sae.b_enc(), sae.threshold()})
      for (float& value : part) value *= scale;
    std::vector<float> x = activations_for(sae);
    EXPECT_EQ(x, activations_for(sae));
    const SparseCodes codes = sae.encode(at::from_blob(x.data(), {64, 12}));
    EXPECT_GT(codes.n_active(), 64) << scale;
  }
}

class Convert : public testing::Test {
 protected:
  Convert() {
    Rng rng(8, "convert");
    SaeSpec spec = SaeSpec::topk(12, 40, 4);
    Sae sae(spec, random_transform(12, 0.4f, rng));
    for (const auto part : {sae.w_enc(), sae.b_enc(), sae.w_dec(), sae.b_dec()})
      for (float& value : part) value = 0.7f * float(rng.normal());
    save_sae(in(), sae, {.site = "mlp_out.3"}, activations(12));
  }
  fs::path in() const { return folder_ / "sae.safetensors"; }
  ConvertOptions options(const std::string& to, const std::string& name) const {
    return {.in = in(), .out = folder_ / name, .to = to};
  }
  void expect_only_the_input() const {
    for (const auto& entry : fs::directory_iterator(folder_.path())) EXPECT_EQ(entry.path(), in());
  }

  const TempFolder folder_;
};

TEST_F(Convert, ChecksOnTheGoldenActivationsOfTheFile) {
  const Conversion done = convert_sae(options("sparsify", "layers.3.mlp"));
  EXPECT_EQ(done.from, "safesail");
  EXPECT_EQ(done.golden, "the SAE's own golden activations");
  EXPECT_EQ(done.agreement.n_tokens, 64);
  EXPECT_EQ(done.agreement.n_active, 64 * 4);
  EXPECT_EQ(read_any_sae(folder_ / "layers.3.mlp", "", {}).provenance.site, "mlp_out.3");
}

TEST_F(Convert, ChecksOnTheActivationsThatTheUserGives) {
  const at::Tensor x = activations(12);
  const fs::path golden = folder_ / "x.safetensors";
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(x.const_data_ptr()),
                                         x.nbytes());
  write_safetensors(golden, std::vector<NamedTensor>{{"x", {DType::f32, {64, 12}, bytes}},
                                                     {"y", {DType::f32, {96, 8}, bytes}}});
  ConvertOptions given = options("saelens", "out");
  given.golden = golden;
  EXPECT_EQ(convert_sae(given).golden, golden.string());
  given.out = folder_ / "again";
  given.golden_key = "y";
  EXPECT_THAT(error_of([&] { convert_sae(given); }), HasSubstr("expected [n, 12]"));
  EXPECT_FALSE(fs::exists(given.out));
}

TEST_F(Convert, ThereAndBackKeepsTheSae) {
  convert_sae(options("openmoss", "there"));
  ConvertOptions back = options("safesail", "back.safetensors");
  back.in = folder_ / "there";
  convert_sae(back);
  EXPECT_NO_THROW(verify_sae(back.out));
  EXPECT_THAT(load_sae(back.out).provenance.program_version, HasSubstr("converted from openmoss"));
  const Agreement agreement =
      compare_saes(load_sae(in()).sae, load_sae(back.out).sae, activations(12), true);
  EXPECT_LE(agreement.worst_value, 1) << agreement.worst_feature;
}

// Scales, centres and decoder norms go into the weights; the one threshold stays.
TEST_F(Convert, LlamaScopeThereAndBackKeepsTheSae) {
  Sae sae = random_full_sae(spec_with(Rule::threshold, true, true, false, 12), 5);
  const SaeProvenance provenance{.site = "mlp_in.3", .output_site = "mlp_out.3"};
  save_sae(in(), sae, provenance, activations(12));
  EXPECT_THAT(error_of([&] { convert_sae(options("llama-scope", "there")); }),
              HasSubstr("thresholds that differ"));
  std::ranges::fill(sae.threshold(), 0.4f);
  save_sae(in(), sae, provenance, activations(12));
  convert_sae(options("llama-scope", "there"));
  const ImportedSae back = read_any_sae(folder_ / "there", "", {});
  EXPECT_EQ(back.provenance.site, "mlp_in.3");
  EXPECT_EQ(back.provenance.output_site, "mlp_out.3");
  const Agreement agreement = compare_saes(sae, back.sae, activations(12), true);
  EXPECT_GT(agreement.n_active, 0);
  EXPECT_LE(agreement.worst_value, 1) << agreement.worst_feature;
  EXPECT_LE(agreement.worst_xhat, 1) << agreement.worst_feature;
}

// What the output says of the SAE's place must be so.
TEST_F(Convert, RefusesAnOutputThatSaysAnotherSite) {
  const auto convert = [&](const std::string& to, const std::string& name,
                           const std::string& site) {
    ConvertOptions given = options(to, name);
    given.read.site = site;
    return convert_sae(given);
  };
  for (const auto& [to, name] :
       {std::pair("safe-sail", "ckpt_layer3.pt"), std::pair("sparsify", "layers.3.mlp"),
        std::pair("sparsify", "layers.4")})
    EXPECT_THAT(error_of([&] { convert(to, name, "resid_post.3"); }),
                AllOf(HasSubstr("resid_post.3"), HasSubstr(name)))
        << to;
  expect_only_the_input();
  EXPECT_THAT(convert("safe-sail", "ckpt_layer3.pt", "mlp_out.3").notes,
              testing::Not(testing::Contains(HasSubstr("mlp_out.3"))));
  EXPECT_THAT(convert("sparsify", "mine", "mlp_out.3").notes,
              testing::Contains(HasSubstr("does not say that the SAE reads")));
  EXPECT_THAT(convert("saelens", "lens", "resid_pre.7").notes, testing::IsEmpty());
  EXPECT_EQ(read_any_sae(folder_ / "lens", "", {}).provenance.site, "resid_pre.7");
}

TEST_F(Convert, NamesTheHookThatHasTheValue) {
  const auto hook = [&](const SaeProvenance& provenance) {
    Sae sae = load_sae(in()).sae.clone();
    save_sae(in(), sae, provenance, activations(12));
    fs::remove_all(folder_ / "lens");
    convert_sae(options("saelens", "lens"));
    return read_json(folder_ / "lens/cfg.json")["metadata"]["hook_name"].get<std::string>();
  };
  EXPECT_EQ(hook({.site = "mlp_out.3"}), "blocks.3.hook_mlp_out");
  EXPECT_EQ(hook({.site = "mlp_out.3", .model_name = "gemma-2-2b"}), "blocks.3.mlp.hook_out");
  EXPECT_EQ(hook({.site = "attn_out.3", .model_name = "gemma-3-1b-it"}), "blocks.3.attn.hook_out");
  EXPECT_EQ(hook({.site = "mlp_post.3", .model_name = "gemma-2-2b"}), "blocks.3.hook_mlp_out");
  EXPECT_EQ(hook({.site = "mlp_in.3"}), "blocks.3.mlp.hook_in");
  // Older files knew their module and named no hook where there are post-norms.
  EXPECT_EQ(hook({.site = "mlp_out.3", .hf_module = "model.layers.3.mlp.down_proj"}),
            "blocks.3.mlp.hook_out");
}

// SAELens reads metadata of version 6 and later as they are; others it rewrites, and loses most.
TEST_F(Convert, SaelensGetsWhatIsKnownOfTheText) {
  Sae sae = load_sae(in()).sae.clone();
  save_sae(in(), sae,
           {.site = "mlp_out.3",
            .model_name = "tiny",
            .prepends_bos = false,
            .context_size = 128,
            .dataset = "wordnet.jsonl"},
           activations(12));
  convert_sae(options("saelens", "lens"));
  const Json metadata = read_json(folder_ / "lens/cfg.json")["metadata"];
  EXPECT_EQ(metadata["sae_lens_version"], "6.0.0");
  EXPECT_EQ(metadata["hook_name"], "blocks.3.hook_mlp_out");
  EXPECT_EQ(metadata["model_name"], "tiny");
  EXPECT_EQ(metadata["prepend_bos"], false);
  EXPECT_EQ(metadata["context_size"], 128);
  EXPECT_EQ(metadata["dataset_path"], "wordnet.jsonl");
  const SaeProvenance back = read_any_sae(folder_ / "lens", "", {}).provenance;
  EXPECT_EQ(back.prepends_bos, false);
  EXPECT_EQ(back.context_size, 128);
  save_sae(in(), sae, {.site = "mlp_out.3"}, activations(12));
  fs::remove_all(folder_ / "lens");
  convert_sae(options("saelens", "lens"));
  EXPECT_TRUE(read_json(folder_ / "lens/cfg.json")["metadata"]["prepend_bos"].is_null());
}

TEST_F(Convert, RefusesAFileWhoseSiteWasMistaken) {
  Sae sae = load_sae(in()).sae.clone();
  save_sae(in(), sae, {.site = "mlp_in.3", .transformer_lens_hook = "blocks.3.ln2.hook_normalized"},
           activations(12));
  EXPECT_THAT(error_of([&] { load_sae(in()); }), HasSubstr("convert the original again"));
}

TEST_F(Convert, AnEncoderAloneStaysMarked) {
  convert_sae(options("safe-sail", "ckpt_layer3.pt"));
  ConvertOptions back = options("safesail", "back.safetensors");
  back.in = folder_ / "ckpt_layer3.pt";
  back.read.k = 4;
  EXPECT_TRUE(convert_sae(back).encoder_only);
  EXPECT_EQ(load_sae(back.out).metadata.at("encoder_only"), "true");
  for (const char* to : {"saelens", "sparsify", "dictionary_learning", "openmoss", "qwen-scope"}) {
    ConvertOptions on = options(to, std::string(to) == "qwen-scope" ? "on.pt" : "on");
    on.in = back.out;
    EXPECT_THAT(error_of([&] { convert_sae(on); }), HasSubstr("an encoder without a decoder"))
        << to;
    EXPECT_FALSE(fs::exists(on.out));
  }
}

TEST_F(Convert, RefusesWhatItCannotDo) {
  EXPECT_THAT(error_of([&] { convert_sae(options("gemma-scope", "params.npz")); }),
              HasSubstr("a TopK SAE"));
  EXPECT_THAT(error_of([&] { convert_sae(options("llama-scope", "out")); }),
              HasSubstr("a TopK SAE"));
  EXPECT_THAT(error_of([&] { convert_sae(options("onnx", "out")); }), HasSubstr("\"onnx\""));
  EXPECT_THAT(error_of([&] { convert_sae(options("saelens", "sae.safetensors")); }),
              HasSubstr("got one that exists"));
  EXPECT_THAT(error_of([&] { convert_sae(options("safe-sail", "out")); }),
              HasSubstr("ends in .pt"));
  ConvertOptions wrong = options("saelens", "out");
  wrong.read.k = 5;
  EXPECT_THAT(error_of([&] { convert_sae(wrong); }), HasSubstr("k = 4 as the file says"));
  expect_only_the_input();
}

TEST_F(Convert, ACheckOnWhichNothingFiresProvesNothing) {
  Sae sae = load_sae(in()).sae.clone();
  for (float& bias : sae.b_enc()) bias = -1e6f;
  save_sae(in(), sae, {}, activations(12));
  EXPECT_THAT(error_of([&] { convert_sae(options("saelens", "out")); }),
              HasSubstr("on which features fire"));
  expect_only_the_input();
}

TEST_F(Convert, AFailedCheckLeavesNothingAndNamesTheFeature) {
  // Folded into the encoder, this scale leaves its weights a few bits: they are subnormal.
  Sae sae = load_sae(in()).sae.clone();
  InputTransform tiny = sae.transform();
  tiny.scale = 1e-37f;
  Sae small(sae.spec(), tiny);
  std::ranges::copy(sae.w_enc(), small.w_enc().begin());
  std::ranges::copy(sae.w_dec(), small.w_dec().begin());
  for (float& weight : small.w_enc()) weight *= 1e-5f;
  for (float& weight : small.w_dec()) weight *= 1e-5f;
  save_sae(in(), small, {}, activations(12) * 1e30);
  EXPECT_THAT(error_of([&] { convert_sae(options("saelens", "out")); }),
              AllOf(HasSubstr("what rounding explains"), HasSubstr("worst: token")));
  expect_only_the_input();
}

}  // namespace
}  // namespace safesail
