// Held-out evaluation against its closed forms: SAEs whose effect on the model is known.
#include "train/evaluate.h"

#include <ATen/ATen.h>
#include <fstream>
#include <gtest/gtest.h>

#include "workspace.h"

namespace safesail {
namespace {

class EvaluateTest : public WorkspaceTest {
 protected:
  std::vector<CellResult> evaluate_saes(std::vector<EvaluationCell> cells) {
    std::ofstream file(dir_ / "corpus.txt");
    for (int i = 0; i < 8; ++i)
      file << "The river number " << i << " flows from the hill to the wide sea.\n";
    file.close();
    SilentReporter silent;
    const LanguageModel model =
        LanguageModel::load(packaged_model(), {.dtype = ComputeType::f32}, silent);
    const Tokenizer tokenizer = Tokenizer::load(packaged_model());
    const CorpusConfig corpus{.paths = {(dir_ / "corpus.txt").string()}, .shuffle_window = 0};
    return evaluate(model, BatchStream(Corpus(corpus, &tokenizer), tokenizer, {}, Split::all, 0),
                    cells, {.n_tokens = 1000, .n_loss_tokens = 1000}, silent);
  }
  static constexpr std::int64_t kWidth = 576;
  const Site site_{SiteKind::mlp_out, 10};
};

// All weights zero: the reconstruction is the centre, so splicing is ablation by the mean, nothing
// fires, and the error is at least the variance.
TEST_F(EvaluateTest, AnSaeOfZerosIsAblationByItsCentre) {
  InputTransform transform = identity_transform(kWidth);
  for (std::size_t i = 0; i < transform.center.size(); ++i)
    transform.center[i] = 0.01f * static_cast<float>(i % 7);
  std::vector<EvaluationCell> cells;
  cells.push_back({site_, 4, Sae({kWidth, 64, 4}, transform)});
  const CellResult result = evaluate_saes(std::move(cells)).front();
  EXPECT_DOUBLE_EQ(result.loss.spliced, result.loss.mean_ablated);
  EXPECT_NE(result.loss.spliced, result.loss.clean);
  EXPECT_EQ(result.l0, 0);
  EXPECT_EQ(result.dead_share, 1);
  EXPECT_GE(result.fvu, 1);
}

// W_enc = [I; -I], W_dec = [I; -I], k = F: every coordinate comes back, through its positive or
// negative feature; only f32 rounding is left.
TEST_F(EvaluateTest, AnExactSaeLosesNothing) {
  Sae sae({kWidth, 2 * kWidth, 2 * kWidth}, identity_transform(kWidth));
  for (std::int64_t i = 0; i < kWidth; ++i)
    for (const auto& [feature, sign] : {std::pair{i, 1.f}, std::pair{kWidth + i, -1.f}}) {
      sae.w_enc()[static_cast<std::size_t>(feature * kWidth + i)] = sign;
      sae.w_dec()[static_cast<std::size_t>(feature * kWidth + i)] = sign;
    }
  std::vector<EvaluationCell> cells;
  cells.push_back({site_, 2 * kWidth, std::move(sae)});
  const CellResult result = evaluate_saes(std::move(cells)).front();
  EXPECT_LT(result.fvu, 1e-10);
  EXPECT_NEAR(result.loss.delta(), 0, 1e-5);
  EXPECT_NEAR(result.loss.recovered(), 1, 1e-4);
  EXPECT_NEAR(result.l0, kWidth, 1);
}

TEST_F(EvaluateTest, HeldOutDocumentsMustExist) {
  std::vector<EvaluationCell> cells;
  EXPECT_THROW(load_cells(dir_, 30), std::exception);
}

}  // namespace
}  // namespace safesail
