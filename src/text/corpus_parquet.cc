// A column of a parquet file, some rows at a time.
#include "base/error.h"
#include "text/corpus_files.h"
#include "text/rust.h"

namespace safesail {
namespace {

constexpr std::size_t kRowsAtOnce = 256;
constexpr std::string_view kRemedy =
    "name a column of strings or of messages; if the file is cut short, fetch it again";

constexpr std::string_view kPackedRemedy =
    "write the file anew with zstd, snappy, gzip, lz4 or no compression";

enum Kind : std::uint8_t { kNull = 0, kText = 1, kJson = 2 };

class ParquetReader final : public CorpusReader {
 public:
  ParquetReader(const fs::path& path, const CorpusConfig& config, const Tokenizer* tokenizer)
      : where_(path.string()), tokenizer_(tokenizer), file_(open(config)) {}
  ~ParquetReader() override { text_rs_rows_free(rows_); }

  std::optional<FileItem> next() override {
    if (next_row_ == rows_.n_rows && !refill()) return std::nullopt;
    const std::size_t begin = next_row_ == 0 ? 0 : rows_.ends[next_row_ - 1];
    const std::string_view cell(rows_.data.data + begin, rows_.ends[next_row_] - begin);
    const auto kind = static_cast<Kind>(rows_.kinds[next_row_]);
    ++next_row_;

    FileItem item;
    item.place = ++n_rows_read_;
    if (kind == kText)
      take_text(item, std::string(cell));
    else if (kind == kJson)
      take_messages(item, cell, tokenizer_);
    else
      item.bad = "expected UTF-8 text, got null or other bytes";
    return item;
  }

 private:
  TextRsParquet* open(const CorpusConfig& config) const {
    TextRsParquet* file = nullptr;
    TextRsString error{};
    if (text_rs_parquet_open(slice_of(where_), slice_of(config.field),
                             slice_of(fallback_field(config.field)), &file, &error))
      return file;
    const std::string problem = take(error);
    bad_input(where_, problem, problem.starts_with("compression") ? kPackedRemedy : kRemedy);
  }

  bool refill() {
    text_rs_rows_free(std::exchange(rows_, {}));
    rows_ = rust<TextRsRows>(where_, kRemedy, [&](auto* out, auto* error) {
      return text_rs_parquet_next(file_.get(), kRowsAtOnce, out, error);
    });
    next_row_ = 0;
    return rows_.n_rows > 0;
  }

  const std::string where_;
  const Tokenizer* tokenizer_;
  RustParquet file_;
  TextRsRows rows_{};
  std::size_t next_row_ = 0;
  std::uint64_t n_rows_read_ = 0;
};

}  // namespace

std::unique_ptr<CorpusReader> open_parquet(const fs::path& path, const CorpusConfig& config,
                                           const Tokenizer* tokenizer) {
  return std::make_unique<ParquetReader>(path, config, tokenizer);
}

}  // namespace safesail
