// What was read can be written with every field quoted, and reads as the same again.
#include "formats/csv.h"
#include "fuzz_target.h"

namespace {

void append_row(const std::vector<std::string>& row, std::string& text) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    text += i == 0 ? "\"" : ",\"";
    for (const char c : row[i]) text += c == '"' ? std::string("\"\"") : std::string(1, c);
    text += '"';
  }
  text += '\n';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  return fuzz_one(data, size, [&](std::span<const std::byte>) {
    const CsvTable table = parse_csv(text, "fuzz");
    std::string quoted;
    append_row(table.columns, quoted);
    for (const std::vector<std::string>& row : table.rows) append_row(row, quoted);
    const CsvTable again = parse_csv(quoted, "again");
    SAFESAIL_CHECK(again.columns == table.columns && again.rows == table.rows);
  });
}
