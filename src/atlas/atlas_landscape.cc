#include <map>

#include "atlas/atlas.h"

namespace safesail {
namespace {

/// The domains' bits of each feature that has any.
std::map<std::int64_t, std::uint32_t> read_domains(Database& database, Landscape& landscape) {
  std::map<std::string, std::uint32_t, std::less<>> bit_of;
  Query common = database.query(
      "SELECT domain FROM tags GROUP BY domain ORDER BY count(DISTINCT feature_id) DESC, domain");
  while (common.next() && landscape.domain_names.size() < Landscape::kMaxDomains) {
    bit_of.emplace(common.text(0), 1U << landscape.domain_names.size());
    landscape.domain_names.emplace_back(common.text(0));
  }
  std::map<std::int64_t, std::uint32_t> domains;
  Query tag = database.query("SELECT DISTINCT feature_id, domain FROM tags");
  while (tag.next())
    if (const auto bit = bit_of.find(tag.text(1)); bit != bit_of.end())
      domains[tag.integer(0)] |= bit->second;
  return domains;
}

}  // namespace

Landscape Atlas::landscape() {
  const Snapshot snapshot(database_);
  Landscape result;
  const std::map<std::int64_t, std::uint32_t> domains = read_domains(database_, result);
  std::map<std::int64_t, std::pair<std::uint32_t, std::int32_t>> saes;  // place and layer
  Query sae = database_.query("SELECT id, name, layer FROM saes ORDER BY layer, name");
  while (sae.next()) {
    saes[sae.integer(0)] = {static_cast<std::uint32_t>(result.sae_names.size()),
                            static_cast<std::int32_t>(sae.integer(2))};
    result.sae_names.emplace_back(sae.text(1));
  }
  Query row = database_.query(
      "SELECT f.id, f.x, f.y, f.sae_id, f.feature, (SELECT c.value FROM scores c WHERE "
      "c.explanation_id = f.headline AND "
      "c.scorer = ?1 AND c.simulator = ?2 AND c.value IS NOT NULL ORDER BY c.windows DESC, c.id "
      "DESC LIMIT 1) "
      "FROM features f WHERE f.x IS NOT NULL AND f.y IS NOT NULL ORDER BY f.id",
      measure().scorer, measure().simulator);
  while (row.next()) {
    const auto [place, layer] = saes.at(row.integer(3));
    const auto having = domains.find(row.integer(0));
    result.ids.push_back(row.integer(0));
    result.x.push_back(static_cast<float>(row.real(1)));
    result.y.push_back(static_cast<float>(row.real(2)));
    result.sae.push_back(place);
    result.layer.push_back(layer);
    result.feature.push_back(static_cast<std::int32_t>(row.integer(4)));
    result.score.push_back(row.real(5));
    result.domains.push_back(having == domains.end() ? 0 : having->second);
  }
  return result;
}

}  // namespace safesail
