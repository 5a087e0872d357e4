#include "atlas/schema.h"

#include <array>
#include <fmt/format.h>

#include "atlas/search_index.h"
#include "base/error.h"

namespace safesail {
namespace {

/// Migration i leads from version i to i + 1. What is published here is never changed again.
constexpr std::array kMigrations = {
    // Times are seconds since 1970. STRICT tables, so that types can be relied upon.
    R"sql(
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  created INTEGER NOT NULL,
  version TEXT NOT NULL,
  seed INTEGER NOT NULL,
  config TEXT NOT NULL
) STRICT;

CREATE TABLE models (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  details TEXT NOT NULL
) STRICT;

CREATE TABLE saes (
  id INTEGER PRIMARY KEY,
  model_id INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
  name TEXT NOT NULL,
  site TEXT NOT NULL,
  layer INTEGER NOT NULL,
  architecture TEXT NOT NULL,
  n_features INTEGER NOT NULL,
  details TEXT NOT NULL,
  UNIQUE (model_id, name)
) STRICT;

-- Narrow rows: what listings filter and sort by. headline, score and effect follow from the tables
-- below and are kept by the writer.
CREATE TABLE features (
  id INTEGER PRIMARY KEY,
  sae_id INTEGER NOT NULL REFERENCES saes ON DELETE CASCADE,
  feature INTEGER NOT NULL,
  status TEXT NOT NULL DEFAULT 'ok',
  n_tokens INTEGER NOT NULL DEFAULT 0,
  n_active INTEGER NOT NULL DEFAULT 0,
  density REAL,
  max_activation REAL,
  quantile REAL,
  headline INTEGER,
  score REAL,
  effect REAL,
  x REAL,
  y REAL,
  UNIQUE (sae_id, feature)
) STRICT;

CREATE TABLE feature_details (
  feature_id INTEGER PRIMARY KEY REFERENCES features ON DELETE CASCADE,
  n_firing_explain INTEGER NOT NULL,
  n_firing_calibrate INTEGER NOT NULL,
  n_firing_test INTEGER NOT NULL,
  histogram BLOB NOT NULL,
  fires_on TEXT NOT NULL,
  promoted TEXT NOT NULL,
  suppressed TEXT NOT NULL,
  nearest TEXT NOT NULL,
  extra TEXT NOT NULL
) STRICT;

CREATE TABLE exemplars (
  id INTEGER PRIMARY KEY,
  feature_id INTEGER NOT NULL REFERENCES features ON DELETE CASCADE,
  place INTEGER NOT NULL,
  use TEXT NOT NULL,
  kind TEXT NOT NULL,
  level INTEGER NOT NULL,
  document INTEGER NOT NULL,
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  ids BLOB NOT NULL,
  starts BLOB NOT NULL,
  activation BLOB NOT NULL,
  extra TEXT NOT NULL DEFAULT '{}',
  UNIQUE (feature_id, place)
) STRICT;

CREATE TABLE explanations (
  id INTEGER PRIMARY KEY,
  feature_id INTEGER NOT NULL REFERENCES features ON DELETE CASCADE,
  explainer TEXT NOT NULL,
  model TEXT NOT NULL,
  language TEXT NOT NULL,
  prompt_hash TEXT NOT NULL,
  seed INTEGER NOT NULL,
  status TEXT NOT NULL,
  short_text TEXT NOT NULL,
  long_text TEXT NOT NULL,
  lexicon TEXT NOT NULL,
  raw TEXT NOT NULL,
  created INTEGER NOT NULL,
  run_id INTEGER REFERENCES runs,
  UNIQUE (feature_id, explainer, model, language, prompt_hash, seed)
) STRICT;

CREATE INDEX explanations_by_language ON explanations (language, status, feature_id);

CREATE TABLE scores (
  id INTEGER PRIMARY KEY,
  explanation_id INTEGER NOT NULL REFERENCES explanations ON DELETE CASCADE,
  scorer TEXT NOT NULL,
  simulator TEXT NOT NULL,
  prompt_hash TEXT NOT NULL,
  seed INTEGER NOT NULL,
  value REAL,
  low REAL,
  high REAL,
  floor REAL,
  n_windows INTEGER NOT NULL,
  n_units INTEGER NOT NULL,
  n_unparsable INTEGER NOT NULL,
  n_refused INTEGER NOT NULL,
  n_failed INTEGER NOT NULL,
  details TEXT NOT NULL,
  created INTEGER NOT NULL,
  run_id INTEGER REFERENCES runs,
  UNIQUE (explanation_id, scorer, simulator, prompt_hash, seed)
) STRICT;

CREATE TABLE simulations (
  id INTEGER PRIMARY KEY,
  score_id INTEGER NOT NULL REFERENCES scores ON DELETE CASCADE,
  exemplar_id INTEGER NOT NULL REFERENCES exemplars ON DELETE CASCADE,
  simulated BLOB NOT NULL,
  UNIQUE (score_id, exemplar_id)
) STRICT;
CREATE INDEX simulations_by_exemplar ON simulations (exemplar_id);

CREATE TABLE tags (
  id INTEGER PRIMARY KEY,
  feature_id INTEGER NOT NULL REFERENCES features ON DELETE CASCADE,
  domain TEXT NOT NULL,
  subclass TEXT NOT NULL,
  source TEXT NOT NULL,
  evidence TEXT NOT NULL,
  UNIQUE (feature_id, domain, subclass, source)
) STRICT;
CREATE INDEX tags_by_domain ON tags (domain, subclass, feature_id);

CREATE TABLE pair_metrics (
  id INTEGER PRIMARY KEY,
  feature_id INTEGER NOT NULL REFERENCES features ON DELETE CASCADE,
  concept TEXT NOT NULL,
  language TEXT NOT NULL,
  f REAL NOT NULL,
  reverse REAL NOT NULL,
  p REAL,
  q REAL,
  effect REAL,
  n INTEGER NOT NULL,
  UNIQUE (feature_id, concept, language)
) STRICT;
CREATE INDEX pair_metrics_by_concept ON pair_metrics (concept, language, effect);

CREATE TABLE ledger (
  id INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  purpose TEXT NOT NULL,
  feature_id INTEGER REFERENCES features ON DELETE SET NULL,
  endpoint TEXT NOT NULL,
  model TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  money REAL NOT NULL,
  status TEXT NOT NULL,
  run_id INTEGER REFERENCES runs
) STRICT;
CREATE INDEX ledger_by_feature ON ledger (feature_id);

CREATE TABLE answers (
  request_hash TEXT PRIMARY KEY,
  response TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT;

-- One row a feature, rowid = features.id; text as search_text() writes it.
CREATE VIRTUAL TABLE search USING fts5 (
  text, tokenize = "unicode61 remove_diacritics 0 categories 'L* N* Co M*'"
);
)sql",
    // A window is kept once, however many features it is an exemplar of (eleven on average in the
    // demo).
    R"sql(
CREATE TABLE windows (
  id INTEGER PRIMARY KEY,
  document INTEGER NOT NULL,
  position INTEGER NOT NULL,
  text TEXT NOT NULL,
  ids BLOB NOT NULL,
  starts BLOB NOT NULL,
  UNIQUE (document, position, text, ids, starts)
) STRICT;
INSERT INTO windows (document, position, text, ids, starts)
  SELECT DISTINCT document, position, text, ids, starts FROM exemplars ORDER BY id;

CREATE TABLE new_exemplars (
  feature_id INTEGER NOT NULL REFERENCES features ON DELETE CASCADE,
  place INTEGER NOT NULL,
  window_id INTEGER NOT NULL REFERENCES windows,
  use TEXT NOT NULL,
  kind TEXT NOT NULL,
  level INTEGER NOT NULL,
  activation BLOB NOT NULL,
  extra TEXT NOT NULL,
  PRIMARY KEY (feature_id, place)
) STRICT, WITHOUT ROWID;
INSERT INTO new_exemplars
  SELECT e.feature_id, e.place, w.id, e.use, e.kind, e.level, e.activation, e.extra
  FROM exemplars e JOIN windows w USING (document, position, text, ids, starts);

CREATE TABLE new_simulations (
  score_id INTEGER NOT NULL REFERENCES scores ON DELETE CASCADE,
  place INTEGER NOT NULL,
  simulated BLOB NOT NULL,
  PRIMARY KEY (score_id, place)
) STRICT, WITHOUT ROWID;
INSERT INTO new_simulations
  SELECT s.score_id, e.place, s.simulated FROM simulations s JOIN exemplars e ON e.id = s.exemplar_id;

DROP TABLE simulations;
DROP TABLE exemplars;
ALTER TABLE new_exemplars RENAME TO exemplars;
ALTER TABLE new_simulations RENAME TO simulations;
)sql",
    // How often a feature fires in each part of the corpus.
    R"sql(
ALTER TABLE feature_details ADD COLUMN parts TEXT NOT NULL DEFAULT '[]';
)sql",
    // What a request cost in full, why it failed, and which explanation was read from it. A
    // feature's
    // score depends on the measure of the whole file, and is looked up.
    R"sql(
