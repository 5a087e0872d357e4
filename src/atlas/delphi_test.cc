#include "atlas/delphi.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "atlas/delphi_files.h"
#include "atlas/interchange.h"
#include "atlas/test_support.h"
#include "base/error.h"
#include "formats/json.h"
#include "formats/safetensors.h"

namespace safesail {
namespace {

using testing::HasSubstr;

constexpr const char* kDetection = R"([
 {"str_tokens": ["a", " bomb"], "activations": [0.0, 4.5], "distance": 3, "activating": true,
  "prediction": true, "probability": 0.9, "correct": true},
 {"str_tokens": ["the", " sun"], "activations": [0.0, 0.0], "distance": -1, "activating": false,
  "prediction": true, "probability": 0.6, "correct": false},
 {"str_tokens": ["x"], "activations": [0.1], "distance": 1, "activating": true,
  "prediction": null, "probability": null, "correct": null}])";
constexpr const char* kSimulation = R"([{"distance": 0, "ev_correlation_score": 0.75,
  "rsquared_score": 0, "absolute_dev_explained_score": 0, "scored_sequence_simulations": []},
  {"distance": 1, "ev_correlation_score": 0.5}])";

class DelphiTest : public AtlasTest {
 protected:
  fs::path in() const { return dir_ / "in"; }

  /// Latents 10..12 on 2 x 3 tokens; latent 11 fires twice.
  void write_cache(std::uint32_t bad_latent = 1) const {
    const std::vector<std::uint32_t> places = {0, 1, 1, 1, 2, bad_latent, 0, 0, 2};
    const std::vector<std::uint16_t> halves = {0x4480, 0x3C00, 0x0001};  // 4.5, 1, 2^-24
    const std::vector<std::int64_t> tokens = {1, 2, 3, 4, 5, 6};
    const std::vector<NamedTensor> tensors = {
        {"locations", {DType::u32, {3, 3}, std::as_bytes(std::span(places))}},
        {"activations", {DType::f16, {3}, std::as_bytes(std::span(halves))}},
        {"tokens", {DType::i64, {2, 3}, std::as_bytes(std::span(tokens))}}};
    write_safetensors(in() / "latents/layers.3.mlp/10_12.safetensors", tensors);
  }
  void write_run() const {
    write_file(in() / "run_config.json", R"({"model": "EleutherAI/pythia-160m", "seed": 22})");
    write_file(in() / "explanations/layers.3.mlp_latent11.txt", "\"Words of \\u70b8\\u5f39\"");
    write_file(in() / "explanations/layers.3.mlp_latent40.txt",
               "\"Explanation could not be parsed.\"");
    write_file(in() / "scores/detection/layers.3.mlp_latent11.txt", kDetection);
    write_file(in() / "scores/fuzz/layers.3.mlp_latent11.txt", kDetection);
    write_file(in() / "scores/simulation/layers.3.mlp_latent11.txt", kSimulation);
    write_cache();
  }
};

TEST_F(DelphiTest, ComesIn) {
  write_run();
  Atlas atlas(dir_ / "atlas.sqlite");
  const ImportReport report = import_delphi(atlas, in());
  EXPECT_EQ(report.n_features, 3) << "11 and 12 fire, 40 has a text";
  const FeatureEntry entry = atlas.entry(atlas.feature_named("mlp_out.3:11"));
  EXPECT_EQ(entry.model, "EleutherAI/pythia-160m");
  EXPECT_EQ(entry.record.sae, "layers.3.mlp");
  EXPECT_EQ(entry.record.n_tokens, 6u);
  EXPECT_EQ(entry.record.n_active, 2u);
  EXPECT_EQ(entry.record.max_activation, 4.5F);
  EXPECT_EQ(atlas.record(atlas.feature_named("3_12")).max_activation, 0x1p-24F) << "subnormal";
  ASSERT_EQ(entry.explanations.size(), 1u);
  EXPECT_EQ(entry.explanations[0].explanation.short_text, "Words of 炸弹");
  ASSERT_EQ(entry.explanations[0].scores.size(), 3u);
  const Score& detection = entry.explanations[0].scores[0];
  EXPECT_EQ(detection.key.scorer, "detection");
  // One of one positive right, none of one negative; the third was not answered.
  EXPECT_EQ(detection.value, 0.5);
  EXPECT_EQ(detection.n_windows, 3);
  EXPECT_EQ(detection.n_unparsable, 1);
  EXPECT_EQ(entry.explanations[0].scores[2].key.scorer, "token");
  EXPECT_EQ(entry.explanations[0].scores[2].value, 0.75);
  EXPECT_EQ(atlas.entry(atlas.feature_named("3_40")).explanations[0].explanation.status,
            TextStatus::unparsable);
}

