// Exemplars: windows of text in which a feature fires, in which it might have fired and does not,
// and the feature's statistics. What explanations are written from, and what they are scored on.
//
// Plain data: it owns everything and refers to no model, so that explaining and scoring need
// neither model nor tokenizer. Collected by exemplar_collector.h, kept in the atlas.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace safesail {

/// What a document serves: no document serves two ends. Told by likeness_key of its text, so that
/// copies of a document fall on the same side, and edited copies as a rule.
enum class Use { explain, calibrate, test };
inline constexpr std::array kUses = {Use::explain, Use::calibrate, Use::test};
std::string_view to_string(Use use);  ///< "explain"
Use parse_use(std::string_view text);

/// Why a window was kept for a feature.
enum class WindowKind {
  top,           ///< among the strongest
  level,         ///< drawn at random among the windows whose maximum has its level
  silent,        ///< drawn at random among the windows in which the feature does not fire
  hard_token,    ///< silent, though it has tokens on which the feature often fires elsewhere
  hard_cofiring  ///< silent, though features that often fire along with it do fire
};
std::string_view to_string(WindowKind kind);
WindowKind parse_window_kind(std::string_view text);

/// Activation level: 0..10, linear between 0 and the feature's 0.999 quantile, rounded to the
/// nearest; 0 for a quantile of 0.
inline constexpr int kMaxLevel = 10;
int activation_level(float activation, float quantile);

/// A run of content tokens of one document. Token t is text[starts[t], starts[t + 1]); where a
/// character spans several tokens these ranges cut it, the text as a whole is valid UTF-8.
struct Window {
  std::uint64_t document = 0;         ///< hash of the document's text
  std::int32_t position = 0;          ///< of the first token in its document
  std::vector<std::int32_t> ids;      ///< [n_tokens]
  std::string text;                   ///< decoded
  std::vector<std::uint32_t> starts;  ///< [n_tokens + 1] byte offsets into text
  std::vector<float> activation;      ///< [n_tokens] of the feature, >= 0

  std::size_t n_tokens() const { return ids.size(); }
  float max_activation() const;
  std::string_view token(std::size_t t) const {
    return std::string_view(text).substr(starts[t], starts[t + 1] - starts[t]);
  }
};

struct Exemplar {
  Window window;
  Use use = Use::explain;
  WindowKind kind = WindowKind::top;
  int level = 0;  ///< of the window's maximum
};

/// An output or input token with a number that belongs to it.
struct WeightedToken {
  std::int32_t id = 0;
  std::string text;
  float weight = 0;
};

struct NearFeature {
  std::int32_t feature = 0;
  float cosine = 0;
};

/// How often a feature fires in one part of the corpus: a domain where the corpus has a file or a
/// folder for each.
struct PartDensity {
  std::string part;
  std::uint64_t n_tokens = 0, n_active = 0;  ///< content tokens read there, and those it fired on
  bool operator==(const PartDensity&) const = default;
};

/// What is known of one feature before any explanation.
struct FeatureRecord {
  std::string sae;           ///< name of its SAE in the run: "mlp_out.15/topk-k32"
  std::string site;          ///< "mlp_out.15"
  std::int32_t feature = 0;  ///< index in its SAE

  std::uint64_t n_tokens = 0, n_active = 0;  ///< content tokens read, and those on which it fired
  std::vector<PartDensity> parts;            ///< in the order of the corpus; sums to the two above
  float max_activation = 0;
  float quantile = 0;  ///< 0.999 quantile of the values at which it fired
  /// Tokens by activation: kHistogramBins equal bins from 0 to max_activation, firing tokens only.
  std::vector<std::uint64_t> histogram;
  std::vector<WeightedToken> fires_on;              ///< share of its activation mass, falling
  std::vector<WeightedToken> promoted, suppressed;  ///< logit lens, strongest first
  std::vector<NearFeature> nearest;                 ///< by decoder cosine, falling

  std::vector<Exemplar> exemplars;
  /// Windows in which it fired, all that were seen: what `insufficient` is judged by.
  std::array<std::uint64_t, 3> n_firing_windows{};  ///< by Use

  double density() const {
    return n_tokens == 0 ? 0 : static_cast<double>(n_active) / static_cast<double>(n_tokens);
  }
};

inline constexpr int kHistogramBins = 40;

/// "mlp_out.17:16378", the name of a feature everywhere.
std::string feature_name(std::string_view site, std::int32_t feature);

}  // namespace safesail
