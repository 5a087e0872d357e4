#include "select/pair_import.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <map>

#include "base/error.h"
#include "base/utf8.h"
#include "formats/byte_stream.h"
#include "formats/csv.h"
#include "formats/json.h"
#include "formats/line_reader.h"
#include "formats/nearest.h"

namespace safesail {
namespace {

const std::vector<std::string> kColumns = {"pair",     "domain", "subclass",    "concept",
                                           "language", "text",   "counterpart", "source"};

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::size_t column_of(const CsvTable& table, const std::string& where, std::string_view name) {
  if (const auto found = table.column(name)) return *found;
  bad_input(where,
            fmt::format("there is no column \"{}\"; the nearest are {}", printable(name),
                        nearest_names(name, {table.columns.begin(), table.columns.end()})),
            "name the columns with --pair-columns");
}

/// "12" of "12.0", "mandarin-12" and "12".
std::string case_number(std::string_view id) {
  if (const auto dash = id.rfind('-'); dash != std::string_view::npos) id.remove_prefix(dash + 1);
  if (const auto dot = id.find('.'); dot != std::string_view::npos) id = id.substr(0, dot);
  return std::string(id);
}

std::string language_of(std::string_view id) {
  const auto dash = id.find('-');
  return dash == std::string_view::npos ? "en" : std::string(id.substr(0, dash));
}

void check_pair(const ContrastPair& pair, const std::string& where) {
  if (pair.text.empty() || pair.counterpart.empty() || pair.text == pair.counterpart)
    bad_input(where, "a text is empty, or the two are equal", "repair the row");
  if (!is_utf8(pair.text) || !is_utf8(pair.counterpart))
    bad_input(where, "a text is not UTF-8", "convert the file");
}

/// Rows of a table as maps from our names to texts.
using Row = std::map<std::string, std::string>;

ContrastPair pair_of(Row row, std::size_t number, const std::string& where) {
  if (row["pair"].empty()) row["pair"] = fmt::format("{}", number);
  if (row["language"].empty()) row["language"] = "en";
  if (row["domain"].empty())
    bad_input(where, "the pair has no domain", "give one: --pair-values domain=violence");
  if (row["subclass"].empty()) row["subclass"] = row["domain"];
  if (row["concept"].empty()) row["concept"] = row["subclass"];
  ContrastPair pair{row["pair"],     row["domain"], row["subclass"],    row["concept"],
                    row["language"], row["text"],   row["counterpart"], row["source"]};
  check_pair(pair, where);
  return pair;
}

}  // namespace

std::vector<ContrastPair> read_hatecheck(const fs::path& path) {
  const CsvTable table = read_csv(path);
  const std::string where = path.string();
  const std::size_t id = column_of(table, where,
                                   table.column("case_id") ? "case_id" : "mhc_case_id"),
                    ref = column_of(table, where, "ref_case_id"),
                    text = column_of(table, where, "test_case"),
                    label = column_of(table, where, "label_gold"),
                    target = column_of(table, where, "target_ident"),
                    functionality = column_of(table, where, "functionality"),
                    templ = column_of(table, where, "templ_id");
  std::map<std::string, std::size_t> row_of;
  for (std::size_t i = 0; i < table.rows.size(); ++i) row_of[case_number(table.rows[i][id])] = i;
  std::vector<ContrastPair> pairs;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const std::vector<std::string>& row = table.rows[i];
    if (row[label] != "non-hateful" || row[ref].empty()) continue;
    const auto found = row_of.find(case_number(row[ref]));
    const std::string line = fmt::format("{}:{}", where, table.lines[i]);
    if (found == row_of.end())
      bad_input(line, fmt::format("there is no case {}", printable(row[ref])),
                "repair ref_case_id");
    const std::vector<std::string>& hateful = table.rows[found->second];
    if (hateful[label] != "hateful") continue;
    const std::string& of = hateful[target].empty() ? row[target] : hateful[target];
    pairs.push_back({.id = row[id],
                     .domain = "hate",
                     .subclass = of.empty() ? "other" : of,
                     .concept_ = fmt::format("{} {}", row[functionality], row[templ]),
                     .language = language_of(row[id]),
                     .text = trimmed(hateful[text]),
                     .counterpart = trimmed(row[text]),
                     .source = path.filename().string()});
    check_pair(pairs.back(), line);
  }
  return pairs;
}

std::vector<ContrastPair> read_pair_table(const fs::path& path, const PairColumns& columns) {
  for (const auto* names : {&columns.columns, &columns.values})
    for (const auto& [ours, theirs] : *names)
      if (std::ranges::find(kColumns, ours) == kColumns.end())
        bad_input("--pair-columns",
                  fmt::format("there is no \"{}\"; the nearest are {}", printable(ours),
                              nearest_names(ours, {kColumns.begin(), kColumns.end()})),
                  "write ours=theirs, as in text=prompt");
  const auto theirs = [&](const std::string& ours) {
    const auto found = columns.columns.find(ours);
    return found == columns.columns.end() ? ours : found->second;
  };
  std::vector<ContrastPair> pairs;
  if (is_table_name(path)) {
    const CsvTable table = read_csv(path);
    for (const char* needed : {"text", "counterpart"})
      column_of(table, path.string(), theirs(needed));
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      Row row = columns.values;
      for (const std::string& ours : kColumns)
        if (const auto column = table.column(theirs(ours)))
          row.emplace(ours, table.rows[i][*column]);
      pairs.push_back(
          pair_of(std::move(row), i + 1, fmt::format("{}:{}", path.string(), table.lines[i])));
    }
    return pairs;
  }
  LineReader lines{ByteStream(path)};
  while (const auto text = lines.next()) {
    if (text->empty()) continue;
    const Json json = parse_json(*text, lines.where(), {.max_depth = 16});
    const JsonObject line(json, lines.where());
    Row row = columns.values;
    for (const std::string& ours : kColumns)
      if (const auto value = line.find<std::string>(theirs(ours))) row.emplace(ours, *value);
    pairs.push_back(pair_of(std::move(row), lines.line_number(), lines.where()));
  }
  return pairs;
}

std::vector<ContrastPair> read_any_pairs(const std::vector<fs::path>& files,
                                         const PairColumns& columns) {
  const bool mapped = !columns.columns.empty() || !columns.values.empty();
  std::vector<ContrastPair> pairs;
  std::vector<fs::path> own;
  for (const fs::path& file : files) {
    if (!is_table_name(file) && !mapped) {
      own.push_back(file);
      continue;
    }
    std::vector<ContrastPair> more =
        is_table_name(file) && !mapped && read_csv(file).column("ref_case_id")
            ? read_hatecheck(file)
            : read_pair_table(file, columns);
    std::ranges::move(more, std::back_inserter(pairs));
  }
  if (!own.empty()) std::ranges::move(read_pairs(own), std::back_inserter(pairs));
  if (pairs.empty()) bad_input("pairs", "expected at least one pair", "name a file with pairs");
  return pairs;
}

}  // namespace safesail
