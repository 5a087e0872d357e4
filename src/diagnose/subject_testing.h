// For tests: the packaged model with two random SAEs, of whose features every other one is known.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "diagnose/subject.h"

namespace safesail::testing {

constexpr std::int64_t kTestFeatures = 256, kTestK = 8;

inline std::vector<KnownFeature> every_other_feature() {
  std::vector<KnownFeature> known;
  for (std::int32_t f = 0; f < kTestFeatures; f += 2)
    known.push_back({.id = 1000 + f,
                     .feature = f,
                     .quantile = 0.5 + 0.01 * f,
                     .score = f % 4 == 0 ? 0.1 : 0.5,
                     .explanations = {{"en", fmt::format("feature {}", f)}},
                     .domains = {f % 8 == 0 ? "violence" : "politics"}});
  return known;
}

/// Made once, in f32.
inline Subject& small_subject() {
  static Subject subject = [] {
    SilentReporter silent;
    const fs::path model =
        fs::path(SAFESAIL_SOURCE_DIR) / ".deps/models/smollm2-135m-instruct-q4_1.gguf";
    Subject made{
        "small", load_text_model(model, {.dtype = ComputeType::f32, .device = "cpu"}, silent), {}};
    const std::int64_t d = made.model.model.spec().d_model;
    for (const int layer : {3, 9}) {
      const Site site{SiteKind::mlp_out, layer};
      made.saes.emplace_back(fmt::format("{}/topk-k8", to_string(site)), site,
                             Sae::random(SaeSpec::topk(d, kTestFeatures, kTestK),
                                         identity_transform(d), static_cast<std::uint64_t>(layer)),
                             every_other_feature());
    }
    return made;
  }();
  return subject;
}

}  // namespace safesail::testing
