// Tables as RFC 4180 has them, with commas or tabs between the fields: quoted fields with
// separators, quotes and line ends inside, "\n" or "\r\n". The first row names the columns.
//
// The file is hostile: its size is bounded; another encoding, another separator, a row with another
// number of fields and an open quote are input errors with the line.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace safesail {

struct CsvTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  ///< each with as many fields as there are columns
  std::vector<std::size_t> lines;              ///< where each row begins, from 1

  std::optional<std::size_t> column(std::string_view name) const;
};

/// `where` names the text in errors.
CsvTable parse_csv(std::string_view text, const std::string& where, char separator = ',');
/// The separator follows from the name: tabs in .tsv and .tab, else commas.
CsvTable read_csv(const fs::path& path);
/// Whether the name says that the file is a table: .csv, .tsv or .tab in any letters.
bool is_table_name(const fs::path& path);

}  // namespace safesail