ALTER TABLE ledger ADD COLUMN reasoning_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN currency TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN reason TEXT NOT NULL DEFAULT '';
CREATE INDEX ledger_by_request ON ledger (request_hash);
ALTER TABLE explanations ADD COLUMN request_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE features DROP COLUMN score;
)sql",
    // A score's key holds what was asked; what failed says why. Scores go into a table of their own
    // before the old one is dropped, and so do simulations, which would be dropped with it.
    R"sql(
ALTER TABLE explanations ADD COLUMN reason TEXT NOT NULL DEFAULT '';

CREATE TABLE new_scores (
  id INTEGER PRIMARY KEY,
  explanation_id INTEGER NOT NULL REFERENCES explanations ON DELETE CASCADE,
  scorer TEXT NOT NULL,
  simulator TEXT NOT NULL,
  prompt_hash TEXT NOT NULL,
  seed INTEGER NOT NULL,
  windows INTEGER NOT NULL DEFAULT 0,
  batch INTEGER NOT NULL DEFAULT 0,
  questions TEXT NOT NULL DEFAULT '',
  value REAL,
  low REAL,
  high REAL,
  floor REAL,
  n_windows INTEGER NOT NULL,
  n_units INTEGER NOT NULL,
  n_unparsable INTEGER NOT NULL,
  n_refused INTEGER NOT NULL,
  n_failed INTEGER NOT NULL,
  details TEXT NOT NULL,
  created INTEGER NOT NULL,
  run_id INTEGER REFERENCES runs,
  UNIQUE (explanation_id, scorer, simulator, prompt_hash, seed, windows, batch, questions)
) STRICT;
INSERT INTO new_scores (id, explanation_id, scorer, simulator, prompt_hash, seed, value, low, high,
  floor, n_windows, n_units, n_unparsable, n_refused, n_failed, details, created, run_id)
  SELECT id, explanation_id, scorer, simulator, prompt_hash, seed, value, low, high, floor,
  n_windows, n_units, n_unparsable, n_refused, n_failed, details, created, run_id FROM scores;
