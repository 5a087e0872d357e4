#include "atlas/record_rows.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

#include "atlas/blobs.h"
#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

[[noreturn]] void damaged(std::string_view where, std::string_view problem) {
  bad_input(where, problem, "the database is damaged: import it or run it again");
}

std::string json_of(const std::vector<WeightedToken>& tokens) {
  Json list = Json::array();
  for (const WeightedToken& token : tokens)
    list.push_back(Json::array({token.id, token.text, token.weight}));
  return dump_json(list);
}

std::string json_of(const std::vector<NearFeature>& near) {
  Json list = Json::array();
  for (const NearFeature& other : near) list.push_back(Json::array({other.feature, other.cosine}));
  return dump_json(list);
}

std::string json_of(const std::vector<PartDensity>& parts) {
  Json list = Json::array();
  for (const PartDensity& part : parts)
    list.push_back(Json::array({part.n_tokens, part.part, part.n_active}));
  return dump_json(list);
}

/// The items of a list of lists, each checked to start with an integer and end with a number.
std::vector<Json> items_of(std::string_view text, const std::string& where, std::size_t n_parts) {
  const Json list = parse_json(text, where);
  if (!list.is_array()) damaged(where, "expected a list");
  for (const Json& item : list)
    if (!item.is_array() || item.size() != n_parts || !item.front().is_number_integer() ||
        !item.back().is_number())
      damaged(where, "expected a list of [number, ..., number]");
  return list.get<std::vector<Json>>();
}

std::vector<WeightedToken> tokens_of(std::string_view text, const std::string& where) {
  std::vector<WeightedToken> tokens;
  for (const Json& item : items_of(text, where, 3)) {
    if (!item[1].is_string()) damaged(where, "expected the text of a token");
    tokens.push_back(
        {item[0].get<std::int32_t>(), item[1].get<std::string>(), item[2].get<float>()});
  }
  return tokens;
}

std::vector<NearFeature> near_of(std::string_view text, const std::string& where) {
  std::vector<NearFeature> near;
  for (const Json& item : items_of(text, where, 2))
    near.push_back({item[0].get<std::int32_t>(), item[1].get<float>()});
  return near;
}

std::vector<PartDensity> parts_of(std::string_view text, const std::string& where) {
  std::vector<PartDensity> parts;
  for (const Json& item : items_of(text, where, 3)) {
    if (!item[0].is_number_unsigned() || !item[1].is_string() || !item[2].is_number_unsigned())
      damaged(where, "expected [tokens, part of the corpus, tokens that fire]");
    parts.push_back(
        {item[1].get<std::string>(), item[0].get<std::uint64_t>(), item[2].get<std::uint64_t>()});
  }
  return parts;
}

Exemplar exemplar_of(const Query& row, const std::string& where) {
  Exemplar exemplar;
  exemplar.use = parse_use(row.text(0));
  exemplar.kind = parse_window_kind(row.text(1));
  exemplar.level = static_cast<int>(row.integer(2));
  Window& window = exemplar.window;
  window.document = static_cast<std::uint64_t>(row.integer(3));
  window.position = static_cast<std::int32_t>(row.integer(4));
  window.text = row.text(5);
  window.ids = unpack_ids(row.blob(6), where);
  window.starts = unpack_offsets(row.blob(7), where);
  window.activation = unpack_sparse(row.blob(8), window.ids.size(), where);
  if (window.starts.size() != window.ids.size() + 1 || window.starts.back() > window.text.size())
    damaged(where, "the tokens of a window do not lie in its text");
  return exemplar;
}

bool same_exemplars(const std::vector<Exemplar>& a, const std::vector<Exemplar>& b) {
  const auto all = [](const Exemplar& one) {
    const Window& window = one.window;
    return std::tie(one.use, one.kind, one.level, window.document, window.position, window.ids,
                    window.text, window.starts, window.activation);
  };
  return std::ranges::equal(a, b, {}, all, all);
}

/// The window that is alike, or a new one.
std::int64_t window_id(Database& database, const Window& window) {
  const Blob ids = pack_ids(window.ids), starts = pack_offsets(window.starts);
  const std::span<const std::byte> ids_bytes = ids, starts_bytes = starts;
  const std::optional<std::int64_t> known = database.find_integer(
      "SELECT id FROM windows WHERE document = ? AND position = ? AND text = ? AND ids = ? AND "
      "starts = ?",
      window.document, window.position, window.text, ids_bytes, starts_bytes);
  if (known) return *known;
  database.run("INSERT INTO windows (document, position, text, ids, starts) VALUES (?, ?, ?, ?, ?)",
               window.document, window.position, window.text, ids_bytes, starts_bytes);
  return database.last_id();
}

}  // namespace

