// Held-out evaluation against its closed forms: SAEs whose effect on the model is known.
#include "train/evaluate.h"

#include <ATen/ATen.h>
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"
#include "sae/checkpoint.h"
#include "workspace.h"

namespace safesail {
namespace {

constexpr std::int64_t kWidth = 576;

SaeSpec transcoder_spec(std::int64_t n_features, std::int64_t k) {
  SaeSpec spec = SaeSpec::topk(kWidth, n_features, k);
  spec.transcoder = true;
  spec.apply_b_dec_to_input = false;
  return spec;
}

/// W_enc = [I; -I], W_dec = size * [I; -I], k = F: every coordinate comes back `size` times,
/// through its positive or negative feature; only f32 rounding is left.
void make_scaled_identity(Sae& sae, float size) {
  for (std::int64_t i = 0; i < kWidth; ++i)
    for (const auto& [feature, sign] : {std::pair{i, 1.f}, std::pair{kWidth + i, -1.f}}) {
      sae.w_enc()[static_cast<std::size_t>(feature * kWidth + i)] = sign;
      sae.w_dec()[static_cast<std::size_t>(feature * kWidth + i)] = size * sign;
    }
}

Sae scaled_identity(float size, InputTransform transform) {
  Sae sae(SaeSpec::topk(kWidth, 2 * kWidth, 2 * kWidth), std::move(transform));
  make_scaled_identity(sae, size);
  return sae;
}

class EvaluateTest : public WorkspaceTest {
 protected:
  void SetUp() override {
    WorkspaceTest::SetUp();
    std::ofstream file(dir_ / "corpus.txt");
    for (int i = 0; i < 8; ++i)
      file << "The river number " << i << " flows from the hill to the wide sea.\n";
  }

  BatchStream batches() const {
    const CorpusConfig corpus{.paths = {(dir_ / "corpus.txt").string()}, .shuffle_window = 0};
    return {Corpus(corpus, &tokenizer()), tokenizer(), {}, Split::all, 0};
  }

  std::vector<CellResult> evaluate_saes(const std::vector<EvaluationCell>& cells) const {
    SilentReporter silent;
    return evaluate(model(), batches(), cells, {.n_tokens = 1000, .n_loss_tokens = 1000}, silent);
  }

  /// The mean of a site over the content tokens of the corpus.
  InputTransform centred_on_mean(const Site& site) const {
    const TokenBatch batch = batches().next().value();
    const ForwardResult forward =
        model().forward({.ids = batch.ids, .starts = batch.starts, .read = {site}});
    std::vector<std::int64_t> rows;
    for (std::size_t t = 0; t < batch.n_tokens(); ++t)
      if (batch.is_content[t] != 0) rows.push_back(static_cast<std::int64_t>(t));
    const at::Tensor mean = forward.sites[0]
                                .index_select(0, at::tensor(rows, at::kLong))
                                .to(at::kDouble)
                                .mean(0)
                                .to(at::kFloat);
    InputTransform transform = identity_transform(kWidth);
    transform.center.assign(mean.const_data_ptr<float>(), mean.const_data_ptr<float>() + kWidth);
    return transform;
  }

  static const LanguageModel& model() {
    static SilentReporter silent;
    static const LanguageModel loaded =
        LanguageModel::load(packaged_model(), {.dtype = ComputeType::f32}, silent);
    return loaded;
  }
  static const Tokenizer& tokenizer() {
    static const Tokenizer loaded = Tokenizer::load(packaged_model());
    return loaded;
  }

