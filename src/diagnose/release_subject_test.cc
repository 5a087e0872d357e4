// A small release in the published layout, over the packaged model.
#include "diagnose/release_subject.h"

#include <cmath>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <numeric>
#include <unistd.h>

#include "atlas/release.h"
#include "base/error.h"
#include "base/rng.h"
#include "diagnose/trace.h"
#include "formats/torch_pickle.h"
#include "formats/zip_testing.h"

namespace safesail {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::int64_t kWidth = 576, kFeatures = 64, kTopRows = 10'000;

/// What torch.save writes of a list of integers below 256.
std::string torch_list(const std::vector<int>& numbers) {
  std::string pickle("\x80\x02](", 4);
  for (const int number : numbers) pickle += {'K', static_cast<char>(number)};
  pickle += "e.";
  return zip_of({stored_entry("archive/data.pkl", pickle), stored_entry("archive/version", "3\n")});
}

template <class T>
TensorView view(const std::vector<T>& values, std::vector<std::int64_t> shape) {
  return {DType::f32, std::move(shape), std::as_bytes(std::span(values))};
}

class ReleaseSubjectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(dir_);
    for (const char* sub :
         {"sae_checkpoints", "neuron_db", "activation/indices", "activation/quantiles"})
      fs::create_directories(dir_ / "data" / sub);
    Rng rng(5, "release");
    weights_.resize(static_cast<std::size_t>(kFeatures * kWidth));
    for (float& weight : weights_) weight = static_cast<float>(rng.normal()) / 24;
    const std::vector<float> bias(kFeatures, 0.01F), centre(kWidth, 0);
    write_torch(
        data("sae_checkpoints/ckpt_layer5.pt"),
        std::vector<TorchItem>{{"pre_encoder_bias._bias_reference", view(centre, {1, kWidth})},
                               {"encoder.weight", view(weights_, {1, kFeatures, kWidth})},
                               {"encoder.bias", view(bias, {1, kFeatures})}});
    write_file(data("activation/indices/indices_layer5.pt"), torch_list({7, 3, 7, 20}));
    // Column c holds the values 1 + c / 8, 2 + c / 8, ...
    std::vector<float> top(static_cast<std::size_t>(kTopRows * 4));
    for (std::size_t i = 0; i < top.size(); ++i) {
      const std::size_t row = i / 4, column = i % 4;
      top[i] = static_cast<float>(1 + row) + static_cast<float>(column) / 8;
    }
    write_torch(data("activation/quantiles/quantile_layer5.pt"),
                std::vector<TorchItem>{{"top_neuron_activations", view(top, {kTopRows, 4})}});
    write_file(data("neuron_db/en_db.json"),
               R"({"5_3": {"explanation": "of three", "correlation_score": 0.25, )"
               R"("tag_list": ["terror"]},)"
               R"( "5_7": {"explanation": null, "correlation_score": 0.5, "tag_list": []},)"
               R"( "5_9": {"explanation": "never selected", "correlation_score": 0.5, )"
               R"("tag_list": []}})");
    Atlas atlas(dir_ / "atlas.sqlite");
    import_release(atlas, release_database(dir_));
  }
  void TearDown() override { fs::remove_all(dir_); }

  fs::path data(const char* name) const { return dir_ / "data" / name; }
  Subject load(std::int64_t k = 8) const {
    SilentReporter silent;
    return subject_of_release({.folder = dir_,
                               .model = std::string(SAFESAIL_SOURCE_DIR) +
                                        "/.deps/models/smollm2-135m-instruct-q4_1.gguf",
                               .atlas = dir_ / "atlas.sqlite",
                               .k = k},
                              {.dtype = ComputeType::bf16, .device = "cpu"}, silent);
  }

  const fs::path dir_ = fs::temp_directory_path() / fmt::format("safesail_release_{}", ::getpid());
  std::vector<float> weights_;
};

TEST_F(ReleaseSubjectTest, KnowsWhatWasSelectedAndHasAnEntry) {
  const Subject subject = load();
  ASSERT_THAT(subject.saes, SizeIs(1));
  const KnownSae& sae = subject.saes[0];
  EXPECT_EQ(sae.site(), (Site{SiteKind::mlp_out, 5}));
  EXPECT_EQ(sae.sae().spec().k, 8);
  const auto known = sae.known();
  ASSERT_THAT(known->all(), SizeIs(2));
  const KnownFeature &three = known->all()[0], &seven = known->all()[1];
  EXPECT_EQ(three.feature, 3);
  EXPECT_EQ(three.explanations.at("en"), "of three");
  EXPECT_DOUBLE_EQ(three.score, 0.25);
  EXPECT_THAT(three.domains, ElementsAre("terror"));
  EXPECT_EQ(seven.feature, 7);
  EXPECT_TRUE(seven.explanations.empty());
  // 0.999 of 200,000 is rank 199,800: row 9,800 of the top ones, counted from 1.
  EXPECT_DOUBLE_EQ(three.quantile, 9800.125);
  EXPECT_DOUBLE_EQ(seven.quantile, 9800);  // of the first of its two columns
}

TEST_F(ReleaseSubjectTest, TracesWithItsOwnK) {
  const Subject subject = load(/*k=*/kFeatures);
  const Trace result = trace(
      subject, prompt_of_messages(subject.model.tokenizer, {{"user", "What is rain?"}}, false),
      {.unlisted = true, .mask_special = true});
  for (const TraceToken& token : result.tokens) {
    if (token.is_special) continue;
    // With k as large as the SAE every positive value is there: about half of them.
    EXPECT_GT(token.features.size(), static_cast<std::size_t>(kFeatures / 5));
  }
}

TEST_F(ReleaseSubjectTest, NamesWhatDoesNotFit) {
  const auto message = [&]() -> std::string {
    try {
      load();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  write_file(data("activation/indices/indices_layer5.pt"), torch_list({7, 3}));
  EXPECT_THAT(message(), HasSubstr("expected 2 columns"));
  fs::remove(data("activation/indices/indices_layer5.pt"));
  EXPECT_THAT(message(), HasSubstr("indices_layer"));
  fs::remove_all(data("sae_checkpoints"));
  EXPECT_THAT(message(), HasSubstr("sae_checkpoints"));
  fs::remove_all(data("neuron_db"));
  EXPECT_THROW(release_database(dir_), Error);
}

TEST(QuantileOfTop, IsTheQuantileOfAllValuesWhereAllAreKnown) {
  std::vector<float> values(1001);
  std::iota(values.begin(), values.end(), 0.0F);
  // Rank r of n stands at r / n; the value of rank r is r - 1.
  for (const double p : {0.25, 0.5, 0.7505, 0.999})
    EXPECT_NEAR(quantile_of_top(values, 1001, p), p * 1001 - 1, 1e-9) << p;
  const std::span<const float> top = std::span(values).last(101);
  EXPECT_NEAR(quantile_of_top(top, 1001, 0.95), 0.95 * 1001 - 1, 1e-9);
  EXPECT_EQ(quantile_of_top(top, 1001, 0.5), 900) << "below what is known: the least known";
  EXPECT_EQ(quantile_of_top(top, 1001, 1), 1000);
}

}  // namespace
}  // namespace safesail
