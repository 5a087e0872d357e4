// What the atlas takes and gives: plain structs, each a row of a table (docs/atlas.md). The
// feature's own statistics and windows are a FeatureRecord (harvest/exemplars.h).
//
// An empty text or a missing number means that nothing is known. JSON stands in texts, as it was
// given.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harvest/exemplars.h"

namespace safesail {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

struct RunRow {
  std::string version;
  std::uint64_t seed = 0;
  std::string config;  ///< TOML or JSON
};

struct ModelRow {
  std::string name;            ///< unique
  std::string details = "{}";  ///< JSON
};

struct SaeRow {
  std::string model;  ///< name
  std::string name;   ///< unique in its model: "mlp_out.15/topk-k32"
  std::string site;   ///< "mlp_out.15"
  std::int32_t layer = 0;
  std::string architecture;  ///< "topk"
  std::int64_t n_features = 0;
  std::string details = "{}";  ///< JSON: path, metrics, where it came from
};

/// What became of an explanation. Only `ok` has text of its own.
enum class TextStatus {
  ok,
  unparsable,  ///< the answer could not be read
  refused,     ///< the model would not
  copied,      ///< the answer repeats an example of the prompt
  failed,      ///< no answer; tried again on resume
  masked,      ///< published as "***"
  absent       ///< published without text
};
std::string_view to_string(TextStatus status);
TextStatus parse_text_status(std::string_view text);

/// What makes an explanation another one: a feature has at most one for each.
struct ExplanationKey {
  std::string explainer;  ///< "lexical", "llm", "published"
  std::string model;      ///< of the explainer; empty for lexical
  std::string language = "en";
  std::string prompt_hash;
  std::uint64_t seed = 0;

  bool operator==(const ExplanationKey&) const = default;
};

struct Explanation {
  std::int64_t id = 0;  ///< given by the atlas
  ExplanationKey key;
  TextStatus status = TextStatus::ok;
  std::string short_text, long_text;
  std::string lexicon;       ///< JSON; see interpret/lexical_explainer.h
  std::string raw;           ///< the answer as it came
  std::string request_hash;  ///< of the request that was answered so, in the ledger; or empty
  std::string reason;        ///< for people: why there is no text, or from less than it might be
  std::int64_t created = 0;
};

/// Which explanations are meant; an empty or missing part admits all.
struct ExplanationFilter {
  std::string explainer, model, language, prompt_hash;
  std::optional<std::uint64_t> seed;
  std::string sae;  ///< name
};

/// What makes a score another one: an explanation has at most one for each. The last three are what
/// was asked, unknown of scores that others made: numbers of unlike questions are not comparable.
struct ScoreKey {
  std::string scorer;     ///< "segment", "token", "detection", "fuzzing", "published"...
  std::string simulator;  ///< "lexical", or the endpoint's model
  std::string prompt_hash;
  std::uint64_t seed = 0;
  std::int64_t windows = 0;  ///< at most so many of a side, firing and silent
  std::int64_t batch = 0;    ///< questions a request; 0: not asked by requests
  std::string questions;     ///< their hash

  bool operator==(const ScoreKey&) const = default;
};

/// What a simulator said of one exemplar, a value a unit.
struct Simulation {
  std::size_t exemplar = 0;  ///< its place in FeatureRecord::exemplars
  std::vector<float> values;
};

struct Score {
  std::int64_t id = 0;  ///< given by the atlas
  ScoreKey key;
  double value = kUnknown;                 ///< unknown where too little could be scored
  double low = kUnknown, high = kUnknown;  ///< bootstrap interval
  double floor = kUnknown;                 ///< of another feature's explanation
  std::int64_t n_windows = 0, n_units = 0;
  std::int64_t n_unparsable = 0, n_refused = 0, n_failed = 0;  ///< windows
  std::string details = "{}";                                  ///< JSON: pearson, auroc...
  std::int64_t created = 0;
  std::vector<Simulation> simulations;  ///< optional
};

/// A feature may have several, also of one domain.
struct Tag {
  std::string domain;           ///< "politics"
  std::string subclass;         ///< "cult"; empty: of the domain as a whole
  std::string source;           ///< "pairs", the explainer, "published"
  std::string evidence = "{}";  ///< JSON
};

struct PairMetrics {
  std::string concept_name;  ///< "politics/cult"
  std::string language;
  double f = 0, reverse = 0;  ///< shares of the pairs; see select/
  double p = kUnknown, q = kUnknown;
  double effect = kUnknown;
  std::int64_t n = 0;     ///< pairs
  bool accepted = false;  ///< under false discovery control
  /// JSON: what it does on the pairs held out, as in candidates.jsonl (docs/selection.md); empty:
  /// it was not tried there.
  std::string held_out;
};

struct LedgerLine {
  std::string purpose;  ///< "explain", "score.segment", "tag"
  std::optional<std::int64_t> feature;
  std::string endpoint, model, request_hash;
  std::int64_t prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
  std::int64_t reasoning_tokens = 0;  ///< of the completion
  std::int64_t requests = 1;
  double money = 0;
  std::string currency;  ///< "USD"; empty where no price is known
  std::string status = "ok";
  std::string reason;  ///< for people, where it is not ok
};

/// Sums over ledger lines of one purpose, model and currency.
struct Spending {
  std::string purpose, model;
  std::int64_t prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0, reasoning_tokens = 0;
  std::int64_t requests = 0;
  double money = 0;
  std::string currency;
};

struct ExplanationWithScores {
  Explanation explanation;
  std::vector<Score> scores;
  std::optional<Spending> cost;  ///< of the requests that it was read from
};

/// A feature with all that is known of it.
struct FeatureEntry {
  std::int64_t id = 0;
  std::string model;
  std::int32_t layer = 0;
  FeatureRecord record;
  std::string extra = "{}";  ///< JSON: what other formats carry beside it
  std::string status;        ///< "ok" or "insufficient: n = 3"
  double score = kUnknown;   ///< see FeatureLine
  double effect = kUnknown;
  double x = kUnknown, y = kUnknown;
  std::vector<ExplanationWithScores> explanations;
  std::vector<Tag> tags;
  std::vector<PairMetrics> pair_metrics;
  std::vector<Spending> spending;  ///< on this feature alone
};

}  // namespace safesail