  const Site site_{SiteKind::mlp_out, 10};
};

// All weights zero and the centre at the held-out mean: splicing is ablation by the mean, nothing
// fires, and the error is the variance.
TEST_F(EvaluateTest, AnSaeOfZerosIsAblationByTheMean) {
  std::vector<EvaluationCell> cells;
  cells.push_back(
      make_cell(site_, site_, Sae(SaeSpec::topk(kWidth, 64, 4), centred_on_mean(site_))));
  cells.push_back(
      make_cell(site_, site_, Sae(SaeSpec::topk(kWidth, 64, 4), identity_transform(kWidth))));
  const std::vector<CellResult> results = evaluate_saes(cells);
  const CellResult& mean = results[0];
  const CellResult& zero = results[1];
  // The two means were rounded to f32 from sums in another order.
  EXPECT_NEAR(mean.loss.spliced.value, mean.loss.mean_ablated.value, 1e-5);
  EXPECT_NEAR(mean.loss.kl.value, mean.loss.kl_mean_ablated.value, 1e-5);
  EXPECT_NEAR(mean.loss.recovered_from_mean.value, 0, 1e-3);
  EXPECT_NEAR(mean.fvu.value, 1, 1e-6);
  EXPECT_EQ(mean.l0.value, 0);
  EXPECT_EQ(mean.dead_share, 1);
  EXPECT_EQ(mean.n_never_fired, 64);

  EXPECT_DOUBLE_EQ(zero.loss.spliced.value, zero.loss.zero_ablated.value);
  EXPECT_DOUBLE_EQ(zero.loss.recovered.value, 0);
  EXPECT_DOUBLE_EQ(zero.loss.kl.value, zero.loss.kl_zero_ablated.value);
  EXPECT_GT(zero.loss.kl.value, 1e-3);
  EXPECT_NE(zero.loss.spliced.value, zero.loss.clean.value);
  EXPECT_EQ(zero.norm_ratio, 0);
}

TEST_F(EvaluateTest, AnExactSaeLosesNothing) {
  std::vector<EvaluationCell> cells;
  cells.push_back(make_cell(site_, site_, scaled_identity(1, identity_transform(kWidth))));
  const CellResult result = evaluate_saes(cells).front();
  EXPECT_LT(result.fvu.value, 1e-10);
  EXPECT_NEAR(result.loss.delta.value, 0, 1e-5);
  EXPECT_NEAR(result.loss.kl.value, 0, 1e-5);
  EXPECT_NEAR(result.loss.recovered.value, 1, 1e-4);
  EXPECT_NEAR(result.loss.recovered_from_mean.value, 1, 1e-4);
  EXPECT_NEAR(result.l0.value, kWidth, 1);
  EXPECT_NEAR(result.scale_to_fit, 1, 1e-6);
  EXPECT_NEAR(result.norm_ratio, 1, 1e-6);
  EXPECT_NEAR(result.cosine, 1, 1e-6);
}

// xhat = mean + (x - mean) / 2: a quarter of the variance is left, twice the size would fit, at
// every position and in every resample.
TEST_F(EvaluateTest, AHalvingSaeIsKnownInEveryNumber) {
  std::vector<EvaluationCell> cells;
  cells.push_back(make_cell(site_, site_, scaled_identity(0.5f, centred_on_mean(site_))));
  const CellResult result = evaluate_saes(cells).front();
  // x - centre, halved and added to the centre again: three f32 roundings of numbers near x.
  EXPECT_NEAR(result.fvu.value, 0.25, 1e-5);
  EXPECT_NEAR(result.scale_to_fit, 2, 1e-5);
  EXPECT_EQ(result.n_documents, 8u);
  // Each document's share of the error is a quarter of its deviation, the mean is held.
  EXPECT_NEAR(result.fvu.low, 0.25, 1e-5);
  EXPECT_NEAR(result.fvu.high, 0.25, 1e-5);
  ASSERT_FALSE(result.loss.by_position.empty());
  std::uint64_t n_tokens = 0;
  double kl = 0;
  for (const PositionResult& bucket : result.loss.by_position) {
    if (!std::isnan(bucket.fvu)) {
      EXPECT_NEAR(bucket.fvu, 0.25, 1e-5) << bucket.first;
    }
    n_tokens += bucket.n_tokens;
    kl += bucket.kl * static_cast<double>(bucket.n_tokens);
  }
  EXPECT_EQ(n_tokens, result.loss.n_tokens);
  EXPECT_NEAR(kl / static_cast<double>(n_tokens), result.loss.kl.value, 1e-9);
  EXPECT_LT(result.loss.delta.low, result.loss.delta.high);
  EXPECT_LE(result.loss.delta.low, result.loss.delta.value);
  EXPECT_GE(result.loss.delta.high, result.loss.delta.value);
  EXPECT_EQ(std::accumulate(result.density.begin(), result.density.end(), result.n_never_fired),
            2 * kWidth);
  const nlohmann::json json = nlohmann::json::parse(to_json(result));
  EXPECT_EQ(json["fvu"], result.fvu.value);
  EXPECT_EQ(json["delta_loss_interval"][0], result.loss.delta.low);
  EXPECT_EQ(json["by_position"].size(), result.loss.by_position.size());
}

// A long document is read in pieces, each without the one before: no token has more than fifteen
// before it.
TEST_F(EvaluateTest, PositionsAreThoseThatTheModelSaw) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "the river flows ";
  write_file(dir_ / "long.txt", text + "\n");
  const CorpusConfig corpus{.paths = {(dir_ / "long.txt").string()}, .shuffle_window = 0};
  std::vector<EvaluationCell> cells;
  cells.push_back(make_cell(site_, site_, scaled_identity(0.5f, centred_on_mean(site_))));
  SilentReporter silent;
  const auto by_position = [&](std::int32_t max_sequence) {
    BatchStream batches(Corpus(corpus, &tokenizer()), tokenizer(), {.max_sequence = max_sequence},
                        Split::all, 0);
    return evaluate(model(), std::move(batches), cells, {.n_tokens = 500, .n_loss_tokens = 500},
                    silent)
        .front()
        .loss.by_position;
  };
  EXPECT_EQ(by_position(1024).back().first, 64);
  const std::vector<PositionResult> cut = by_position(16);
  ASSERT_EQ(cut.size(), 3u);
  EXPECT_EQ(cut.back().first, 4);
  // Fifteen predictions a piece, one of them from its first token.
  const std::uint64_t n_pieces = cut[0].n_tokens;
  EXPECT_GE(n_pieces, 7u);
  EXPECT_EQ(cut[1].n_tokens, 3 * n_pieces);
}

// A transcoder that copies its input, with its bias, from mlp_in to mlp_out: what it reconstructs
// is compared with mlp_out and spliced in there.
TEST_F(EvaluateTest, ATranscoderIsJudgedByWhatItReconstructs) {
  const Site input{SiteKind::mlp_in, 10};
  std::vector<EvaluationCell> cells;
  cells.push_back(
      make_cell(input, site_,
                Sae(transcoder_spec(8, 2), identity_transform(kWidth), centred_on_mean(site_))));
  Sae copying(transcoder_spec(2 * kWidth, 2 * kWidth), identity_transform(kWidth),
              identity_transform(kWidth));
  make_scaled_identity(copying, 1);
  cells.push_back(make_cell(input, site_, std::move(copying)));
  const std::vector<CellResult> results = evaluate_saes(cells);
  EXPECT_EQ(results[0].id.site, "mlp_in.10");
  EXPECT_EQ(results[0].id.output_site, "mlp_out.10");
  EXPECT_NEAR(results[0].fvu.value, 1, 1e-6) << "zeros reconstruct the mean of mlp_out";
  EXPECT_NEAR(results[0].loss.spliced.value, results[0].loss.mean_ablated.value, 1e-5);

  // The copy's FVU by hand, from both sites.
  const TokenBatch batch = batches().next().value();
  const ForwardResult forward =
      model().forward({.ids = batch.ids, .starts = batch.starts, .read = {input, site_}});
  const at::Tensor content = at::tensor(at::ArrayRef<std::uint8_t>(batch.is_content)).to(at::kBool);
  const at::Tensor x = forward.sites[0].index({content}).to(at::kDouble);
  const at::Tensor y = forward.sites[1].index({content}).to(at::kDouble);
  const double expected = ((y - x).square().sum() / (y - y.mean(0)).square().sum()).item<double>();
  EXPECT_NEAR(results[1].fvu.value / expected, 1, 1e-5);
  EXPECT_GT(results[1].loss.delta.value, 0.01);
}

TEST_F(EvaluateTest, SeedsOfOneSettingAreCompared) {
  const auto random = [&](std::uint64_t seed) {
    return Sae::random(SaeSpec::topk(kWidth, 64, 4), identity_transform(kWidth), seed);
  };
  std::vector<EvaluationCell> cells;
  cells.push_back(make_cell(site_, site_, random(1), 1));
  cells.push_back(make_cell(site_, site_, random(1), 2));  // the same features again
  cells.push_back(make_cell(site_, site_, random(3), 3));
  const std::vector<CellResult> results = evaluate_saes(cells);
  ASSERT_EQ(results[0].agreement.size(), 2u);
  EXPECT_EQ(results[0].agreement[0].seed, 2u);
  EXPECT_EQ(results[0].agreement[0].features.matched_share, 1);
  EXPECT_EQ(results[0].agreement[1].features.matched_share, 0);
}

TEST_F(EvaluateTest, CellsAreFoundAndOrdered) {
  const at::Tensor golden = at::randn({4, kWidth});
  const auto save = [&](const std::string& folder, const std::string& site, std::int64_t k,
                        std::uint64_t seed) {
    const Sae sae = Sae::random(SaeSpec::topk(kWidth, 64, k), identity_transform(kWidth), seed);
    save_sae(dir_ / "sae" / folder / "sae.safetensors", sae, {.site = site, .seed = seed}, golden);
  };
  save("b", "mlp_out.10", 8, 1);
  save("a/deep", "mlp_out.10", 8, 0);
  save("c", "mlp_out.9", 16, 0);
  save("d", "mlp_out.10", 4, 7);
  std::string order;
  for (const EvaluationCell& cell : load_cells(dir_, 30, nullptr))
    order += site_name(cell.id) + " " + short_name(cell.id) + "; ";
  EXPECT_EQ(order,
            "mlp_out.9 topk k16 64; mlp_out.10 topk k4 64 #7; mlp_out.10 topk k8 64; "
            "mlp_out.10 topk k8 64 #1; ");
}

// A file by itself, with the site named by hand, to a table, JSON and a report.
TEST_F(EvaluateTest, TheCommandTakesFiles) {
  const fs::path file = dir_ / "one.safetensors";
  save_sae(file, Sae::random(SaeSpec::topk(kWidth, 64, 4), identity_transform(kWidth), 1), {},
           at::randn({4, kWidth}));
  const std::string command = "evaluate --model " + packaged_model().string() + " --corpus " +
                              (dir_ / "corpus.txt").string() +
                              " --all-documents --tokens 100 --loss-tokens 50 --sae " +
                              file.string();
  const Outcome unnamed = run_safesail(command);
  EXPECT_EQ(unnamed.exit_code, 2);
  EXPECT_NE(unnamed.output.find("--site"), std::string::npos) << unnamed.output;

  const fs::path report = dir_ / "report.html";
  const Outcome named =
      run_safesail("-q " + command + " --site mlp_out.10 --json --report " + report.string());
  ASSERT_EQ(named.exit_code, 0) << named.output;
  const nlohmann::json json = nlohmann::json::parse(named.output, nullptr, false);
  ASSERT_TRUE(json.is_object()) << named.output;
  EXPECT_EQ(json["site"], "mlp_out.10");
  EXPECT_EQ(json["architecture"], "topk");
  EXPECT_TRUE(json.contains("kl_interval"));
  EXPECT_NE(read_file(report, 1 << 24).find("mlp_out.10 topk k4 64"), std::string::npos);
}

TEST_F(EvaluateTest, HeldOutDocumentsMustExist) {
  EXPECT_THROW(load_cells(dir_, 30, nullptr), Error);
}

TEST_F(EvaluateTest, AnSaeOfAnotherWidthIsRefused) {
  std::vector<EvaluationCell> cells;
  cells.push_back(make_cell(site_, site_, Sae(SaeSpec::topk(8, 16, 4), identity_transform(8))));
  EXPECT_THROW(evaluate_saes(cells), Error);
}

}  // namespace
}  // namespace safesail
