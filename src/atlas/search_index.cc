#include "atlas/search_index.h"

#include <string>

#include "atlas/search_text.h"

namespace safesail {
namespace {

void write_row(Database& database, std::int64_t feature, const std::string& text) {
  database.run("DELETE FROM search WHERE rowid = ?", feature);
  if (!text.empty()) database.run("INSERT INTO search (rowid, text) VALUES (?, ?)", feature, text);
}

/// Of a row whose first columns are the short and the long text.
void append(const Query& row, std::string& text) {
  for (const int column : {0, 1})
    if (!row.text(column).empty()) (text += search_text(row.text(column))) += '\n';
}

}  // namespace

void index_feature(Database& database, std::int64_t feature) {
  std::string text;
  Query rows = database.query(
      "SELECT short_text, long_text FROM explanations WHERE feature_id = ? AND status = 'ok' "
      "ORDER BY id",
      feature);
  while (rows.next()) append(rows, text);
  write_row(database, feature, text);
}

void index_all_features(Database& database) {
  database.execute("DELETE FROM search");
  std::int64_t feature = 0;
  std::string text;
  Query rows = database.query(
      "SELECT short_text, long_text, feature_id FROM explanations WHERE status = 'ok' "
      "ORDER BY feature_id, id");
  while (rows.next()) {
    if (rows.integer(2) != feature) {
      if (!text.empty()) write_row(database, feature, text);
      feature = rows.integer(2);
      text.clear();
    }
    append(rows, text);
  }
  if (!text.empty()) write_row(database, feature, text);
}

}  // namespace safesail