CREATE TABLE new_simulations (
  score_id INTEGER NOT NULL REFERENCES new_scores ON DELETE CASCADE,
  place INTEGER NOT NULL,
  simulated BLOB NOT NULL,
  PRIMARY KEY (score_id, place)
) STRICT, WITHOUT ROWID;
INSERT INTO new_simulations SELECT score_id, place, simulated FROM simulations;
DROP TABLE simulations;
DROP TABLE scores;
ALTER TABLE new_scores RENAME TO scores;
ALTER TABLE new_simulations RENAME TO simulations;
)sql",
    // What a feature does on pairs that had no part in choosing it: JSON, empty where none were
    // kept.
    R"sql(
ALTER TABLE pair_metrics ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pair_metrics ADD COLUMN held_out TEXT NOT NULL DEFAULT '';
)sql",
};
/// The version from which on texts are indexed as search_text() writes them today.
constexpr std::int64_t kSearchTextVersion = 4;

std::int64_t pragma(Database& database, std::string_view sql) {
  return database.find_integer(sql).value_or(0);
}

}  // namespace

std::span<const char* const> atlas_migrations() {
  return kMigrations;
}

void prepare_schema(Database& database) {
  const std::string where = database.path().string();
  const auto newest = static_cast<std::int64_t>(kMigrations.size());
  const auto stored_version = [&] { return pragma(database, "PRAGMA user_version"); };
  const auto is_empty = [&] {
    return pragma(database, "SELECT count(*) FROM sqlite_schema") == 0 && stored_version() == 0;
  };
  const bool ours = pragma(database, "PRAGMA application_id") == kAtlasApplicationId;
  if (!ours && (database.read_only() || !is_empty()))
    bad_input(where, "expected a database of Safesail, got one of another program",
              "give the path of an atlas.sqlite");
  if (stored_version() > newest)
    bad_input(where,
              fmt::format("expected a database of version {} or older, got version {}", newest,
                          stored_version()),
              "use a newer Safesail");
  if (stored_version() < 0)
    bad_input(where, fmt::format("expected a version of 0 to {}, got {}", newest, stored_version()),
              "take a copy of the file, or import again into a new one");
  if (database.read_only()) {
    if (stored_version() == newest) return;
    Database writable(database.path(), Database::Mode::write);
    prepare_schema(writable);
    return;
  }
  // Kept in the file; readers then never wait for the writer. A kill loses nothing that was
  // committed.
  database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  while (stored_version() < newest) {
    Transaction transaction(database);
    const std::int64_t from = stored_version();  // again, now that nobody else can migrate
    if (from >= newest) break;
    database.execute(kMigrations[static_cast<std::size_t>(from)]);
    if (from > 0 && from + 1 == kSearchTextVersion) index_all_features(database);
    database.execute(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}",
                                 kAtlasApplicationId, from + 1));
    transaction.commit();
  }
}

}  // namespace safesail
