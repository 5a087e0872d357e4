// For tests: features whose truth is known, in made-up text. A token is a word of the vocabulary
// w0, w1, ...; each document gives one window.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "harvest/exemplars.h"

namespace safesail {

struct PlantedConfig {
  int vocabulary = 40, window_tokens = 16;
  int n_firing = 40, n_silent = 40;  ///< windows of each use
  float quantile = 10;               ///< so that activation = level
  std::uint64_t seed = 0;
};

/// The activation of the token at `t` in a window of vocabulary numbers.
using Plant = std::function<float(const std::vector<std::int32_t>& ids, std::size_t t)>;

inline std::string planted_word(std::int32_t id) {
  return "w" + std::to_string(id);
}

inline Window planted_window(std::vector<std::int32_t> ids, std::uint64_t document,
                             const Plant& plant) {
  Window window;
  window.document = document;
  window.starts = {0};
  for (std::size_t t = 0; t < ids.size(); ++t) {
    window.text += (t == 0 ? "" : " ") + planted_word(ids[t]);
    window.starts.push_back(static_cast<std::uint32_t>(window.text.size()));
    window.activation.push_back(plant(ids, t));
  }
  window.ids = std::move(ids);
  return window;
}

inline FeatureRecord planted_feature(const PlantedConfig& config, const Plant& plant) {
  FeatureRecord record;
  record.sae = "mlp_out.1/topk-k2";
  record.site = "mlp_out.1";
  record.quantile = record.max_activation = config.quantile;
  Rng rng(config.seed, "planted feature");
  std::uint64_t document = 1000 * config.seed;
  for (const Use use : kUses)
    for (int n_firing = 0, n_silent = 0;
         n_firing < config.n_firing || n_silent < config.n_silent;) {
      std::vector<std::int32_t> ids;
      for (int t = 0; t < config.window_tokens; ++t)
        ids.push_back(
            static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(config.vocabulary))));
      Window window = planted_window(std::move(ids), ++document, plant);
      const bool fires = window.max_activation() > 0;
      int& n = fires ? n_firing : n_silent;
      if (n == (fires ? config.n_firing : config.n_silent)) continue;
      ++n;
      const int level = activation_level(window.max_activation(), config.quantile);
      record.exemplars.push_back({.window = std::move(window),
                                  .use = use,
                                  .kind = fires ? WindowKind::level : WindowKind::silent,
                                  .level = level});
    }
  return record;
}

/// "the[ attack] was[ bomb]ed": what stands in brackets is active at `level` (of a quantile of 10).
/// Tokens begin at spaces and brackets.
inline Window bracketed_window(std::string_view marked, int level, std::uint64_t document) {
  Window window;
  window.document = document;
  window.starts = {0};
  float activation = 0;
  const auto end_token = [&] {
    if (window.starts.back() == window.text.size()) return;
    window.ids.push_back(static_cast<std::int32_t>(window.text.size() + 1000 * document));
    window.starts.push_back(static_cast<std::uint32_t>(window.text.size()));
    window.activation.push_back(activation);
  };
  for (const char c : marked) {
    if (c == '[' || c == ']') {
      end_token();
      activation = c == '[' ? static_cast<float>(level) : 0;
      continue;
    }
    if (c == ' ') end_token();
    window.text += c;
  }
  end_token();
  return window;
}

/// Fires on the words whose numbers are given, at level 8.
inline Plant fires_on_words(std::vector<std::int32_t> words) {
  return [words = std::move(words)](const std::vector<std::int32_t>& ids, std::size_t t) {
    for (const std::int32_t word : words)
      if (ids[t] == word) return 8.0F;
    return 0.0F;
  };
}

}  // namespace safesail
