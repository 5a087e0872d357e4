#include "atlas/atlas.h"

namespace safesail {

void Atlas::forget_findings() {
  Transaction transaction(database_);
  // Scores go with their explanations.
  for (const char* sql : {"DELETE FROM explanations", "DELETE FROM tags",
                          "DELETE FROM pair_metrics", "DELETE FROM search",
                          "UPDATE features SET headline = NULL, effect = NULL, x = NULL, y = NULL"})
    database_.execute(sql);
  transaction.commit();
}

void Atlas::keep_features(std::span<const std::int64_t> features) {
  Transaction transaction(database_);
  database_.execute("CREATE TEMP TABLE kept (id INTEGER PRIMARY KEY)");
  for (const std::int64_t id : features) database_.run("INSERT INTO kept VALUES (?)", id);
  for (const char* sql :
       {"DELETE FROM features WHERE id NOT IN (SELECT id FROM kept)",
        "DELETE FROM saes WHERE id NOT IN (SELECT sae_id FROM features)",
        "DELETE FROM models WHERE id NOT IN (SELECT model_id FROM saes)",
        "DELETE FROM windows WHERE id NOT IN (SELECT window_id FROM exemplars)", "DROP TABLE kept"})
    database_.execute(sql);
  transaction.commit();
}

bool Atlas::has_explanations() {
  return database_.find_integer("SELECT 1 FROM explanations LIMIT 1").has_value();
}

}  // namespace safesail