void write_exemplar(Database& database, std::int64_t feature, std::size_t place,
                    const Exemplar& exemplar, std::string_view extra) {
  const Window& window = exemplar.window;
  SAFESAIL_CHECK(window.starts.size() == window.n_tokens() + 1 &&
                 window.activation.size() == window.n_tokens());
  database.run("INSERT INTO exemplars VALUES (?, ?, ?, ?, ?, ?, ?, ?)", feature, place,
               window_id(database, window), to_string(exemplar.use), to_string(exemplar.kind),
               exemplar.level, std::span<const std::byte>(pack_sparse(window.activation)), extra);
}

void write_record(Database& database, std::int64_t feature, const FeatureRecord& record,
                  std::string_view extra) {
  const auto firing = [&](Use use) {
    return record.n_firing_windows[static_cast<std::size_t>(use)];
  };
  database.run("INSERT OR REPLACE INTO feature_details VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
               feature, firing(Use::explain), firing(Use::calibrate), firing(Use::test),
               std::span<const std::byte>(pack_counts(record.histogram)), json_of(record.fires_on),
               json_of(record.promoted), json_of(record.suppressed), json_of(record.nearest), extra,
               json_of(record.parts));
  if (same_exemplars(read_record(database, feature).exemplars, record.exemplars)) return;
  // Scores, with their simulations, were on the windows that go.
  database.run(
      "DELETE FROM scores WHERE explanation_id IN (SELECT id FROM explanations WHERE feature_id = "
      "?)",
      feature);
  database.run("DELETE FROM exemplars WHERE feature_id = ?", feature);
  for (std::size_t place = 0; place < record.exemplars.size(); ++place)
    write_exemplar(database, feature, place, record.exemplars[place]);
}

FeatureRecord read_record(Database& database, std::int64_t feature) {
  const std::string where = fmt::format("{}: feature {}", database.path().string(), feature);
  Query row = database.query(
      "SELECT s.name, s.site, f.feature, f.n_tokens, f.n_active, f.max_activation, f.quantile "
      "FROM features f JOIN saes s ON s.id = f.sae_id WHERE f.id = ?",
      feature);
  if (!row.next()) bad_input(where, "there is no such feature", "list the features first");
  const auto number = [&](int column) {
    return row.is_null(column) ? 0 : static_cast<float>(row.real(column));
  };
  FeatureRecord record;
  record.sae = row.text(0);
  record.site = row.text(1);
  record.feature = static_cast<std::int32_t>(row.integer(2));
  record.n_tokens = static_cast<std::uint64_t>(row.integer(3));
  record.n_active = static_cast<std::uint64_t>(row.integer(4));
  record.max_activation = number(5);
  record.quantile = number(6);

  Query details = database.query("SELECT * FROM feature_details WHERE feature_id = ?", feature);
  if (details.next()) {
    for (std::size_t use = 0; use < kUses.size(); ++use)
      record.n_firing_windows[use] =
          static_cast<std::uint64_t>(details.integer(1 + static_cast<int>(use)));
    record.histogram = unpack_counts(details.blob(4), where);
    record.fires_on = tokens_of(details.text(5), where);
    record.promoted = tokens_of(details.text(6), where);
    record.suppressed = tokens_of(details.text(7), where);
    record.nearest = near_of(details.text(8), where);
    record.parts = parts_of(details.text(10), where);
  }
  Query exemplars = database.query(
      "SELECT e.use, e.kind, e.level, w.document, w.position, w.text, w.ids, w.starts, "
      "e.activation "
      "FROM exemplars e JOIN windows w ON w.id = e.window_id WHERE e.feature_id = ? ORDER BY place",
      feature);
  while (exemplars.next()) record.exemplars.push_back(exemplar_of(exemplars, where));
  return record;
}

std::vector<std::string> read_exemplar_extras(Database& database, std::int64_t feature) {
  std::vector<std::string> extras;
  Query row =
      database.query("SELECT extra FROM exemplars WHERE feature_id = ? ORDER BY place", feature);
  while (row.next()) extras.emplace_back(row.text(0));
  return extras;
}

std::string read_extra(Database& database, std::int64_t feature) {
  Query row = database.query("SELECT extra FROM feature_details WHERE feature_id = ?", feature);
  return row.next() ? std::string(row.text(0)) : "{}";
}

}  // namespace safesail
