#include "formats/csv.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "base/extension.h"

namespace safesail {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{256} << 20;

class CsvParser {
 public:
  CsvParser(std::string_view text, const std::string& where, char separator)
      : text_(text), where_(where), separator_(separator) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    check_encoding();
    check_separator();
  }

  /// The next row, or nothing at the end; empty lines are passed over.
  std::optional<std::vector<std::string>> next() {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) skip_line_end();
    if (at_ >= text_.size()) return std::nullopt;
    row_line_ = line_;
    std::vector<std::string> row;
    for (;;) {
      row.push_back(text_[at_] == '"' ? quoted() : plain());
      if (at_ >= text_.size()) return row;
      if (text_[at_] != separator_) {
        skip_line_end();
        return row;
      }
      ++at_;
      if (at_ >= text_.size()) {
        row.emplace_back();
        return row;
      }
    }
  }
  std::size_t row_line() const { return row_line_; }

 private:
  void check_encoding() const {
    using namespace std::string_view_literals;
    const std::string_view head = text_.substr(0, text_.find('\n'));
    if (head.starts_with("\xFF\xFE"sv) || head.starts_with("\xFE\xFF"sv) ||
        head.find('\0') != head.npos)
      bad_input(where_, "expected UTF-8, got what looks like UTF-16", "save the table as UTF-8");
  }

  /// A first row that holds another separator and none of its own is a table of another kind.
  void check_separator() const {
    const std::string_view head = text_.substr(0, text_.find('\n'));
    if (head.find(separator_) != head.npos) return;
    for (const auto& [other, name] :
         {std::pair{';', "semicolons"}, std::pair{'\t', "tabs"}, std::pair{',', "commas"}})
      if (head.find(other) != head.npos)
        bad_input(where_,
                  fmt::format("expected {} between the names of the columns, got {}",
                              separator_ == ',' ? "commas" : "tabs", name),
                  other == ';' ? "save the table with commas"
                               : "name it .tsv where tabs stand between its fields, else .csv");
  }

  std::string plain() {
    const char ends[] = {separator_, '\r', '\n'};
    const std::size_t end =
        std::min(text_.find_first_of(std::string_view(ends, sizeof ends), at_), text_.size());
    const std::size_t begin = std::exchange(at_, end);
    return std::string(text_.substr(begin, end - begin));
  }
  std::string quoted() {
    std::string field;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') {
          ++at_;
          if (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n' &&
              text_[at_] != '\r')
            bad("text after a closing quote", "double the quotes inside a field");
          return field;
        }
        ++at_;
      }
      line_ += text_[at_] == '\n';
      field += text_[at_];
    }
    bad("a quote is never closed", "close it, or repair the end of the file");
  }
  void skip_line_end() {
    if (text_[at_] == '\r') ++at_;
    if (at_ < text_.size() && text_[at_] == '\n') ++at_;
    ++line_;
  }
  [[noreturn]] void bad(std::string_view problem, std::string_view remedy) const {
    bad_input(fmt::format("{}:{}", where_, row_line_), problem, remedy);
  }

  std::string_view text_;
  const std::string& where_;
  const char separator_;
  std::size_t at_ = 0, line_ = 1, row_line_ = 1;
};

}  // namespace

std::optional<std::size_t> CsvTable::column(std::string_view name) const {
  const auto found = std::ranges::find(columns, name);
  if (found == columns.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns.begin());
}

CsvTable parse_csv(std::string_view text, const std::string& where, char separator) {
  CsvParser parser(text, where, separator);
  CsvTable table;
  while (std::optional<std::vector<std::string>> row = parser.next()) {
    if (table.columns.empty()) {
      table.columns = std::move(*row);
      continue;
    }
    if (row->size() != table.columns.size())
      bad_input(fmt::format("{}:{}", where, parser.row_line()),
                fmt::format("expected {} fields as in the first row, got {}", table.columns.size(),
                            row->size()),
                "repair the row");
    table.rows.push_back(std::move(*row));
    table.lines.push_back(parser.row_line());
  }
  if (table.columns.empty())
    bad_input(where, "expected a row of column names, got nothing", "name a file with rows");
  return table;
}

CsvTable read_csv(const fs::path& path) {
  const std::string extension = lower_extension(path);
  const bool tabs = extension == ".tsv" || extension == ".tab";
  return parse_csv(read_file(path, kMaxBytes), path.string(), tabs ? '\t' : ',');
}

bool is_table_name(const fs::path& path) {
  const std::string extension = lower_extension(path);
  return extension == ".csv" || extension == ".tsv" || extension == ".tab";
}

}  // namespace safesail