TEST_F(DelphiTest, GoesOutAsItCameIn) {
  write_run();
  Atlas atlas(dir_ / "atlas.sqlite");
  import_delphi(atlas, in());
  import_delphi(atlas, in());
  export_delphi(atlas, dir_ / "out");
  for (const char* file :
       {"explanations/layers.3.mlp_latent11.txt", "explanations/layers.3.mlp_latent40.txt",
        "scores/detection/layers.3.mlp_latent11.txt", "scores/fuzz/layers.3.mlp_latent11.txt",
        "scores/simulation/layers.3.mlp_latent11.txt"})
    EXPECT_EQ(read_json(dir_ / "out" / file), read_json(in() / file)) << file;
  EXPECT_EQ(read_json(dir_ / "out/run_config.json")["seed"], 22);
}

TEST_F(DelphiTest, AScoreThatIsNoNumberIsUnknown) {
  for (const char* value : {"null", "\"nan\""}) {
    write_run();
    write_file(in() / "scores/simulation/layers.3.mlp_latent11.txt",
               fmt::format(R"([{{"distance": 0, "ev_correlation_score": {}}}])", value));
    EXPECT_TRUE(validate_folder(atlas_format("delphi"), in()).empty());
    Atlas atlas(dir_ / "atlas.sqlite");
    import_delphi(atlas, in());
    const FeatureEntry entry = atlas.entry(atlas.feature_named("mlp_out.3:11"));
    EXPECT_TRUE(std::isnan(entry.explanations.at(0).scores.at(2).value)) << value;
    EXPECT_EQ(entry.explanations[0].scores[0].value, 0.5) << "the others are imported";
  }
  write_file(in() / "scores/simulation/layers.3.mlp_latent11.txt",
             R"([{"distance": 0, "ev_correlation_score": "high"}])");
  Atlas atlas(dir_ / "atlas.sqlite");
  EXPECT_THROW(import_delphi(atlas, in()), Error);
}

TEST_F(DelphiTest, OurOwnScoresGoOutAndComeIn) {
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t id = atlas.put_feature(atlas.put_sae(make_sae()), make_record(5));
  Score score;
  score.key.scorer = "detection";
  score.simulations = {{0, {0.75F}}, {1, {0.25F}}};
  atlas.put_score(atlas.put_explanation(id, make_explanation("bombs")), score);
  export_delphi(atlas, dir_ / "out");
  EXPECT_TRUE(validate_folder(atlas_format("delphi"), dir_ / "out").empty());
  Atlas other(dir_ / "other.sqlite");
  import_delphi(other, dir_ / "out");
  const FeatureEntry entry = other.entry(other.feature_named("mlp_out.3:5"));
  EXPECT_EQ(entry.explanations[0].explanation.short_text, "bombs");
  EXPECT_EQ(entry.explanations[0].scores.at(0).value, 1.0);
  EXPECT_EQ(entry.record.exemplars.at(0).window.token(1), "bomb ");
}

TEST_F(DelphiTest, ViolationsAreNamed) {
  write_run();
  write_cache(/*bad_latent=*/7);
  write_file(in() / "explanations/layers.3.mlp_latent11.txt", "[1]");
  write_file(in() / "scores/fuzz/layers.3.mlp_latent11.txt",
             R"([{"str_tokens": ["a"], "activations": [], "activating": true}])");
  write_file(in() / "scores/detection/layers.3.mlp_latent12.txt", "[]");
  write_file(in() / "scores/simulation/layers.3.mlp_latent11.txt", "{\"a\"");
  std::string all;
  for (const Violation& one : validate_folder(format_of_folder(in()), in()))
    all += one.where + ": " + one.problem + "\n";
  EXPECT_THAT(all, HasSubstr("10_12.safetensors: location 1: there is no latent 7"));
  EXPECT_THAT(all, HasSubstr("latent11.txt:1: expected a text in quotes"));
  EXPECT_THAT(all, HasSubstr("latent11.txt:1: item 0: expected as many activations"));
  EXPECT_THAT(all, HasSubstr("latent12.txt: there is no explanation"));
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 5) << all;
  EXPECT_THROW(import_folder(format_of_folder(in()), in(), dir_ / "x.sqlite"), Error);
  EXPECT_FALSE(fs::exists(dir_ / "x.sqlite"));
}

TEST(Delphi, HookPointsAndSites) {
  using namespace delphi;
  EXPECT_EQ(site_of_hookpoint("layers.10"), "resid_post.10");
  EXPECT_EQ(site_of_hookpoint("layers.10.mlp"), "mlp_out.10");
  EXPECT_EQ(site_of_hookpoint("h.3.mlp"), "mlp_out.3");
  EXPECT_EQ(site_of_hookpoint("layers.3.router"), "layers.3.router");
  EXPECT_EQ(hookpoint_of_site("attn_out.2"), "layers.2.self_attn");
  EXPECT_EQ(layer_of_hookpoint("h.31.mlp"), 31);
  EXPECT_EQ(layer_of_hookpoint("mlp"), 0);
  EXPECT_EQ(layer_of_hookpoint("layers.99999999999"), 0);
}

}  // namespace
}  // namespace safesail
