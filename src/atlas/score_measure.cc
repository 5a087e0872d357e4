#include "atlas/score_measure.h"

namespace safesail {

ScoreMeasure read_measure(Database& database) {
  Query row = database.query(
      "SELECT c.scorer, c.simulator FROM scores c JOIN explanations e ON e.id = c.explanation_id "
      "JOIN features f ON f.id = e.feature_id AND f.headline = e.id WHERE c.value IS NOT NULL "
      "GROUP BY c.scorer, c.simulator ORDER BY count(DISTINCT e.id) DESC, "
      "CASE c.scorer WHEN 'segment' THEN 0 WHEN 'published' THEN 1 WHEN 'token' THEN 2 "
      "WHEN 'detection' THEN 3 WHEN 'fuzzing' THEN 4 ELSE 5 END, c.simulator = 'lexical', "
      "c.scorer, c.simulator LIMIT 1");
  if (!row.next()) return {};
  return {std::string(row.text(0)), std::string(row.text(1))};
}

}  // namespace safesail
