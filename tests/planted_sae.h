// SAEs whose features are planted on the packaged model, so that the truth is known: feature f
// fires exactly on one token.
#pragma once

#include <ATen/ATen.h>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/text_model.h"
#include "sae/sae.h"
#include "workspace.h"

namespace safesail {

class PlantedSaeTest : public WorkspaceTest {
 protected:
  static void SetUpTestSuite() {
    SilentReporter silent;
    model_ = std::make_unique<TextModel>(
        load_text_model(packaged_model(), {.dtype = ComputeType::f32}, silent));
  }
  static void TearDownTestSuite() { model_.reset(); }

  static std::int32_t token(const std::string& text) {
    const Encoding encoding = model_->tokenizer.encode(text, false);
    EXPECT_EQ(encoding.ids.size(), 1U) << text << " should be one token";
    return encoding.ids.front();
  }

  /// The token embeddings [n, d] of `ids`: what resid_pre.0 holds for them.
  static at::Tensor embeddings(const std::vector<std::int32_t>& ids) {
    const std::vector<std::int32_t> starts = {0, static_cast<std::int32_t>(ids.size())};
    ForwardRequest request{.ids = ids, .starts = starts, .read = {kSite}};
    return model_->model.forward(request).sites[0].contiguous();
  }

  /// An SAE at resid_pre.0 in which feature f fires exactly on the token words[f]; those beyond are
  /// random directions with thresholds under which they fire on some per cent of all tokens.
  static Sae planted(const std::vector<std::int32_t>& words, std::int64_t n_features) {
    const std::int64_t d = model_->model.spec().d_model;
    SaeSpec spec{.architecture = "jumprelu",
                 .d_in = d,
                 .d_out = d,
                 .n_features = n_features,
                 .rule = Rule::threshold,
                 .apply_b_dec_to_input = false};
    Sae sae(spec, identity_transform(d));
    const at::Tensor rows = embeddings(words);
    Rng rng(11, "planted SAE");
    for (std::int64_t f = 0; f < n_features; ++f) {
      const auto i = static_cast<std::size_t>(f);
      const bool is_word = i < words.size();
      float square = 0;
      for (std::int64_t j = 0; j < d; ++j) {
        const float value = is_word ? rows[f][j].item<float>() : static_cast<float>(rng.normal());
        sae.w_enc()[i * static_cast<std::size_t>(d) + static_cast<std::size_t>(j)] = value;
        sae.w_dec()[i * static_cast<std::size_t>(d) + static_cast<std::size_t>(j)] = value;
        square += value * value;
      }
      // A token's own embedding gives |e|^2; others' products with it lie well below. A random
      // direction gives a normal number of standard deviation |e|, with |e| near 3 here.
      sae.threshold()[i] = is_word ? 0.9F * square : 5.0F;
    }
    return sae;
  }

  static constexpr Site kSite{SiteKind::resid_pre, 0};
  static inline std::unique_ptr<TextModel> model_;
};

}  // namespace safesail
