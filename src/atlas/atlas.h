// The atlas: the neuron database of a run, one SQLite file. This is the whole of its interface;
// plain structs go in and come out (records.h, feature_query.h).
//
// An Atlas is one connection and belongs to one thread; many may be open on one file, in several
// processes: one writes at a time, readers never wait. Each put is atomic; a transaction() around
// several makes them one and makes them fast. Ids are those of the file. Every fault is an Error.
// Tables and rules: docs/atlas.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "atlas/database.h"
#include "atlas/feature_query.h"
#include "atlas/records.h"

namespace safesail {

class FeatureTable;

/// A run's folder stands for the atlas in it, `atlas.sqlite`; any other path is the file itself.
fs::path atlas_path(const fs::path& run_or_file);

class Atlas {
 public:
  using Mode = Database::Mode;
  explicit Atlas(const fs::path& path, Mode mode = Mode::create);
  ~Atlas();
  Atlas(const Atlas&) = delete;
  Atlas& operator=(const Atlas&) = delete;

  const fs::path& path() const { return database_.path(); }
  [[nodiscard]] Transaction transaction() { return Transaction(database_); }

  // --- Writing. put: makes the row, or replaces the one with the same key; gives its id, which of
  // an explanation or a score is a new one, so that the newest has the highest.

  /// What is written from now on (explanations, scores, ledger lines) belongs to this run.
  std::int64_t begin_run(const RunRow& run);
  std::int64_t put_model(const ModelRow& model);
  /// Makes the model too if there is none of that name.
  std::int64_t put_sae(const SaeRow& sae);
  /// The feature and its exemplars; explanations, tags and metrics of an older record stay. `extra`
  /// is a JSON object that goes along with it.
  std::int64_t put_feature(std::int64_t sae, const FeatureRecord& record,
                           std::string_view status = "ok", std::string_view extra = "{}");
  /// "insufficient: n = 3", for put_feature and set_status.
  static std::string insufficient(std::uint64_t n_windows);
  void set_status(std::int64_t feature, std::string_view status);

  std::int64_t put_explanation(std::int64_t feature, const Explanation& explanation);
  /// Several of one feature, which is cheaper; gives their ids.
  std::vector<std::int64_t> put_explanations(std::int64_t feature,
                                             std::span<const Explanation> explanations);
  std::int64_t put_score(std::int64_t explanation, const Score& score);
  /// Before all features are put anew from other exemplars: what was found out about those that
  /// were there (explanations, scores, tags, metrics, coordinates) goes; answers and ledger stay.
  void forget_findings();
  /// All others go, with the SAEs, models and windows that nothing is left of.
  void keep_features(std::span<const std::int64_t> features);

  void put_tag(std::int64_t feature, const Tag& tag);
  void delete_tags(std::int64_t feature, std::string_view source);
  void put_pair_metrics(std::int64_t feature, const PairMetrics& metrics);
  /// Coordinates 0..1 of the landscape.
  void put_coordinates(std::span<const std::int64_t> features, std::span<const float> x,
                       std::span<const float> y);

  // --- Money and answers.

  void add_ledger_line(const LedgerLine& line);
  std::vector<Spending> spending();
  /// The answer that was kept for a request.
  std::optional<std::string> find_answer(std::string_view request_hash);
  void put_answer(std::string_view request_hash, std::string_view response);

  // --- What is left to do, so that a killed run goes on exactly. In the order of ids.

  /// Of the first `n_first` features with enough examples (0: of all; of one SAE, its name, unless
  /// that is empty) those that lack this explanation, or whose attempt failed.
  std::vector<std::int64_t> features_lacking(const ExplanationKey& key, std::string_view sae = {},
                                             std::size_t n_first = 0);
  /// Explanations with text, of such features and as `which` wants them.
  std::vector<std::int64_t> explanations(const ExplanationFilter& which);
  /// Without its simulations.
  std::optional<Score> find_score(std::int64_t explanation, const ScoreKey& key);

  // --- Reading.

  std::vector<ModelRow> models();
  std::vector<SaeRow> saes();
  std::optional<std::int64_t> find_sae(std::string_view model, std::string_view name);
  std::vector<std::int64_t> features_of(std::int64_t sae);
  std::optional<std::int64_t> find_feature(std::int64_t sae, std::int32_t feature);
  /// "mlp_out.17:16378" (a site, or the name of an SAE) or "17_16378"; `sae` (its name) where
  /// several read that site or layer. An input error when there is none, or more than one.
  std::int64_t feature_named(std::string_view name, std::string_view sae = {});
  /// All that are called so; none for what is no name.
  std::vector<NamedFeature> features_named(std::string_view name, std::string_view sae = {});
  bool has_feature(std::int64_t id);
  bool has_explanations();
  double density(std::int64_t feature);
  /// Statistics and exemplars, for explaining and scoring.
  FeatureRecord record(std::int64_t feature);
  FeatureEntry entry(std::int64_t feature);
  Explanation explanation(std::int64_t id);
  std::int64_t feature_of_explanation(std::int64_t id);
  /// Scores of an explanation, with their simulations.
  std::vector<Score> scores(std::int64_t explanation);

  /// Of one SAE, by rising index; all at once, which is cheap.
  std::vector<KnownFeature> known_features(std::int64_t sae);
  /// What the scores of listings, maps and traces are.
  const ScoreMeasure& measure();
  FeaturePage list(const FeatureQuery& query);
  FeatureCounts counts(const FeatureQuery& query = {});
  /// The features that its record calls nearest and that are in the atlas.
  std::vector<Neighbour> neighbours(std::int64_t feature);
  /// Features that have coordinates.
  Landscape landscape();

  /// The connection, for importers and exporters that stream.
  Database& database() { return database_; }

 private:
  std::int64_t write_explanation(std::int64_t feature, const Explanation& explanation);
  void refresh_headline(std::int64_t feature);
  /// Of the ledger's lines of one request; nothing where there is none.
  std::optional<Spending> cost_of(std::string_view request_hash);
  FeatureLine line_of(std::int64_t feature, std::string_view language);
  FeatureTable& table();

  Database database_;
  std::optional<std::int64_t> run_;
  std::optional<std::pair<std::uint64_t, ScoreMeasure>> measure_;  ///< of that version of the file
  std::unique_ptr<FeatureTable> table_;  ///< what listings filter and sort; read when first needed
};

}  // namespace safesail
