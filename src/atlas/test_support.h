// A small atlas to test on.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "atlas/atlas.h"
#include "base/file.h"

namespace safesail {

/// A folder of its own for each test, removed at the end.
class AtlasTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    dir_ =
        fs::temp_directory_path() /
        fmt::format("safesail_atlas_{}_{}_{}", info->test_suite_name(), info->name(), ::getpid());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  fs::path dir_;
};

/// A window of one token a word.
inline Window make_window(const std::vector<std::string>& words, std::vector<float> activation) {
  Window window;
  window.document = 0xFEDCBA9876543210u;
  window.position = 7;
  window.starts = {0};
  for (std::size_t i = 0; i < words.size(); ++i) {
    window.ids.push_back(static_cast<std::int32_t>(100 + i));
    window.text += words[i];
    window.starts.push_back(static_cast<std::uint32_t>(window.text.size()));
  }
  window.activation = std::move(activation);
  return window;
}

inline FeatureRecord make_record(std::int32_t feature) {
  FeatureRecord record;
  record.sae = "mlp_out.3/topk-k32";
  record.site = "mlp_out.3";
  record.feature = feature;
  record.n_tokens = 1000;
  record.n_active = static_cast<std::uint64_t>(feature) + 1;
  record.parts = {{"news.jsonl", 600, 0}, {"forum", 400, record.n_active}};
  record.max_activation = 4.5F;
  record.quantile = 4.0F;
  record.histogram = {5, 0, 300, 1};
  record.fires_on = {{17, " bomb", 0.75F}};
  record.promoted = {{3, "ing", 1.25F}, {4, "ed", 0.5F}};
  record.suppressed = {{5, "the", -2.0F}};
  record.nearest = {{feature + 1, 0.9F}, {feature + 500, 0.5F}};
  record.n_firing_windows = {11, 12, 13};
  record.exemplars.push_back({make_window({"a ", "bomb ", "threat"}, {0, 4.5F, 0.25F}),
                              Use::explain, WindowKind::top, 10});
  record.exemplars.push_back(
      {make_window({"the", " weather"}, {0, 0}), Use::test, WindowKind::silent, 0});
  return record;
}

inline SaeRow make_sae() {
  return {"test-model", "mlp_out.3/topk-k32", "mlp_out.3", 3, "topk", 1000, R"({"k":32})"};
}

inline Explanation make_explanation(std::string text, std::string explainer = "llm",
                                    std::string language = "en") {
  Explanation explanation;
  explanation.key = {std::move(explainer), "judge-1", std::move(language), "abc", 1};
  explanation.short_text = std::move(text);
  return explanation;
}

}  // namespace safesail
