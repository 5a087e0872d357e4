// Plain text: a document a line, or a document a paragraph.
#include "base/error.h"
#include "formats/line_reader.h"
#include "text/corpus_files.h"

namespace safesail {
namespace {

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t") == line.npos;
}

class TextReader final : public CorpusReader {
 public:
  TextReader(const fs::path& path, bool document_per_line)
      : lines_(ByteStream(path)), document_per_line_(document_per_line) {}

  std::optional<FileItem> next() override {
    std::optional<std::string_view> line;
    do line = lines_.next();
    while (line && is_blank(*line));
    if (!line) return std::nullopt;
    FileItem item;
    item.place = lines_.line_number();
    std::string text(*line);
    while (!document_per_line_ && (line = lines_.next()) && !is_blank(*line)) {
      text += '\n';
      text += *line;
      if (text.size() > LineReader::kDefaultMaxBytes)
        bad_input(lines_.where(), "expected an empty line after each document, got 64 MiB without",
                  "put empty lines between documents, or read one document a line");
    }
    take_text(item, std::move(text));
    return item;
  }

 private:
  LineReader lines_;
  const bool document_per_line_;
};

}  // namespace

std::unique_ptr<CorpusReader> open_plain_text(const fs::path& path, const CorpusConfig& config) {
  return std::make_unique<TextReader>(path, config.document_per_line);
}

}  // namespace safesail
